"""Keys and summaries of RDB files as tables of Spark.

On Spark 4 as a data source::

    from offkey.spark import register
    register(spark)
    spark.read.format("offkey").load("/backups/*.rdb").createOrReplaceTempView("keys")
    spark.sql("SELECT type, count(*), sum(bytes) FROM keys GROUP BY type").show()

On Spark 3.4 and newer by functions that give the same tables::

    from offkey.spark import keys, summaries, report
    keys(spark, "/backups/*.rdb", columns=["type", "bytes"])
    report(spark, "/backups/*.rdb").to_dict()

A file that cannot be read to its end or is damaged ends a query of keys with an error that
says why; with ``errors="report"`` it gives what could be read. In summaries, and so in the
report, it is a row of its own.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import pyarrow as pa

import offkey
from offkey import _files

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyspark.sql import DataFrame, SparkSession

    from offkey._types import Paths

KEYS_SCHEMA = (
    "file string, db bigint, key binary, type string, encoding string, bytes bigint, "
    "memory_usage bigint, serialized_bytes bigint, num_of_elem bigint, expire_at_ms bigint, "
    "idle_seconds bigint, freq bigint, slot bigint, prefix binary"
)
SUMMARY_SCHEMA = (
    "input bigint, file string, kind string, type string, name binary, place bigint, "
    "num bigint, bytes bigint, no_expiry_num bigint, no_expiry_bytes bigint, detail string"
)

UNKNOWN_PARALLELISM = 64

_KEYS_TYPES = dict(column.split(" ") for column in KEYS_SCHEMA.split(", "))


def keys(
    spark: SparkSession, paths: Paths, *, columns: Iterable[str] | None = None, **options: Any
) -> DataFrame:
    """A row for every key: ``offkey.keys`` over many files."""
    columns = [columns] if isinstance(columns, str) else list(columns or _KEYS_TYPES)
    options = {"columns": columns, "retry": True, **_settled(options)}

    def read(files, number):
        return offkey.keys(files, **options)

    read(["unread.rdb"], 0)  # Nothing is read: wrong options are told here.
    schema = ", ".join(f"{name} {_KEYS_TYPES[name]}" for name in columns)
    return _scan(spark, _files.expand(paths, options), read, schema)


def summaries(
    spark: SparkSession, paths: Paths, *, per_file: bool = True, **options: Any
) -> DataFrame:
    """The parts of a report as rows: ``offkey.summarise`` over many files."""
    options = {"per_file": per_file, **_settled(options)}
    attempts = _attempts(spark)

    def read(files, number):
        return offkey.summarise(files, number=number, retry=may_try_again(attempts), **options)

    read(["unread.rdb"], 0)  # Nothing is read: wrong options are told here.
    return _scan(spark, _files.expand(paths, options), read, SUMMARY_SCHEMA)


def report(spark: SparkSession, paths: Paths, **options: Any) -> offkey.Report:
    """The ``offkey.Report`` of many files, as one ``offkey.analyze`` of all would make it."""
    rows = summaries(spark, paths, per_file=False, **options)
    return merge(rows, **options)


def merge(rows: DataFrame, **options: Any) -> offkey.Report:
    """The report of summaries that were made with ``per_file=False`` and the same options.

    Spark groups and sums; each of its tasks then keeps the largest keys and the leading
    prefixes, so that little is left for the driver.
    """
    from pyspark.sql import functions

    numbers = ("num", "bytes", "no_expiry_num", "no_expiry_bytes")
    by = [name for name in rows.columns if name not in numbers]
    summed = rows.groupBy(*by).agg(*(functions.sum(name).alias(name) for name in numbers))

    def reduce(batches):
        batches = iter(batches)
        first = next(batches, None)
        if first is None:
            return
        partials = pa.RecordBatchReader.from_batches(first.schema, _chain(first, batches))
        yield from _batches(offkey.reduce(partials, **options))

    return offkey.merge(_to_arrow(summed.mapInArrow(reduce, SUMMARY_SCHEMA)), **options)


def register(spark: SparkSession) -> None:
    """Makes ``spark.read.format("offkey")`` known to a session of Spark 4."""
    if not hasattr(type(spark), "dataSource"):
        raise NotImplementedError(
            f"Spark {spark.version} has no data sources in Python, which 4.0 brought: "
            "offkey.spark.keys and offkey.spark.summaries give the same tables"
        )
    from offkey._source import source_of

    spark.dataSource.register(source_of(_parallelism(spark), _attempts(spark)))


def may_try_again(attempts: int) -> bool:
    """Whether Spark tries the task again in which this is asked, should it fail."""
    from pyspark import TaskContext

    context = TaskContext.get()
    return context is not None and context.attemptNumber() + 1 < attempts


def _scan(spark, files, read, schema):
    """Hands files to ``read`` by the numbers of a range, so that no shuffle is needed."""
    parallelism = _parallelism(spark)
    tasks = _files.numbered_tasks(len(files), parallelism)

    def scan(batches):
        for batch in batches:
            numbers = batch.column(0).to_pylist()
            if numbers:
                # A task's numbers follow each other.
                yield from _batches(read(files[numbers[0] : numbers[-1] + 1], numbers[0]))

    return spark.range(0, len(files), 1, tasks).mapInArrow(scan, schema)


def _batches(stream):
    return pa.RecordBatchReader.from_stream(stream)


def _chain(first, rest):
    yield first
    yield from rest


def _parallelism(spark):
    try:
        context = spark.sparkContext
    except Exception:  # A client of Spark Connect has no context.
        return UNKNOWN_PARALLELISM
    found = context.defaultParallelism
    if context.getConf().get("spark.dynamicAllocation.enabled", "false").lower() == "true":
        return max(found, UNKNOWN_PARALLELISM)  # Executors come when there is work.
    return found


def _attempts(spark):
    """How often Spark tries a task: where it runs in one process, once unless that says more."""
    master = spark.conf.get("spark.master", "")
    if re.fullmatch(r"local(\[[^,]*\])?", master):
        return 1
    if told := re.fullmatch(r"local\[.*,\s*(\d+)\s*\]", master):
        return int(told[1])
    return int(spark.conf.get("spark.task.maxFailures", "4"))


def _settled(options):
    """What would differ from executor to executor is settled here."""
    return _files.placed({"now_ms": int(time.time() * 1000), **options})


def _to_arrow(frame):
    if hasattr(frame, "toArrow"):
        return frame.toArrow()
    # Spark 3. Pandas would make floating-point numbers of a column with a null.
    rows = [row.asDict() for row in frame.collect()]
    return pa.Table.from_pylist(rows, schema=_arrow_schema())


def _arrow_schema():
    kinds = {"bigint": pa.int64(), "string": pa.string(), "binary": pa.binary()}
    columns = (column.split(" ") for column in SUMMARY_SCHEMA.split(", "))
    return pa.schema([(name, kinds[kind]) for name, kind in columns])
