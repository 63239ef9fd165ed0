"""Tuning: a scenario's weights, chosen by what shoppers took from lists of the log's last weeks.

Chosen on four shoppers of five and judged on the fifth, or where lists are few on each fifth in turn:
they become the scenario's own only where they are surely better there than those that stand. It promises
that every attempt is noted with its figures, also one that finds too few lists; that a change is a fact
as any other of a merchant's (so slates name it, and journeys into the past know it); and that by itself
it never touches weights that somebody chose (recommend.tunings).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
from django.db import transaction

from catalog import changes
from catalog.models import Scenario
from recommend import blend, surely, tunings
from recommend.ranker.examples import Example, held_out, in_turn
from recommend.sources import NAMES
from recommend.tunings import Begun, Judged, TooFew, Weights
from recsite.numbers import many

LEAST: Final = 100
"""Lists in which something was bought: there are eleven weights to find, not a network's thousands."""

LEAST_OF_EACH: Final = LEAST // 5
"""Lists to choose by, and lists to judge by: one shopper may have given most of them."""

FEW: Final = 1_000
SOME: Final = 300
"""Lists. Of fewer than FEW a fifth of the shoppers may not be sure of anything, so each fifth judges what
the others choose. (A grocery of six weeks: NDCG@10 of new items .034 with the weights that ship, .051 with
those it chose.) Of fewer than SOME all are too much alike: a shop of views chose by 147 of its weeks, and
what each would buy some day was found less well, .186 before and .172 after."""

EMPTY: Final = "the log is empty, so they stay as they are"


@dataclass(frozen=True, slots=True)
class Tuned:
    """What came of it, as a sentence."""

    said: str
    judged: Judged | None = None
    weights: Weights | None = None
    is_saved: bool = False


def tune(begun: Begun, goal: str, found: Sequence[Example], until: datetime) -> Tuned:
    """Choose the weights anew, and save them where they are surely better. `begun` is of before
    its lists were found."""
    scenario, stood = begun.scenario, begun.stood
    known, held = held_out(found)
    if lacks := lacking(len(found), len(held)):
        tunings.keep(scenario, until, stood, stood, TooFew(len(found), len(held), goal), False)
        return Tuned(f"{lacks}: they stay as they are")
    chosen = _climbed(known, stood)
    ours, theirs = _judged(held, chosen), _judged(held, stood)
    if SOME <= len(found) < FEW and not surely.is_better(ours, theirs):
        chosen, held = _climbed(found, stood), list(found)
        ours, theirs = _in_turn(found, stood)
    is_better = surely.is_better(ours, theirs)
    judged = Judged(len(held), len(known), surely.mean(ours), surely.mean(theirs), goal, is_better)
    # Both or neither: weights that were saved are noted, and what is noted as saved was.
    with transaction.atomic():
        is_saved = is_better and _save(begun, chosen)
        tunings.keep(scenario, until, stood, chosen, judged, is_saved)
    return Tuned(_sentence(judged, is_saved), judged, chosen, is_saved)


def lacking(found: int, held: int) -> str:
    """What there is too little of, in words; none where there is enough."""
    if found < LEAST:
        return f"{many(found, 'list')} to choose by, {LEAST} are needed"
    if min(found - held, held) < LEAST_OF_EACH:
        return (
            f"{many(found - held, 'list')} to choose by and {held} to judge by, {LEAST_OF_EACH} of"
            " each are needed"
        )
    return ""


# ── choosing and judging ───────────────────────────────────────────────────────────────────


def _climbed(known: Sequence[Example], stood: Weights) -> Weights:
    """What no list has heard, no step makes better, so it stays."""
    lists = blend.beside([example.heard for example in known], len(NAMES))
    gave = Counter(example.person for example in known)
    shares = np.array([1 / gave[example.person] for example in known]) / len(gave)
    best = blend.climb(lists, shares, np.array([stood[name] for name in NAMES]))
    return dict(zip(NAMES, map(float, best), strict=True))


def of_each(examples: Sequence[Example], weights: Weights) -> list[float]:
    """NDCG@10 of each list, as the blend with these weights has it."""
    lists = blend.beside([example.heard for example in examples], len(NAMES))
    return list(blend.ndcg(lists, [weights[name] for name in NAMES]))


def _in_turn(found: Sequence[Example], stood: Weights) -> tuple[list[float], list[float]]:
    """Of every shopper, by weights that the others choose, and by those that stand."""
    ours, theirs = [], []
    for known, held in in_turn(found):
        chosen = _climbed(known, stood)
        ours += _judged(held, chosen)
        theirs += _judged(held, stood)
    return ours, theirs


def _judged(held: Sequence[Example], weights: Weights) -> list[float]:
    return surely.by_shopper([example.person for example in held], of_each(held, weights))


# ── what is saved ──────────────────────────────────────────────────────────────────────────


def _save(begun: Begun, chosen: Weights) -> bool:
    """Compare and set: whoever chose meanwhile has the last word."""
    row = Scenario.objects.select_for_update().filter(name=begun.scenario).first()
    if row is None or tunings.has_changed(begun):
        return False
    for name, weight in chosen.items():
        setattr(row, name, weight)
    changes.save_scenario(row, by=tunings.TUNING)
    return True


def _sentence(judged: Judged, is_saved: bool) -> str:
    state = "not surely better, so they stay as they are"
    if judged.is_better:
        state = "saved" if is_saved else "somebody changed them meanwhile, so they stay as they are"
    return (
        f"chosen by {judged.learned} lists; on {judged.lists} that had no say in it NDCG@{blend.AT} "
        f"{judged.ndcg:.4f}, those that stood have {judged.stood:.4f}: {state}"
    )
