"""Files to read, and the command line to compare with; scripts/python says where it is."""

import json
import os
import pathlib
import subprocess

import pytest

from offkey.spark import register

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Of the object store that tests start.
KEYS_OF_STORE = {
    f"{store}_{name}": value
    for store in ("AWS", "OBS")
    for name, value in (("ACCESS_KEY_ID", "key"), ("SECRET_ACCESS_KEY", "canary-secret"))
}

# When files of Redis 2 were written, which they do not say themselves: reports are compared that
# are minutes apart, and in between a key of theirs may expire.
NOW_MS = 1_795_500_000_000

TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"


def analyze(paths, *arguments):
    """What ``offkey analyze`` says of files."""
    command = [TARGET / "offkey", "analyze", "--format", "json", "--quiet", *arguments]
    command += [f"--now-ms={NOW_MS}"]
    done = subprocess.run([*command, "--", *map(str, paths)], capture_output=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout)


def keys(paths):
    """What ``offkey keys`` says of files."""
    command = [TARGET / "offkey", "keys", "--quiet", "--", *map(str, paths)]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def workload(path, name, count, seed=1):
    """Writes a file of the testkit's."""
    command = [TARGET / "examples" / "workload", name, str(count), str(seed)]
    with open(path, "wb") as file:
        subprocess.run(command, stdout=file, check=True)
    return path


@pytest.fixture(scope="session")
def real_files():
    """Files that real servers wrote."""
    found = sorted((ROOT / "testdata").glob("*.rdb"))
    found += sorted((ROOT.parent / "shared" / "rdb").glob("*.rdb"))
    assert len(found) > 10
    return found


@pytest.fixture(scope="session")
def mixed(tmp_path_factory):
    """A file of all types."""
    return workload(tmp_path_factory.mktemp("mixed") / "mixed.rdb", "mixed", 20_000)


@pytest.fixture(scope="session")
def fleet(tmp_path_factory, real_files):
    """300 files: real ones, generated ones of all kinds, damaged and missing ones."""
    folder = tmp_path_factory.mktemp("fleet")
    kinds = [("small", 300), ("mixed", 200), ("uuid", 100), ("databases", 20), ("distinct", 200)]
    files = list(real_files)
    for number in range(290 - len(files)):
        name, count = kinds[number % len(kinds)]
        path = folder / f"instance{number % 7}" / f"node{number}.rdb"
        path.parent.mkdir(exist_ok=True)
        files.append(workload(path, name, count, number))
    for number, path in enumerate(files[-40::5]):
        content = bytearray(path.read_bytes())
        if number % 2:
            content = content[: len(content) // 2]
        else:
            content[len(content) // 3] ^= 0x55
        damaged = folder / f"damaged{number}.rdb"
        damaged.write_bytes(content)
        files.append(damaged)
    return [*files, folder / "missing.rdb", files[0]]


@pytest.fixture(scope="session")
def fleet_report(fleet):
    """What one machine says of the fleet."""
    report = analyze(fleet)
    assert len(fleet) >= 300 and not report["complete"] and report["total_num"] > 30_000
    return report


@pytest.fixture(scope="session")
def slow(tmp_path_factory):
    """Files whose reading takes a while, and what one machine says of them."""
    folder = tmp_path_factory.mktemp("slow")
    files = [workload(folder / f"{n}.rdb", "distinct", 50_000, n + 1) for n in range(8)]
    # The command line counts prefixes that outgrow its memory twice: with enough there is
    # nothing to prove.
    return files, analyze(files, "--memory-limit=2G")


@pytest.fixture(scope="session")
def events(tmp_path_factory):
    """Where the session of ``spark`` writes its events."""
    return tmp_path_factory.mktemp("events")


@pytest.fixture(scope="session")
def spark(events):
    """A session with two executors of 512 MiB, each a process of its own, until a test starts
    another one."""
    from cluster import session

    with session("local-cluster[2,1,1024]", events, KEYS_OF_STORE) as spark:
        yield spark


@pytest.fixture(scope="session")
def source(spark):
    """A session that knows the data source; Spark 3 has none."""
    if not hasattr(type(spark), "dataSource"):
        pytest.skip(f"Spark {spark.version} has no data sources in Python")
    register(spark)
    return spark
