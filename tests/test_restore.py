"""A dump restored into another cluster: its transaction ids mean nothing there."""

import pytest

from tests.given import advance, ask, differing, given, purchase, view

pytestmark = pytest.mark.usefixtures("committed")

RESTORED = (
    "SET rec.erasing = 'on'",
    # As if the old cluster had been far busier than the new one.
    "UPDATE event SET xid = '9000000000000'",
    "UPDATE projection SET epoch = 'the old cluster', snapshot = '9000000000001:9000000000001:'",
    "SET rec.erasing = 'off'",
)


def restore() -> None:
    from recsite.db import cursor

    with cursor() as hot:
        for statement in RESTORED:
            hot.execute(statement)


def test_after_a_restore_every_projection_is_rebuilt_once_and_then_goes_on() -> None:
    given(view("ann", "a"), view("ann", "b", at=1), purchase("bob", "a", at=2))
    assert advance() == [3, 3, 3, 3]

    restore()

    assert advance() == [3, 3, 3, 3]
    assert advance() == [0, 0, 0, 0]
    given(view("ann", "c", at=3))
    assert advance() == [1, 1, 1, 1]
    assert differing() == []


def test_a_restored_fact_keeps_what_it_says() -> None:
    given(view("ann", "a"), view("ann", "b", at=1))
    advance()
    before = ask("SELECT id, kind, subject, item FROM event ORDER BY id")

    restore()
    advance()

    assert ask("SELECT id, kind, subject, item FROM event ORDER BY id") == before
