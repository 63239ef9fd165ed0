"""Replay: a served list made again from the log, as proof or to find out what is missing.

Each projection is folded from just what it had read, the shopper's state and the catalogue
from just what the gathering statement saw, and the list is arranged anew with the settings
and rules of the receipt. It promises that nothing from after counts, and where the list is
another one, it says which of its inputs are gone. It never changes what was recorded.
"""

import re
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest
from typing import Any, Final

import orjson
from sqlalchemy import Connection, text

from behavior import coverage
from catalog.countings import of_json
from catalog.wishes import RuleRow, ScenarioSettings, wishes
from recommend import receipts, travel, vectors
from recommend.fold import HERE
from recommend.pipeline import Ask, Refused, arrange
from recommend.projections import PROJECTIONS
from recommend.ranker import features
from recommend.spaces import past as past_spaces
from recommend.spaces.past import Spaces
from recsite.db import cursor

RANKER: Final = re.compile(r"[0-9a-f]{12}")
SNAPSHOT: Final = re.compile(r"\d+:\d+:[\d,]*")
MOST_DIFFERENCES: Final = 5

FIND: Final = """
SELECT scenario, subject, (SELECT key FROM subject_key WHERE subject_key.subject = slate.subject),
       ARRAY(SELECT key FROM unnest(items) WITH ORDINALITY AS shown(item, place)
             LEFT JOIN item_key USING (item) ORDER BY place), detail::text
FROM slate WHERE id = %s
"""

HISTORY: Final = """
SELECT json_build_array(cardinality(ids), ids[1], ids[cardinality(ids)])::text
FROM user_state LEFT JOIN person ON person.subject = :subject
WHERE user_state.person = coalesce(person.person, :subject)
"""

OFF_SHELF: Final = """
SELECT name FROM unnest(CAST(:shown AS text[])) AS shown(name)
WHERE NOT EXISTS (SELECT FROM catalog_item WHERE item_id = name)
"""

# A rule about an item that was named later only has no part in the list.
ON_SHELF: Final = "SELECT id FROM catalog_item WHERE id = ANY(:items)"

# A transaction that lies ahead even of now was another cluster's, before a dump was restored.
KNOWN_RANKER: Final = """
SELECT coalesce(NOT pg_visible_in_snapshot(recounted_xid, CAST(:seen AS pg_snapshot))
                AND pg_visible_in_snapshot(recounted_xid, pg_current_snapshot()), false) AS is_recounted
FROM rec.ranker WHERE name = :name AND features = :features
"""

MEANWHILE: Final = """
SELECT count(*) FROM rec.event
WHERE xid >= pg_snapshot_xmin(CAST(:seen AS pg_snapshot))
  AND NOT pg_visible_in_snapshot(xid, CAST(:seen AS pg_snapshot))
  AND pg_visible_in_snapshot(xid, CAST(:recorded AS pg_snapshot))
"""

ENCODED_SINCE: Final = """
SELECT count(*) FROM rec.embedding
WHERE NOT pg_visible_in_snapshot(encoded_xid, CAST(:seen AS pg_snapshot))
"""


class Unreplayable(Exception):
    """There is nothing to make the list from; the message says why."""


@dataclass(frozen=True, slots=True)
class Place:
    """What stood at one place of a list."""

    item_id: str
    score: float
    reasons: Any

    def said(self) -> str:
        reason = "; ".join(reason["text"] for reason in self.reasons)
        return f"{self.item_id} {self.score} ({reason})"


@dataclass(frozen=True, slots=True)
class Slate:
    """A list as it was recorded."""

    ask: Ask
    subject: int | None
    places: tuple[Place, ...]
    receipt: dict[str, Any]
    recorded: str


@dataclass(frozen=True, slots=True)
class Replayed:
    """Where the list differs, and what could be the cause; a list that is the same may have
    causes, too, which then did not matter."""

    differences: tuple[str, ...]
    causes: tuple[str, ...]


def replay(slate_id: uuid.UUID, each: Any = iter) -> Replayed:
    """Make the list again and compare items, scores and reasons. Raises Unreplayable.

    `each` wraps the loop over projections (a progress bar).
    """
    slate = _find(slate_id)
    with travel.rebuilt(_seen(slate), each) as inside:
        now = datetime.fromisoformat(slate.receipt["now"])
        settings = ScenarioSettings(**slate.receipt["settings"])
        rules = tuple(RuleRow(**rule) for rule in slate.receipt["rules"])
        try:
            # The request's own seed: of a shopper whom the log does not know, the name is gone.
            made = arrange(slate.ask, now, settings, rules, seed=slate.receipt["seed"]).items
        except Refused as refused:
            raise Unreplayable(f"The request is refused by now: {refused}") from None
        places = [Place(i.item_id, i.score, [r.said() for r in i.reasons]) for i in made]
        differences = tuple(_differences(slate.places, places))
        return Replayed(differences, tuple(_causes(inside, slate, settings, rules)))


def _find(slate_id: uuid.UUID) -> Slate:
    with cursor() as hot:
        row = hot.execute(FIND, [slate_id]).fetchone()
        (here,) = hot.execute(f"SELECT epoch FROM ({HERE}) AS here").fetchone() or (None,)
    if row is None:
        raise Unreplayable(f"There is no slate {slate_id}.")
    scenario, subject, shopper, items, said = row
    detail = orjson.loads(said)
    if "receipt" not in detail:
        raise Unreplayable("The slate has no receipt: it was served before there were any.")
    if detail["receipt"]["cluster"] != here:
        raise Unreplayable(
            "The slate was served by another cluster: its transaction ids mean nothing in this one."
        )
    asked = detail["asked"]
    ask = Ask(scenario, shopper, tuple(asked["items"]), asked["category"], asked["count"],
              asked["exclude_seen"])  # fmt: skip
    places = map(Place, items, detail["scores"], detail["reasons"])
    return Slate(ask, subject, tuple(places), detail["receipt"], detail["recorded"])


def _seen(slate: Slate) -> travel.Seen:
    """What each reader had read, as its snapshot tells."""
    snapshot = slate.receipt["snapshot"]
    folded = {name: _visible("xid", seen) for name, (_, seen, _) in _read_by(slate).items()}
    counted = {name: of_json(said) for name, (_, _, said) in _read_by(slate).items()}
    passages = f"live.encoded_xid IS NULL OR {_visible('live.encoded_xid', snapshot)}"
    named = () if slate.ask.category is None else (slate.ask.category,)
    return travel.Seen(
        _visible("xid", snapshot), folded, passages, named, counted, _ranker(slate), _spaces(slate)
    )


def _spaces(slate: Slate) -> Spaces:
    """Those of the receipt; a list from before there were any had none."""
    said: dict[str, tuple[str, str | None]] = slate.receipt.get("spaces") or {}
    followed = said.get("sequence", ("", None))[1]
    return Spaces(
        {kind: name for kind, (name, _) in said.items()},
        _visible("placed_xid", slate.receipt["snapshot"]),
        followed and _visible("xid", followed),
    )


def _ranker(slate: Slate) -> str:
    """The ranker of the receipt, as an SQL expression; the blend had none."""
    name = slate.receipt.get("ranker")
    return f"'{name}'" if name and RANKER.fullmatch(name) else "NULL"


def _read_by(slate: Slate) -> dict[str, tuple[int, str, dict[str, Any]]]:
    """name → (version, snapshot, weights) of the projections that had folded anything."""
    return slate.receipt["projections"] or {}


def _visible(column: str, snapshot: str) -> str:
    if not SNAPSHOT.fullmatch(snapshot):
        raise Unreplayable(f"The receipt's snapshot {snapshot!r} is none.")
    return f"pg_visible_in_snapshot({column}, '{snapshot}'::pg_snapshot)"


def _differences(were: Sequence[Place], are: Sequence[Place]) -> Iterator[str]:
    pairs = enumerate(zip_longest(were, are), 1)
    differing = [(place, was, now) for place, (was, now) in pairs if was != now]
    for place, was, now in differing[:MOST_DIFFERENCES]:
        yield f"place {place}: was {_said(was)}, is {_said(now)}"
    if len(differing) > MOST_DIFFERENCES:
        yield f"and {len(differing) - MOST_DIFFERENCES} more"


def _said(place: Place | None) -> str:
    return "nothing" if place is None else place.said()


# ── what is gone ───────────────────────────────────────────────────────────────────────────


def _causes(
    inside: Connection, slate: Slate, settings: ScenarioSettings, rules: Sequence[RuleRow]
) -> Iterator[str]:
    """Every input that is not what it was, the surest first."""
    yield from _other_code(slate)
    yield from _ranker_changed(inside, slate)
    yield from _shopper_gone(inside, slate)
    shown = {"shown": [place.item_id for place in slate.places]}
    for item_id in inside.scalars(text(OFF_SHELF), shown):
        yield f"the log has no fact any more that put {item_id} into the catalogue"
    yield from _other_wishes(inside, slate, settings, rules)
    yield from _other_encoder(inside, slate)
    for kind in past_spaces.missing(inside, _spaces(slate)):
        yield f"the {kind} that served it are gone, for somebody was erased since"
    counted = {"seen": slate.receipt["snapshot"], "recorded": slate.recorded}
    if meanwhile := inside.scalar(text(MEANWHILE), counted):
        yield f"{meanwhile} facts were committed while the list was being made"
    since = inside.scalar(text(ENCODED_SINCE), {"seen": slate.receipt["snapshot"]})
    if settings.content and since:
        yield f"{since} texts were encoded since, and an index of texts finds neighbours roughly"


def _other_code(slate: Slate) -> Iterator[str]:
    if slate.receipt["code"] != receipts.CODE:
        yield f"it was made by code {slate.receipt['code']}, this is {receipts.CODE}"
    read = _read_by(slate)
    for one in PROJECTIONS:
        version = read[one.NAME][0] if one.NAME in read else one.VERSION
        if version != one.VERSION:
            yield f"the projection {one.NAME} had version {version}, it now has {one.VERSION}"


def _ranker_changed(inside: Connection, slate: Slate) -> Iterator[str]:
    name = slate.receipt.get("ranker")
    if not name:
        return
    known = {"name": name, "features": features.NAME, "seen": slate.receipt["snapshot"]}
    is_recounted = inside.scalar(text(KNOWN_RANKER), known)
    if is_recounted is None:
        yield f"the ranker {name} is gone, or reads features as this code does not"
    elif is_recounted:
        yield f"what the ranker {name} knew of items was counted anew since, for somebody was erased"


def _other_encoder(inside: Connection, slate: Slate) -> Iterator[str]:
    was, now = slate.receipt.get("encoder"), vectors.live(inside)
    if was not in (None, now):
        yield f"texts lay where the encoder {was} put them, they now lie where {now} does"


def _shopper_gone(inside: Connection, slate: Slate) -> Iterator[str]:
    if slate.subject is None:
        return
    if slate.ask.shopper is None:
        yield "the shopper was erased"
        return
    said = inside.scalar(text(HISTORY), {"subject": slate.subject})
    known = orjson.loads(said) if said else None
    if slate.receipt["history"] not in (None, known):
        gone = coverage.spans(coverage.months_with([slate.subject]))
        archived = f"archived: {gone}" if gone else "erased"
        yield f"the log no longer has all that the shopper had done ({archived})"


def _other_wishes(
    inside: Connection, slate: Slate, settings: ScenarioSettings, rules: Sequence[RuleRow]
) -> Iterator[str]:
    """Settings and rules come from the receipt; whether the log still tells the same."""
    found = wishes(slate.ask.scenario, datetime.fromisoformat(slate.receipt["now"]))
    told, standing = found or (None, ())
    if told != settings:
        yield "the log tells other settings of the scenario"
    items = [rule.item for rule in (*rules, *standing) if rule.item is not None]
    shelf = set(inside.scalars(text(ON_SHELF), {"items": items}))
    differing = {r for r in {*rules} ^ {*standing} if r.item is None or r.item in shelf}
    for rule_id in sorted({rule.id for rule in differing}):
        yield f"the log tells another rule {rule_id}"
