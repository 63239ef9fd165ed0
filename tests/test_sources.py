"""Every source by one contract, each heard alone, in a shop in which all have something to say.

Where a ranker is live and where none is: they are asked by different statements. What each finds is
tested beside its code; here, that whatever it finds may be shown, and is the same whoever asks.
"""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq
import pytest
from django.core.management import call_command

from catalog.models import Scenario
from catalog.scenarios import SOURCES
from recommend import embed
from recommend.pipeline import Ask, Shown, compose
from recommend.ranker import store
from recommend.sources import NAMES
from recommend.spaces import newcomers, rows, shoppers
from recommend.spaces.learning import Course
from recommend.spaces.store import KINDS
from recsite.db import one_snapshot
from tests.conftest import wipe
from tests.given import advance, ask, dismiss, given, item, purchase, rule
from tests.test_ranker_habits import JUDGED, by_hand
from tests.test_ranker_store import forget_rankers
from tests.test_spaces import DAY, END, GOOD, IRON, TITLES, WOOL, of_two_kinds

CROWD: Final = {"popular", "trending"}
"""Sources that know no taste: they show what the whole shop likes."""

NEAREST: Final = {"content", "factors", "sequence"}
"""Sources that go on to what lies farther away: of fifteen kinds of wool the first five are theirs."""

ALONE: Final = [(name, ranked) for name, ranked in itertools.product(NAMES, (False, True))
                if ranked or name != "linked"]  # fmt: skip
NAMED: Final = [f"{name} {'ranked' if ranked else 'blended'}" for name, ranked in ALONE]

KNITTER: Final = "w3"
"""Who looked at nine kinds of wool, and purchased three, two of them again."""


def purchases() -> list[Any]:
    """Everybody purchases three of their kind, two of them twice, ten days apart."""
    return [
        purchase(f"{kind[0][0]}{n}", kind[(n + step) % len(kind)], at=20 * DAY + n * 100 + again + step)
        for kind in (WOOL, IRON)
        for n in range(30)
        for step in range(3)
        for again in ((0, 10 * DAY) if step else (0,))
    ]  # fmt: skip


def _build() -> None:
    for kind, category in ((WOOL, "Yarn"), (IRON, "Tools")):
        for n, name in enumerate(kind):
            item(name, title=f"{TITLES[name[:4]]} {n}", category=category)
    given(of_two_kinds(), purchases())
    advance()
    list(embed.embed())
    learned = Course()
    for space in KINDS:
        learned.renew(space, GOOD, END)
    forget_rankers()
    store.publish(by_hand(*(1 for _ in NAMES)), JUDGED, END)


@pytest.fixture(scope="module")
def _learned(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    with django_db_blocker.unblock():
        wipe()
        _build()
        yield
        forget_rankers()
        shoppers._encoder.cache_clear()
        wipe()


@pytest.fixture
def shop(_learned: None, db: None) -> Iterator[None]:
    """Knitters and smiths, folded, encoded and learned from. What a test changes is taken back."""
    forget_rankers()
    yield
    forget_rankers()


@pytest.fixture(params=ALONE, ids=NAMED)
def alone(shop: None, request: pytest.FixtureRequest) -> str:
    """A source, the only one that is heard on the home page."""
    name, ranked = request.param
    Scenario.objects.filter(name="home").update(
        diversity=0.0, **dict.fromkeys(SOURCES, 0.0) | {name: 1.0}
    )
    if not ranked:
        ask("UPDATE ranker SET is_live = false RETURNING name")
    assert isinstance(name, str)
    return name


def made(user: str = KNITTER, **more: Any) -> tuple[Shown, ...]:
    wanted = Ask("home", f"user:{user}", count=20, exclude_seen="none")
    return compose(replace(wanted, **more), END).items


def listed(**more: Any) -> list[str]:
    return [shown.item_id for shown in made(**more)]


def test_it_proposes_what_is_of_the_shoppers_kind_with_itself_as_the_reason(alone: str) -> None:
    shown = made()
    assert shown
    assert {reason.source for each in shown for reason in each.reasons} == {alone}
    kinds = {each.item_id[:4] for each in (shown[:5] if alone in NEAREST else shown)}
    assert kinds == ({"wool", "iron"} if alone in CROWD else {"wool"})


def test_none_comes_twice_and_the_best_come_first(alone: str) -> None:
    shown = made()
    assert len({each.item for each in shown}) == len(shown)
    scores = [each.score for each in shown]
    assert scores == sorted(scores, reverse=True)


def test_a_shorter_list_is_the_beginning_of_a_longer_one(alone: str) -> None:
    assert listed(count=3) == listed()[:3]


def test_what_is_sold_out_is_not_shown(alone: str) -> None:
    first = listed()[0]
    ask("UPDATE catalog_item SET stock = 0 WHERE item_id = %s RETURNING id", first)
    assert first not in listed()


def test_what_is_not_for_sale_any_more_is_not_shown(alone: str) -> None:
    first = listed()[0]
    item(first, title="gone", available=False)
    assert first not in listed()


def test_a_category_that_is_asked_for_is_kept_to(alone: str) -> None:
    assert {name[:4] for name in listed(category="Yarn")} == {"wool"}
    others = {name[:4] for name in listed(category="Tools")}
    assert others == ({"iron"} if alone in CROWD | NEAREST else set())


def test_what_a_rule_hides_is_not_shown(alone: str) -> None:
    first = listed()[0]
    rule(["home"], action="hide", item_id=first)
    assert first not in listed()


def test_what_the_shopper_dismissed_is_not_shown(alone: str) -> None:
    first = listed()[0]
    given(dismiss(KNITTER, first, at=55 * DAY))
    assert first not in listed()


def test_what_the_shopper_knows_is_left_out_where_that_is_asked(alone: str) -> None:
    known = {
        line.item
        for event in (*of_two_kinds(), *purchases()) if event.subject == f"user:{KNITTER}"
        for line in event.lines
    }  # fmt: skip
    assert known
    assert not known & set(listed(exclude_seen="interacted"))


def test_many_at_once_get_what_each_gets_alone(alone: str, tmp_path: Path) -> None:
    users = [f"{kind}{n}" for kind in "wi" for n in range(0, 30, 7)]
    (tmp_path / "users.csv").write_text("\n".join(["user_id", *users]))
    out = tmp_path / "out.parquet"
    call_command(
        "recommend", "--users", str(tmp_path / "users.csv"), "--out", str(out), "--count", "20",
        "--exclude-seen", "none",
    )  # fmt: skip
    together: dict[str, list[str]] = {user: [] for user in users}
    for row in pq.read_table(out).sort_by("rank").to_pylist():
        together[row["user_id"]].append(row["item_id"])
    assert together == {user: listed(user=user) for user in users}


def test_asked_again_it_says_the_same(alone: str) -> None:
    assert made() == made()


# ── learned twice ──────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("_learned")
def test_the_same_log_gives_the_same_links(django_db_blocker: Any) -> None:
    with django_db_blocker.unblock():
        store.publish(by_hand(2), JUDGED, END)
        known = ask("SELECT item, items, weights, count(*) FROM item_link GROUP BY 1, 2, 3")
    assert known
    assert {row[3] for row in known} == {2}


@pytest.mark.usefixtures("_learned")
def test_the_same_descriptions_give_the_same_ridge(django_db_blocker: Any) -> None:
    with django_db_blocker.unblock(), one_snapshot():
        known = rows.read("factors_item")
        (one, a), (other, b) = (newcomers.beside(known, "multilingual-1") for _ in range(2))
    assert a is not None
    assert b is not None
    assert a.as_bytes() == b.as_bytes()
    np.testing.assert_array_equal(one.vectors, other.vectors)
