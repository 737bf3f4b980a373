"""Types of arguments, for hints."""

import os
from collections.abc import Iterable, Mapping
from typing import Literal, Optional, Protocol, TypedDict, Union

Path = Union[str, "os.PathLike[str]"]
Paths = Union[Path, Iterable[Path]]
Errors = Literal["raise", "report"]


class HasArrowStream(Protocol):
    """Rows by the Arrow PyCapsule interface, such as a table of pyarrow or a frame of polars."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object: ...


class Options(TypedDict, total=False):
    """Keyword arguments that every function takes."""

    top: int
    prefixes: int
    separators: str
    fold_digits: bool
    checksum: bool
    profile: Optional[str]
    allocator: str
    config: Mapping[str, Union[int, bool]]
    size: Literal["bytes", "memory-usage", "serialized"]
    force: bool
    threads: int
    memory_limit: int
    now_ms: int
    endpoint: str
    region: str
    path_style: bool
