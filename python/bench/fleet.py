"""What a fleet's report costs on one thread, and on Spark with one and with two workers.

    cd python/bench && ../../target/python/bin/python fleet.py FOLDER [WORKERS...]

scripts/python makes the environment, the wheel and the generator that this needs. The files
are made in FOLDER, unless they are there, and are read from the system's cache. Seconds of the processor
are those of all processes, the driver, master, workers, executors and their Python together; they
depend less than seconds of the clock on what else the machine does.
"""

import contextlib
import functools
import os
import pathlib
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests"))

from cluster import Cluster, descendants, session  # noqa: E402
from conftest import workload  # noqa: E402

import offkey  # noqa: E402
from offkey.spark import report  # noqa: E402

LARGE_FILES = 16
SMALL_FILES = 2000


def main(folder, numbers):
    made = [made_file(folder / f"{n}.rdb", 100_000, n) for n in range(8)]
    large = [made[n % len(made)] for n in range(LARGE_FILES)]
    small = [made_file(folder / "small.rdb", 20, 1)] * SMALL_FILES
    length = sum(path.stat().st_size for path in large)
    print(f"{LARGE_FILES} files of {length / 1e6:.0f} MB together, {SMALL_FILES} of 20 keys")
    alone = functools.partial(offkey.analyze, threads=1)
    expected = tell("one thread", alone, large, small, length)
    for workers in numbers:
        with (
            tempfile.TemporaryDirectory() as place,
            Cluster(workers, pathlib.Path(place)) as cluster,
            session(cluster.master) as spark,
        ):
            report(spark, small[:50])  # Starts the executors and their Python.
            cluster.wait_for_executors()
            found = tell(
                f"{workers} workers", lambda files: report(spark, files), large, small, length
            )
        assert found == expected, "the same numbers"


def made_file(path, count, seed):
    return path if path.exists() else workload(path, "mixed", count, seed)


def tell(name, call, large, small, length):
    reports, seconds, processor = [], [], []
    for files in (large, small):
        start, used = time.monotonic(), processor_seconds()
        reports.append(call(files).to_dict())
        seconds.append(time.monotonic() - start)
        processor.append(processor_seconds() - used)
    print(
        f"{name}: large {seconds[0]:.1f} s ({processor[0]:.1f} s of the processor), "
        f"{length / 1e6 / seconds[0]:.0f} MB/s; small {seconds[1]:.1f} s ({processor[1]:.1f} s of "
        f"the processor), {1e3 * seconds[1] / len(small):.2f} ms each; "
        f"load {os.getloadavg()[0]:.1f}",
        flush=True,
    )
    return reports


def processor_seconds():
    """What this process and those that it started have used, with those that have ended."""
    ticks = 0
    for pid in (os.getpid(), *descendants(os.getpid())):
        with contextlib.suppress(OSError):
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), [int(number) for number in sys.argv[2:] or (1, 2)])
