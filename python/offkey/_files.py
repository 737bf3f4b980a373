"""Which files a path stands for, and how they are dealt out."""

import glob
import json
import os
import re

from offkey._native import objects

_ENDS = (".rdb", ".rdb.gz", ".rdb.zst", ".rdb.lz4", ".rdb.xz")


def expand(paths, options=None):
    """The files of a path or of several: those that match a pattern, those below a folder or
    below a key of a store that ends in ``/``. ``options`` say where the store is.

    A path that stands for nothing stays as it is: reading it tells what is wrong with it.
    """
    found = []
    for path in [paths] if isinstance(paths, (str, os.PathLike)) else paths:
        path = os.fspath(path)
        local = path[len("file://") :] if path.startswith("file://") else path
        if local.startswith(("s3://", "obs://")):
            found.extend(_objects(local, options or {}) or [local])
        elif "://" in local or os.path.isfile(local):
            found.append(local)
        elif os.path.isdir(local):
            found.extend(_below(local) or [local])
        else:
            found.extend(sorted(glob.glob(local, recursive=True)) or [local])
    return found


def _objects(url, options):
    """Objects of a store that match a pattern or lie below a key."""
    fixed = re.split(r"[*?]", url, maxsplit=1)[0]
    if fixed == url and not url.endswith("/"):
        return [url]
    options = {name: options[name] for name in ("endpoint", "region", "path_style") if name in options}
    if fixed == url:
        return objects(url, **options)
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
    path = options.get("path")
    if several:
        return expand(json.loads(several), options)
    if path:
        return expand(path, options)
    raise ValueError("name what to read: .load(path)")


def numbered_tasks(file_count, parallelism):
    """Into how many tasks so many files are dealt: few files a task, but not thousands of
    tasks for small files."""
    return max(1, min(file_count, max(8 * parallelism, file_count // 16)))
