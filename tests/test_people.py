"""People: names that are joined, parted, hidden; every table follows, and the next list knows."""

import random
import threading
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection, transaction

from behavior import people, quarantine
from recommend.pipeline import Ask, compose
from tests import oracle
from tests.given import (
    advance,
    all_popular,
    attributed,
    contents,
    dealings,
    differing,
    given,
    identify,
    item,
    pairs,
    persons,
    purchase,
    serve,
    state,
    states,
    view,
)
from tests.given import quarantine as quarantined

pytestmark = pytest.mark.usefixtures("committed")


def test_who_signs_in_has_one_history() -> None:
    given(view("anonymous:phone", "mug"), purchase("ann", "cup", at=1))
    given(identify("anonymous:phone", "ann", at=2))
    assert state("ann") == [("purchase", "cup"), ("view_item", "mug")]
    assert states().keys() == {"user:ann"}
    assert dealings().keys() == {("user:ann", "mug"), ("user:ann", "cup")}


def test_what_the_device_does_afterwards_goes_into_the_same_history() -> None:
    given(identify("anonymous:phone", "ann"), view("anonymous:phone", "mug", at=1))
    given(view("ann", "cup", at=2))
    assert state("ann") == [("view_item", "cup"), ("view_item", "mug")]


def test_both_names_get_the_list_of_both_in_the_very_next_answer() -> None:
    for name in ("mug", "cup", "pot", "pan"):
        item(name)
    given([view("bob", name, at=n) for n, name in enumerate(("mug", "pot"))])
    given([view("cat", name, at=n) for n, name in enumerate(("cup", "pan"))])
    advance()
    given(view("anonymous:phone", "mug"), view("ann", "cup"))
    assert proposed("anonymous:phone") == {"mug", "pot"}
    given(identify("anonymous:phone", "ann", at=1))
    assert proposed("anonymous:phone") == proposed("user:ann") == {"mug", "pot", "cup", "pan"}


def proposed(shopper: str) -> set[str]:
    """What neighbours proposed to this shopper, and what they looked at themselves."""
    shown = compose(Ask("home", shopper), datetime.now(UTC)).items
    because = {r.item_id for s in shown for r in s.reasons if r.source == "viewed"}
    return {s.item_id for s in shown for r in s.reasons if r.source == "viewed"} | {
        name for name in because if name
    }


def test_pairs_across_devices_count_once_the_names_are_joined() -> None:
    given(view("anonymous:phone", "mug"), view("ann", "cup", at=1))
    advance()
    assert pairs() == {}
    given(identify("anonymous:phone", "ann", at=2))
    advance()
    assert pairs() == {("mug", "cup"): (65_536, 0, 0), ("cup", "mug"): (32_768, 0, 0)}
    assert differing() == []


def test_undoing_it_restores_both_as_they_were() -> None:
    given(view("anonymous:phone", "mug"), view("ann", "cup", at=1))
    advance()
    before = contents()
    given(identify("anonymous:phone", "ann", at=2))
    advance()
    given(identify("anonymous:phone", "ann", at=3, undo=True))
    advance()
    assert contents() == before
    assert differing() == []


def test_undoing_the_last_of_two_restores_the_first() -> None:
    given(identify("anonymous:phone", "ann"), identify("anonymous:phone", "bob", at=1))
    assert persons() == {"anonymous:phone": "user:bob"}
    given(identify("anonymous:phone", "bob", at=2, undo=True))
    assert persons() == {"anonymous:phone": "user:ann"}


def test_a_device_that_two_people_use_makes_them_no_one_person() -> None:
    given(identify("anonymous:sofa", "ann"), identify("anonymous:sofa", "bob", at=1))
    assert persons() == {"anonymous:sofa": "user:bob"}


def test_two_users_are_merged_and_chains_are_followed() -> None:
    given(identify("anonymous:phone", "old"), identify("user:old", "ann", at=1))
    assert persons() == {"anonymous:phone": "user:ann", "user:old": "user:ann"}


def test_a_circle_is_one_person() -> None:
    given(
        identify("user:a", "b"), identify("user:b", "c", at=1), identify("user:c", "a", at=2),
        identify("anonymous:x", "c", at=3),
    )  # fmt: skip
    assert persons() == dict.fromkeys(("user:b", "user:c", "anonymous:x"), "user:a")
    given(view("c", "mug", at=4))
    assert state("a") == [("view_item", "mug")]


def test_a_late_fact_does_not_win_over_a_newer_one() -> None:
    given(identify("anonymous:phone", "ann", at=5), identify("anonymous:phone", "bob", at=1))
    assert persons() == {"anonymous:phone": "user:ann"}


def test_a_very_long_chain_is_bounded_and_costs_no_time() -> None:
    given([identify(f"user:{n}", f"{n + 1}", at=n) for n in range(300)])
    given(identify("user:300", "end", at=300))
    assert persons()["user:299"] == "user:end"
    assert persons()["user:0"] == f"user:{people.LONGEST_CHAIN}"


def test_saying_it_again_moves_nobody_and_locks_nobody_out() -> None:
    given(identify("anonymous:phone", "ann"))
    with transaction.atomic():
        given(identify("anonymous:phone", "ann", at=1))
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ExclusiveLock'"
                " AND pid = pg_backend_pid()"
            )
            assert cursor.fetchone() == (0,)


# ── quarantine ─────────────────────────────────────────────────────────────────────────────


def test_a_quarantined_bot_is_nowhere_and_comes_back_exactly() -> None:
    item("mug", category="Home")
    slate = serve("mug", "cup")
    given(view("bot", "mug", slate=slate), view("bot", "cup", at=1), view("ann", "mug", at=2))
    advance()
    before = contents()
    assert quarantine.hide(["user:bot"]) == ["user:bot"]
    advance()
    assert states().keys() == {"user:ann"}
    assert (pairs(), attributed()) == ({}, [])
    assert all_popular()["", "mug"] == all_popular()["Home", "mug"]
    assert differing() == []
    given(view("bot", "pot", at=3))
    advance()
    assert "user:bot" not in states()
    assert differing() == []
    assert quarantine.show(["user:bot"]) == ["user:bot"]
    advance()
    assert state("bot") == [("view_item", "pot"), ("view_item", "cup"), ("view_item", "mug")]
    assert attributed() != []
    assert differing() == []
    assert contents()["popularity_day"].keys() >= before["popularity_day"].keys()


def test_all_names_of_a_person_are_hidden() -> None:
    given(identify("anonymous:phone", "bot"), view("anonymous:phone", "mug", at=1))
    assert quarantine.hide(["user:bot"]) == ["anonymous:phone", "user:bot"]
    assert persons() == {"anonymous:phone": None, "user:bot": None}
    assert states() == {}


def test_nobody_of_that_name_is_nobody() -> None:
    assert quarantine.hide(["user:nobody"]) == []


def test_a_hidden_shopper_still_gets_what_is_popular() -> None:
    item("mug")
    given(view("ann", "mug"), view("bot", "mug"))
    advance()
    given(quarantined("user:bot", at=1))
    advance()
    shown = compose(Ask("home", "user:bot"), datetime.now(UTC)).items
    assert [s.item_id for s in shown] == ["mug"]


# ── many at once ───────────────────────────────────────────────────────────────────────────


def test_clicks_and_sign_ins_at_the_same_time_lose_and_double_nothing() -> None:
    chance = random.Random(5)
    names = [f"anonymous:{n}" for n in range(6)] + ["user:a", "user:b"]
    events = []
    for n in range(240):
        name = chance.choice(names)
        if n % 6 == 0:
            other = chance.choice([each for each in names if each != name])
            event = identify(name, other, at=n, undo=chance.random() < 0.3)
        else:
            event = view(name, chance.choice("abcdef"), at=n)
        events.append(event._replace(key=f"k{n}"))
    failed: list[BaseException] = []

    def deliver(mine: list[Any]) -> None:
        try:
            for event in mine:
                given(event)
        except BaseException as error:
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=deliver, args=(events[n::4],)) for n in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        advance()
    for thread in threads:
        thread.join()
    assert failed == []
    advance()
    facts = oracle.facts(events)
    held = contents()
    assert held["person"] == oracle.persons(facts)
    assert held["user_state"] == oracle.states(facts)
    assert held["covisit"] == oracle.pairs(facts)
    assert differing() == []
