"""Habits: a ranker keeps those that it learned with; only an erasure takes its person out."""

import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import psycopg
import pytest

from recommend import erase
from recommend.pipeline import Ask, serve
from recommend.ranker import features, store
from recommend.ranker.network import Network
from recommend.ranker.store import Judged
from recommend.replay import replay
from recommend.sources import NAMES
from recsite.db import cursor
from tests.given import advance, ask, given, identify, item, minute, purchase, quarantine, view
from tests.servers import eventually
from tests.test_concurrency import everyone

DAY: Final = 24 * 60
END: Final = minute(60 * DAY)
JUDGED: Final = Judged(9, 99, 0.4, 0.3, None)

WIDTH: Final = features.matrix(np.zeros((0, len(NAMES))), [], 0).shape[1]
"""Features that a network is told."""


def by_hand(*weights: float) -> Network:
    """A ranker that adds up the first features so weighted: the sources' shares come first."""
    row = np.zeros((1, WIDTH), dtype=np.float32)
    row[0, : len(weights)] = weights
    nothing = np.zeros(WIDTH, dtype=np.float32)
    return Network(nothing, nothing + 1, ((row, np.zeros(1, dtype=np.float32)),))


def habits() -> dict[tuple[str, str], tuple[int, int, float]]:
    """(ranker, item) → (buyers, rebuyers, gap)."""
    rows = ask(
        "SELECT ranker, key, buyers, rebuyers, gap FROM item_habit JOIN item_key USING (item)"
    )
    return {(ranker, key): tuple(rest) for ranker, key, *rest in rows}


def of(made: Network) -> dict[str, tuple[int, int, float]]:
    """What this ranker knows."""
    return {key: known for (ranker, key), known in habits().items() if ranker == made.name}


@pytest.fixture
def shop(committed: None) -> None:
    """Ann and bob drink coffee, ann every ten days, bob every twenty; cal bought a mug."""
    for item_id in ("coffee", "mug", "tea"):
        item(item_id, title=item_id)
    given([purchase("ann", "coffee", at=n * 10 * DAY) for n in range(3)])
    given([purchase("bob", "coffee", at=n * 20 * DAY) for n in range(3)])
    given(purchase("cal", "mug", at=DAY), view("cal", "coffee", at=2 * DAY))
    advance()


WITH_ANN: Final = {"coffee": (2, 2, 15.0), "mug": (1, 0, 0.0)}
WITHOUT_ANN: Final = {"coffee": (1, 1, 20.0), "mug": (1, 0, 0.0)}


def test_an_erasure_counts_its_persons_items_anew_of_everybody_who_is_left(shop: None) -> None:
    first, second = by_hand(1), by_hand(2)
    store.publish(first, JUDGED, END)
    store.publish(second, JUDGED, END)
    assert (of(first), of(second)) == (WITH_ANN, WITH_ANN)
    erase.erase("user:ann", asked_by="a test")
    assert (of(first), of(second)) == (WITHOUT_ANN, WITHOUT_ANN)


def test_what_nobody_is_left_to_have_bought_is_gone(shop: None) -> None:
    store.publish(by_hand(1), JUDGED, END)
    erase.erase("user:cal", asked_by="a test")
    assert of(by_hand(1)) == {"coffee": (2, 2, 15.0)}


def test_an_erasure_teaches_a_ranker_nothing_of_after_it_was_made(shop: None) -> None:
    store.publish(by_hand(1), JUDGED, END)
    given(purchase("bob", "mug", at=70 * DAY), purchase("bob", "tea", at=70 * DAY))
    given(purchase("dan", "mug", at=71 * DAY), purchase("dan", "tea", at=71 * DAY))
    before = of(by_hand(1))
    erase.erase("user:dan", asked_by="a test")
    assert of(by_hand(1)) == before == WITH_ANN


def test_who_was_hidden_before_they_are_erased_leaves_the_habits_too(shop: None) -> None:
    store.publish(by_hand(1), JUDGED, END)
    given(quarantine("ann", at=61 * DAY))
    erase.erase("user:ann", asked_by="a test")
    assert of(by_hand(1)) == WITHOUT_ANN


def test_all_names_of_a_person_leave_the_habits(shop: None) -> None:
    given(identify("anonymous:phone", "ann", at=60), purchase("anonymous:phone", "mug", at=DAY))
    store.publish(by_hand(1), JUDGED, END)
    assert of(by_hand(1))["mug"] == (2, 0, 0.0)
    erase.erase("anonymous:phone", asked_by="a test")
    assert of(by_hand(1)) == WITHOUT_ANN


def test_a_ranker_that_is_made_again_keeps_its_habits(shop: None) -> None:
    store.publish(by_hand(1), JUDGED, END)
    given(purchase("dan", "tea", at=59 * DAY))
    store.publish(by_hand(1), JUDGED, END)
    assert of(by_hand(1)) == WITH_ANN


# ── lists that were ranked before ──────────────────────────────────────────────────────────


def listed() -> uuid.UUID:
    """A list for cal."""
    slate, _ = serve(Ask("home", "user:cal"), datetime.now(UTC))
    return uuid.UUID(slate)


def test_an_item_that_is_bought_for_the_first_time_changes_no_list_of_before(shop: None) -> None:
    from recommend import tasks

    store.publish(by_hand(1), JUDGED, END)
    slate = listed()
    given(purchase("bob", "tea", at=61 * DAY))
    advance()
    tasks.teach()
    assert (replay(slate).differences, replay(slate).causes) == ((), ())


def test_a_list_whose_ranker_lost_habits_to_an_erasure_says_so(shop: None) -> None:
    store.publish(by_hand(1), JUDGED, END)
    before = listed()
    erase.erase("user:ann", asked_by="a test")
    assert replay(before).causes[0] == (
        f"what the ranker {by_hand(1).name} knew of items was counted anew since, for somebody"
        " was erased"
    )
    assert replay(listed()).causes == ()


def test_an_erasure_that_no_habit_knew_of_is_no_cause(shop: None) -> None:
    given(view("dan", "tea"))
    store.publish(by_hand(1), JUDGED, END)
    slate = listed()
    erase.erase("user:dan", asked_by="a test")
    assert replay(slate).causes == ()


# ── at the same time ───────────────────────────────────────────────────────────────────────

LOCK: Final = "SELECT pg_advisory_lock(hashtext('recsite.habits'))"
UNLOCK: Final = "SELECT pg_advisory_unlock(hashtext('recsite.habits'))"
WAITING: Final = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


def while_it_waits(
    stranger: psycopg.Connection[Any], job: Callable[[], object], meanwhile: Callable[[], object]
) -> None:
    """Somebody writes habits while the job begins; it goes on after `meanwhile`."""
    stranger.execute(LOCK)
    begun = threading.Event()

    def begin() -> None:
        begun.set()
        job()

    def free() -> None:
        begun.wait()
        eventually(lambda: ask(WAITING), lambda n: n == [(1,)])
        meanwhile()
        stranger.execute(UNLOCK)

    everyone(begin, free)


def take_out_ann() -> None:
    """As an erasure does."""
    with cursor() as hot:
        hot.execute("DELETE FROM user_item WHERE person = "
                    "(SELECT subject FROM subject_key WHERE key = 'user:ann')")  # fmt: skip


def test_a_ranker_that_goes_live_while_somebody_is_erased_does_not_bring_them_back(
    shop: None, stranger: psycopg.Connection[Any]
) -> None:
    while_it_waits(stranger, lambda: store.publish(by_hand(1), JUDGED, END), take_out_ann)
    assert of(by_hand(1)) == WITHOUT_ANN


def test_an_erasure_waits_for_a_ranker_that_goes_live(
    shop: None, stranger: psycopg.Connection[Any]
) -> None:
    erased: list[object] = []
    while_it_waits(
        stranger,
        lambda: erased.append(erase.erase("user:ann", asked_by="a test")),
        lambda: erased.append(ask("SELECT count(*) FROM erasure")),
    )
    assert erased[0] == [(0,)]
    assert len(erased) == 2
