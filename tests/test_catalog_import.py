"""import_catalog: a file in, whatever is wrong with some of it."""

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.core.management import CommandError, call_command

from catalog.management.commands import import_catalog
from catalog.models import Category, Item
from recsite.db import cursor

pytestmark = pytest.mark.django_db

CSV = """item_id,title,category,price,available,colour
007,Blue mug,Home > Mugs,7.50,yes,blue
008,,Home,,no,
009,Bad price,,-1,,
,No id,,,,
010,Too few
007,Again,,,,
"""

SAID = "kept as attributes: colour\n"
REASONS = """line 4: bad_price: price '-1' is not from 0 to below 10^10.
line 5: no_item_id: An item needs an item_id.
line 6: unreadable_line: The line has 2 cells where the header has 6.
line 7: repeated_item: '007' came before.
"""


def run(path: Path) -> None:
    call_command("import_catalog", str(path))


def events() -> int:
    with cursor() as hot:
        return int((hot.execute("SELECT count(*) FROM event").fetchone() or (0,))[0])


def test_good_rows_are_kept_and_bad_ones_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "shop.csv").write_text(CSV)
    run(tmp_path / "shop.csv")
    assert tuple(capsys.readouterr()) == (SAID + "2 changed, 0 unchanged, 4 rejected\n", REASONS)
    rows = Item.objects.values_list(
        "item_id", "title", "category__path", "price", "available", "attributes"
    )
    assert [(i, t, c, p and float(p), a, x) for i, t, c, p, a, x in rows] == [
        ("007", "Blue mug", "Home > Mugs", 7.5, True, {"colour": "blue"}),
        ("008", "", "Home", None, False, {}),
    ]


def test_the_same_file_again_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_catalog, "BATCH", 2)  # the repeated id falls into another batch
    (tmp_path / "shop.csv").write_text(CSV)
    run(tmp_path / "shop.csv")
    before = list(Item.objects.values()), list(Category.objects.values()), events()
    capsys.readouterr()
    run(tmp_path / "shop.csv")
    assert tuple(capsys.readouterr()) == (SAID + "0 changed, 2 unchanged, 4 rejected\n", REASONS)
    assert (list(Item.objects.values()), list(Category.objects.values()), events()) == before
    assert events() == 2


def test_parquet_and_jsonl_make_the_same_items(tmp_path: Path) -> None:
    table = pa.table({"item_id": [7, 8], "price": [7.5, None], "stock": [1.0, float("nan")]})
    pq.write_table(table, tmp_path / "shop.parquet")
    run(tmp_path / "shop.parquet")
    (tmp_path / "shop.jsonl").write_text(
        '{"item_id": "7", "price": 7.5, "stock": 1}\n{"item_id": "8"}\n'
    )
    run(tmp_path / "shop.jsonl")
    assert list(Item.objects.values_list("item_id", "stock")) == [("7", 1), ("8", None)]
    assert events() == 2


def test_only_the_first_reasons_are_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "shop.jsonl").write_text('{"item_id": "a"}\n' + "{}\n" * 25)
    run(tmp_path / "shop.jsonl")
    out, err = capsys.readouterr()
    assert out == "1 changed, 0 unchanged, 25 rejected\n"
    assert err.splitlines() == [
        f"line {n}: no_item_id: An item needs an item_id." for n in range(2, 22)
    ] + ["… and 5 more rejected."]


def test_a_file_without_one_good_row_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "shop.csv").write_text("item_id,price\nmug,-1\n")
    with pytest.raises(CommandError, match="No row could be imported"):
        run(tmp_path / "shop.csv")
    assert capsys.readouterr().out == "0 changed, 0 unchanged, 1 rejected\n"


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("id,name", "shop.csv has no column item_id; its columns are id, name."),
        ("item_id;title", "its columns must be parted by commas; the header is 'item_id;title'"),
        ("item_id\ttitle", "its columns must be parted by commas"),
    ],
)
def test_a_header_that_names_no_item_id_is_told_before_the_first_row(
    tmp_path: Path, header: str, says: str
) -> None:
    (tmp_path / "shop.csv").write_text(f"{header}\n" + "1,2\n" * 3)
    with pytest.raises(CommandError, match=re.escape(says)):
        run(tmp_path / "shop.csv")
    assert events() == 0


def test_a_parquet_file_without_item_ids_is_refused_by_its_columns(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": ["mug"]}), tmp_path / "shop.parquet")
    with pytest.raises(CommandError, match="has no column item_id; its columns are id"):
        run(tmp_path / "shop.parquet")


def test_an_empty_catalogue_is_no_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "shop.csv").write_text("item_id\n")
    run(tmp_path / "shop.csv")
    assert capsys.readouterr().out == "0 changed, 0 unchanged, 0 rejected\n"


def test_a_file_that_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"none\.csv: No such file or directory"):
        run(tmp_path / "none.csv")
