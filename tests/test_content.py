"""Content: the text of an item as of its newest fact, interned and encoded once by each encoder."""

import csv
import os
import subprocess
import sys
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Final

import psycopg
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from pytest_django import Settings

from behavior.events import Event, Kind, Line
from catalog import changes
from recommend import embed, fold, tasks
from recommend.encoders import ENCODERS, Encoder
from recommend.pipeline import Ask, compose
from recommend.projections import content
from recommend.projections.content import LONGEST
from tests.given import advance, ask, differing, encode, given, item, minute, passages

ROOT = Path(__file__).resolve().parent.parent

pytestmark = pytest.mark.usefixtures("committed")


def said(title: str, *, at: float, kind: Kind = Kind.ITEM_CHANGED) -> Event:
    """A merchant's fact as the catalogue writes it, at any time."""
    return Event(kind, minute(at), None, (Line("mug"),), detail={"title": title})


def known() -> list[tuple[str, bool]]:
    """(text, whether it has a vector) of every passage."""
    return list(
        ask("SELECT body, vector IS NOT NULL FROM passage LEFT JOIN embedding USING (passage)")
    )


# ── which text ─────────────────────────────────────────────────────────────────────────────


def test_a_passage_is_title_category_brand_and_description() -> None:
    item("mug", title="Blue mug", category="Home > Mugs", brand="Acme", description="Holds tea.")
    item("cup", title="Cup", description="Small")
    advance("content")
    assert passages() == {"mug": "Blue mug. Home > Mugs. Acme. Holds tea.", "cup": "Cup. Small"}


def test_a_long_text_is_cut() -> None:
    item("mug", title="Mug", description="é" * 2_000)
    advance("content")
    assert passages() == {"mug": "Mug. " + "é" * (LONGEST - 5)}


def test_an_item_without_a_text_has_no_passage() -> None:
    item("mug", price=3)
    advance("content")
    assert passages() == {"mug": None}
    assert known() == []


def test_an_item_that_is_removed_has_no_passage_and_gets_its_old_one_back() -> None:
    item("mug", title="Mug")
    advance("content")
    changes.remove(["mug"])
    advance("content")
    assert passages() == {"mug": None}
    item("mug", title="Mug")
    advance("content")
    assert passages() == {"mug": "Mug"}
    assert known() == [("Mug", False)]


def test_a_fact_that_comes_late_does_not_replace_a_newer_one() -> None:
    given(said("New", at=5))
    advance("content")
    given(said("Old", at=4))
    advance("content")
    assert passages() == {"mug": "New"}
    given(said("", at=6, kind=Kind.ITEM_REMOVED), said("Newest", at=7))
    advance("content")
    assert passages() == {"mug": "Newest"}
    assert differing("content") == []


def test_of_many_changes_in_one_fold_the_newest_counts() -> None:
    given([said("Third", at=3), said("First", at=1), said("Second", at=2)])
    advance("content")
    assert passages() == {"mug": "Third"}


def test_the_same_text_is_one_passage_however_many_items_share_it() -> None:
    for name in ("a", "b", "c"):
        item(name, title="Mug")
    advance("content")
    assert passages() == {"a": "Mug", "b": "Mug", "c": "Mug"}
    assert known() == [("Mug", False)]


# ── its vector ─────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def embedded() -> list[int]:
    """Three texts, encoded by the real model; the sizes of the batches."""
    item("mug", title="A ceramic mug for coffee")
    item("cup", title="A porcelain cup for tea")
    item("drill", title="A cordless power drill")
    advance("content")
    return list(embed.embed())


SIZES = "SELECT DISTINCT vector_dims(vector), round(l2_norm(vector)::numeric, 2) FROM embedding"

NEAREST = """
SELECT passage.body FROM passage AS one JOIN embedding AS at USING (passage),
    LATERAL (SELECT passage FROM embedding WHERE passage <> at.passage
             ORDER BY vector <=> at.vector LIMIT 1) AS near JOIN passage USING (passage)
WHERE one.body = %s
"""


def nearest(body: str) -> str:
    """The text that lies nearest to another."""
    ((found,),) = ask(NEAREST, body)
    return str(found)


def vectors() -> dict[str, str]:
    return dict(ask("SELECT body, vector::text FROM passage JOIN embedding USING (passage)"))


def test_texts_are_encoded_to_unit_vectors_near_those_that_mean_the_like(
    embedded: list[int],
) -> None:
    assert embedded == [3]
    assert ask(SIZES) == [(512, 1)]
    assert nearest("A ceramic mug for coffee") == "A porcelain cup for tea"
    assert nearest("A porcelain cup for tea") == "A ceramic mug for coffee"


def test_only_a_changed_text_is_encoded_again(embedded: list[int]) -> None:
    before = vectors()
    item("mug", title="A ceramic mug for coffee", price=5, stock=2)
    item("twin", title="A cordless power drill")
    advance("content")
    assert embed.waiting() == 0
    assert list(embed.embed()) == []
    item("cup", title="A glass")
    advance("content")
    assert embed.waiting() == 1
    assert list(embed.embed()) == [1]
    after = vectors()
    assert {body: after[body] for body in before} == before
    assert set(after) - set(before) == {"A glass"}


def test_a_rebuild_keeps_the_vectors(embedded: list[int]) -> None:
    before = vectors()
    (content,) = fold.named("content")
    fold.rebuild(content)
    assert vectors() == before
    assert embed.waiting() == 0
    assert differing("content") == []


def test_a_vector_that_came_in_another_cluster_counts_as_there_ever_since() -> None:
    item("mug", title="Mug")
    item("cup", title="Cup")
    advance("content")
    encode()
    told = (
        "SELECT body, encoded_xid::text FROM passage JOIN embedding USING (passage) ORDER BY body"
    )
    ((_, cup), _) = ask(told)
    ask(
        "UPDATE embedding SET encoded_xid = '9000000000' FROM passage"
        " WHERE passage.passage = embedding.passage AND body = 'Mug' RETURNING 1"
    )
    fold.rebuild(content)
    assert ask(told) == [("Cup", cup), ("Mug", None)]


# ── languages ──────────────────────────────────────────────────────────────────────────────

GOODS = {
    "白色书柜": "White bookcase", "无线蓝牙耳机": "Wireless bluetooth headphones",
    "女士连衣裙": "Women's dress", "婴儿奶粉": "Baby milk powder", "跑步鞋": "Running shoes",
    "洗衣机": "Washing machine", "口红": "Lipstick", "圣诞树": "Christmas tree",
}  # fmt: skip


def test_a_chinese_text_lies_nearest_to_the_english_one_that_means_the_same() -> None:
    for chinese, english in GOODS.items():
        item(chinese, title=chinese)
        item(english, title=english)
    advance("content")
    list(embed.embed())
    assert {chinese: nearest(chinese) for chinese in GOODS} == GOODS


CHINESE: Final = Path(os.environ.get("QUALITY_DATA", "/")) / "zh-catalogue" / "items.csv"


@pytest.mark.skipif(
    not CHINESE.exists(),
    reason="QUALITY_DATA names no folder with zh-catalogue: 165 Chinese titles are NOT tried",
)
def test_of_chinese_titles_most_of_the_nearest_are_of_their_category(tmp_path: Path) -> None:
    """Five on an item's page, of which variety costs one or two in a hundred; nothing that names the
    category is imported. By chance it would be .17."""
    with CHINESE.open() as file:
        rows = list(csv.DictReader(file))
    kinds = {row["item_id"]: row["category"] for row in rows}
    known = tmp_path / "items.csv"
    with known.open("w") as file:
        out = csv.DictWriter(file, ["item_id", "title", "brand"], extrasaction="ignore")
        out.writeheader()
        out.writerows(rows)
    call_command("import_catalog", str(known), stdout=StringIO(), stderr=StringIO())
    assert refreshed() == ["texts: 165 encoded (multilingual-1)"]
    now = datetime.now(UTC)
    shown = [
        (item, other.item_id)
        for item in kinds
        for other in compose(Ask("similar", items=(item,), count=5), now).items
    ]
    assert len(shown) == 5 * 165
    right = sum(kinds[item] == kinds[other] for item, other in shown)
    assert right / len(shown) == pytest.approx(0.975, abs=0.006)


def test_shouting_does_not_move_a_text() -> None:
    shouted, said = ENCODERS["multilingual"].encode(["RED MUG", "red mug"])
    assert shouted == said


TEXTS = ["A ceramic mug", "", "电热水壶 1.7L", "x" * 3_000, "!!!", "A ceramic mug"]


@pytest.mark.parametrize("encoder", ENCODERS.values(), ids=ENCODERS)
def test_an_encoder_gives_a_text_the_same_unit_vector_whatever_it_comes_with(
    encoder: Encoder,
) -> None:
    together = encoder.encode(TEXTS)
    alone = [encoder.encode([text])[0] for text in TEXTS]
    assert {len(vector) for vector in together} == {encoder.dimensions}
    assert [sum(x * x for x in vector) for vector in together] == pytest.approx([1.0] * 6, abs=0.01)
    for one, other in zip(together, alone, strict=True):
        assert one == pytest.approx(other, abs=0.01)
    assert together == encoder.encode(TEXTS)
    assert encoder.encode([]) == []


# ── another encoder ────────────────────────────────────────────────────────────────────────


def dimensions() -> list[tuple[int, ...]]:
    return ask("SELECT DISTINCT vector_dims(vector) FROM embedding")


def test_another_encoder_encodes_all_anew_beside_and_is_switched_in_at_once(
    embedded: list[int], settings: Settings
) -> None:
    before = vectors()
    settings.ENCODER = "english"
    assert (embed.is_due(), embed.waiting()) == (True, 3)
    making = embed.embed()
    assert next(making) == 3
    assert vectors() == before
    assert list(making) == []
    assert dimensions() == [(384,)]
    assert ask("SELECT name, is_live FROM encoder") == [("english-1", True)]
    assert nearest("A ceramic mug for coffee") == "A porcelain cup for tea"
    settings.ENCODER = "multilingual"
    assert list(embed.embed()) == [3]
    assert vectors() == before
    assert (embed.is_due(), embed.waiting()) == (False, 0)


def test_one_that_was_begun_and_is_not_wanted_any_more_leaves_nothing(
    embedded: list[int], settings: Settings
) -> None:
    settings.ENCODER = "english"
    next(embed.embed())
    settings.ENCODER = "multilingual"
    assert list(embed.embed()) == []
    assert ask("SELECT name FROM encoder") == [("multilingual-1",)]
    assert ask("SELECT to_regnamespace('rec_beside')") == [(None,)]


def test_it_waits_for_those_who_still_read_the_old_vectors(
    embedded: list[int], settings: Settings, stranger: psycopg.Connection[object]
) -> None:
    settings.ENCODER = "english"
    with stranger.transaction():
        stranger.execute("SELECT FROM embedding")
        assert list(embed.embed()) == [3]
        assert dimensions() == [(512,)]
        assert embed.is_due()
    settings.ENCODER = "multilingual"
    assert list(embed.embed()) == []


def test_the_name_of_no_encoder_is_refused(settings: Settings) -> None:
    settings.ENCODER = "klingon"
    with pytest.raises(
        ImproperlyConfigured, match=r"'klingon' is none of multilingual, english, eng"
    ):
        embed.is_due()


# ── what cannot work ───────────────────────────────────────────────────────────────────────


def refreshed() -> list[str]:
    said = StringIO()
    call_command("refresh", only="content", stdout=said, stderr=said)
    return said.getvalue().splitlines()[1:]


def test_refresh_says_what_was_encoded_and_by_which_encoder() -> None:
    item("mug", title="Mug")
    assert refreshed() == ["texts: 1 encoded (multilingual-1)"]
    assert refreshed() == ["texts: 0 encoded (multilingual-1)"]


def test_refresh_says_where_no_item_has_a_text() -> None:
    item("mug", price=3)
    advance("content")
    assert not embed.is_due()
    assert refreshed() == ["texts: no item has one; lists go on without content"]


def test_without_its_package_an_encoder_is_missed_and_lists_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gone = Encoder("gone-1", 512, "recsite_has_no_such_package", "multilingual")
    monkeypatch.setitem(ENCODERS, "multilingual", gone)
    item("mug", title="Mug")
    assert refreshed() == [
        "The text model's package recsite_has_no_such_package is missing. Run `make setup`."
        " Lists go on without content.",
        "texts: 0 encoded, 1 waits",
    ]
    tasks.embed()
    assert known() == [("Mug", False)]


def test_of_fifty_items_of_one_title_one_text_is_encoded() -> None:
    for number in range(50):
        item(f"i{number}", title="T-shirt")
    assert refreshed() == ["texts: 1 encoded (multilingual-1)"]


def test_a_process_with_an_encoder_that_there_is_not_ends_with_a_sentence() -> None:
    elsewhere = {"DATABASE_URL": "postgresql://nowhere/none", "RECSITE_ENCODER": "nonsense"}
    ended = subprocess.run(
        [sys.executable, "manage.py", "check"], cwd=ROOT, env=os.environ | elsewhere,
        capture_output=True, text=True,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (
        1,
        "recsite: RECSITE_ENCODER 'nonsense' is none of multilingual, english, english-int8,"
        " english-static.\n",
    )
