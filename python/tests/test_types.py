"""Hints of types: they say what is there, and a program that keeps to them passes."""

import subprocess
import sys

PROGRAM = """
from typing import Any, Optional

import offkey
from offkey.fleet import by_instance

report = offkey.analyze(["a.rdb"], top=3, config={"cluster-enabled": True})
total: int = report.total_bytes
told: dict[str, Any] = report.to_dict()
page: str = report.to_html(instances=by_instance(told, "x"))
stream = offkey.keys("a.rdb", columns=["key"], types="set", starts_with=b"x", min_bytes=1)
error: Optional[offkey.Error] = stream.error
if error is not None:
    offset: Optional[int] = error.offset
merged: offkey.Report = offkey.merge([offkey.summarise("a.rdb", per_file=False)])
"""

WRONG = """
import offkey

offkey.analyze("a.rdb", top="3")
offkey.analyze("a.rdb", topp=3)
offkey.keys("a.rdb", columns=[1])
offkey.analyze("a.rdb").total_bytes.upper()
"""


def mypy(folder, *arguments):
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    return done.returncode, done.stdout + done.stderr


def test_stubs_are_what_the_module_has(tmp_path):
    status, said = mypy(tmp_path, "mypy.stubtest", "offkey._native", "offkey._errors")
    assert status == 0, said


def test_programs_are_checked_by_the_hints(tmp_path):
    for name, text in (("program.py", PROGRAM), ("wrong.py", WRONG)):
        (tmp_path / name).write_text(text)
    status, said = mypy(tmp_path, "mypy", "--strict", "program.py")
    assert status == 0, said
    status, said = mypy(tmp_path, "mypy", "--strict", "wrong.py")
    assert [line.split(":")[1] for line in said.splitlines() if ": error:" in line] == [
        "4", "5", "6", "7"
    ], said  # fmt: skip
