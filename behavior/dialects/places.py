"""Where a vendor keeps what our envelope asks for.

Pure. A place is the path of a field in a vendor's record ("properties.order_id"). It promises
that a record of any shape can be asked: what is not where it should be is not there.
"""

import uuid
from collections.abc import Mapping
from typing import Any, Final

from behavior.events import Kind, Rejection
from behavior.fields import absent, shown

Place = tuple[str, ...]
Fields = Mapping[str, tuple[Place, ...]]
"""For each of our fields the vendor's places for it; the first that is filled counts."""

LONGEST_UUID: Final = 45
"""A UUID with dashes, in braces, after urn:uuid:."""


def fields(**ours: str) -> Fields:
    """Fields from a line of words: order_id="properties.order_id properties.orderId"."""
    return {
        name: tuple(tuple(place.split(".")) for place in places.split())
        for name, places in ours.items()
    }


def at(raw: object, place: Place) -> Any:
    """What the record has at the place; None where it has nothing."""
    for step in place:
        if not isinstance(raw, dict):
            return None
        raw = raw.get(step)
    return raw


def read(raw: object, asked: Fields) -> dict[str, Any]:
    """Those of our fields that the record fills."""
    found: dict[str, Any] = {}
    for name, places in asked.items():
        for place in places:
            if not absent(value := at(raw, place)):
                found[name] = value
                break
    return found


def lines(listed: object, line: Fields) -> object:
    """The items of a list in our words; what is no list, or no object in it, as it is, for
    the envelope to refuse."""
    if not isinstance(listed, list):
        return listed
    return [read(each, line) if isinstance(each, dict) else each for each in listed]


def items(holder: object, listed: str, line: Fields) -> dict[str, Any]:
    """The items that a holder lists, or the one item that it is about itself."""
    several = at(holder, (listed,))
    if several is not None:
        return {"items": lines(several, line)}
    single = read(holder, line)
    return {"items": [single]} if "item_id" in single else {}


def event(name: object, names: Mapping[str, Kind]) -> object:
    """Our name for a vendor's; one that nobody knows as it is, for the envelope to refuse."""
    kind = names.get(name) if isinstance(name, str) else None
    return name if kind is None else kind.label


def foreign(name: object) -> Rejection:
    """The refusal of what says nothing about items or shoppers."""
    return Rejection(
        "not_a_shop_event", f"{shown(name)} tells of nothing that a shopper does with items."
    )


def served(said: dict[str, Any]) -> dict[str, Any]:
    """Without the token of a list that was never ours: the id of one of ours is a UUID."""
    token = said.get("recommendation_id")
    try:
        if token is not None:
            uuid.UUID(token if isinstance(token, str) and len(token) <= LONGEST_UUID else "")
    except ValueError:
        del said["recommendation_id"]
    return said
