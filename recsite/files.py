"""Files in: rows of a CSV, JSONL or Parquet file, one after another in bounded memory.

It knows the three formats and where each row stood in its file. It promises that a file it
cannot read is one FileError with a sentence, that a row it cannot read is a sentence in
place of the row, and that nothing is guessed: a CSV cell is the text that stands there, so
an id keeps its leading zeros. It never says what a row means.
"""

import csv
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import repeat
from pathlib import Path
from typing import IO, Any, Final

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

Row = dict[str, Any] | str
"""A row's cells by column, or why the row could not be read."""

FORMATS: Final = {
    ".csv": "CSV",
    ".jsonl": "JSONL",
    ".ndjson": "JSONL",
    ".parquet": "Parquet",
}
LONGEST_LINE: Final = 2 * 1024 * 1024
BATCH: Final = 10_000
BOM: Final = b"\xef\xbb\xbf"
UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")


class FileError(Exception):
    """The file cannot be read; the message says why, for the person who gave it."""


def read_rows(path: str | Path) -> Iterator[tuple[int, Row]]:
    """Yield (line, row) to the file's end; a line counts from 1 as an editor would show it.

    In a Parquet file, which has no lines, it is the number of the row. Raises FileError at
    once where the file is missing or of another format, later where it breaks off.
    """
    file = Path(path)
    return READERS[_format(file)](file)


def count_rows(path: str | Path) -> int | None:
    """About how many rows the file has, for a progress bar: exact for Parquet; for text
    files its lines, which is too many where a cell spans several. Raises FileError."""
    file = Path(path)
    kind = _format(file)
    if kind == "Parquet":
        with _parquet(file) as opened:
            return int(opened.metadata.num_rows)
    with file.open("rb") as source:
        lines = sum(block.count(b"\n") for block in iter(lambda: source.read(1 << 20), b""))
    return max(lines - 1, 0) if kind == "CSV" else lines


def _format(path: Path) -> str:
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


def _csv_rows(path: Path) -> Iterator[tuple[int, Row]]:
    """Read with csv rather than Arrow, which is a third faster but gives up a whole block at
    one bad row, and does not say on which line.

    A byte that is not UTF-8 becomes a lone surrogate, so it spoils its own row only.
    """
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as source:
        reader = csv.reader(source)
        names = _header(path, reader)
        line = reader.line_num + 1
        while True:
            try:
                for cells in reader:
                    if cells:
                        yield line, _row(names, cells)
                    line = reader.line_num + 1
                return
            except csv.Error as error:
                yield line, f"The line cannot be read as CSV: {error}."
                line = reader.line_num + 1
            except OSError as error:
                raise _broken(path, line, error) from None


def _header(path: Path, reader: Iterator[list[str]]) -> list[str]:
    try:
        names = [name.strip() for name in next(reader, [])]
    except csv.Error as error:
        raise FileError(f"{path.name}: the header cannot be read as CSV: {error}.") from None
    if not any(names):
        raise FileError(f"{path.name} is empty; its first line must name the columns.")
    _unique(path, names)
    return names


def _unique(path: Path, names: list[str]) -> None:
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise FileError(f"{path.name} has the column {twice[0]} twice.")


def _row(names: list[str], cells: list[str]) -> Row:
    if len(cells) != len(names):
        return f"The line has {len(cells)} cells where the header has {len(names)}."
    return dict(zip(names, cells, strict=True))


def _json_rows(path: Path) -> Iterator[tuple[int, Row]]:
    with path.open("rb") as source:
        line = 0
        try:
            for line, text in enumerate(_lines(source), 1):
                row = _json_row(text.removeprefix(BOM) if line == 1 else text)
                if row is not None:
                    yield line, row
        except OSError as error:
            raise _broken(path, line, error) from None


def _lines(source: IO[bytes]) -> Iterator[bytes]:
    """The file's lines; of one that is too long, a piece that is too long, and no more."""
    while text := source.readline(LONGEST_LINE + 1):
        whole = text
        while len(text) > LONGEST_LINE and not text.endswith(b"\n"):
            text = source.readline(LONGEST_LINE + 1)
        yield whole


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


def _parquet_rows(path: Path) -> Iterator[tuple[int, Row]]:
    with _parquet(path) as opened:
        names = list(opened.schema_arrow.names)
        _unique(path, names)
        line = 1
        try:
            for batch in opened.iter_batches(batch_size=BATCH):
                # Column by column is several times faster than RecordBatch.to_pylist.
                cells = zip(*map(_cells, batch.columns), strict=True)
                yield from enumerate(map(dict, map(zip, repeat(names), cells)), line)
                line += batch.num_rows
        except (pa.ArrowException, OSError, ValueError) as error:
            raise _broken(path, line, error) from None


def _parquet(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise FileError(f"{path.name} is not a Parquet file: {_first_line(error)}") from None


def _cells(column: pa.Array) -> list[Any]:
    """The column as Python values; text that is not UTF-8 spoils its own cells only."""
    if pa.types.is_timestamp(column.type):
        return _times(column)
    try:
        return list(column.to_pylist())
    except UnicodeDecodeError:
        blobs = column.cast(pa.large_binary()).to_pylist()
        return [b if b is None else b.decode("utf-8", "surrogateescape") for b in blobs]


def _times(column: pa.Array) -> list[Any]:
    """To the microsecond, the finest that Python has; UTC where the column has a zone.

    Through NumPy: Arrow itself takes 3 µs for each time that has a zone.
    """
    times = column.cast(pa.timestamp("us"), safe=False).to_numpy(zero_copy_only=False).tolist()
    if column.type.tz is None:
        return list(times)
    return [t.replace(tzinfo=UTC) if isinstance(t, datetime) else t for t in times]


def _broken(path: Path, line: int, error: Exception) -> FileError:
    return FileError(f"{path.name} cannot be read from row {line:,} on: {_first_line(error)}")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


READERS: Final = {"CSV": _csv_rows, "JSONL": _json_rows, "Parquet": _parquet_rows}
