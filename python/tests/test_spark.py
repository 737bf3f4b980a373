"""A fleet on Spark gives the report of one machine, whatever dies on the way."""

import json
import os
import signal
import subprocess
import sys

import pytest
from cluster import executors, in_background, session, stage_with_tasks
from conftest import analyze

import offkey
from offkey.spark import keys, merge, register, report, summaries


@pytest.fixture(scope="module")
def spark():
    """Two executors of 512 MiB, each a process of its own."""
    with session("local-cluster[2,1,1024]") as spark:
        register(spark)
        yield spark


def test_report_of_a_fleet_is_that_of_one_machine(spark, fleet):
    assert len(fleet) >= 300
    expected = analyze(fleet)
    assert not expected["complete"] and expected["total_num"] > 30_000
    found = report(spark, fleet)
    assert found.to_dict() == expected
    assert [str(failure) for failure in found.failures]


def test_data_source_and_functions_give_the_same_rows(spark, real_files):
    load = [str(path) for path in real_files[:12]]
    expected = analyze(load)
    loaded = spark.read.format("offkey").load(load)
    loaded.createOrReplaceTempView("keys")
    totals = "SELECT count(*) AS num, sum(bytes) AS bytes FROM keys"
    assert spark.sql(totals).first().asDict() == {
        "num": expected["total_num"],
        "bytes": expected["total_bytes"],
    }
    by_type = {row.type: (row.num, row.bytes) for row in spark.sql(
        "SELECT type, count(*) AS num, sum(bytes) AS bytes FROM keys GROUP BY type").collect()}
    for num, size in zip(expected["type_num"], expected["type_bytes"]):
        assert by_type.get(num["type"], (0, 0)) == (num["num"], size["bytes"])
    top = spark.sql("SELECT bytes FROM keys ORDER BY bytes DESC LIMIT 100").collect()
    assert [row.bytes for row in top] == [key["bytes"] for key in expected["largest_keys"]]
    listed = {(p["type"], p["key_prefix"]): (p["num"], p["bytes"])
              for p in expected["largest_key_prefixes_by_bytes"]}
    found = 0
    for row in spark.sql("SELECT type, prefix, count(*) AS num, sum(bytes) AS bytes FROM keys "
                         "GROUP BY type, prefix").collect():
        name = (row.type, row.prefix.decode(errors="replace") if row.prefix else None)
        if name in listed:
            assert listed[name] == (row.num, row.bytes)
            found += 1
    assert found > 5

    ordered = ["file", "db", "key", "bytes"]
    mapped = keys(spark, load, columns=ordered).toArrow().sort_by([(n, "ascending") for n in ordered])
    again = loaded.select(*ordered).toArrow().sort_by([(n, "ascending") for n in ordered])
    assert mapped.equals(again)


def test_keys_and_columns_are_chosen_by_the_reader(spark, real_files):
    load = [str(path) for path in real_files[:12]]
    loaded = spark.read.format("offkey").load(load)
    everything = loaded.collect()
    options = {"types": "set, zset", "min_bytes": "201", "dbs": "0"}
    chosen = spark.read.format("offkey").options(**options).load(load)
    wanted = [
        row for row in everything if row.type in ("set", "zset") and row.bytes > 200 and row.db == 0
    ]
    assert wanted and chosen.count() == len(wanted)
    assert loaded.where("type = 'hash'").count() == sum(row.type == "hash" for row in everything)
    assert loaded.count() == len(everything), "a filter does not stay"
    few = spark.read.format("offkey").schema("bytes bigint, type string").load(load)
    assert few.columns == ["bytes", "type"]
    assert few.collect() == loaded.select("bytes", "type").collect()


def test_summaries_can_be_merged_by_hand(spark, fleet):
    some = [str(path) for path in fleet[::9]]
    rows = spark.read.format("offkey").option("mode", "summary").option("top", "7").load(some)
    by_file = {row.file: row.num for row in rows.where("kind = 'input'").collect()}
    expected = analyze(some, "--top=7")
    assert by_file == {each["file"]: each["num"] for each in expected["inputs"]}
    assert offkey.merge(rows.toArrow(), top=7).to_dict() == expected
    assert merge(summaries(spark, some, per_file=False, top=7), top=7).to_dict() == expected


def test_a_damaged_file_ends_a_query_of_keys(spark, fleet):
    damaged = [path for path in fleet if not analyze([path])["complete"]][0]
    loaded = spark.read.format("offkey").load(str(damaged))
    with pytest.raises(Exception, match=r"\.rdb: "):
        loaded.count()
    lenient = spark.read.format("offkey").option("errors", "report").load(str(damaged))
    assert lenient.count() == analyze([damaged])["total_num"]


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


def test_few_megabytes_spill(spark, slow):
    """More distinct prefixes than an executor's memory holds are summed exactly."""
    files, expected = slow
    found = report(spark, files)
    assert found.to_dict() == expected
    assert found.to_dict()["prefix_exactness"]["counts_exact"]


def test_command_line(fleet, tmp_path):
    output = tmp_path / "report.json"
    some = [str(path) for path in fleet[-60:]]
    page = tmp_path / "report.html"
    command = [sys.executable, "-m", "offkey.fleet", "--master", "local[2]", "-o", str(output)]
    command += ["-o", str(page)]
    command += ["--by", r"(?P<instance>instance\d+)/(?P<node>\w+)\.rdb", "--top", "5"]
    done = subprocess.run([*command, *some], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    found = json.loads(output.read_text())
    instances = found.pop("instances")
    expected = analyze(some, "--top=5")
    assert found == expected
    alone = offkey.analyze(some, top=5, errors="report")
    assert page.read_text() == alone.to_html(instances=instances)
    for line in (each["error"] for each in expected["inputs"] if "error" in each):
        assert f"offkey: {line}" in done.stderr
    assert sum(instance["num"] for instance in instances) == expected["total_num"]
    assert sum(instance["files"] for instance in instances) == len(some)
    one = next(instance for instance in instances if instance["instance"] == "instance3")
    own = [each for each in expected["inputs"] if "/instance3/" in each["file"]]
    assert one["bytes"] == sum(each["bytes"] for each in own)
    assert len(one["nodes"]) == len(own)

    done = subprocess.run([*command, "--master", "nowhere"], capture_output=True, check=False)
    assert done.returncode == 2
