"""The exception of a file that cannot be read to its end or is damaged."""


class Error(Exception):
    """A file cannot be read to its end or is damaged; ``str()`` says it in one line.

    ``file`` is its name, ``offset`` the byte where reading stopped or the damage begins,
    ``db`` and ``key`` (the first 256 bytes of its name) the key it is in, each None where
    there is none. ``report`` is what ``analyze`` could still count.
    """

    def __init__(self, message, *, file=None, offset=None, db=None, key=None, report=None):
        super().__init__(message)
        self.file = file
        self.offset = offset
        self.db = db
        self.key = key
        self.report = report

    def __reduce__(self):
        return _remake, (str(self), self.file, self.offset, self.db, self.key, self.report)


def _remake(message, file, offset, db, key, report):
    return Error(message, file=file, offset=offset, db=db, key=key, report=report)
