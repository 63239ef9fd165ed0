"""Other vendors' records in the words of our envelope: Segment, GA4, Shopify, Retail, Recombee.

Pure: one file a dialect, each with NAME, NAMES (its name for a kind), FOREIGN (its names for
what has no meaning here), FIELDS and LINE (where it keeps ours), `speaks(raw)` and
`translate(raw)`. It promises never to raise, work in proportion to the record, and that
nothing is dropped in silence; whether a record is good, the envelope says.
"""

from collections.abc import Mapping
from typing import Any, Final, Protocol

from behavior.dialects import ga4, places, recombee, retail, segment, shopify
from behavior.dialects.places import Fields
from behavior.events import BY_NAME, Kind, Rejection


class Dialect(Protocol):
    """How a vendor tells of a shop's events."""

    @property
    def NAME(self) -> str: ...
    @property
    def NAMES(self) -> Mapping[str, Kind]: ...
    @property
    def FOREIGN(self) -> frozenset[str]: ...
    @property
    def FIELDS(self) -> Fields: ...
    @property
    def LINE(self) -> Fields: ...

    def speaks(self, raw: Mapping[str, Any]) -> bool: ...
    def translate(self, raw: Mapping[str, Any]) -> list[Any]: ...


DIALECTS: Final[tuple[Dialect, ...]] = (segment, ga4, shopify, retail, recombee)

ALIASES: Final = {
    name: kind.label for dialect in DIALECTS for name, kind in dialect.NAMES.items()
} | {name: name for name in BY_NAME}
"""Every vendor's name, in our own envelope too; no name means two kinds."""

FOREIGN: Final = frozenset().union(*(dialect.FOREIGN for dialect in DIALECTS))

BODIES: Final = (segment.batch, ga4.split, retail.inline, recombee.batch)


def records(body: Mapping[str, Any]) -> object:
    """The records that a vendor's body of many holds; None where it is no such body."""
    if "event" in body:
        return None
    return next((held for body_of in BODIES if (held := body_of(body)) is not None), None)


def translate(raw: object) -> list[Any]:
    """The records of our envelope, or Rejections, that one record of any dialect says.

    Ours go through as they are, after two look-ups: an import has a million of them.
    """
    if not isinstance(raw, dict):
        return [raw]
    name = raw.get("event")
    if name.__class__ is str and name in BY_NAME and ("user_id" in raw or "anonymous_id" in raw):
        return [raw]
    for dialect in DIALECTS:
        if dialect.speaks(raw):
            said = dialect.translate(raw)
            return said or [Rejection("no_events", "The record holds no events.")]
    return [_by_name(raw, name)]


def _by_name(raw: dict[str, Any], name: object) -> object:
    """A record of our own with a vendor's name for the event."""
    if not isinstance(name, str):
        return raw
    if name in FOREIGN and name not in BY_NAME:
        return places.foreign(name)
    return {**raw, "event": ALIASES[name]} if name in ALIASES else raw
