"""Files: rows with their lines, one sentence for a file or a row that cannot be read."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recsite import files, parquet
from recsite.files import FileError, Row, count_rows, read_rows

NEW_YEAR = datetime.fromisoformat("2026-01-01")


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def rows(path: Path) -> list[tuple[int, Row]]:
    return list(read_rows(path))


def test_csv_cells_stay_text(tmp_path: Path) -> None:
    file = written(tmp_path / "a.csv", b"\xef\xbb\xbfitem_id, price\r\n007,1.50\r\ntrue,\r\n")
    assert rows(file) == [
        (2, {"item_id": "007", "price": "1.50"}),
        (3, {"item_id": "true", "price": ""}),
    ]
    assert count_rows(file) == 2


def test_csv_lines_count_as_an_editor_shows_them(tmp_path: Path) -> None:
    file = written(tmp_path / "a.csv", b'a,b\n"two\nlines",1\n\nx,2\n')
    assert rows(file) == [(2, {"a": "two\nlines", "b": "1"}), (5, {"a": "x", "b": "2"})]


def test_a_bad_csv_row_does_not_stop_the_next(tmp_path: Path) -> None:
    huge = b"x" * 200_000
    file = written(tmp_path / "a.csv", b"a,b\n1\n" + huge + b",1\n\xff,2\n3,4\n")
    assert rows(file) == [
        (2, "The line has 1 cells where the header has 2."),
        (3, "The line cannot be read as CSV: field larger than field limit (131072)."),
        (4, {"a": "\udcff", "b": "2"}),
        (5, {"a": "3", "b": "4"}),
    ]


def test_jsonl(tmp_path: Path) -> None:
    file = written(tmp_path / "a.jsonl", b'{"a": 1}\n\n[1]\n{"a": NaN}\n{broken\n{"a": 2}')
    assert rows(file) == [
        (1, {"a": 1}),
        (3, "The line must be a JSON object."),
        (4, "The line is not JSON: unexpected character, expected a JSON value."),
        (5, "The line is not JSON: unexpected character, expected a string key."),
        (6, {"a": 2}),
    ]


def test_an_endless_json_line_is_one_bad_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "LONGEST_LINE", 10)
    file = written(tmp_path / "a.jsonl", b'{"a": "' + b"x" * 100 + b'"}\n{"a": 2}\n')
    assert rows(file) == [(1, "The line is longer than 10 bytes."), (2, {"a": 2})]


def test_parquet_keeps_types_and_counts_rows(tmp_path: Path) -> None:
    when = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    table = pa.table(
        {
            "item_id": pa.array([7, None], pa.int64()),
            "at": pa.array([when, None], pa.timestamp("ns", "Asia/Shanghai")),
            "day": pa.array([NEW_YEAR, None], pa.timestamp("s")),
            "tags": pa.array([["a"], None]),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    assert rows(tmp_path / "a.parquet") == [
        (1, {"item_id": 7, "at": when, "day": NEW_YEAR, "tags": ["a"]}),
        (2, {"item_id": None, "at": None, "day": None, "tags": None}),
    ]
    assert count_rows(tmp_path / "a.parquet") == 2


def test_parquet_lines_go_on_from_batch_to_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "BATCH", 2)
    pq.write_table(pa.table({"a": [0, 1, 2, 3, 4]}), tmp_path / "a.parquet")
    assert rows(tmp_path / "a.parquet") == [(n + 1, {"a": n}) for n in range(5)]


def test_parquet_text_that_is_not_utf8_spoils_its_own_cell(tmp_path: Path) -> None:
    bad = pa.array([b"\xff", b"ok"], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"a": bad}), tmp_path / "a.parquet")
    assert rows(tmp_path / "a.parquet") == [(1, {"a": "\udcff"}), (2, {"a": "ok"})]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.txt", b"a", "a.txt: the name must end in one of .csv, .jsonl, .ndjson, .parquet."),
        ("a.csv", b"", "a.csv is empty; its first line must name the columns."),
        ("a.csv", b"a,b,a\n", "a.csv has the column a twice."),
        ("a.csv", "a,b\n".encode("utf-16"), "a.csv is UTF-16; save it as UTF-8."),
    ],
)
def test_a_file_that_cannot_be_read_is_one_sentence(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    with pytest.raises(FileError) as refused:
        rows(written(tmp_path / name, content))
    assert str(refused.value) == said


def test_a_missing_file_and_a_folder_are_sentences(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"none\.csv: No such file or directory\.$"):
        read_rows(tmp_path / "none.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(FileError, match=r"folder\.csv: Is a directory\.$"):
        count_rows(tmp_path / "folder.csv")


def test_something_else_called_parquet_is_a_sentence(tmp_path: Path) -> None:
    file = written(tmp_path / "a.parquet", b"not a parquet file at all")
    with pytest.raises(FileError, match="is not a Parquet file"):
        rows(file)
    with pytest.raises(FileError, match="is not a Parquet file"):
        count_rows(file)


def test_a_parquet_file_that_breaks_off_gives_its_rows_first(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(
        pa.table({"a": [str(n) for n in range(20_000)]}), path,
        row_group_size=10_000, compression="none", use_dictionary=False,
    )  # fmt: skip
    spoilt = bytearray(path.read_bytes())
    second = pq.ParquetFile(path).metadata.row_group(1).column(0).data_page_offset
    spoilt[second : second + 40] = b"\xff" * 40
    path.write_bytes(spoilt)
    read: list[int] = []
    with pytest.raises(FileError, match=r"a\.parquet cannot be read from row 10,001 on"):
        read.extend(line for line, _ in read_rows(path))
    assert read == list(range(1, 10_001))
