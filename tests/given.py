"""Given these facts, expect these values: builders of events, and readers of what follows.

Builders return events; `given` appends them in committed transactions, `advance` folds.
Readers answer in the shop's own strings, never in interned ids, so that values from two
databases, or from an oracle that has no database, can be compared with ==.
"""

import functools
import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import pytest
from django.db import transaction

from behavior import log, slates
from behavior.events import Event, Kind, Line
from behavior.names import intern_items
from catalog import changes
from catalog.feed import ItemContent, parse
from catalog.models import Rule, Scenario
from recommend import fold, proof, sources
from recommend.spaces import learning
from recsite.db import cursor

START: Final = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
"""Minute 0 of every test's history: a Monday, nine in the morning."""

Row = tuple[Any, ...]


def minute(at: float) -> datetime:
    """The moment `at` minutes after START."""
    return START + timedelta(minutes=at)


def did(
    kind: Kind,
    user: str,
    *items: str,
    at: float = 0,
    key: str | None = None,
    slate: uuid.UUID | None = None,
    quantity: int | None = None,
    price: Decimal | None = None,
) -> Event:
    """What a shopper did `at` minutes after START; a name without a colon is a known user."""
    return Event(
        kind=kind,
        occurred_at=minute(at),
        subject=user if ":" in user else f"user:{user}",
        lines=tuple(Line(item, quantity, price) for item in items) or (Line(None),),
        key=key,
        slate=slate,
    )


view = functools.partial(did, Kind.VIEW_ITEM)
cart = functools.partial(did, Kind.ADD_TO_CART)
uncart = functools.partial(did, Kind.REMOVE_FROM_CART)
purchase = functools.partial(did, Kind.PURCHASE)
refund = functools.partial(did, Kind.REFUND)
wish = functools.partial(did, Kind.ADD_TO_WISHLIST)
unwish = functools.partial(did, Kind.REMOVE_FROM_WISHLIST)
dismiss = functools.partial(did, Kind.DISMISS)
shown = functools.partial(did, Kind.VIEW_ITEM_LIST)


def rate(user: str, item_id: str, stars: float, **more: Any) -> Event:
    """A rating of so many stars, 0 to 5."""
    return did(Kind.RATE, user, item_id, **more)._replace(detail={"rating": stars})


def identify(name: str, user: str, *, undo: bool = False, **more: Any) -> Event:
    """One name turns out to be another's, or no longer."""
    target = user if ":" in user else f"user:{user}"
    detail = {"person": target} | ({"undo": True} if undo else {})
    return did(Kind.IDENTIFY, name, **more)._replace(detail=detail)


def quarantine(name: str, *, undo: bool = False, **more: Any) -> Event:
    """A shopper is hidden from all counting, or shown again."""
    detail = {"undo": True} if undo else None
    return did(Kind.SUBJECT_QUARANTINED, name, **more)._replace(detail=detail)


def just_did(kind: Kind, user: str, *items: str) -> Event:
    """What a shopper does at this very moment."""
    return did(kind, user, *items, at=(datetime.now(UTC) - START) / timedelta(minutes=1))


def given(*deliveries: Event | Sequence[Event]) -> list[log.Appended]:
    """Append each in a transaction of its own; a list of events is one transaction."""
    return [_commit([d] if isinstance(d, Event) else d) for d in deliveries]


def _commit(events: Sequence[Event]) -> log.Appended:
    with transaction.atomic():
        return log.append(events)


def item(item_id: str, **content: Any) -> ItemContent:
    """Have the catalogue hold this item, exactly so."""
    parsed = parse({"item_id": item_id} | content)
    assert isinstance(parsed, ItemContent), parsed
    changes.put([parsed])
    return parsed


def rule(scenarios: Sequence[str] = (), **fields: Any) -> Rule:
    """Have the merchant wish this, in these scenarios or everywhere."""
    made = Rule(**fields)
    changes.save_rule(made, Scenario.objects.filter(name__in=scenarios))
    return made


def encode() -> None:
    """Give every text that waits a vector that its length decides."""
    with cursor() as hot:
        hot.execute(
            "INSERT INTO embedding SELECT passage,"
            " (SELECT array_agg(sin(coalesce(length(body), 0) * k)) FROM generate_series(1, 512) AS k)"
            "::real[]::halfvec(512), pg_current_xact_id() FROM passage JOIN unencoded USING (passage)"
            " ON CONFLICT DO NOTHING"
        )
        hot.execute("DELETE FROM unencoded")


def serve(*items: str, scenario: str = "home", user: str | None = None) -> uuid.UUID:
    """Record a slate that showed these items, the best first; its recommendation_id."""
    with transaction.atomic():
        ids = intern_items(items)
        served = slates.Served(scenario, user, [ids[i] for i in items], 0, "0", {})
        return slates.record(served)


def advance(name: str | None = None) -> list[int]:
    """Bring the named projection, or all, to the log's end; how many events each read."""
    return [fold.advance(one).events for one in fold.named(name)]


def differing(name: str | None = None) -> list[str]:
    """The tables whose live rows are not those of a rebuild; [] is the proof."""
    proofs = [each for one in fold.named(name) for each in proof.verify(one).items()]
    proofs += proof.verify_user_state().items()
    return [table for table, (live, built) in proofs if live != built]


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where something else is tested, spaces learn a little and soon."""
    monkeypatch.setattr(learning, "STEPS", 30)


def ask(sql: str, *values: Any) -> list[Row]:
    """The rows of a query."""
    with cursor() as hot:
        return hot.execute(sql, values).fetchall()


# ── the log ────────────────────────────────────────────────────────────────────────────────


def logged() -> list[Row]:
    """(minute after START, kind, subject, item) of every line, in the order of ids."""
    rows = ask(
        "SELECT occurred_at, kind, s.key, i.key FROM event LEFT JOIN subject_key s USING (subject)"
        " LEFT JOIN item_key i USING (item) ORDER BY id"
    )
    return [((at - START) / timedelta(minutes=1), Kind(k).label, s, i) for at, k, s, i in rows]


def names(table: str) -> dict[int, str]:
    """id → the shop's own string, of item_key or subject_key."""
    return dict(ask(f"SELECT * FROM {table}"))


# ── what follows from it ───────────────────────────────────────────────────────────────────


def pairs() -> dict[tuple[str, str], Row]:
    """(at, to) → (viewed, bought, led): the weight of `to` for a shopper at `at`."""
    key = names("item_key")
    found: dict[tuple[str, str], Row] = {}
    for lo, hi, v_up, v_down, bought, l_up, l_down in ask("SELECT * FROM covisit"):
        found[key[lo], key[hi]] = (v_up, bought, l_up)
        found[key[hi], key[lo]] = (v_down, bought, l_down)
    return found


def neighbours(item_id: str, channel: str) -> dict[str, int]:
    """neighbour → weight, the heaviest first."""
    return dict(all_neighbours().get((item_id, channel), ()))


def all_neighbours() -> dict[tuple[str, str], list[tuple[str, int]]]:
    """(item, channel) → [(neighbour, weight)], the heaviest first."""
    key = names("item_key")
    return {
        (key[of], sources.name_of(channel)): [(key[i], w) for i, w in zip(items, ws, strict=True)]
        for of, channel, items, ws in ask("SELECT item, channel, items, weights FROM neighbours")
    }


def counts() -> dict[str, tuple[int, int]]:
    """item → (seen, bought)."""
    rows = ask("SELECT key, seen, bought FROM item_count JOIN item_key USING (item)")
    return {key: (seen, bought) for key, seen, bought in rows}


def days() -> dict[tuple[str, int], int]:
    """(item, days after START) → weight."""
    first = int(START.timestamp()) // 86_400
    rows = ask("SELECT key, day, weight FROM popularity_day JOIN item_key USING (item)")
    return {(key, day - first): weight for key, day, weight in rows}


def popular(category: str = "") -> dict[str, tuple[int, int]]:
    """item → (score, trend) in a category, by its path; "" is the whole shop."""
    return {key: rest for (where, key), rest in all_popular().items() if where == category}


def all_popular() -> dict[tuple[str, str], tuple[int, int]]:
    """(category, item) → (score, trend)."""
    rows = ask(
        "SELECT coalesce(c.path, ''), i.key, score, trend FROM popularity p"
        " JOIN item_key i USING (item) LEFT JOIN catalog_category c ON c.id = p.category"
    )
    return {(path, key): (score, trend) for path, key, score, trend in rows}


def passages() -> dict[str, str | None]:
    """item → the text that describes it."""
    return {item: body for item, (body, _) in described().items()}


def described() -> dict[str, tuple[str | None, str | None]]:
    """item → (text, image) that describe it."""
    rows = ask(
        "SELECT key, body, image FROM item_passage JOIN item_key USING (item)"
        " LEFT JOIN passage USING (passage)"
    )
    return {key: (body, image) for key, body, image in rows}


def attributed() -> list[Row]:
    """(slate, kind, item, place) of every attribution, in the order of events."""
    rows = ask(
        "SELECT slate, kind, key, place FROM attribution JOIN item_key USING (item) ORDER BY event"
    )
    return [(slate, Kind(kind).label, key, place) for slate, kind, key, place in rows]


def states() -> dict[str, list[tuple[uuid.UUID, str, str]]]:
    """person → [(event id, kind, item)], the newest first."""
    key = names("item_key")
    rows = ask(
        "SELECT key, ids, items, signals FROM user_state JOIN subject_key ON subject = person"
    )
    return {
        who: [(i, Kind(s & 31).label, key[n]) for i, n, s in zip(ids, items, signals, strict=True)]
        for who, ids, items, signals in rows
    }


def state(user: str) -> list[tuple[str, str]]:
    """[(kind, item)] of a known user's last events, the newest first."""
    return [(kind, key) for _, kind, key in states().get(f"user:{user}", [])]


def dealings() -> dict[tuple[str, str], Row]:
    """(person, item) → (kinds seen, newest event's id, hours of purchase and, negative, of
    refund, the newest first)."""
    rows = ask(
        "SELECT s.key, i.key, kinds, last, bought FROM user_item"
        " JOIN subject_key s ON s.subject = person JOIN item_key i USING (item)"
    )
    return {(s, i): (kinds_of(bits), last, bought) for s, i, bits, last, bought in rows}


def kinds_of(bits: int) -> frozenset[str]:
    """The kinds whose bits are set."""
    return frozenset(kind.label for kind in Kind if bits >> kind & 1)


def persons() -> dict[str, str | None]:
    """subject → the person who stands for them; None where hidden. Who is alone is left out."""
    key = names("subject_key")
    rows = ask("SELECT subject, person FROM person WHERE person IS DISTINCT FROM subject")
    return {key[subject]: None if person is None else key[person] for subject, person in rows}


READERS: Final[dict[str, Callable[[], dict[str, Any]]]] = {
    "covisit": lambda: {"covisit": pairs(), "item_count": counts(), "neighbours": _unranked()},
    "popularity": lambda: {"popularity_day": days(), "popularity": all_popular()},
    "content": lambda: {"item_passage": described()},
    "attribution": lambda: {"attribution": attributed()},
    "user_state": lambda: {
        "user_state": states(),
        "user_item": dealings(),
        "person": persons(),
    },
}
"""Everything that a projection holds, by table."""


def _unranked() -> dict[tuple[str, str], dict[str, int]]:
    """Neighbours without their order: equal weights go by interned id, and those depend on
    which item was heard of first."""
    return {of: dict(found) for of, found in all_neighbours().items()}


def contents(names_: Iterable[str] = tuple(READERS)) -> dict[str, Any]:
    """All rows of these projections."""
    return {table: rows for name in names_ for table, rows in READERS[name]().items()}
