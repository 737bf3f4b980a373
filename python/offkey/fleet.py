"""One report of a fleet's files, made by Spark.

    python -m offkey.fleet --master spark://host:7077 '/backups/*/*.rdb' -o report.json
"""

import argparse
import json
import os
import re
import sys

import offkey

EXIT_STATUS = """\
Exit status:
  0  every file was read to its end and is sound
  1  some file is bad, damaged or incomplete; what could be read of it, and the other files,
     are still reported
  2  wrong usage, or the report could not be made or written"""


def main(arguments=None):
    """Runs the command line; answers its exit status."""
    parser = _parser()
    args = parser.parse_args(arguments)
    args.output = args.output or ["-"]
    from pyspark.sql import SparkSession

    from offkey import spark as engine

    builder = SparkSession.builder.appName("offkey")
    if args.master:
        builder = builder.master(args.master)
    for setting in args.conf:
        builder = builder.config(*setting)
    try:
        session = builder.getOrCreate()
    except Exception as error:
        print(f"offkey: Spark does not start: {_shown(str(error))}", file=sys.stderr)
        return 2
    try:
        report = engine.report(session, args.paths, **_options(args))
    except Exception as error:
        print(f"offkey: {_shown(str(error))}", file=sys.stderr)
        return 2
    finally:
        session.stop()
    instances = by_instance(report.to_dict(), args.by) if args.by else None
    for output in args.output:
        _write(output, _text(report, instances, _is_html(output, args.format)))
    for failure in report.failures:
        print(f"offkey: {_shown(str(failure))}", file=sys.stderr)
    return 0 if report.complete else 1


def by_instance(report, pattern):
    """Totals of the inputs whose names give the same instance: the group ``instance`` of the
    pattern, else its first group, else all that it matches. What does not match is under
    None. A group ``node`` tells the nodes of an instance apart."""
    pattern = re.compile(pattern)
    instances = {}
    for file in report["inputs"]:
        found = pattern.search(file["file"])
        names = found.groupdict() if found else {}
        name = names.get("instance") or (found and found.group(1 if pattern.groups else 0))
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
    with open(partial, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, output)


def _shown(text):
    """Names are foreign: nothing that steers a terminal gets through."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def _options(args):
    names = ("top", "prefixes", "separators", "size", "profile", "allocator", "memory_limit",
             "endpoint", "region")  # fmt: skip
    options = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    if args.no_fold_digits:
        options["fold_digits"] = False
    if args.no_checksum:
        options["checksum"] = False
    if args.path_style:
        options["path_style"] = True
    if args.force:
        options["force"] = True
    return options


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
    add("--memory-limit", type=int, metavar="BYTES", help="for the table of one file's prefixes")
    add("--no-fold-digits", action="store_true")
    add("--no-checksum", action="store_true")
    add("--force", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main())
