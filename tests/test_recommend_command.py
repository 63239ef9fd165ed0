"""`manage.py recommend`: a file of shoppers in, a file of lists out, or one clear sentence."""

from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.core.management import CommandError, call_command

from catalog.models import Scenario
from tests.given import advance, ask, given, item, purchase, view

pytestmark = pytest.mark.usefixtures("goods")

HEADER = "user_id,rank,item_id,score"


@pytest.fixture
def goods(committed: None) -> None:
    """Three items with 4, 2 and 1 views, whose shoppers have nothing in common."""
    for item_id in "abc":
        item(item_id)
    given([view(f"{i}{n}", i) for i, crowd in (("a", 4), ("b", 2), ("c", 1)) for n in range(crowd)])
    advance()


def recommend(users: Path, out: Path, **options: Any) -> str:
    """Run it; what it said on standard output."""
    said = StringIO()
    call_command(
        "recommend", users=str(users), out=str(out), stdout=said, stderr=StringIO(), **options
    )
    return said.getvalue()


def csv_of(tmp_path: Path, *lines: str) -> Path:
    users = tmp_path / "users.csv"
    users.write_text("".join(f"{line}\n" for line in lines))
    return users


def for_strangers() -> list[tuple[str, float]]:
    """What home shows to a stranger: each half as popular, and as trending, as the one before."""
    home = Scenario.objects.get(name="home")
    most = home.popular + home.trending
    return [("a", round(most, 6)), ("b", round(most / 2, 6)), ("c", round(most / 4, 6))]


def lines_for(user: str, items: list[tuple[str, float]]) -> list[str]:
    return [f"{user},{rank},{key},{score}" for rank, (key, score) in enumerate(items, 1)]


# ── files in ───────────────────────────────────────────────────────────────────────────────


def a_csv(folder: Path) -> Path:
    return csv_of(folder, "name,user_id", "Ann,007", 'Bob,"x,y"')


def a_jsonl(folder: Path) -> Path:
    users = folder / "users.jsonl"
    users.write_text('{"user_id": "007"}\n\n{"user_id": "x,y", "name": "Bob"}\n')
    return users


def a_parquet(folder: Path) -> Path:
    users = folder / "users.parquet"
    pq.write_table(pa.table({"user_id": ["007", "x,y"]}), users)
    return users


@pytest.mark.parametrize("made", [a_csv, a_jsonl, a_parquet])
def test_shoppers_come_as_csv_jsonl_or_parquet(
    tmp_path: Path, made: Callable[[Path], Path]
) -> None:
    out = tmp_path / "lists.csv"
    assert recommend(made(tmp_path), out) == f"6 items for 2 shoppers in {out}\n"
    assert out.read_text().splitlines() == [
        HEADER,
        *lines_for("007", for_strangers()),
        *lines_for('"x,y"', for_strangers()),
    ]


def test_a_shopper_who_comes_twice_gets_one_list(tmp_path: Path) -> None:
    out = tmp_path / "lists.csv"
    recommend(csv_of(tmp_path, "user_id", "ann", "bob", "ann"), out, count=1)
    assert out.read_text().splitlines() == [
        HEADER,
        *lines_for("ann", for_strangers()[:1]),
        *lines_for("bob", for_strangers()[:1]),
    ]


# ── files out ──────────────────────────────────────────────────────────────────────────────


def test_lists_go_out_as_parquet_with_typed_columns(tmp_path: Path) -> None:
    out = tmp_path / "lists.PARQUET"
    recommend(csv_of(tmp_path, "user_id", "ann"), out)
    table = pq.read_table(out)
    assert [(f.name, str(f.type)) for f in table.schema] == [
        ("user_id", "string"), ("rank", "int64"), ("item_id", "string"), ("score", "double"),
    ]  # fmt: skip
    assert [tuple(row.values()) for row in table.to_pylist()] == [
        ("ann", rank, key, score) for rank, (key, score) in enumerate(for_strangers(), 1)
    ]


def test_no_shoppers_make_an_empty_file_of_either_kind(tmp_path: Path) -> None:
    users = csv_of(tmp_path, "user_id")
    for name in ("lists.csv", "lists.parquet"):
        assert recommend(users, tmp_path / name) == f"0 items for 0 shoppers in {tmp_path / name}\n"
    assert (tmp_path / "lists.csv").read_text().splitlines() == [HEADER]
    table = pq.read_table(tmp_path / "lists.parquet")
    assert (table.num_rows, table.column_names) == (0, HEADER.split(","))


def test_options_do_what_they_say(tmp_path: Path) -> None:
    given([purchase("ann", "a"), view("ann", "b", at=1)])
    users, out = csv_of(tmp_path, "user_id", "ann"), tmp_path / "lists.csv"
    for options, expected in (
        ({"scenario": "popular", "count": 2}, "ab"),
        ({"scenario": "popular", "exclude_seen": "purchased"}, "bc"),
        ({"scenario": "popular", "exclude_seen": "interacted"}, "c"),
    ):
        recommend(users, out, **options)
        assert [line.split(",")[2] for line in out.read_text().splitlines()[1:]] == list(expected)


def test_nothing_is_recorded_as_served(tmp_path: Path) -> None:
    recommend(csv_of(tmp_path, "user_id", "ann"), tmp_path / "lists.csv")
    assert ask("SELECT count(*) FROM slate") == [(0,)]


# ── what goes wrong ────────────────────────────────────────────────────────────────────────


def refusal(tmp_path: Path, users: Path | None = None, out: str = "x.csv", **options: Any) -> str:
    """The sentence of a run that is refused, which writes no file."""
    given_users = users or csv_of(tmp_path, "user_id", "ann")
    with pytest.raises(CommandError) as refused:
        recommend(given_users, tmp_path / out, **options)
    assert not (tmp_path / out).exists()
    return str(refused.value)


def test_an_option_that_makes_no_sense_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, count=0) == "--count must be from 1 to 100."
    assert refusal(tmp_path, count=101) == "--count must be from 1 to 100."
    assert refusal(tmp_path, out="x.xlsx") == "--out must end in one of .csv, .parquet."
    said = "There is no scenario 'nowhere' that is switched on."
    assert refusal(tmp_path, scenario="nowhere") == said
    assert refusal(tmp_path, scenario="similar") == "The scenario 'similar' needs an item_id."


def test_a_file_that_cannot_be_used_is_refused_with_its_line(tmp_path: Path) -> None:
    missing = tmp_path / "nobody.csv"
    assert refusal(tmp_path, missing) == f"{missing}: No such file or directory."
    other = csv_of(tmp_path, "customer", "ann")
    assert refusal(tmp_path, other) == f"{other}, line 2: there is no user_id."
    blank = csv_of(tmp_path, "user_id,name", "ann,Ann", ",Bob")
    assert refusal(tmp_path, blank) == f"{blank}, line 3: there is no user_id."
    crooked = csv_of(tmp_path, "user_id,name", "ann")
    assert refusal(tmp_path, crooked) == (
        f"{crooked}, line 2: The line has 1 cells where the header has 2."
    )
    text = tmp_path / "users.txt"
    said = "users.txt: the name must end in one of .csv, .jsonl, .ndjson, .parquet."
    assert refusal(tmp_path, text) == said


@pytest.mark.parametrize("user", ["a\0b", "x" * 129, "half \udc80"])
def test_a_user_id_that_no_event_could_have_is_refused(tmp_path: Path, user: str) -> None:
    users = tmp_path / "users.csv"
    users.write_bytes(f"user_id\nann\n{user}\n".encode(errors="surrogateescape"))
    said = f"{users}, line 3: user_id must be text of 1 to 128 characters."
    assert refusal(tmp_path, users) == said


def test_a_folder_that_is_not_there_is_said_before_the_work(tmp_path: Path) -> None:
    out = tmp_path / "no" / "lists.csv"
    with pytest.raises(CommandError) as refused:
        recommend(csv_of(tmp_path, "user_id", "ann"), out)
    assert str(refused.value) == f"--out: there is no folder {out.parent}."
