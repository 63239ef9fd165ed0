"""Changes of the catalogue: the only way in which an item, a scenario or a rule changes.

It promises that each change is a row and an event of the log in one transaction, and that
what is put as it already stands is no change: no row is written and no event appended (only
that weights are handed over to tuning is an event alone). The
admin, the API and the import all come through here. It never validates content (catalog.feed
does), and it never works item by item: a batch is a handful of statements.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast

import orjson
from django.db import transaction
from django.forms.models import model_to_dict

from behavior import log
from behavior.events import Event, Kind, Line, Rejection
from behavior.names import intern_items
from catalog import countings, shelf, tree
from catalog.feed import ItemContent, amend
from catalog.models import Rule, Scenario, SignalWeights
from catalog.refusal import shown
from recsite.db import cursor

# The id and the item_id of a new row are two unique indexes, and ON CONFLICT watches one: of
# two writers that put the same new item, one would fail on the other. This makes it wait.
WAIT_FOR_NEW: Final = """
SELECT FROM item_key known
WHERE item = ANY(%s) AND NOT EXISTS (SELECT FROM catalog_item WHERE id = known.item)
ORDER BY item FOR UPDATE
"""

# A row is written only where something differs. The clock is read once the row is locked, so
# that of two writers the later one also has the later time, and row and event agree.
UPSERT: Final = """
INSERT INTO catalog_item AS kept (id, item_id, title, description, category_id, brand, seller,
    price, currency, stock, available, image, attributes, changed_at)
SELECT id, item_id, title, description, category_id, brand, seller,
    price, currency, stock, available, image, attributes::jsonb, clock_timestamp()
FROM unnest(%s::int[], %s::text[], %s::text[], %s::text[], %s::int[], %s::text[], %s::text[],
            %s::numeric[], %s::text[], %s::int[], %s::bool[], %s::text[], %s::text[])
    AS given(id, item_id, title, description, category_id, brand, seller,
             price, currency, stock, available, image, attributes)
ORDER BY id
ON CONFLICT (id) DO UPDATE SET
    title = excluded.title, description = excluded.description,
    category_id = excluded.category_id, brand = excluded.brand, seller = excluded.seller,
    price = excluded.price, currency = excluded.currency, stock = excluded.stock,
    available = excluded.available, image = excluded.image, attributes = excluded.attributes,
    changed_at = clock_timestamp()
WHERE (kept.title, kept.description, kept.category_id, kept.brand, kept.seller, kept.price,
       kept.currency, kept.stock, kept.available, kept.image, kept.attributes)
    IS DISTINCT FROM
      (excluded.title, excluded.description, excluded.category_id, excluded.brand,
       excluded.seller, excluded.price, excluded.currency, excluded.stock, excluded.available,
       excluded.image, excluded.attributes)
RETURNING item_id, changed_at, old.id IS NULL
"""

MERCHANT: Final = "merchant"
"""Who changes a scenario, where nothing else is said (see recommend.tunings)."""

NOBODY: Final = "nobody"
"""Whose choice weights are that were handed over to tuning."""

# Taken in the order of ids, as the upsert does, so that two writers cannot dead-lock.
LOCK: Final = "SELECT FROM catalog_item WHERE item_id = ANY(%s) ORDER BY id FOR UPDATE"

DELETE: Final = """
WITH doomed AS (SELECT id FROM catalog_item WHERE item_id = ANY(%s) ORDER BY id FOR UPDATE)
DELETE FROM catalog_item USING doomed WHERE catalog_item.id = doomed.id
RETURNING item_id, clock_timestamp()
"""


@dataclass(frozen=True, slots=True)
class Changed:
    """How many items a batch really changed (`created` of them are new), and how many stood
    like that already."""

    changed: int
    unchanged: int
    created: int = 0


@dataclass(frozen=True, slots=True)
class Patched:
    """What became of a patch, by item: the content it has now, or why it was refused."""

    contents: dict[str, ItemContent]
    rejected: dict[str, Rejection]


@dataclass(frozen=True, slots=True)
class Removed:
    """Which items were deleted, and which the catalogue did not have."""

    removed: tuple[str, ...]
    unknown: tuple[str, ...]


# ── items ──────────────────────────────────────────────────────────────────────────────────


def put(contents: Sequence[ItemContent]) -> Changed:
    """Have these items stand exactly so. Where an id comes twice, the last one counts."""
    newest = {content.item_id: content for content in contents}
    with transaction.atomic():
        written = _upsert(newest)
        log.append(
            [
                _event(Kind.ITEM_CHANGED, at, item_id, newest[item_id].as_json())
                for item_id, at, _ in written
            ]
        )
    return Changed(len(written), len(newest) - len(written), sum(new for _, _, new in written))


def patch(item_id: str, fields: Mapping[str, Any]) -> ItemContent | Rejection:
    """Change some fields of one item and return its whole content."""
    done = patch_all({item_id: fields})
    return done.rejected.get(item_id) or done.contents[item_id]


def patch_all(fields: Mapping[str, Mapping[str, Any]]) -> Patched:
    """Change some fields of many items, by item_id; what others change meanwhile stays."""
    contents: dict[str, ItemContent] = {}
    rejected: dict[str, Rejection] = {}
    with transaction.atomic():
        for item_id, content in _locked(list(fields)).items():
            match amend(content, fields[item_id]):
                case Rejection() as rejection:
                    rejected[item_id] = rejection
                case amended:
                    contents[item_id] = amended
        put(list(contents.values()))
    missing = fields.keys() - contents.keys() - rejected.keys()
    return Patched(contents, rejected | {item_id: unknown(item_id) for item_id in missing})


def remove(item_ids: Sequence[str]) -> Removed:
    """Delete items from the catalogue; what shoppers did with them stays in the log."""
    with transaction.atomic():
        with cursor() as hot:
            times = dict(hot.execute(DELETE, [list(item_ids)]).fetchall())
        log.append([_event(Kind.ITEM_REMOVED, at, item_id, None) for item_id, at in times.items()])
    gone = tuple(item_id for item_id in item_ids if item_id in times)
    return Removed(gone, tuple(item_id for item_id in item_ids if item_id not in times))


def add_category(path: str) -> int:
    """Make a category, and its ancestors, before any item is in it; its id. No event: it
    becomes a fact with the first item that names it."""
    with transaction.atomic():
        return tree.grow([path])[path]


def unknown(item_id: str) -> Rejection:
    """What is said of an item that the catalogue does not have."""
    return Rejection("unknown_item", f"The catalogue has no item {shown(item_id)}.")


def _upsert(contents: Mapping[str, ItemContent]) -> list[tuple[str, datetime, bool]]:
    """Write the rows that differ: of each its item_id, the time, and whether it is new."""
    if not contents:
        return []
    ids = intern_items(contents)
    categories = tree.grow(content.category for content in contents.values())
    rows = [_row(content, ids, categories) for content in contents.values()]
    with cursor() as hot:
        hot.execute(WAIT_FOR_NEW, [list(ids.values())])
        hot.execute(UPSERT, list(map(list, zip(*rows, strict=True))))
        return cast("list[tuple[str, datetime, bool]]", hot.fetchall())


def _row(
    content: ItemContent, ids: Mapping[str, int], categories: Mapping[str, int]
) -> tuple[Any, ...]:
    """The row in the order of UPSERT."""
    return (
        ids[content.item_id], content.item_id, content.title, content.description,
        categories.get(content.category), content.brand, content.seller, content.price,
        content.currency, content.stock, content.available, content.image,
        orjson.dumps(content.attributes).decode(),
    )  # fmt: skip


def _locked(item_ids: list[str]) -> dict[str, ItemContent]:
    """The items as they stand, held until the transaction ends.

    Two statements: one that waits and then joins would join the category from before the wait.
    """
    with cursor() as hot:
        hot.execute(LOCK, [item_ids])
    return {item_id: found.content for item_id, found in shelf.read(item_ids).items()}


# ── what the merchant wants ────────────────────────────────────────────────────────────────


def save_rule(rule: Rule, scenarios: Iterable[Scenario]) -> None:
    """Save a rule and where it applies (nowhere named: everywhere). Raises ValidationError."""
    rule.full_clean()
    with transaction.atomic():
        before = _rule_said(Rule.objects.select_for_update().filter(pk=rule.pk).first())
        rule.save()
        rule.scenarios.set(scenarios)
        after = _rule_said(rule)
        if after != before:
            _append_wish({"rule": after, "before": before})


def delete_rule(rule: Rule) -> None:
    """Delete a rule; its last state stays in the log."""
    with transaction.atomic():
        said = _rule_said(Rule.objects.select_for_update().filter(pk=rule.pk).first())
        if said is not None:
            rule.delete()
            _append_wish({"rule": said, "deleted": True})


def save_scenario(scenario: Scenario, *, by: str = MERCHANT) -> None:
    """Save a scenario's settings; its fact says by whom. Raises ValidationError."""
    scenario.full_clean()
    with transaction.atomic():
        standing = Scenario.objects.select_for_update().filter(pk=scenario.pk).first()
        before = None if standing is None else model_to_dict(standing)
        scenario.save()
        after = model_to_dict(scenario)
        if before != after:
            _append_wish({"scenario": after, "before": before, "by": by})


def hand_over(scenario: str) -> None:
    """From now on its weights, which stay as they are, are nobody's choice."""
    with transaction.atomic():
        said = model_to_dict(Scenario.objects.select_for_update().get(name=scenario))
        _append_wish({"scenario": said, "before": said, "by": NOBODY})


def save_weights(weights: SignalWeights) -> None:
    """Save how a projection counts; the workers then fold it anew. Raises ValidationError."""
    weights.full_clean()
    with transaction.atomic():
        before = SignalWeights.objects.select_for_update().get(pk=weights.pk)
        said = _weights_said(weights)
        if said != _weights_said(before):
            weights.weights = said["weights"]
            weights.save()
            _append_wish({"weights": said, "before": _weights_said(before)})


def _weights_said(weights: SignalWeights) -> dict[str, Any]:
    counting = {"weights": weights.weights, "double_click": weights.double_click}
    return {"projection": weights.projection} | countings.of_json(counting).as_json()


def _rule_said(rule: Rule | None) -> dict[str, Any] | None:
    """A rule as JSON, readable without the tables that it points into."""
    if rule is None:
        return None
    plain = ("id", "title", "action", "slot", "factor", "item_id", "brand", "attribute", "value",
             "enabled")  # fmt: skip
    return {name: getattr(rule, name) for name in plain} | {
        "category": rule.category.path if rule.category else "",
        "scenarios": sorted(rule.scenarios.values_list("name", flat=True)),
        "starts_at": rule.starts_at and rule.starts_at.isoformat(),
        "ends_at": rule.ends_at and rule.ends_at.isoformat(),
    }


def _append_wish(detail: dict[str, Any]) -> None:
    """`before` is kept because a scenario that ships has no fact until its first change.

    The clock is the database's, read once the row is locked: of two writers on two machines
    the later one also has the later time.
    """
    with cursor() as hot:
        (now,) = hot.execute("SELECT clock_timestamp()").fetchone() or (None,)
    log.append([_event(Kind.RULE_CHANGED, cast("datetime", now), None, detail)])


def _event(kind: Kind, at: datetime, item_id: str | None, detail: dict[str, Any] | None) -> Event:
    return Event(
        kind=kind, occurred_at=at, subject=None, lines=(Line(item=item_id),), detail=detail
    )
