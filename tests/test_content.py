"""Content: the text of an item as of its newest fact, interned and encoded once."""

import pytest

from behavior.events import Event, Kind, Line
from catalog import changes
from recommend import embed, fold
from recommend.projections import content
from recommend.projections.content import DIMENSIONS, LONGEST
from tests.given import advance, ask, differing, encode, given, item, minute, passages

pytestmark = pytest.mark.usefixtures("committed")


def said(title: str, *, at: float, kind: Kind = Kind.ITEM_CHANGED) -> Event:
    """A merchant's fact as the catalogue writes it, at any time."""
    return Event(kind, minute(at), None, (Line("mug"),), detail={"title": title})


def known() -> list[tuple[str, bool]]:
    """(text, whether it has a vector) of every passage."""
    return [(body, found) for body, found in ask("SELECT body, vector IS NOT NULL FROM passage")]


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


def vectors() -> dict[str, str]:
    return dict(ask("SELECT body, vector::text FROM passage WHERE vector IS NOT NULL"))


def test_texts_are_encoded_to_unit_vectors_near_those_that_mean_the_like(
    embedded: list[int],
) -> None:
    assert embedded == [3]
    lengths = "SELECT DISTINCT vector_dims(vector), round(l2_norm(vector)::numeric, 2) FROM passage"
    assert ask(lengths) == [(DIMENSIONS, 1)]
    nearest = (
        "SELECT near.body FROM passage one, LATERAL (SELECT body FROM passage"
        " WHERE passage <> one.passage ORDER BY vector <=> one.vector LIMIT 1) near"
        " WHERE one.body = %s"
    )
    assert ask(nearest, "A ceramic mug for coffee") == [("A porcelain cup for tea",)]
    assert ask(nearest, "A porcelain cup for tea") == [("A ceramic mug for coffee",)]


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
    ask("UPDATE passage SET encoded_xid = '9000000000' WHERE body = 'Mug' RETURNING 1")
    ((cup,),) = ask("SELECT encoded_xid::text FROM passage WHERE body = 'Cup'")
    fold.rebuild(content)
    told = ask("SELECT body, encoded_xid::text, vector IS NOT NULL FROM passage ORDER BY body")
    assert told == [("Cup", cup, True), ("Mug", None, True)]
