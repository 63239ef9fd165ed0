"""Clients whose clocks are wrong: what is taken, what is refused, and what it does to others."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from math import log2
from typing import Any, Final

import pytest
from django.test import Client

from recommend.projections import popularity
from recsite import keys
from recsite.models import ApiKey
from tests.given import advance, ask, differing, item, popular, state

UNIT: Final = popularity.UNIT
NOON: Final = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)


@pytest.fixture
def client(committed: None) -> Iterator[Client]:
    key = keys.create("tests", "publishable")
    yield Client(headers={"Authorization": f"Bearer {key}"})
    ApiKey.objects.all().delete()


def tell(client: Client, *events: dict[str, Any]) -> dict[str, Any]:
    answer = client.post("/v1/events", list(events), "application/json")
    assert answer.status_code == 202, answer.content
    said: dict[str, Any] = answer.json()
    return said


def view(item_id: str, when: datetime, user: str = "ann", **more: Any) -> dict[str, Any]:
    return {"event": "view_item", "user_id": user, "item_id": item_id,
            "occurred_at": when.isoformat()} | more  # fmt: skip


def test_a_day_ahead_and_years_behind_are_taken_and_more_than_a_day_ahead_is_refused(
    client: Client,
) -> None:
    now = datetime.now(UTC)
    said = tell(
        client,
        view("ahead", now + timedelta(hours=23)),
        view("old", now - timedelta(days=3 * 365)),
        view("too far", now + timedelta(hours=25)),
    )
    assert (said["accepted"], said["rejected"]) == (2, [{
        "index": 2, "code": "time_in_future",
        "message": "occurred_at is more than 24 hours ahead of the server.",
    }])  # fmt: skip
    advance()
    assert differing() == []


def test_a_clock_that_jumps_back_between_two_deliveries_of_a_key_makes_one_event(
    client: Client,
) -> None:
    now = datetime.now(UTC)
    first = tell(client, view("mug", now + timedelta(hours=5), event_id="1"))
    again = tell(client, view("mug", now - timedelta(days=400), event_id="1"))
    assert [(said["accepted"], said["duplicates"]) for said in (first, again)] == [(1, 0), (0, 1)]
    (at,) = ask("SELECT occurred_at FROM event")[0]
    assert abs(at - now - timedelta(hours=5)) < timedelta(milliseconds=1)


def test_an_item_seen_a_day_ahead_is_a_day_fresher_and_nobody_else_loses(client: Client) -> None:
    """Scores are logarithms relative to a fixed day: nothing that is written moves the others."""
    for name in ("mug", "cup"):
        item(name, title=name)
    tell(client, view("mug", NOON - timedelta(days=1)), view("mug", NOON, user="bob"))
    advance()
    before = popular()["mug"]
    tell(client, view("cup", NOON - timedelta(days=1)), view("cup", NOON, user="bob"))
    ahead = view("cup", datetime.now(UTC) + timedelta(hours=23), user="cyd")
    day = datetime.fromisoformat(ahead["occurred_at"]).toordinal() - NOON.toordinal()
    tell(client, ahead)
    advance()
    assert popular()["mug"] == before
    score, trend = popular()["cup"]
    assert (score, trend) == (_log(day, 30.0), _log(day, 3.0))
    assert differing() == []


def _log(day: int, half_life: float) -> int:
    """A view yesterday, one today, and one `day` days ahead, as the popularity of an item."""
    today = (NOON - datetime(1970, 1, 1, tzinfo=UTC)).days
    total = sum(2 ** ((ago - day) / half_life) for ago in (-1, 0, day))
    return round(UNIT * ((today + day) / half_life + log2(total)))


def test_an_honest_view_more_beats_the_advantage_of_a_clock_that_is_a_day_ahead(
    client: Client,
) -> None:
    for name in ("liar", "honest"):
        item(name, title=name)
    tell(client, view("liar", datetime.now(UTC) + timedelta(hours=23)))
    now = datetime.now(UTC)
    tell(client, view("honest", now, user="bob"), view("honest", now, user="cyd"))
    advance()
    liar, honest = popular()["liar"], popular()["honest"]
    assert honest[0] > liar[0]
    assert honest[1] > liar[1]
    # At most one day's decay, a thirtieth of a doubling; both scores are rounded, each day otherwise.
    lost = UNIT - (honest[0] - liar[0])
    assert lost == 0 or abs(lost - UNIT / 30) <= 1


def test_an_event_ahead_stays_the_newest_of_its_own_shopper_only(client: Client) -> None:
    now = datetime.now(UTC)
    tell(client, view("ahead", now + timedelta(hours=23)), view("mug", now, user="bob"))
    tell(client, view("cup", now))
    assert state("ann") == [("view_item", "ahead"), ("view_item", "cup")]
    assert state("bob") == [("view_item", "mug")]
