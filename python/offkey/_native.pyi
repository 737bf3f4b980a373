from collections.abc import Iterable, Mapping
from typing import Any, Optional, Union, final

from typing_extensions import Unpack

from offkey._errors import Error
from offkey._types import Errors, HasArrowStream, Options, Paths

__all__ = [
    "Report",
    "Stream",
    "__version__",
    "analyze",
    "keys",
    "merge",
    "objects",
    "reduce",
    "report_from_json",
    "summarise",
]

__version__: str

@final
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

@final
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
    columns: Optional[Union[str, Iterable[str]]] = None,
    types: Optional[Union[str, Iterable[str]]] = None,
    dbs: Optional[Union[int, Iterable[int]]] = None,
    min_bytes: int = 0,
    starts_with: Optional[Union[bytes, str]] = None,
    prefix_depth: int = 1,
    errors: Errors = "raise",
    retry: bool = False,
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
def report_from_json(json: str) -> Report: ...
