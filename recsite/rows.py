"""What the readers of files say: a row, where they stand, and why they cannot go on.

Pure. It promises that whatever stops a reader is one FileError with a sentence.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

Row = dict[str, Any] | str
"""A row's cells by column, or why the row could not be read."""


class FileError(Exception):
    """The file cannot be read; the message says why, for the person who gave it."""


@dataclass(slots=True)
class Place:
    """Where a reader stands: the line that comes next, and what of the file lies behind it, in
    bytes (of Parquet: in rows). A reader moves it before it yields a row."""

    line: int = 1
    offset: int = 0


def unique(path: Path, names: list[str]) -> None:
    """Raise FileError where two columns have one name."""
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise FileError(f"{path.name} has the column {twice[0]} twice.")


def broken(path: Path, line: int, error: Exception) -> FileError:
    """The file breaks off in the middle."""
    return FileError(f"{path.name} cannot be read from row {line:,} on: {first_line(error)}")


def first_line(error: Exception) -> str:
    """The first line of what an error says, or what it is."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
