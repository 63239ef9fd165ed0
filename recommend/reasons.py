"""Reasons: why an item is in a list, in the shop's words and the shopper's own items.

It promises one reason for each source that spoke for the item, strongest first, that the item
it names is one that the shopper dealt with or that the page showed and never the item itself, and
that what is being tried out says so first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from behavior.events import Kind
from behavior.standing import LOOKS, TAKEN_BACK_BY
from recommend.again import HABIT
from recommend.candidates import Candidate, Part
from recommend.sources import name_of
from recsite.db import cursor

MOST: Final = 3

DEEDS: Final = (
    (Kind.PURCHASE, "bought"), (Kind.ADD_TO_CART, "added to your cart"),
    (Kind.ADD_TO_WISHLIST, "wished for"), (Kind.RATE, "rated"), (Kind.VIEW_ITEM, "viewed"),
    (Kind.SELECT_ITEM, "viewed"), (Kind.SHARE, "shared"), (Kind.FOLLOW, "follow"),
)  # fmt: skip
"""What a shopper did with an item, the strongest first; nothing of it is no reason."""

UNDONE_BY: Final = TAKEN_BACK_BY | dict.fromkeys(LOOKS, Kind.DISMISS)

SENTENCES: Final = {
    "viewed": "Often viewed together with {title}",
    "bought": "Often bought together with {title}",
    "led": "Often bought after {title}",
    "content": "Similar to {title}",
    "popular": "Popular right now",
    "trending": "Rising fast",
    "again": "You buy this regularly",
    "shoppers": "Chosen by shoppers like you",
    "linked": "Goes with what you chose",
    "factors": "Close to your taste",
    "sequence": "Often next after what you did",
}

ONCE: Final = "You bought this before"
"""Of "again" where it is no habit: a ranker is told of all that was bought."""

UNTRIED: Final = "Rarely shown so far: we are finding out who likes it"

# The items that reasons name, with what this shopper did with each.
NAME: Final = """
SELECT item_key.item, item_key.key, coalesce(nullif(title, ''), item_key.key), coalesce(kinds, 0),
       coalesce(cardinality(kept(bought)), 0)
FROM item_key
LEFT JOIN catalog_item ON catalog_item.id = item_key.item
LEFT JOIN subject_key ON subject_key.key = %(shopper)s
LEFT JOIN person USING (subject)
LEFT JOIN user_item ON user_item.item = item_key.item
    AND user_item.person = CASE WHEN person.subject IS NULL THEN subject_key.subject ELSE person.person END
WHERE item_key.item = ANY (%(items)s::int[])
"""


class Named(NamedTuple):
    """An item that a reason may name: what stands of what the shopper did with it, as a mask of
    kinds, and how often they bought it and kept it."""

    item_id: str
    title: str
    kinds: int
    times: int


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason. `item_id` is the item behind it, where there is one."""

    source: str
    text: str
    item_id: str | None = None

    def said(self) -> dict[str, str]:
        """As JSON has it."""
        named = {"source": self.source, "text": self.text}
        return named if self.item_id is None else {**named, "because": self.item_id}


def explain(
    chosen: Sequence[Candidate],
    shopper: str | None,
    pinned: Mapping[int, int],
    explored: int | None = None,
) -> dict[int, tuple[Reason, ...]]:
    """Reasons of each item. `pinned` is item → rule, `explored` the item that is being tried out."""
    named = _named({p.because for c in chosen for p in c.parts[:MOST] if p.because}, shopper)
    why = {
        c.item: (Reason("rule", "Picked by the shop"),) if c.item in pinned else _of(c, named)
        for c in chosen
    }
    if explored is not None:
        why[explored] = (Reason("explore", UNTRIED), *why[explored])[:MOST]
    return why


def _of(candidate: Candidate, named: Mapping[int, Named]) -> tuple[Reason, ...]:
    return tuple(_reason(part, named) for part in candidate.parts[:MOST])


def _reason(part: Part, named: Mapping[int, Named]) -> Reason:
    source = name_of(part.source)
    item = named.get(part.because or 0)
    if source == "again":
        is_habit = item is None or item.times >= HABIT
        return Reason(source, SENTENCES[source] if is_habit else ONCE)
    if item is None:
        return Reason(source, SENTENCES[source])
    deed = next((deed for kind, deed in DEEDS if item.kinds & 1 << kind), None)
    sentence = SENTENCES[source].format(title=item.title)
    return Reason(source, f"Because you {deed} {item.title}" if deed else sentence, item.item_id)


def _named(items: set[Any], shopper: str | None) -> dict[int, Named]:
    if not items:
        return {}
    with cursor() as hot:
        hot.execute(NAME, {"items": list(items), "shopper": shopper}, prepare=True)
        return {
            item: Named(key, title, _standing(kinds, keeps=times > 0), times)
            for item, key, title, kinds, times in hot.fetchall()
        }


def _standing(kinds: int, *, keeps: bool) -> int:
    """The kinds that surely stand: what was taken back once may have been done again, but only
    of purchases is it known."""
    undone = sum(1 << done for done, undo in UNDONE_BY.items() if kinds & 1 << undo)
    return kinds & ~undone | (keeps << Kind.PURCHASE)
