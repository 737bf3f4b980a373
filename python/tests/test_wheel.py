"""Reports, keys and partials equal the command line's; other libraries read the streams."""

import base64
import json
import os
import pathlib
import pickle
import socket
import subprocess
import sys

import duckdb
import pandas
import polars
import pyarrow
import pytest
from conftest import NOW_MS, analyze, keys, workload

import offkey
from offkey.fleet import by_instance


def named(key):
    """The exact name of a key of ``offkey keys``."""
    return base64.b64decode(key["key_base64"]) if "key_base64" in key else key["key"].encode()


def test_report_is_the_command_lines(real_files, mixed):
    for paths in [[path] for path in real_files] + [[*real_files, mixed]]:
        report = offkey.analyze(paths, now_ms=NOW_MS, errors="report")
        assert report.to_dict() == analyze(paths)
        assert report.complete
    found = offkey.analyze(str(mixed), top=3, prefixes=2, fold_digits=False, separators=":")
    assert found.to_dict() == analyze(
        [mixed], "--top=3", "--prefixes=2", "--no-fold-digits", "--separators=:"
    )
    found = offkey.analyze(mixed, size="serialized", profile="redis-7.2", allocator="libc",
        config={"hash-max-listpack-entries": 8}, checksum=False)  # fmt: skip
    assert found.to_dict() == analyze(
        [mixed], "--size=serialized", "--profile=redis-7.2", "--allocator=libc",
        "--hash-max-listpack-entries=8", "--no-checksum")  # fmt: skip


def test_report_is_an_object(mixed):
    report = offkey.analyze(mixed)
    told = report.to_dict()
    assert (report.total_num, report.total_bytes) == (told["total_num"], told["total_bytes"])
    assert report.failures == []
    assert f"{report.total_num} keys" in repr(report)
    assert pickle.loads(pickle.dumps(report)) == report
    assert report.to_html().startswith("<!doctype html>")
    assert report.to_json().count("\n") == 1 < report.to_json(indent=True).count("\n")


def test_page_shows_instances(mixed):
    report = offkey.analyze([mixed, mixed])
    instances = by_instance(report.to_dict(), r"(?P<instance>mix)ed(?P<node>.)rdb")
    page = report.to_html(instances=instances)
    data = page.split('id="report">')[1].split("</script>")[0]
    assert json.loads(data) == {**report.to_dict(), "instances": instances}
    [one] = instances
    assert (one["instance"], one["files"], one["nodes"][0]["node"]) == ("mix", 2, ".")
    assert one["bytes"] == report.total_bytes
    with pytest.raises(ValueError, match="no list of instances"):
        report.to_html(instances=[{"instance": 1}])


def test_keys_are_the_command_lines(real_files, mixed):
    for path in [*real_files, mixed]:
        expected = keys([path])
        table = pyarrow.table(offkey.keys(path))
        assert table.num_rows == len(expected), path
        rows = table.to_pylist()
        for row, key in zip(rows, expected):
            assert row["key"] == named(key)
            assert row["file"] == str(path)
            for name in ("db", "type", "encoding", "bytes", "serialized_bytes", "num_of_elem",
                    "memory_usage", "expire_at_ms", "idle_seconds", "freq", "slot"):  # fmt: skip
                assert row[name] == key.get(name), (path, key)


def test_keys_are_chosen(mixed):
    everything = pyarrow.table(offkey.keys(mixed)).to_pylist()
    sizes = sorted(row["bytes"] for row in everything)
    least = sizes[len(sizes) // 2]
    prefix = everything[0]["key"][:3]
    stream = offkey.keys(
        mixed, columns=["key", "bytes"], types=["hash", "set"], min_bytes=least, starts_with=prefix
    )
    assert stream.column_names == ["key", "bytes"]
    assert pyarrow.table(stream).to_pylist() == [
        {"key": row["key"], "bytes": row["bytes"]}
        for row in everything
        if row["type"] in ("hash", "set")
        and row["bytes"] >= least
        and row["key"].startswith(prefix)
    ]
    assert pyarrow.table(offkey.keys(mixed, dbs=[77])).num_rows == 0
    deep = pyarrow.table(offkey.keys(mixed, columns=["prefix"], prefix_depth=9))
    flat = pyarrow.table(offkey.keys(mixed, columns=["prefix"]))
    assert len(set(flat["prefix"].to_pylist())) <= len(set(deep["prefix"].to_pylist()))
    nothing = pyarrow.table(offkey.keys(mixed, columns=[]))
    assert nothing.num_columns == 0
    with pytest.raises(ValueError, match="a column is one of file, db"):
        offkey.keys(mixed, columns=["ttl"])


def test_one_of_a_kind_needs_no_list(mixed):
    everything = pyarrow.table(offkey.keys(mixed)).to_pylist()
    letter = next(row["key"] for row in everything if row["type"] == "hash").decode()[0]
    found = offkey.keys(mixed, types="hash", dbs=0, starts_with=letter, columns="key")
    wanted = [
        {"key": row["key"]}
        for row in everything
        if row["type"] == "hash" and row["key"].startswith(letter.encode())
    ]
    assert wanted and pyarrow.table(found).to_pylist() == wanted
    # A name that no type has would only lose rows.
    with pytest.raises(ValueError, match='a type is string, .*; found "hsah"'):
        offkey.keys(mixed, types=["set", "hsah"])
    assert pyarrow.table(offkey.keys(mixed, types=["ReJSON-RL"])).num_rows == 0
    with pytest.raises(TypeError, match="starts_with: "):
        offkey.keys(mixed, starts_with=17)
    with pytest.raises(TypeError, match="dbs: 'str' object"):
        offkey.keys(mixed, dbs=["0"])


def test_what_may_pass_ends_a_stream_with_retry():
    """A query must not lack a file in silence, since its store did not answer."""
    with socket.socket() as nobody:  # Bound, but it does not listen.
        nobody.bind(("127.0.0.1", 0))
        lost = f"http://127.0.0.1:{nobody.getsockname()[1]}/a.rdb"
        told = offkey.keys(lost, errors="report")
        assert pyarrow.table(told).num_rows == 0
        assert lost in str(told.error)
        for stream in (
            offkey.keys(lost, errors="report", retry=True),
            offkey.summarise(lost, retry=True),
        ):
            with pytest.raises(Exception, match="Connection refused"):
                pyarrow.table(stream)
    missing = offkey.keys("missing.rdb", errors="report", retry=True)
    assert pyarrow.table(missing).num_rows == 0, "what does not pass is no such fault"


def test_prefixes_add_up_to_the_report(mixed):
    table = polars.DataFrame(offkey.keys(mixed, columns=["type", "prefix", "bytes"]))
    sums = {
        (kind, prefix.decode()): (num, size)
        for kind, prefix, num, size in table.drop_nulls("prefix")
        .group_by("type", "prefix")
        .agg(polars.len(), polars.sum("bytes").alias("size"))
        .iter_rows()
    }
    listed = offkey.analyze(mixed).to_dict()["largest_key_prefixes"]
    first_level = [p for p in listed if (p["type"], p["key_prefix"]) in sums]
    assert first_level
    for prefix in first_level:
        assert sums[prefix["type"], prefix["key_prefix"]] == (prefix["num"], prefix["bytes"])


def test_other_libraries_read_the_stream(mixed):
    total = offkey.analyze(mixed)
    stream = offkey.keys(mixed, columns=["type", "bytes"])
    expected = (total.total_num, total.total_bytes)
    table = pyarrow.table(stream)
    assert (table.num_rows, sum(table["bytes"].to_pylist())) == expected
    frame = polars.DataFrame(stream)
    assert (frame.height, frame["bytes"].sum()) == expected
    if hasattr(pandas.DataFrame, "from_arrow"):
        frame = pandas.DataFrame.from_arrow(stream)
    else:  # pandas before 3, the last for Python 3.9.
        frame = pyarrow.table(stream).to_pandas()
    assert (len(frame), int(frame["bytes"].sum())) == expected
    assert duckdb.sql("SELECT count(*), sum(bytes)::BIGINT FROM stream").fetchall() == [expected]
    reader = pyarrow.RecordBatchReader.from_stream(stream)
    reader.read_next_batch()
    del reader  # A consumer may leave early.


def test_damage_is_an_exception(tmp_path, mixed):
    content = mixed.read_bytes()
    cut = tmp_path / "cut.rdb"
    cut.write_bytes(content[: len(content) // 2])
    with pytest.raises(offkey.Error, match="truncated at byte") as raised:
        offkey.analyze([mixed, cut])
    error = raised.value
    assert error.file == str(cut)
    assert 0 < error.offset <= len(content) // 2
    assert f"at byte {error.offset}" in str(error)
    assert (error.db, type(error.key)) == (0, bytes)
    assert error.report.to_dict() == analyze([mixed, cut])
    assert not error.report.complete
    assert pickle.loads(pickle.dumps(error)).offset == error.offset

    report = offkey.analyze([mixed, cut], errors="report")
    assert [failure.offset for failure in report.failures] == [error.offset]

    stream = offkey.keys(cut)
    with pytest.raises(Exception, match=f"truncated at byte {error.offset}"):
        pyarrow.table(stream)
    assert (stream.error.file, stream.error.offset) == (str(cut), error.offset)
    lenient = offkey.keys(cut, errors="report")
    assert pyarrow.table(lenient).num_rows == len(keys([cut]))
    assert lenient.error.key == error.key


def test_damaged_keys_are_exceptions(tmp_path, mixed):
    content = mixed.read_bytes()
    path = tmp_path / "damaged.rdb"
    found = 0
    for at in range(1000, len(content) // 4, len(content) // 400):
        path.write_bytes(content[:at] + bytes([content[at] ^ 0x55]) + content[at + 1 :])
        told = analyze([path], "--no-checksum")
        if not told["damaged"] or "error" in told["inputs"][0]:
            continue
        found += 1
        with pytest.raises(offkey.Error, match="corrupt value at byte") as raised:
            offkey.analyze(path, checksum=False)
        first = told["damaged"][0]
        assert (raised.value.offset, raised.value.db) == (first["offset"], first["db"])
        assert raised.value.report.to_dict() == told
        stream = offkey.keys(path, errors="report", checksum=False)
        assert pyarrow.table(stream).num_rows == told["total_num"]
        assert stream.error.offset == first["offset"]
    assert found, "some flip damages a value alone"


def test_wrong_use_is_told(mixed):
    with pytest.raises(offkey.Error, match="missing.rdb: cannot open") as raised:
        offkey.analyze("missing.rdb")
    assert raised.value.offset is None
    with pytest.raises(TypeError, match="topp: an unexpected keyword argument"):
        offkey.analyze(mixed, topp=3)
    with pytest.raises(TypeError, match="top: 'str' object"):
        offkey.analyze(mixed, top="3")
    with pytest.raises(ValueError, match="prefixes: can't convert negative"):
        offkey.summarise(mixed, prefixes=-1)
    with pytest.raises(ValueError, match="no path is given"):
        offkey.analyze([])
    for url in ("hdfs://node/a.rdb", "s3a://bucket/a.rdb", "redis://node:6379"):
        with pytest.raises(ValueError, match=f"{url.split(':')[0]}:// is not read"):
            offkey.analyze(url)
    with pytest.raises(ValueError, match="errors is"):
        offkey.analyze(mixed, errors="ignore")
    with pytest.raises(ValueError, match="size is"):
        offkey.analyze(mixed, size="big")
    with pytest.raises(ValueError):
        offkey.analyze(mixed, profile="redis-x")
    with pytest.raises(TypeError):
        offkey.analyze(17)
    with pytest.raises(ValueError, match="give fold_digits=False"):
        offkey.summarise(mixed, separators="/1")
    with pytest.raises(TypeError, match="__arrow_c_stream__ expected"):
        offkey.merge([17])
    with pytest.raises(ValueError, match="no column \"input\""):
        offkey.merge(pyarrow.table({"kind": ["type"]}))


def test_partials_merge_to_the_report(fleet, fleet_report):
    assert offkey.merge(offkey.summarise(fleet, now_ms=NOW_MS)).to_dict() == fleet_report
    one_by_one = [offkey.summarise(path, now_ms=NOW_MS) for path in fleet]
    assert offkey.merge(one_by_one).to_dict() == fleet_report


@pytest.mark.parametrize("engine", ["duckdb", "polars", "pyarrow"])
def test_partials_summed_by_an_engine_merge_to_the_report(engine, fleet, fleet_report):
    partials = pyarrow.table(offkey.summarise(fleet, per_file=False, now_ms=NOW_MS))
    by = ["input", "file", "kind", "type", "name", "place", "detail"]
    numbers = ["num", "bytes", "no_expiry_num", "no_expiry_bytes"]
    if engine == "duckdb":
        sums = ", ".join(f"sum({name})::BIGINT AS {name}" for name in numbers)
        summed = duckdb.sql(f"SELECT {', '.join(by)}, {sums} FROM partials GROUP BY ALL")
    elif engine == "polars":
        summed = polars.DataFrame(partials).group_by(by).agg(polars.sum(*numbers))
    else:
        summed = partials.group_by(by).aggregate([(name, "sum") for name in numbers])
        summed = summed.rename_columns({f"{name}_sum": name for name in numbers})
    assert offkey.merge(summed).to_dict() == fleet_report
    assert offkey.merge(offkey.reduce(summed)).to_dict() == fleet_report


def test_merge_refuses_what_does_not_fit(tmp_path):
    path = workload(tmp_path / "distinct.rdb", "distinct", 30_000)
    partials = offkey.summarise(path)
    with pytest.raises(ValueError, match="take more than 1048576 bytes"):
        offkey.merge(partials, memory_limit=1 << 20)
    assert offkey.merge(partials).total_num == 30_000


# Reads from a server that is a thread of the same interpreter: with the lock held while a file
# is read, no byte would come.
READ_FROM_A_THREAD = """
import functools, http.server, sys, threading
import pyarrow
import offkey

call, folder = sys.argv[1:]
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/mixed.rdb"
print({
    "analyze": lambda: offkey.analyze(url).total_num,
    "keys": lambda: pyarrow.table(offkey.keys(url)).num_rows,
    "merge": lambda: offkey.merge(offkey.summarise(url)).total_num,
    "reduce": lambda: offkey.merge(offkey.reduce(offkey.summarise(url))).total_num,
}[call]())
"""


@pytest.mark.parametrize("call", ["analyze", "keys", "merge", "reduce"])
def test_other_threads_run_while_a_file_is_read(call, mixed):
    command = [sys.executable, "-c", READ_FROM_A_THREAD, call, str(mixed.parent)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout.strip() == str(offkey.analyze(mixed).total_num), done.stderr


def test_types_and_descriptions_are_there():
    folder = pathlib.Path(offkey.__file__).parent
    assert (folder / "py.typed").is_file()
    stubs = (folder / "_native.pyi").read_text() + (folder / "_errors.pyi").read_text()
    for name in offkey.__all__:
        assert name in stubs
        assert name == "__version__" or getattr(offkey, name).__doc__.strip()
    assert os.path.exists(offkey._native.__file__)
