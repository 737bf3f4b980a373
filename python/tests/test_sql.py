"""SQL over the rows of keys gives the numbers of the report."""

import types

import pytest
from conftest import analyze

import offkey
from offkey.fleet import by_instance
from offkey.spark import keys, register

INSTANCE = r"(instance\d+)/"


@pytest.fixture(scope="module", params=["data source", "function"])
def rows(request, spark, fleet):
    """A table of the fleet's keys, those of damaged files too as far as they can be read."""
    if request.param == "function":
        loaded = keys(spark, fleet, errors="report")
    else:
        source = request.getfixturevalue("source").read.format("offkey").option("errors", "report")
        loaded = source.load([str(path) for path in fleet])
    loaded = loaded.repartition(4).cache()
    loaded.createOrReplaceTempView("keys")
    yield
    loaded.unpersist()


def sums(spark, by, where="TRUE"):
    """Number and bytes of keys by expressions."""
    found = spark.sql(f"SELECT {by}, count(*), sum(bytes) FROM keys WHERE {where} GROUP BY ALL"
                      if by else f"SELECT count(*), sum(bytes) FROM keys WHERE {where}")  # fmt: skip
    rows = [[_plain(value) for value in row] for row in found.collect()]
    return {tuple(row[:-2]): tuple(row[-2:]) for row in rows}


def _plain(value):
    return bytes(value) if isinstance(value, bytearray) else value


def test_sql_over_a_fleet_gives_the_numbers_of_its_report(spark, rows, fleet_report):
    told = fleet_report
    assert sums(spark, "") == {(): (told["total_num"], told["total_bytes"])}
    assert sums(spark, "type") == {
        (num["type"],): (num["num"], size["bytes"])
        for num, size in zip(told["type_num"], told["type_bytes"])
        if num["num"]
    }
    never = next(each for each in told["spread"]["expiry"] if each["span"] == "never")
    assert sums(spark, "", "expire_at_ms IS NULL") == {(): (never["num"], never["bytes"])}
    files = {}
    for each in told["inputs"]:  # One of them twice.
        num, size = files.get((each["file"],), (0, 0))
        files[each["file"],] = (num + each["num"], size + each["bytes"])
    assert sums(spark, "file") == {name: both for name, both in files.items() if both[0]}
    top = spark.sql("SELECT bytes, type, db, num_of_elem FROM keys ORDER BY bytes DESC LIMIT 100")
    assert [row.bytes for row in top.collect()] == [key["bytes"] for key in told["largest_keys"]]


def test_sql_gives_the_prefixes_of_the_report(spark, rows, fleet_report):
    found = sums(spark, "type, prefix", "prefix IS NOT NULL")
    found = {(kind, prefix[:1024].decode(errors="replace")): both
             for (kind, prefix), both in found.items()}  # fmt: skip
    for order, rank in (("largest_key_prefixes", 0), ("largest_key_prefixes_by_bytes", 1)):
        listed = {}
        for each in fleet_report[order]:
            own = listed.setdefault(each["type"], {})
            own[each["key_prefix"]] = (each["num"], each["bytes"])
        checked = 0
        for (kind, prefix), numbers in found.items():
            least = min(both[rank] for both in listed[kind].values())
            if prefix in listed[kind]:
                assert listed[kind][prefix] == numbers, (kind, prefix)
                checked += 1
            else:
                assert len(listed[kind]) < 50 or numbers[rank] <= least, (kind, prefix)
        assert checked > 20


def test_sql_gives_the_instances_of_the_report(spark, rows, fleet_report):
    found = sums(spark, f"regexp_extract(file, r'{INSTANCE}', 1) AS instance")
    instances = by_instance(fleet_report, INSTANCE)
    assert len(instances) == 8, "seven, and files of none"
    assert found == {
        (each["instance"] or "",): (each["num"], each["bytes"]) for each in instances
    }


def test_data_source_and_function_give_the_same_rows(source, real_files):
    load = [str(path) for path in real_files[:12]]
    by = ["file", "db", "key", "bytes"]
    loaded = source.read.format("offkey").load(load).toArrow()
    mapped = keys(source, load).toArrow()
    ascending = [(name, "ascending") for name in by]
    assert mapped.num_rows == analyze(load)["total_num"]
    assert mapped.sort_by(ascending).equals(loaded.sort_by(ascending))


def test_keys_and_columns_are_chosen_by_the_reader(source, real_files):
    load = [str(path) for path in real_files[:12]]
    loaded = source.read.format("offkey").load(load)
    everything = loaded.collect()
    options = {"types": "set, zset", "min_bytes": "201", "dbs": "0"}
    chosen = source.read.format("offkey").options(**options).load(load)
    wanted = [
        row for row in everything if row.type in ("set", "zset") and row.bytes > 200 and row.db == 0
    ]
    assert wanted and chosen.count() == len(wanted)
    few = source.read.format("offkey").schema("bytes bigint, type string").load(load)
    assert few.columns == ["bytes", "type"]
    assert [tuple(row) for row in few.collect()] == [(row.bytes, row.type) for row in everything]


def test_summaries_are_read_by_the_data_source(source, fleet):
    some = [str(path) for path in fleet[::9]]
    rows = source.read.format("offkey").option("mode", "summary").option("top", "7").load(some)
    rows = rows.toArrow()
    expected = analyze(some, "--top=7")
    by_file = {
        row["file"]: row["num"] for row in rows.to_pylist() if row["kind"] == "input"
    }
    assert by_file == {each["file"]: each["num"] for each in expected["inputs"]}
    assert offkey.merge(rows, top=7).to_dict() == expected


def test_a_damaged_file_ends_a_query_of_keys(source, fleet, fleet_report):
    bad = [each["file"] for each in fleet_report["inputs"] if each.get("error") and each["num"]]
    with pytest.raises(Exception, match=r"\.rdb: "):
        source.read.format("offkey").load(bad[0]).count()
    with pytest.raises(Exception, match=r"\.rdb: "):
        keys(source, bad[0]).count()


def test_many_files_share_tasks(source, real_files):
    load = [str(real_files[0])] * 700
    loaded = source.read.format("offkey").load(load)
    assert 16 <= loaded.rdd.getNumPartitions() < 70
    rows = source.read.format("offkey").option("mode", "summary").load(load)
    numbers = [row.input for row in rows.where("kind = 'input'").collect()]
    assert sorted(numbers) == list(range(700))


def test_a_spark_without_data_sources_is_told_what_to_use():
    with pytest.raises(NotImplementedError, match=r"Spark 3\.5\.9 has no .* offkey\.spark\.keys"):
        register(types.SimpleNamespace(version="3.5.9"))
