"""SQL over the rows of keys gives the numbers of the report."""

import types

import pyarrow
import pytest
from conftest import NOW_MS, analyze

import offkey
from offkey.fleet import by_instance
from offkey.spark import keys, register, report

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
    options = {"mode": "summary", "top": "7", "now_ms": str(NOW_MS)}
    rows = source.read.format("offkey").options(**options).load(some).toArrow()
    expected = analyze(some, "--top=7")
    by_file = {
        row["file"]: row["num"] for row in rows.to_pylist() if row["kind"] == "input"
    }
    assert by_file == {each["file"]: each["num"] for each in expected["inputs"]}
    assert offkey.merge(rows, top=7).to_dict() == expected


@pytest.mark.parametrize(
    ("options", "schema", "told"),
    [
        ({"typs": "set"}, None, "no option 'typs' for keys; the options are allocator, .*, types"),
        ({"types": "set, hsah"}, None, 'a type is string, .*; found "hsah"'),
        ({"mode": "summary", "types": "set"}, None, "no option 'types' for summary"),
        ({"mode": "sums"}, None, "mode is \"keys\" or \"summary\", found 'sums'"),
        ({"fold_digits": "no"}, None, "option fold_digits: true or false expected, found 'no'"),
        ({"min_bytes": "1k"}, None, "option min_bytes: a whole number expected, found '1k'"),
        ({"dbs": "0, x"}, None, "option dbs: a whole number expected, found '0, x'"),
        ({"errors": "ignore"}, None, 'errors is "raise" or "report"'),
        ({"profile": "redis-x"}, None, "unknown profile"),
        ({"config": "hash-max=2"}, None, 'a setting that is not known: "hash_max"'),
        ({}, "key binary, ttl bigint", "no column 'ttl'; the columns are file, db, key"),
        ({}, "key string", r"column key is binary, .*; select CAST\(key AS string\) instead"),
    ],
)
def test_wrong_use_of_the_data_source_is_told_before_anything_is_read(
    source, real_files, options, schema, told
):
    reader = source.read.format("offkey").options(**options)
    reader = reader.schema(schema) if schema else reader
    with pytest.raises(Exception, match=told):
        reader.load(str(real_files[0])).count()


def test_options_are_those_of_the_keyword_arguments(source, mixed):
    options = {"size": "serialized", "fold_digits": False, "starts_with": "s",
               "config": "hash-max-listpack-entries=2, cluster-enabled=true"}  # fmt: skip
    loaded = source.read.format("offkey").options(**options).load(str(mixed)).toArrow()
    config = {"hash-max-listpack-entries": 2, "cluster-enabled": True}
    own = offkey.keys(mixed, **{**options, "config": config})
    assert loaded.num_rows > 0 and loaded.equals(pyarrow.table(own).cast(loaded.schema))


def test_paths_that_stand_for_nothing_are_told(source, tmp_path):
    (tmp_path / "notes.txt").write_text("no file of ours")
    for path, told in (
        (tmp_path, "the folder holds no .rdb file"),
        (tmp_path / "*.rdb", "cannot open: No such file"),
        (tmp_path / "notes.txt", "an RDB file begins with REDIS or VALKEY"),
    ):
        with pytest.raises(Exception, match=told):
            source.read.format("offkey").load(str(path)).count()
        with pytest.raises(Exception, match=told):
            keys(source, path).count()
    with pytest.raises(Exception, match="hdfs:// is not read"):
        source.read.format("offkey").load("hdfs://node/*.rdb").count()
    for paths in ([], ""):
        with pytest.raises(Exception, match="name what to read|no path is given"):
            source.read.format("offkey").load(paths).count()


def test_wrong_use_of_functions_is_told_at_once(spark, mixed):
    for wrong, told in (
        ({"columns": ["ttl"]}, "a column is one of file, db"),
        ({"types": ["hsah"]}, 'found "hsah"'),
        ({"topp": 3}, "topp: an unexpected keyword argument"),
    ):
        with pytest.raises((TypeError, ValueError), match=told):
            keys(spark, mixed, **wrong)
    for wrong in ({"topp": 3}, {"profile": "redis-x"}):
        with pytest.raises((TypeError, ValueError)):
            report(spark, mixed, **wrong)
    for paths in ([], "hdfs://node/*.rdb"):
        with pytest.raises(ValueError):
            report(spark, paths)


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
