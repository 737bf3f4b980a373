"""Which files a path stands for, and how they are dealt out."""

import glob
import json
import os
import re
import urllib.request

from offkey._native import objects

_ENDS = (".rdb", ".rdb.gz", ".rdb.zst", ".rdb.lz4", ".rdb.xz")


def expand(paths, options=None):
    """The files of a path or of several: those that match a pattern, those below a folder or
    below a key of a store. ``options`` say where the store is.

    A path that stands for nothing stays as it is: reading it tells what is wrong with it.
    """
    found = []
    for path in [paths] if isinstance(paths, (str, os.PathLike)) else paths:
        path = os.fspath(path)
        if path.startswith("file://"):
            path = urllib.request.url2pathname(path[len("file://") :])
        if path.startswith(("s3://", "obs://")):
            found.extend(_objects(path, options or {}) or [path])
        elif path.startswith(("http://", "https://")) or os.path.isfile(path):
            found.append(path)
        elif os.path.isdir(path):
            found.extend(_below(path) or [path])
        elif "://" in path:
            scheme = path.partition("://")[0]
            expected = "a path, s3://, obs://, http:// or https:// expected"
            raise ValueError(f"{scheme}:// is not read; {expected}")
        else:
            found.extend(sorted(glob.glob(path, recursive=True)) or [path])
    if not found:
        raise ValueError("no path is given")
    return found


def placed(options):
    """The same options, with what the environment of this process says of where the store is.

    Executors may have another environment; keys are left to it.
    """
    variables = {"endpoint": "AWS_ENDPOINT_URL", "region": "AWS_REGION"}
    found = {name: os.environ.get(variable) for name, variable in variables.items()}
    return {**{name: value for name, value in found.items() if value}, **options}


def _objects(url, options):
    """Objects of a store that match a pattern or lie below a key."""
    names = ("endpoint", "region", "path_style")
    options = {name: options[name] for name in names if name in options}
    fixed = re.split(r"[*?]", url, maxsplit=1)[0]
    if fixed == url:
        if url.endswith(_ENDS):
            return [url]
        if url.endswith("/"):
            return objects(url, **options)
        try:
            return objects(f"{url}/", **options)
        except OSError:
            return [url]  # An object may be read where a list is refused.
    # A pattern's star ends at a slash, as it does for files.
    pattern = re.compile(_pattern(url))
    bucket = url.index("/", url.index("://") + 3) + 1
    if len(fixed) <= bucket:
        raise ValueError(f"a pattern needs the beginning of a key, such as s3://b/k*: {url}")
    return [each for each in objects(fixed, **options) if pattern.fullmatch(each)]


def _pattern(url):
    parts = re.split(r"(\*\*|\*|\?)", url)
    meaning = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    return "".join(meaning.get(part) or re.escape(part) for part in parts)


def _below(folder):
    """RDB files of a folder and its folders, in the order of their names."""
    found = []
    for root, folders, names in os.walk(folder):
        folders.sort()
        if any(name.endswith(".manifest") for name in names):
            found.append(root)  # A multi-part AOF: its base file is found by reading it.
            continue
        found.extend(os.path.join(root, name) for name in sorted(names) if name.endswith(_ENDS))
    return found


def of_load(options):
    """The files that ``load`` was given, as Spark hands it on."""
    several = options.get("paths")
    path = json.loads(several) if several else options.get("path")
    if not path:
        raise ValueError("name what to read: .load(path)")
    return expand(path, options)


def numbered_tasks(file_count, parallelism):
    """Into how many tasks so many files are dealt: few files a task, but not thousands of
    tasks for small files."""
    return max(1, min(file_count, max(8 * parallelism, file_count // 16)))
