"""Why filters are not handed down to the reader, and that they are right without it."""

import pytest
from cluster import session
from pyspark.sql.datasource import DataSource, DataSourceReader, EqualTo

from offkey.spark import register


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


@pytest.fixture(scope="module")
def spark():
    with session("local[2]") as spark:
        spark.conf.set("spark.sql.python.filterPushdown.enabled", "true")
        yield spark


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


def test_queries_with_filters_are_right_whatever_was_asked_before(spark, real_files):
    register(spark)
    load = [str(path) for path in real_files[:4]]
    columns = "file string, db bigint, key binary, type string, bytes bigint"
    keys = spark.read.format("offkey").schema(columns).load(load)
    keys.createOrReplaceTempView("keys")
    rows = keys.collect()
    hashes = sum(row.type == "hash" for row in rows)
    large = sum(row.bytes > 200 for row in rows)
    assert 0 < hashes < len(rows) and 0 < large < len(rows)
    assert keys.where("type = 'hash'").count() == hashes
    assert keys.where("bytes > 200").count() == large
    assert keys.count() == len(rows)
    union = spark.sql(
        "SELECT * FROM keys WHERE type = 'hash' UNION ALL SELECT * FROM keys WHERE bytes > 200 "
        "UNION ALL SELECT * FROM keys"
    )
    assert union.count() == hashes + large + len(rows)
    joined = spark.sql(
        "SELECT count(*) AS num FROM keys AS a JOIN keys AS b ON a.file = b.file AND a.db = b.db "
        "AND a.key = b.key WHERE a.type = 'hash' AND b.bytes > 200"
    )
    both = [row for row in rows if row.type == "hash" and row.bytes > 200]
    assert joined.first().num == len(both) > 0
