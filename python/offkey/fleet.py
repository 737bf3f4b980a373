"""One report of a fleet's files, made by Spark.

    python -m offkey.fleet --master spark://host:7077 '/backups/*/*.rdb' -o report.json
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import sys
from typing import TYPE_CHECKING, Any

import offkey

if TYPE_CHECKING:
    from collections.abc import Sequence

EXIT_STATUS = """\
Exit status:
  0  every file was read to its end and is sound
  1  some file is bad, damaged or incomplete; what could be read of it, and the other files,
     are still reported
  2  wrong usage, or the report could not be made or written"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; answers its exit status."""
    args = _parser().parse_args(arguments)
    outputs = args.output or ["-"]
    try:
        for output in outputs:
            _writable(output)
        report = _report(args)
        instances = by_instance(report.to_dict(), args.by) if args.by else None
        for output in outputs:
            _write(output, _text(report, instances, _is_html(output, args.format)))
    except _Failed as error:
        print(f"offkey: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    if instances and all(instance["instance"] is None for instance in instances):
        print("offkey: --by finds nothing in any file's name", file=sys.stderr)
    for failure in report.failures:
        print(f"offkey: {_shown(str(failure))}", file=sys.stderr)
    return 0 if report.complete else 1


class _Failed(Exception):
    """Why there is no report, in words that a terminal may show."""


def _report(args):
    try:
        from pyspark.sql import SparkSession

        from offkey import spark as engine
    except ImportError as error:
        raise _Failed(f"{error}: pyspark, pyarrow and pandas are needed") from None
    options = _options(args)
    try:
        offkey.summarise("unread.rdb", **options)  # Nothing is read: wrong options are told here.
    except (TypeError, ValueError) as error:
        raise _Failed(_shown(str(error))) from None
    builder = SparkSession.builder.appName("offkey")
    if args.master:
        builder = builder.master(args.master)
    for setting in args.conf:
        builder = builder.config(*setting)
    try:
        session = builder.getOrCreate()
    except Exception as error:
        raise _Failed(f"Spark does not start: {_reason(error)}") from None
    try:
        return engine.report(session, args.paths, **options)
    except Exception as error:
        raise _Failed(_reason(error)) from None
    finally:
        session.stop()


def _reason(error):
    """What Spark says went wrong: of a trace of Python in a worker, the error that ends it."""
    lines = (str(error).strip() or type(error).__name__).splitlines()
    trace = iter(lines)
    for line in trace:
        if line.strip() == "Traceback (most recent call last):":
            # The lines of the calls are indented.
            return _shown(next((line for line in trace if line[:1].strip()), lines[0]))
    return _shown(lines[0])


def by_instance(report: dict[str, Any], pattern: str) -> list[dict[str, Any]]:
    """Totals of the inputs whose names give the same instance: the group ``instance`` of the
    pattern, else its first group, else all that it matches. What does not match is under
    None. A group ``node`` tells the nodes of an instance apart."""
    compiled = re.compile(pattern)
    instances: dict[str | None, dict[str, Any]] = {}
    for file in report["inputs"]:
        found = compiled.search(file["file"])
        names = found.groupdict() if found else {}
        name = names.get("instance") or (found and found.group(1 if compiled.groups else 0))
        instance = instances.setdefault(name, {"instance": name, **_nothing(), "nodes": {}})
        _add(instance, file)
        if names.get("node"):
            node = names["node"]
            _add(instance["nodes"].setdefault(node, {"node": node, **_nothing()}), file)
    for instance in instances.values():
        instance["nodes"] = list(instance["nodes"].values())
    return sorted(instances.values(), key=lambda instance: (-instance["bytes"], str(instance)))


def _nothing():
    return {"files": 0, "incomplete": 0, "num": 0, "damaged_num": 0, "bytes": 0}


def _add(total, file):
    total["files"] += 1
    total["incomplete"] += not file["complete"]
    for name in ("num", "damaged_num", "bytes"):
        total[name] += file[name]


def _text(report, instances, is_html):
    if is_html:
        return report.to_html(instances=instances)
    if instances is None:
        return report.to_json()
    return json.dumps({**report.to_dict(), "instances": instances}) + "\n"


def _is_html(output, form):
    return form == "html" or (form is None and output.endswith(".html"))


def _write(output, text):
    """Writes a file, which appears under its name only when whole."""
    if output == "-":
        sys.stdout.write(text)
        return
    partial = f"{output}.partial"
    try:
        with open(partial, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, output)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(partial)
        raise _Failed(f"cannot write {_shown(output)}: {error.strerror}") from None


def _writable(output):
    """Finds out before hours of reading whether a report can be written."""
    if output == "-":
        return
    if os.path.isdir(output):
        raise _Failed(f"cannot write {_shown(output)}: it is a folder")
    partial = f"{output}.partial"
    try:
        open(partial, "w").close()
        os.unlink(partial)
    except OSError as error:
        raise _Failed(f"cannot write {_shown(output)}: {error.strerror}") from None


def _shown(text):
    """Names are foreign: nothing that steers a terminal gets through."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def _options(args):
    names = ("top", "prefixes", "separators", "size", "profile", "allocator", "memory_limit",
             "now_ms", "endpoint", "region")  # fmt: skip
    options = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    if args.no_fold_digits:
        options["fold_digits"] = False
    if args.no_checksum:
        options["checksum"] = False
    if args.path_style:
        options["path_style"] = True
    if args.force:
        options["force"] = True
    config = {name: getattr(args, name) for name in _SETTINGS if getattr(args, name) is not None}
    if args.cluster_enabled:
        config["cluster_enabled"] = True
    return {**options, "config": config} if config else options


# Settings of the modelled server.
_SETTINGS = (
    "hash_max_listpack_entries",
    "hash_max_listpack_value",
    "set_max_intset_entries",
    "set_max_listpack_entries",
    "set_max_listpack_value",
    "zset_max_listpack_entries",
    "zset_max_listpack_value",
    "list_max_listpack_size",
    "list_compress_depth",
)


def _memory(text):
    """A size such as 64M."""
    found = re.fullmatch(r"(\d+)([KMG]?)", text.upper())
    size = int(found[1]) << {"": 0, "K": 10, "M": 20, "G": 30}[found[2]] if found else 0
    if size < 1 << 20:
        raise argparse.ArgumentTypeError(f"a size of at least 1M expected, found {text!r}")
    return size


def _setting(text):
    name, found, value = text.partition("=")
    if not found:
        raise argparse.ArgumentTypeError(f"NAME=VALUE expected, found {text!r}")
    return name, value


def _pattern(text):
    try:
        re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"no regular expression: {error}") from None
    return text


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m offkey.fleet",
        description="Makes one report of the RDB files of a fleet, on Spark.",
        epilog=EXIT_STATUS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("paths", nargs="+", metavar="PATH", help="files, folders or patterns such as /b/*.rdb")
    add("-o", "--output", action="append", metavar="FILE",
        help="where the report goes, several if given several times; - is stdout")  # fmt: skip
    add("--format", choices=["json", "html"], help="its form [default: html for -o *.html]")
    add("--by", type=_pattern, metavar="REGEX", help="totals by instance: the group "
        "`instance`, else the first group of what this finds in a file's name; a group `node` "
        "tells its nodes apart")  # fmt: skip
    spark = parser.add_argument_group("Spark")
    add = spark.add_argument
    add("--master", metavar="URL", help="such as spark://host:7077, yarn, local[4]")
    add("--conf", type=_setting, action="append", default=[], metavar="NAME=VALUE")
    store = parser.add_argument_group("Object stores, s3://bucket/key or obs://bucket/key")
    add = store.add_argument
    add("--endpoint", metavar="URL", help="of the store [default: AWS_ENDPOINT_URL, else AWS]")
    add("--region", metavar="NAME", help="of the store [default: AWS_REGION]")
    add("--path-style", action="store_true", help="the bucket stands in the path of URLs")
    as_analyze = parser.add_argument_group("as for offkey analyze")
    add = as_analyze.add_argument
    add("--top", type=int, metavar="N")
    add("--prefixes", type=int, metavar="N")
    add("--separators", metavar="CHARS")
    add("--size", choices=["bytes", "memory-usage", "serialized"])
    add("--profile", metavar="VERSION")
    add("--allocator", metavar="NAME")
    add("--memory-limit", type=_memory, metavar="SIZE", help="for the table of one file's "
        "prefixes [default: 12M]")  # fmt: skip
    add("--now-ms", type=int, metavar="MS", help="when files were written that do not say so")
    add("--no-fold-digits", action="store_true")
    add("--no-checksum", action="store_true")
    add("--force", action="store_true")
    server = parser.add_argument_group("the server that is modelled, its settings")
    for name in _SETTINGS:
        server.add_argument("--" + name.replace("_", "-"), type=int, metavar="N")
    server.add_argument("--cluster-enabled", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main())
