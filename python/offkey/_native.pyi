import os
from collections.abc import Iterable, Mapping
from typing import Any, Literal, Optional, Protocol, TypedDict, Union

from typing_extensions import Unpack

from offkey._errors import Error

__version__: str

Path = Union[str, os.PathLike[str]]
Paths = Union[Path, Iterable[Path]]
Errors = Literal["raise", "report"]

class HasArrowStream(Protocol):
    def __arrow_c_stream__(self, requested_schema: object = None) -> object: ...

class Options(TypedDict, total=False):
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

class Report:
    @property
    def total_num(self) -> int: ...
    @property
    def total_bytes(self) -> int: ...
    @property
    def complete(self) -> bool: ...
    @property
    def failures(self) -> list[Error]: ...
    def to_json(self, *, indent: bool = False) -> str: ...
    def to_html(
        self, *, instances: Optional[Iterable[Mapping[str, Any]]] = None
    ) -> str: ...
    def to_dict(self) -> dict[str, Any]: ...

class Stream:
    @property
    def column_names(self) -> list[str]: ...
    @property
    def error(self) -> Optional[Error]: ...
    def __arrow_c_stream__(self, requested_schema: object = None) -> object: ...
    def __arrow_c_schema__(self) -> object: ...

def analyze(paths: Paths, *, errors: Errors = "raise", **options: Unpack[Options]) -> Report: ...
def keys(
    paths: Paths,
    *,
    columns: Optional[Iterable[str]] = None,
    types: Optional[Iterable[str]] = None,
    dbs: Optional[Iterable[int]] = None,
    min_bytes: int = 0,
    starts_with: Optional[bytes] = None,
    prefix_depth: int = 1,
    errors: Errors = "raise",
    **options: Unpack[Options],
) -> Stream: ...
def summarise(
    paths: Paths,
    *,
    number: int = 0,
    per_file: bool = True,
    retry: bool = False,
    **options: Unpack[Options],
) -> Stream: ...
def objects(url: str, **options: Unpack[Options]) -> list[str]: ...
def merge(
    partials: Union[HasArrowStream, Iterable[HasArrowStream]], **options: Unpack[Options]
) -> Report: ...
def reduce(partials: HasArrowStream, **options: Unpack[Options]) -> Stream: ...
