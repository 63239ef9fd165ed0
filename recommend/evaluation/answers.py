"""What the serving path answers in a split of the log: the list, and all that it was chosen from.

Lists are those of recommend.pipeline. The candidates are gathered as it gathers them, but five
hundred at once, in the order in which they would be shown if nothing were diversified or pinned.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from catalog.wishes import wishes
from recommend import ordering, rules
from recommend.candidates import Wanted
from recommend.pipeline import SEEN, Ask, Refused, compose
from recommend.projections.popularity import EVERYTHING
from recommend.sources import NAMES

DEPTH: Final = 500


@dataclass(frozen=True, slots=True)
class Answer:
    """Interned ids, the best first."""

    shown: Sequence[int]
    gathered: Sequence[int]


def answer(ask: Ask, now: datetime) -> Answer:
    """Ask for one shopper. Raises pipeline.Refused."""
    shown = [item.item for item in compose(ask, now).items]
    return Answer(shown, gather(ask, now))


def gather(ask: Ask, now: datetime, *, depth: int = DEPTH) -> list[int]:
    """The first `depth` candidates, in the scenario's order. Raises pipeline.Refused."""
    found = wishes(ask.scenario, now)
    if found is None:
        raise Refused(404, "unknown_scenario", f"There is no scenario {ask.scenario!r}.")
    settings, in_force = found
    wanted = Wanted(
        shopper=ask.shopper,
        seeds=None if settings.recipe == "personal" else [],
        weights=[getattr(settings, name) for name in NAMES],
        category=EVERYTHING,
        seen=SEEN[ask.exclude_seen or settings.exclude_seen],
        pool=depth,
        attributes=any(rule.attribute for rule in in_force),
        now=now,
    )
    weighed = rules.weigh(ordering.gather(wanted).candidates, in_force)
    return [candidate.item for candidate in weighed.candidates]
