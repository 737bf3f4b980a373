"""The data source of Spark 4: a task for each file, or for some of many."""

import time

import pyarrow as pa
from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition

import offkey
from offkey import _files
from offkey.spark import KEYS_SCHEMA, SUMMARY_SCHEMA, UNKNOWN_PARALLELISM

_NUMBERS = {"top", "prefixes", "threads", "memory_limit", "now_ms"}
_SWITCHES = {"fold_digits", "checksum", "force", "path_style"}
_TEXTS = {"separators", "profile", "allocator", "size", "endpoint", "region"}


class Source(DataSource):
    """``spark.read.format("offkey")``; docs/FLEET.md has its options and columns."""

    parallelism = UNKNOWN_PARALLELISM

    @classmethod
    def name(cls):
        return "offkey"

    def schema(self):
        return SUMMARY_SCHEMA if _mode(self.options) == "summary" else KEYS_SCHEMA

    def reader(self, schema):
        # Some engines hand over a schema of Arrow's instead of Spark's own.
        return Reader(dict(self.options), list(schema.names), self.parallelism)


def for_parallelism(number):
    """The source for so many tasks at a time, which Spark does not tell it."""

    class Sized(Source):
        parallelism = number

    return Sized


class Files(InputPartition):
    """Some of the files, the first of which has a number."""

    def __init__(self, number, paths):
        super().__init__(number)
        self.number = number
        self.paths = paths


class Reader(DataSourceReader):
    """Reads files into the columns that are asked for."""

    def __init__(self, options, columns, parallelism):
        self.parallelism = parallelism
        self.mode = _mode(options)
        self.columns = columns
        self.keywords = _keywords(options)
        self.files = _files.of_load({**options, **self.keywords})
        self.keywords.setdefault("now_ms", int(time.time() * 1000))
        self.prefix_depth = int(options.get("prefix_depth", "1"))
        self.errors = options.get("errors", "raise")
        # Spark would hand filters down to `pushFilters`, but 4.3 then keeps the reader for later
        # queries of the same frame that have none.
        self.types = _list(options.get("types"))
        self.dbs = _list(options.get("dbs"), int)
        self.min_bytes = int(options.get("min_bytes", "0"))

    def partitions(self):
        each = -(-len(self.files) // _files.numbered_tasks(len(self.files), self.parallelism))
        starts = range(0, len(self.files), each)
        return [Files(start, self.files[start : start + each]) for start in starts]

    def read(self, partition):
        if self.mode == "summary":
            stream = offkey.summarise(partition.paths, number=partition.number, **self.keywords)
            for batch in pa.RecordBatchReader.from_stream(stream):
                yield batch.select(self.columns)
            return
        stream = offkey.keys(
            partition.paths,
            columns=self.columns,
            types=self.types,
            dbs=self.dbs,
            min_bytes=self.min_bytes,
            prefix_depth=self.prefix_depth,
            errors=self.errors,
            **self.keywords,
        )
        yield from pa.RecordBatchReader.from_stream(stream)


def _mode(options):
    mode = options.get("mode", "keys")
    if mode not in ("keys", "summary"):
        raise ValueError(f'mode is "keys" or "summary", found {mode!r}')
    return mode


def _list(text, kind=str):
    """Values with commas between; None for nothing."""
    return None if text is None else [kind(value.strip()) for value in text.split(",")]


def _keywords(options):
    """Options of Spark, all of them text, as keyword arguments."""
    keywords = {}
    for name, value in options.items():
        if name in _NUMBERS:
            keywords[name] = int(value)
        elif name in _SWITCHES:
            keywords[name] = {"true": True, "false": False}[value.lower()]
        elif name in _TEXTS:
            keywords[name] = value
    return keywords
