"""Files in: rows of a CSV, JSONL or Parquet file, one after another in bounded memory.

It knows the three formats and where each row stood in its file. It promises that a file it
cannot read is one FileError with a sentence, that a row it cannot read is a sentence in
place of the row, and that nothing is guessed: a CSV cell is the text that stands there, so
an id keeps its leading zeros. A reader may begin where another one stopped. It never says
what a row means.
"""

import csv
from collections.abc import Iterable, Iterator
from io import TextIOWrapper
from itertools import takewhile
from operator import attrgetter
from pathlib import Path
from typing import IO, Final, NamedTuple

import orjson

from recsite import parquet
from recsite.rows import FileError as FileError
from recsite.rows import Place as Place
from recsite.rows import Row as Row
from recsite.rows import broken, unique

FORMATS: Final = {
    ".csv": "CSV",
    ".jsonl": "JSONL",
    ".ndjson": "JSONL",
    ".parquet": "Parquet",
}
ESCAPED: Final = "surrogateescape"
LONGEST_LINE: Final = 2 * 1024 * 1024
PARTED_OTHERWISE: Final = ";\t|"
BOM: Final = b"\xef\xbb\xbf"
UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")


def read_rows(path: str | Path, place: Place | None = None) -> Iterator[tuple[int, Row]]:
    """Yield (line, row) from `place` to the file's end; a line counts from 1 as an editor would
    show it, in a Parquet file, which has no lines, it is the number of the row.

    Nothing before `place` is read, but for a CSV's header. Raises FileError at once where the
    file is missing or of another format, later where it breaks off.
    """
    file = Path(path)
    return READERS[format_of(file)](file, place or Place())


def read_new(source: IO[bytes], place: Place) -> Iterator[tuple[int, Row]]:
    """Yield the rows of an open JSONL file from `place` on, as far as its lines are ended: the
    last one may still be being written."""
    source.seek(place.offset)
    yield from _objects(takewhile(_is_ended, _lines(source)), place)


def read_rest(source: IO[bytes], place: Place) -> Iterator[tuple[int, Row]]:
    """Yield the rows of an open JSONL file from `place` to its end."""
    source.seek(place.offset)
    yield from _objects(_lines(source), place)


def count_rows(path: str | Path) -> int | None:
    """About how many rows the file has, for a progress bar: exact for Parquet; for text
    files its lines, which is too many where a cell spans several. Raises FileError."""
    file = Path(path)
    kind = format_of(file)
    if kind == "Parquet":
        return parquet.count(file)
    with file.open("rb") as source:
        lines = sum(block.count(b"\n") for block in iter(lambda: source.read(1 << 20), b""))
    return max(lines - 1, 0) if kind == "CSV" else lines


def columns(path: str | Path) -> list[str] | None:
    """What a CSV or Parquet file calls its columns; None of JSONL, whose rows are each their own.
    Raises FileError."""
    file = Path(path)
    kind = format_of(file)
    if kind == "Parquet":
        return parquet.columns(file)
    return _header(file, Place()) if kind == "CSV" else None


def size_of(path: Path) -> int:
    """The offset of the file's end: its bytes; of Parquet, its rows. Raises FileError."""
    if format_of(path) != "Parquet":
        return path.stat().st_size
    return parquet.count(path)


def format_of(path: Path) -> str:
    """The format by the name's end, once the file is known to be there and readable."""
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        known = ", ".join(FORMATS)
        raise FileError(f"{path.name}: the name must end in one of {known}.")
    try:
        with path.open("rb") as source:
            start = source.read(2)
    except OSError as error:
        raise FileError(f"{path}: {error.strerror}.") from None
    if kind != "Parquet" and start in UTF_16:
        raise FileError(f"{path.name} is UTF-16; save it as UTF-8.")
    return kind


def _csv_rows(path: Path, place: Place) -> Iterator[tuple[int, Row]]:
    """Read with csv rather than Arrow, which is a third faster but gives up a whole block at
    one bad row, and does not say on which line.

    A byte that is not UTF-8 becomes a lone surrogate, so it spoils its own row only.
    """
    names = _header(path, place)
    first = line = place.line
    reader = csv.reader(_texts(path, place))
    while True:
        try:
            for cells in reader:
                place.line = first + reader.line_num
                if cells:
                    yield line, _row(names, cells)
                line = place.line
            return
        except csv.Error as error:
            place.line = first + reader.line_num
            yield line, f"The line cannot be read as CSV: {error}."
            line = place.line
        except OSError as error:
            raise broken(path, line, error) from None


def _texts(path: Path, place: Place) -> Iterator[str]:
    """The lines from `place` on, whose offset is moved before each."""
    with path.open("rb") as source:
        if place.offset == 0 and source.read(len(BOM)) == BOM:
            place.offset = len(BOM)
        source.seek(place.offset)
        with TextIOWrapper(source, "utf-8", ESCAPED, newline="") as texts:
            for text in texts:
                place.offset += len(text if text.isascii() else text.encode(errors=ESCAPED))
                yield text


def _header(path: Path, place: Place) -> list[str]:
    """The names of the columns; a reader that stands before them is moved behind them."""
    behind = Place()
    reader = csv.reader(_texts(path, behind))
    try:
        names = [name.strip() for name in next(reader, [])]
    except csv.Error as error:
        raise FileError(f"{path.name}: the header cannot be read as CSV: {error}.") from None
    if not any(names):
        raise FileError(f"{path.name} is empty; its first line must name the columns.")
    unique(path, names)
    if len(names) == 1 and any(other in names[0] for other in PARTED_OTHERWISE):
        raise FileError(
            f"{path.name}: its columns must be parted by commas; the header is {names[0]!r}."
        )
    if place.offset == 0:
        place.line, place.offset = 1 + reader.line_num, behind.offset
    return names


def _row(names: list[str], cells: list[str]) -> Row:
    if len(cells) != len(names):
        return f"The line has {len(cells)} cells where the header has {len(names)}."
    return dict(zip(names, cells, strict=True))


def _json_rows(path: Path, place: Place) -> Iterator[tuple[int, Row]]:
    with path.open("rb") as source:
        try:
            yield from read_rest(source, place)
        except OSError as error:
            raise broken(path, place.line, error) from None


class _Line(NamedTuple):
    text: bytes
    size: int
    is_ended: bool


_is_ended: Final = attrgetter("is_ended")


def _lines(source: IO[bytes]) -> Iterator[_Line]:
    """The file's lines; of one that is too long, a piece that is too long, and no more."""
    while text := source.readline(LONGEST_LINE + 1):
        whole, size = text, len(text)
        while len(text) > LONGEST_LINE and not text.endswith(b"\n"):
            text = source.readline(LONGEST_LINE + 1)
            size += len(text)
        yield _Line(whole, size, text.endswith(b"\n"))


def _objects(lines: Iterable[_Line], place: Place) -> Iterator[tuple[int, Row]]:
    for text, size, _ in lines:
        line = place.line
        row = _json_row(text.removeprefix(BOM) if line == 1 else text)
        place.line, place.offset = line + 1, place.offset + size
        if row is not None:
            yield line, row


def _json_row(text: bytes) -> Row | None:
    if len(text) > LONGEST_LINE:
        return f"The line is longer than {LONGEST_LINE:,} bytes."
    if not text.strip():
        return None
    try:
        row = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        return f"The line is not JSON: {error.msg}."
    return row if isinstance(row, dict) else "The line must be a JSON object."


READERS: Final = {"CSV": _csv_rows, "JSONL": _json_rows, "Parquet": parquet.read}
