"""The drill in short: each part killed once under load, and nothing is lost; `make drill` is long."""

import random
import re

import pytest

from bench.drill import house
from bench.drill.__main__ import drill
from bench.drill.proof import _about, _digest, _short, differences
from bench.drill.rounds import VICTIMS, victims


def test_everybody_is_killed_as_often_as_the_others() -> None:
    order = victims(20, random.Random(7))
    assert {victim: order.count(victim) for victim in VICTIMS} == dict.fromkeys(VICTIMS, 5)
    assert order == victims(20, random.Random(7))
    assert order != victims(20, random.Random(8))


def test_after_each_was_killed_once_every_answered_event_is_there_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with house.standing() as home:
        total = drill(home, rounds=4, seed=7)
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert {line.split(" | ")[1] for line in rows[2:]} == set(VICTIMS)
    assert re.match(
        r"4 kills \(1 of beat, 1 of postgres, 1 of web, 1 of worker\): [\d,]+ events \([\d,]+ lines\)"
        r" were answered with 202: each is there once and whole\. .* verify: 10 tables equal\.",
        total,
    )
    assert not home.home.exists()


def test_a_list_is_lost_to_a_kill_in_the_second_before_it_and_while_postgres_dies() -> None:
    assert [_about(at, [50.0, 9.0]) for at in (7.9, 8.1, 9.0, 9.05, 9.2, 49.5)] == [
        False, True, True, True, False, True,
    ]  # fmt: skip


SENT = {"a": 2, "b": 1, "c": 3}
LOGGED = {_short("a"): [0, 1], _short("b"): [0]}
DELIVERED = {_digest("a"), _digest("b")}


def test_the_reckoning_finds_what_is_lost_twice_in_part_or_of_nobody() -> None:
    def found(
        *, logged: dict[str, list[int]] = LOGGED, delivered: set[str] = DELIVERED
    ) -> list[str]:
        said = differences(SENT, {"a"}, logged, delivered)
        return [re.sub(r" \(.*", "", sentence) for sentence in said]

    assert found() == []
    assert found(logged={_short("b"): [0]}, delivered={_digest("b")}) == [
        "1 answered with 202 and not there"
    ]
    assert found(logged=LOGGED | {_short("a"): [0, 1, 1]}) == ["1 there twice or in part"]
    assert found(logged=LOGGED | {_short("a"): [1]}) == ["1 there twice or in part"]
    assert found(logged=LOGGED | {_short("x"): [0]}) == ["1 there and never sent"]
    assert found(delivered={_digest("a")}) == ["1 not the same in the log and among the delivered"]
