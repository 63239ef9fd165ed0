"""Features: what SQL brings of each candidate is what the history says, each under its name."""

import re
from decimal import Decimal
from typing import Any, Final

import numpy as np
import pytest

from recommend.familiar import DEALT
from recommend.projections.popularity import UNIT
from recommend.ranker import features, store
from recommend.ranker.features import COLUMNS, HALF_LIVES, JOINS, RAW
from recommend.sources import NAMES
from recsite.db import cursor
from tests.given import (
    advance,
    cart,
    counts,
    given,
    item,
    minute,
    popular,
    purchase,
    refund,
    view,
    wish,
)  # fmt: skip
from tests.test_ranker_habits import DAY, JUDGED, by_hand

NOW: Final = 60 * DAY
HOUR: Final = int(minute(NOW).timestamp() // 3600)
FIRST: Final = int(minute(0).timestamp() // 3600)

TOLD: Final = f"""
WITH shopper AS (SELECT subject AS person FROM subject_key WHERE key = %(shopper)s),
     dealt AS ({DEALT}),
     best AS (SELECT id AS item, item_id, price FROM catalog_item)
SELECT item_id, {COLUMNS} FROM best {JOINS}
"""


def told(shopper: str, ranker: str | None = None) -> dict[str, dict[str, float | None]]:
    """item → what is known of it for this shopper, by name."""
    given_ = {"shopper": shopper, "ranker": ranker, "hour": HOUR}
    with cursor() as hot:
        rows: list[tuple[str, list[Any]]] = hot.execute(TOLD, given_).fetchall()
    return {item_id: dict(zip(RAW, raw, strict=True)) for item_id, raw in rows}


@pytest.fixture
def shop(committed: None) -> None:
    """Ann buys coffee every ten days, put a mug into her basket, wished for tea and sent a pot
    back; bob bought coffee twice, and a mug."""
    for item_id in ("coffee", "mug", "tea", "pot", "spoon"):
        item(item_id, title=item_id)
    item("coffee", title="coffee", price="4.50", currency="EUR")
    given([purchase("ann", "coffee", at=n * 10 * DAY) for n in range(3)])
    given(
        view("ann", "mug", at=DAY), cart("ann", "mug", at=DAY + 60), wish("ann", "tea", at=2 * DAY)
    )
    given(purchase("ann", "pot", at=3 * DAY), refund("ann", "pot", at=4 * DAY))
    given([purchase("bob", "coffee", at=n * 20 * DAY) for n in range(2)])
    given(purchase("bob", "mug", at=5 * DAY))
    advance()
    store.publish(by_hand(1), JUDGED, minute(NOW))


def known(of: dict[str, float | None], *names: str) -> tuple[float | None, ...]:
    return tuple(of[name] for name in names)


def test_columns_are_as_many_as_names() -> None:
    inside = COLUMNS[COLUMNS.index("[") + 1 : COLUMNS.rindex("]::float8[]")]
    assert len(re.split(r",(?![^()]*\))", inside)) == len(RAW)


def test_columns_that_are_called_as_they_are_stand_where_their_names_do() -> None:
    inside = COLUMNS[COLUMNS.index("[") + 1 : COLUMNS.rindex("]::float8[]")]
    columns = [column.strip() for column in re.split(r",(?![^()]*\))", inside)]
    called = {place: column.split(".")[-1].split(" ")[0] for place, column in enumerate(columns)}
    alike = {place: name for place, name in called.items() if name in RAW}
    assert {place: RAW[place] for place in alike} == alike
    assert alike


def test_a_shoppers_own_dealings(shop: None) -> None:
    of = told("user:ann")
    names = ("viewed_before", "carted", "wished")
    assert known(of["mug"], *names) == (1, 1, 0)
    assert known(of["tea"], *names) == (0, 0, 1)
    assert known(of["coffee"], *names) == (0, 0, 0)
    assert known(of["spoon"], *names) == (None, None, None)
    assert (of["mug"]["touched"], of["tea"]["touched"]) == (FIRST + 25, FIRST + 48)


def test_a_shoppers_own_purchases(shop: None) -> None:
    coffee = told("user:ann")["coffee"]
    assert known(coffee, "times", "first", "last") == (3, FIRST, FIRST + 20 * 24)
    for days in HALF_LIVES:
        expected = sum(2 ** (-ago / days) for ago in (60, 50, 40))
        assert coffee[f"decayed_{days}"] == pytest.approx(expected, rel=1e-12)


def test_what_was_given_back_was_not_bought(shop: None) -> None:
    assert told("user:ann")["pot"]["times"] in (0, None)
    assert known(told("user:ann")["pot"], "first", "last") == (None, None)


def test_another_shopper_has_other_dealings_and_the_same_shop(shop: None) -> None:
    ann, bob = told("user:ann")["coffee"], told("user:bob")["coffee"]
    assert (ann["times"], bob["times"]) == (3, 2)
    shops = ("score", "trend", "seen", "bought", "price")
    assert known(ann, *shops) == known(bob, *shops)


def test_when_they_were_here_last_and_how_much_they_did_is_told_of_every_item(shop: None) -> None:
    of = told("user:ann")
    assert {known(each, "came", "dealings") for each in of.values()} == {(FIRST + 20 * 24, 4)}
    assert known(told("user:nobody")["coffee"], "came", "dealings") == (None, 0)


def test_what_all_shoppers_did(shop: None) -> None:
    coffee = told("user:ann")["coffee"]
    score, trend = popular()["coffee"]
    seen, bought = counts()["coffee"]
    assert known(coffee, "score", "trend") == (score / UNIT, trend / UNIT)
    assert known(coffee, "seen", "bought") == (seen / UNIT, bought / UNIT)
    assert coffee["price"] == float(Decimal("4.50"))


def test_habits_are_those_of_the_ranker_that_is_asked(shop: None) -> None:
    names = ("buyers", "rebuyers", "gap")
    assert known(told("user:ann", by_hand(1).name)["coffee"], *names) == (2, 2, 15)
    assert known(told("user:ann", by_hand(1).name)["mug"], *names) == (1, 0, 0)
    assert known(told("user:ann", "another")["coffee"], *names) == (None, None, None)


def test_nothing_is_known_to_a_stranger_but_the_shop(shop: None) -> None:
    own = ("touched", "times", "first", "last")
    coffee = told("user:nobody")["coffee"]
    assert [coffee[name] or None for name in own] == [None] * 4
    assert coffee["bought"] == counts()["coffee"][1] / UNIT


def test_shares_come_first_and_a_row_is_told_of_each(shop: None) -> None:
    raw = [list(told("user:ann")[name].values()) for name in ("coffee", "spoon")]
    shares = np.arange(2 * len(NAMES), dtype=float).reshape(2, len(NAMES))
    made = features.matrix(shares, raw, HOUR)
    assert made[:, : len(NAMES)].tolist() == shares.tolist()
