"""The data source of Spark 4: a task for each file, or for some of many."""

import time

import pyarrow as pa
from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition

import offkey
from offkey import _files
from offkey.spark import KEYS_SCHEMA, SUMMARY_SCHEMA, UNKNOWN_PARALLELISM, may_try_again


class Source(DataSource):
    """``spark.read.format("offkey")``; docs/FLEET.md has its options and columns."""

    parallelism = UNKNOWN_PARALLELISM
    attempts = 1

    @classmethod
    def name(cls):
        return "offkey"

    def schema(self):
        return SUMMARY_SCHEMA if _mode(self.options) == "summary" else KEYS_SCHEMA

    def reader(self, schema):
        columns = _columns(schema, self.schema())
        return Reader(dict(self.options), columns, self.parallelism, self.attempts)


def source_of(parallelism, attempts):
    """The source for so many tasks at a time, each tried so often, which Spark does not tell it."""
    return type("Source", (Source,), {"parallelism": parallelism, "attempts": attempts})


class Files(InputPartition):
    """Some of the files, the first of which has a number."""

    def __init__(self, number, paths):
        super().__init__(number)
        self.number = number
        self.paths = paths


class Reader(DataSourceReader):
    """Reads files into the columns that are asked for."""

    def __init__(self, options, columns, parallelism, attempts):
        self.parallelism = parallelism
        self.attempts = attempts
        self.mode = _mode(options)
        self.keywords = _keywords(options, self.mode)
        self.keywords.setdefault("now_ms", int(time.time() * 1000))
        self.keywords = _files.placed(self.keywords)
        if self.mode == "keys":
            # Spark would hand filters down to `pushFilters`, but 4.3 then keeps the reader for
            # later queries of the same frame that have none.
            self.keywords["columns"] = columns
        self.columns = columns
        self.files = _files.of_load({**options, **self.keywords})
        self._stream(Files(0, self.files[:1]))  # Nothing is read: wrong options are told here.

    def partitions(self):
        each = -(-len(self.files) // _files.numbered_tasks(len(self.files), self.parallelism))
        starts = range(0, len(self.files), each)
        return [Files(start, self.files[start : start + each]) for start in starts]

    def read(self, partition):
        for batch in pa.RecordBatchReader.from_stream(self._stream(partition)):
            yield batch.select(self.columns)

    def _stream(self, files):
        if self.mode == "summary":
            retry = may_try_again(self.attempts)
            return offkey.summarise(files.paths, number=files.number, retry=retry, **self.keywords)
        return offkey.keys(files.paths, retry=True, **self.keywords)


def _mode(options):
    mode = options.get("mode", "keys")
    if mode not in ("keys", "summary"):
        raise ValueError(f'mode is "keys" or "summary", found {mode!r}')
    return mode


def _columns(schema, own):
    """Names of the columns that are asked for, each as one of ours."""
    kinds = dict(column.split(" ") for column in own.split(", "))
    for field in getattr(schema, "fields", ()):  # Some engines hand over a schema of Arrow's.
        kind = kinds.get(field.name)
        if kind is None:
            raise ValueError(f"no column {field.name!r}; the columns are {', '.join(kinds)}")
        if field.dataType.simpleString() != kind:
            found = field.dataType.simpleString()
            raise ValueError(
                f"column {field.name} is {kind}, found {found} in the schema; "
                f"select CAST({field.name} AS {found}) instead"
            )
    return list(schema.names)


def _switch(text):
    found = {"true": True, "false": False}.get(text.strip().lower())
    if found is None:
        raise ValueError("true or false expected")
    return found


def _whole(text):
    try:
        return int(text)
    except ValueError:
        raise ValueError("a whole number expected") from None


def _list(text):
    """Values with commas between."""
    return [value.strip() for value in text.split(",")]


def _numbers(text):
    return [_whole(value) for value in text.split(",")]


def _settings(text):
    """Settings of a server, such as ``hash-max-listpack-entries=64, cluster-enabled=true``."""
    settings = {}
    for setting in text.split(","):
        name, found, value = setting.partition("=")
        if not found:
            raise ValueError("name=value expected")
        is_switch = value.strip().lower() in ("true", "false")
        settings[name.strip()] = _switch(value) if is_switch else _whole(value)
    return settings


_OPTIONS = {
    **dict.fromkeys(("top", "prefixes", "threads", "memory_limit", "now_ms"), _whole),
    **dict.fromkeys(("fold_digits", "checksum", "force", "path_style"), _switch),
    **dict.fromkeys(("separators", "profile", "allocator", "size", "endpoint", "region"), str),
    "config": _settings,
}
_OPTIONS_OF_KEYS = {
    "types": _list,
    "dbs": _numbers,
    "min_bytes": _whole,
    "starts_with": str,
    "prefix_depth": _whole,
    "errors": str,
}


def _keywords(options, mode):
    """Options of Spark, all of them text, as keyword arguments."""
    known = {**_OPTIONS, **_OPTIONS_OF_KEYS} if mode == "keys" else _OPTIONS
    keywords = {}
    for name, text in options.items():
        name = name.lower()
        if name in ("path", "paths", "mode"):
            continue
        if name not in known:
            names = ", ".join(sorted(("mode", *known)))
            raise ValueError(f"no option {name!r} for {mode}; the options are {names}")
        try:
            keywords[name] = known[name](text)
        except ValueError as error:
            raise ValueError(f"option {name}: {error}, found {text!r}") from None
    return keywords
