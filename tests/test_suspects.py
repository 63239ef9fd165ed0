"""Suspects: bots stand out by their figures, and shoppers do not."""

import random
from collections.abc import Iterator
from datetime import datetime
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from behavior import quarantine, suspects
from behavior.events import Event
from behavior.tasks import look_for_suspects
from recommend.erase import erase
from tests.given import (
    ask,
    cart,
    given,
    identify,
    minute,
    names,
    purchase,
    refund,
    uncart,
    view,
)

pytestmark = pytest.mark.usefixtures("committed")

SECOND = 1 / 60
NOW = minute(24 * 60)


def found(now: datetime = NOW) -> dict[str, tuple[int, list[str]]]:
    """name → (score, reasons in words), the most suspect first."""
    suspects.look(now)
    return {name: (score, suspects.sentences(why)) for name, score, why in suspects.listed()}


def crawler(name: str, *, looks: int, seconds: float, wobble: float = 0.0) -> list[Event]:
    """Somebody who looks at one item after another, every so many seconds."""
    chance = random.Random(name)
    times = [n * seconds + chance.uniform(-wobble, wobble) * seconds for n in range(looks)]
    return [view(name, f"i{n}", at=at * SECOND) for n, at in enumerate(times)]


def shoppers(count: int) -> Iterator[list[Event]]:
    """Ordinary ones: visits on some days, pauses of every length, a basket, an order."""
    for n in range(count):
        chance = random.Random(n)
        at, made = chance.uniform(0, 60), []
        for _ in range(chance.randint(3, 90)):
            at += chance.lognormvariate(3.3, 1.0) * SECOND
            made.append(view(f"u{n}", f"i{chance.randint(0, 400)}", at=at))
            if chance.random() < 0.2:
                made.append(cart(f"u{n}", f"i{chance.randint(0, 400)}", at=at + 1 * SECOND))
            if chance.random() < 0.05:
                made.append(uncart(f"u{n}", f"i{chance.randint(0, 400)}", at=at + 2 * SECOND))
        order = [f"i{chance.randint(0, 400)}" for _ in range(chance.randint(1, 40))]
        made.append(purchase(f"u{n}", *order, at=at + 1))
        if chance.random() < 0.1:
            made.append(refund(f"u{n}", order[0], at=at + 2))
        yield made


def test_of_a_crowd_of_shoppers_only_the_bots_stand_out() -> None:
    given(*shoppers(60))
    assert found() == {}
    given(crawler("fast", looks=60, seconds=1, wobble=0.4), crawler("even", looks=60, seconds=5))
    assert found().keys() == {"user:fast", "user:even"}


def test_a_fast_one() -> None:
    given(crawler("fast", looks=60, seconds=1, wobble=0.4))
    ((score, why),) = found().values()
    assert (score, len(why)) == (80, 1)
    rate = float(why[0].split()[0])
    assert why == [f"{rate:g} events a minute over their newest 50"]
    assert rate == pytest.approx(60, abs=2)


def test_an_even_one() -> None:
    given(crawler("even", looks=30, seconds=10))
    assert found() == {"user:even": (80, ["pauses as even as a clock's (they vary by 0 %)"])}


def test_both_add_up_and_a_score_is_at_most_100() -> None:
    given(crawler("both", looks=50, seconds=2))
    assert found() == {
        "user:both": (
            100,
            ["pauses as even as a clock's (they vary by 0 %)",
             "30 events a minute over their newest 50"],
        )
    }  # fmt: skip


def test_a_crawler_that_takes_its_time_is_known_by_its_breadth() -> None:
    given(crawler("slow", looks=200, seconds=60, wobble=0.4))
    assert found() == {"user:slow": (40, ["200 different items looked at in a day"])}


def test_nineteen_moments_say_nothing() -> None:
    given(crawler("few", looks=19, seconds=1))
    assert found() == {}
    given(view("few", "one more", at=19 * SECOND))
    assert found().keys() == {"user:few"}


def test_an_order_of_sixty_lines_is_one_moment() -> None:
    given(purchase("ann", *(f"i{n}" for n in range(60))))
    assert found() == {}


def test_a_file_with_days_only_has_no_rhythm() -> None:
    given([purchase("ann", "mug", at=24 * 60.0 * (n - 25)) for n in range(25)])
    assert found() == {}


def test_who_gives_almost_everything_back() -> None:
    given(
        [purchase("ann", f"i{n}", at=97 * n) for n in range(10)],
        [refund("ann", f"i{n}", at=97 * n + 900) for n in range(8)],
        [cart("bob", f"i{n}", at=97 * n) for n in range(8)],
        [uncart("bob", f"i{n}", at=97 * n + 900) for n in range(8)],
        [purchase("cat", f"i{n}", at=97 * n) for n in range(10)],
        [refund("cat", f"i{n}", at=97 * n + 900) for n in range(7)],
    )
    assert found(minute(2_000)) == {
        "user:bob": (44, ["8 items taken out of the basket to 8 put in"]),
        "user:ann": (40, ["8 refunds to 10 purchases"]),
    }


def test_a_name_that_many_share() -> None:
    given([identify(f"anonymous:{n}", "guest", at=n) for n in range(18)])
    assert found() == {}
    given(identify("anonymous:18", "guest", at=18))
    assert found() == {"user:guest": (40, ["20 names joined to one person"])}


def test_who_was_not_there_on_the_last_day_is_let_be() -> None:
    given(crawler("gone", looks=30, seconds=1), view("ann", "mug", at=25 * 60))
    assert found(minute(25 * 60)) == {}


def test_the_last_day_is_the_logs() -> None:
    given(crawler("old", looks=30, seconds=1))
    assert found(minute(365 * 24 * 60)).keys() == {"user:old"}


def test_who_stops_being_suspect_is_struck_off() -> None:
    given(crawler("even", looks=20, seconds=10))
    assert found().keys() == {"user:even"}
    given([view("even", "mug", at=4 + n * n) for n in range(20)])
    assert found() == {}
    assert ask("SELECT count(*) FROM suspect") == [(0,)]


def test_a_hidden_person_is_no_suspect() -> None:
    given(crawler("bot", looks=30, seconds=1))
    assert found().keys() == {"user:bot"}
    quarantine.hide(["user:bot"])
    assert suspects.listed() == []
    assert found() == {}
    quarantine.show(["user:bot"])
    assert found().keys() == {"user:bot"}


def test_who_is_somebody_else_by_now_is_no_suspect() -> None:
    given(crawler("anonymous:phone", looks=30, seconds=1))
    assert found().keys() == {"anonymous:phone"}
    given(identify("anonymous:phone", "ann", at=5))
    assert suspects.listed() == []
    assert found().keys() == {"user:ann"}


def test_the_worst_are_kept(monkeypatch: Any) -> None:
    given(*(crawler(f"b{n}", looks=20 + n, seconds=10 + n) for n in range(4)))
    few = suspects.LOOK.replace(f"LIMIT {suspects.MOST}", "LIMIT 2")
    monkeypatch.setattr(suspects, "LOOK", few)
    assert list(found()) == ["user:b0", "user:b1"]


def test_looking_again_writes_nothing() -> None:
    given(crawler("bot", looks=30, seconds=1))
    found()
    before = ask("SELECT ctid::text, xmin::text FROM suspect")
    found()
    assert ask("SELECT ctid::text, xmin::text FROM suspect") == before


def test_erasing_takes_the_suspicion_along() -> None:
    given(crawler("bot", looks=30, seconds=1))
    found()
    erase("user:bot", asked_by="a test")
    assert ask("SELECT count(*) FROM suspect") == [(0,)]
    assert names("subject_key") == {}


def test_the_clock_and_the_command_look() -> None:
    given(crawler("bot", looks=30, seconds=2))
    look_for_suspects()
    assert [name for name, _, _ in suspects.listed()] == ["user:bot"]
    out = StringIO()
    call_command("suspects", stdout=out)
    assert out.getvalue() == (
        "100  user:bot  pauses as even as a clock's (they vary by 0 %);"
        " 30 events a minute over their newest 30\n"
    )


def test_the_command_says_so_where_nobody_is_suspect() -> None:
    out = StringIO()
    call_command("suspects", stdout=out)
    assert out.getvalue() == "Nobody looks suspect.\n"
