"""What takes the memory of a Redis or Valkey server, from its RDB files alone.

    >>> import offkey
    >>> report = offkey.analyze("dump.rdb")
    >>> report.total_bytes
    >>> report.to_dict()["largest_keys"][0]

``analyze`` makes one report of one or many files. ``keys`` is a row for every key and
``summarise`` the parts of a report as rows: both are Arrow streams, which pandas, polars,
pyarrow and duckdb read without copies. ``offkey.spark`` and ``python -m offkey.fleet`` do the
same for thousands of files on Spark.

Keyword arguments that every function takes, as the command line's options of the same names:
``top``, ``prefixes``, ``separators``, ``fold_digits``, ``checksum``, ``profile``,
``allocator``, ``config``, ``size``, ``force``, ``threads``, ``memory_limit`` and ``now_ms``
(the present in milliseconds since 1970; it counts for files that do not tell when they were
written).

A path may also be ``s3://bucket/key``, ``obs://bucket/key`` (below a key that ends in ``/``,
all RDB files) or a URL of HTTP. ``endpoint`` (or AWS_ENDPOINT_URL), ``region`` (or AWS_REGION)
and ``path_style`` say where the store is; keys come from AWS_ACCESS_KEY_ID,
AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, for ``obs`` from OBS_ACCESS_KEY_ID,
OBS_SECRET_ACCESS_KEY and OBS_SECURITY_TOKEN. Reading is resumed after a fault.
"""

from offkey._errors import Error
from offkey._native import Report, Stream, __version__, analyze, keys, merge, reduce, summarise

__all__ = [
    "Error",
    "Report",
    "Stream",
    "__version__",
    "analyze",
    "keys",
    "merge",
    "reduce",
    "summarise",
]
