"""A fleet on Spark gives the report of one machine, whatever dies on the way."""

import json
import os
import re
import signal
import subprocess
import sys

import pytest
from cluster import executors, in_background, spilled, stage_with_tasks
from conftest import NOW_MS, analyze, workload

import offkey
from offkey.fleet import _reason as reason_of
from offkey.fleet import main as fleet_command
from offkey.spark import keys, merge, report, summaries


def test_report_of_a_fleet_is_that_of_one_machine(spark, fleet, fleet_report):
    found = report(spark, fleet, now_ms=NOW_MS)
    assert found.to_dict() == fleet_report
    assert [str(failure) for failure in found.failures]


def test_summaries_can_be_merged_by_hand(spark, fleet):
    some = [str(path) for path in fleet[::9]]
    rows = summaries(spark, some, per_file=False, top=7, now_ms=NOW_MS)
    assert merge(rows, top=7).to_dict() == analyze(some, "--top=7")


@pytest.mark.parametrize("stage", ["scan", "reduce"])
def test_executor_killed(spark, slow, stage):
    files, expected = slow
    spark.conf.set("spark.sql.adaptive.enabled", "false")
    spark.conf.set("spark.sql.shuffle.partitions", "40")
    wait = in_background(lambda: report(spark, files))
    place = stage_with_tasks(spark, {"scan": 0, "reduce": 1}[stage])
    victim = executors()[0]
    os.kill(victim, signal.SIGKILL)
    assert wait().to_dict() == expected
    tracker = spark.sparkContext.statusTracker()
    assert victim not in executors()
    assert place.was_hit(tracker), "the executor had tasks of the stage"


def test_distinct_keys_beyond_an_executors_memory_spill_and_are_exact(spark, events, tmp_path):
    """Sums of prefixes and of keys that one task's memory does not hold, of 512 MiB."""
    count = int(os.environ.get("OFFKEY_FLEET_KEYS", "2000000")) // 8
    files = [workload(tmp_path / f"{n}.rdb", "distinct", count, n + 1) for n in range(8)]
    # Prefixes that outgrow the memory are counted twice: with enough there is nothing to prove.
    expected = offkey.analyze(files, memory_limit=3 << 30)
    assert expected.total_num == 8 * count
    spark.conf.set("spark.sql.shuffle.partitions", "1")

    before = spilled(events)
    found = report(spark, files)
    assert found.to_dict() == expected.to_dict()
    assert found.to_dict()["prefix_exactness"]["counts_exact"]
    after = spilled(events)
    assert after > before, "the sums of prefixes were written to disk"

    keys(spark, files, columns=["key", "bytes"]).createOrReplaceTempView("keys")
    by_key = "SELECT key, count(*) AS num, sum(bytes) AS bytes FROM keys GROUP BY key"
    totals = spark.sql(f"SELECT count(*), max(num), sum(bytes) FROM ({by_key})").first()
    assert tuple(totals) == (8 * count, 1, expected.total_bytes)
    assert spilled(events) > after, "the sums of keys were written to disk"


def test_command_line(fleet, tmp_path):
    output = tmp_path / "report.json"
    empty = tmp_path / "empty"
    empty.mkdir()
    some = [*(str(path) for path in fleet[-60:]), str(empty), str(tmp_path / "*.rdb")]
    page = tmp_path / "report.html"
    command = [sys.executable, "-m", "offkey.fleet", "--master", "local[2]", "-o", str(output)]
    command += ["-o", str(page)]
    command += ["--by", r"(?P<instance>instance\d+)/(?P<node>\w+)\.rdb", "--top", "5"]
    command += ["--now-ms", str(NOW_MS)]
    done = subprocess.run([*command, *some], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    found = json.loads(output.read_text())
    instances = found.pop("instances")
    expected = analyze(some, "--top=5")
    assert found == expected
    alone = offkey.analyze(some, top=5, now_ms=NOW_MS, errors="report")
    assert page.read_text() == alone.to_html(instances=instances)
    for line in (each["error"] for each in expected["inputs"] if "error" in each):
        assert f"offkey: {line}" in done.stderr
    assert sum(instance["num"] for instance in instances) == expected["total_num"]
    assert sum(instance["files"] for instance in instances) == len(some)
    one = next(instance for instance in instances if instance["instance"] == "instance3")
    own = [each for each in expected["inputs"] if "/instance3/" in each["file"]]
    assert one["bytes"] == sum(each["bytes"] for each in own)
    assert len(one["nodes"]) == len(own)

    done = subprocess.run([*command, "--master=nowhere", *some], capture_output=True, text=True,
        check=False)  # fmt: skip
    assert done.returncode == 2
    told = [line for line in done.stderr.splitlines() if line.startswith("offkey: ")]
    assert len(told) == 1 and told[0].startswith("offkey: Spark does not start: "), done.stderr


def test_command_line_is_refused_before_spark_starts(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").touch()
    for arguments, told in (
        (["-o", str(tmp_path / "none" / "a.json"), "a.rdb"], "cannot write .*: No such file"),
        (["-o", str(tmp_path / "file" / "a.json"), "a.rdb"], "cannot write .*: Not a directory"),
        (["-o", str(tmp_path), "a.rdb"], "cannot write .*: it is a folder"),
        (["--profile=redis-x", "a.rdb"], "offkey: unknown profile"),
        (["--prefixes=-1", "a.rdb"], "offkey: prefixes: can't convert negative"),
    ):
        assert fleet_command(arguments) == 2
        assert re.search(told, capsys.readouterr().err), arguments
    for arguments in (["--tpo=3", "a.rdb"], ["--memory-limit=1", "a.rdb"], ["--by=(", "a.rdb"],
                      ["--conf=x", "a.rdb"], ["--top=x", "a.rdb"], []):  # fmt: skip
        with pytest.raises(SystemExit, match="2"):
            fleet_command(arguments)
    monkeypatch.setitem(sys.modules, "pyspark.sql", None)
    assert fleet_command(["-o", str(tmp_path / "a.json"), "a.rdb"]) == 2
    assert "pyspark, pyarrow and pandas are needed" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["file"], "nothing is left behind"


def test_of_a_trace_the_error_is_told():
    trace = (
        "Job aborted:\nTraceback (most recent call last):\n  File x, line 1\n"
        "    x()\npyarrow.lib.ArrowInvalid: \x1b[31m no\n at a.b.c(D.scala:1)"
    )
    assert reason_of(Exception(trace)) == "pyarrow.lib.ArrowInvalid: \\x1b[31m no"
    assert reason_of(Exception("[CODE] first line\nmore")) == "[CODE] first line"
    assert reason_of(KeyError()) == "KeyError"
