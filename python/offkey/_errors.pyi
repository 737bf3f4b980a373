from typing import Optional

from offkey._native import Report

class Error(Exception):
    file: str
    offset: Optional[int]
    db: Optional[int]
    key: Optional[bytes]
    report: Optional[Report]
    def __init__(
        self,
        message: str,
        *,
        file: Optional[str] = None,
        offset: Optional[int] = None,
        db: Optional[int] = None,
        key: Optional[bytes] = None,
        report: Optional[Report] = None,
    ) -> None: ...
