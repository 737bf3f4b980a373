"""Why filters are not handed down to the reader, and that they are right without it."""

import sys

import pytest
from pyspark import cloudpickle

try:
    from pyspark.sql.datasource import DataSource, DataSourceReader, EqualTo
except ImportError:
    pytest.skip("Spark before 4.1 hands no filters down", allow_module_level=True)

# Executors cannot import this module.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


class Minimal(DataSource):
    """The numbers 0 to 3, of which the reader leaves out what a filter does not want."""

    @classmethod
    def name(cls):
        return "minimal"

    def schema(self):
        return "n bigint"

    def reader(self, schema):
        class Reader(DataSourceReader):
            wanted = None

            def pushFilters(self, filters):
                for each in filters:
                    if isinstance(each, EqualTo):
                        self.wanted = each.value
                    yield each  # Spark is to filter again.

            def read(self, partition):
                for n in range(4):
                    if self.wanted in (None, n):
                        yield (n,)

        return Reader()


@pytest.fixture(autouse=True)
def push_down(spark):
    spark.conf.set("spark.sql.python.filterPushdown.enabled", "true")
    yield
    spark.conf.unset("spark.sql.python.filterPushdown.enabled")


def test_spark_lacks_rows_where_filters_are_handed_down(spark):
    """Spark keeps one reader for all scans of a frame, that of the last filter. Where this
    fails, Spark is mended, and the data source may take filters."""
    spark.dataSource.register(Minimal)
    numbers = spark.read.format("minimal").load()
    assert numbers.count() == 4
    assert numbers.where("n = 1").count() == 1
    assert numbers.count() == 1, "the reader of n = 1 is asked for all"
    again = spark.read.format("minimal").load()
    both = again.where("n = 1").union(again.where("n = 2"))
    assert [row.n for row in both.collect()] == [2], "both are read by the reader of n = 2"


def test_queries_with_filters_are_right_whatever_was_asked_before(source, real_files):
    load = [str(path) for path in real_files[:4]]
    keys = source.read.format("offkey").schema("file string, type string, bytes bigint").load(load)
    rows = keys.collect()
    hashes = sum(row.type == "hash" for row in rows)
    large = sum(row.bytes > 200 for row in rows)
    assert 0 < hashes < len(rows) and 0 < large < len(rows)
    assert keys.where("type = 'hash'").count() == hashes
    assert keys.where("bytes > 200").count() == large
    assert keys.count() == len(rows)
    union = keys.where("type = 'hash'").union(keys.where("bytes > 200")).union(keys)
    assert union.count() == hashes + large + len(rows)
