"""Learning spaces: both models from a log, judged on lists, live where they are good enough.

In each window that a ranker learns from they are learned from what was known before it, one window
after the other; the encoder of sequences goes on from the window before, never from the live one, which
knows what is held out. What lists of the last window
say of each alone decides whether what is learned from all goes live. It promises that a run which failed,
or was worse than what had been reached, leaves what serves as it is, and says so.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Final

import numpy as np
from sqlalchemy import Connection, text

from recommend import blend, surely, vectors
from recommend.blend import Lists
from recommend.fold import HERE
from recommend.sources import NAMES, POPULAR
from recommend.spaces import factors, newcomers, retained, shoppers, store, training
from recommend.spaces.deeds import ITEMS as MOST_ITEMS
from recommend.spaces.deeds import LEAST_KNOWN, Deeds, Whole, are_baskets, in_order, read
from recommend.spaces.lesson import PLACES, Aim
from recommend.spaces.network import Encoder
from recommend.spaces.rows import Placed
from recommend.spaces.store import FACTORS, KINDS, MEMBERS, SEQUENCE, InTheWay, Live, Made
from recsite.db import one_snapshot
from recsite.numbers import many

LEAST: Final = 500
"""Deeds, below which a space would be chance."""

LEAST_ITEMS: Final = 20

LEAST_LISTS: Final = 50
"""Of the last window, to judge by."""

ENOUGH: Final = 0.9
"""Of what the live one had reached beside what is popular. (On the same lists the live one would know
what came after.)"""

LEAST_NDCG: Final = 0.01

STEPS: Final = 6_000
"""Of the encoder that learns anew, at most: about two minutes of one core where there are 10,000 items.
Not a time, or the same log would teach another one where the machine is busy."""

FEWEST: Final = 200
TIMES: Final = 40
"""How often all deeds may be heard, if they are few."""

GOES_ON: Final = 0.5
"""Of the steps, where it goes on from the window before."""

FAILURES: Final = (ArithmeticError, MemoryError, RuntimeError, ValueError)
"""What numpy, scipy and torch raise where they cannot go on, and factors for implicit. The blend and the
ranker do."""

NONE_PLACED: Final = "; descriptions do not tell where items lie, so no newcomer is placed"

ERASURES: Final = "SELECT max(erasure) FROM erasure"


@dataclass(frozen=True, slots=True)
class Judged:
    """On `lists` of the last window: NDCG@10 of the space alone, and of what is popular."""

    lists: int
    ndcg: float
    popular: float

    @property
    def skill(self) -> float:
        """What it reaches for each that the popular reaches. LEAST_NDCG is added to both: in a large
        catalogue the popular reaches next to nothing, and twice that is no half of the skill."""
        return (self.ndcg + LEAST_NDCG) / (self.popular + LEAST_NDCG)


@dataclass(frozen=True, slots=True)
class Known:
    """What an encoder had learned, and of which items."""

    encoder: Encoder
    items: Whole


class Course:
    """What the windows teach, from the first to the last, and then the whole log."""

    def __init__(self, each: Callable[..., Any] = iter) -> None:
        self._each = each
        self._alpha: float | None = None
        self._before: Known | None = None
        self._made: dict[datetime, list[Made]] = {}
        self._judged: dict[str, Judged] = {}
        self._failed = ""

    def within(self, inside: Connection, cut: datetime) -> None:
        """Learn from the log in front, which ends at the cut, and let it serve there."""
        if cut not in self._made:
            try:
                self._made[cut] = self._learn(inside)
            except FAILURES as error:
                self._made[cut], self._failed = [], f"learning failed: {error}"
        for made in self._made[cut]:
            store.write(made)
            store.switch(inside, made, {}, cut)

    def anew(self, inside: Connection, cut: datetime) -> None:
        """The same where the log in front lacks deeds of before the cut. An encoder that had learned
        before may know them, so none goes on."""
        self._made.pop(cut, None)
        self._before = None
        self.within(inside, cut)

    def _learn(self, inside: Connection) -> list[Made]:
        deeds = read()
        if lacking(deeds):
            return []
        text_encoder = vectors.live(inside)
        made, encoder = self._sequence(deeds, text_encoder)
        return [self._factors(deeds, text_encoder), _with_shoppers(made, encoder, inside)]

    def _factors(self, deeds: Deeds, text_encoder: str | None) -> Made:
        # Chosen by the first window: what it asks of a shop does not change in weeks.
        self._alpha = self._alpha or factors.choose(deeds)
        return _placed(
            FACTORS, Placed(deeds.known, factors.learn(deeds, self._alpha)), text_encoder
        )

    def _sequence(self, deeds: Deeds, text_encoder: str | None) -> tuple[Made, Encoder]:
        encoder = training.train(
            in_order(deeds), len(deeds.known), most=self._steps(deeds),
            aim=Aim.LATER if are_baskets(deeds) else Aim.NEXT, warm=self._warm(deeds.known), each=self._each,
        )  # fmt: skip
        self._before = Known(encoder, deeds.known)
        return _placed(SEQUENCE, Placed(deeds.known, encoder.items), text_encoder), encoder

    def _steps(self, deeds: Deeds) -> int:
        whole = min(STEPS, FEWEST + TIMES * len(deeds) // PLACES)
        return whole if self._before is None else int(whole * GOES_ON)

    def _warm(self, items: Whole) -> Encoder | None:
        """The one before, with these items in this order."""
        if self._before is None:
            return None
        places, is_known = shoppers.places(self._before.items, items)
        rows = np.where(is_known[:, None], self._before.encoder.items[places], 0)
        return replace(self._before.encoder, items=rows.astype(np.float32))

    def judge(self, lists: Lists, persons: Sequence[int]) -> None:
        """Each kind alone, by lists of the last window, each of a person."""
        self._judged = judge(lists, persons)

    def unfit(self) -> list[str]:
        """Kinds of which none will serve: what is learned from lists must not hear them."""
        with one_snapshot() as inside:
            absent = [kind for kind in KINDS if store.live(inside, kind) is None]
        return [kind for kind in absent if not _is_fit(self._judged.get(kind))]

    def publish(self, until: datetime) -> list[str]:
        """Learn from all there is and let it serve, each kind that is good enough; a sentence each."""
        return [self._publish(kind, self._judged.get(kind), until) for kind in KINDS]

    def _publish(self, kind: str, judged: Judged | None, until: datetime) -> str:
        if self._failed:
            return _left(kind, self._failed, until)
        if judged is None:
            return _left(kind, self._unjudged(), until)
        with one_snapshot() as inside:
            before = store.live(inside, kind)
        if why := _not_good_enough(judged, before):
            return _left(kind, f"{_figures(judged)}: {why}", until, judged)
        try:
            return self.renew(kind, judged, until)
        except (InTheWay, *FAILURES) as error:
            return _left(kind, f"learning failed: {error}", until, judged)

    def _unjudged(self) -> str:
        with one_snapshot():
            why = lacking(read())
        return (
            why
            or f"fewer than {LEAST_LISTS} lists of the newest weeks to judge it by, so none serves anew"
        )

    def renew(self, kind: str, judged: Judged, until: datetime) -> str:
        """Learn it from all there is, whatever it replaces."""
        with one_snapshot() as inside:
            deeds, erasures = read(), inside.scalar(text(ERASURES))
            text_encoder = vectors.live(inside)
            since = inside.execute(text(HERE)).one().snapshot
        if why := lacking(deeds):
            return _left(kind, why, until)
        if kind == FACTORS:
            made, encoder = self._factors(deeds, text_encoder), None
        else:
            made, encoder = self._sequence(deeds, text_encoder)
        # Nobody is erased, and nobody followed, until the shoppers' vectors are switched in.
        with shoppers.alone():
            with one_snapshot() as inside:
                owes = inside.scalar(text(ERASURES)) != erasures
                if encoder is not None:
                    made = _with_shoppers(made, encoder, inside)
            store.publish(replace(made, owes=owes), asdict(judged), until)
        newcomers.place_since(since)
        placing = "" if made.ridge else NONE_PLACED
        return f"{kind}: learned from {_learned(deeds)}; {_figures(judged)}{placing}: live"

    def settle(self) -> list[str]:
        """Learn anew what is live and has learned from somebody who was erased since; a sentence each.
        Where too little is left for that, none serves."""
        with one_snapshot() as inside:
            retained.owe_since(inside)
            retained.forget_owed(inside)
            owing = [
                (kind, live) for kind in KINDS if (live := store.live(inside, kind)) and live.owes
            ]
        return [self._settle(kind, live) for kind, live in owing]

    def _settle(self, kind: str, live: Live) -> str:
        with one_snapshot():
            why = lacking(read())
        if why:
            return _ceased(kind, why)
        try:
            return self.renew(kind, Judged(**live.judged), live.until)
        except (InTheWay, *FAILURES) as error:
            return f"{kind}: {error}"


def lacking(deeds: Deeds) -> str:
    """What there is too little of; nothing where there is enough."""
    if len(deeds) >= LEAST and len(deeds.known) >= LEAST_ITEMS:
        return ""
    return (
        f"{many(len(deeds), 'deed')} with {many(len(deeds.known), 'item')} that {LEAST_KNOWN} "
        f"shoppers know, {LEAST} with {LEAST_ITEMS} are needed"
    )


def judge(lists: Lists, persons: Sequence[int]) -> dict[str, Judged]:
    """Each kind alone on lists of the last window, each of a person, beside what is popular."""
    if not persons:
        return {}
    popular = _alone(lists, persons, POPULAR)
    return {
        kind: Judged(len(persons), _alone(lists, persons, NAMES.index(kind) + 1), popular)
        for kind in KINDS
    }


def _alone(lists: Lists, persons: Sequence[int], source: int) -> float:
    weights = np.zeros(len(NAMES))
    weights[source - 1] = 1
    return surely.mean(surely.by_shopper(persons, blend.ndcg(lists, weights).tolist()))


def _is_fit(judged: Judged | None) -> bool:
    return judged is not None and judged.ndcg > 0 and judged.ndcg >= judged.popular


def _not_good_enough(judged: Judged, before: Live | None) -> str:
    """Why it may not replace what is live; nothing where it may."""
    if judged.ndcg == 0:
        return "it finds nothing, so it does not serve"
    if not _is_fit(judged):
        return "what is popular is better, so it does not serve"
    if before and "ndcg" in before.judged and judged.skill < ENOUGH * Judged(**before.judged).skill:
        return "the one that is live had reached more beside what is popular, so that stays"
    return ""


def _left(kind: str, why: str, until: datetime, judged: Judged | None = None) -> str:
    with one_snapshot() as inside:
        store.note_left(inside, kind, {"why": why} | (asdict(judged) if judged else {}), until)
    return f"{kind}: {why}"


def _ceased(kind: str, why: str) -> str:
    with shoppers.alone(), one_snapshot() as inside:
        store.cease(inside, kind)
    return f"{kind}: {why}, so what knew somebody who was erased does not serve any more"


def _figures(judged: Judged) -> str:
    return (
        f"alone NDCG@{blend.AT} {judged.ndcg:.4f} on {many(judged.lists, 'list')}, what is popular has "
        f"{judged.popular:.4f}"
    )


def _learned(deeds: Deeds) -> str:
    best_known = ", the best known ones" if len(deeds.known) == MOST_ITEMS else ""
    return (
        f"{many(len(deeds), 'deed')} of {many(len(np.unique(deeds.persons)), 'shopper')} with "
        f"{many(len(deeds.known), 'item')}{best_known}"
    )


def _placed(kind: str, known: Placed, text_encoder: str | None) -> Made:
    placed, ridge = newcomers.beside(known, text_encoder)
    # As the table has them: whoever is encoded now and whoever is later must be alike.
    halves = placed.vectors.astype(np.float16).astype(np.float32)
    if not np.isfinite(halves).all():
        raise ArithmeticError("vectors came of it that are no numbers")
    placed = replace(placed, vectors=halves)
    return Made(kind, {MEMBERS[kind][0]: placed}, ridge=ridge.as_bytes() if ridge else None)


def _with_shoppers(made: Made, encoder: Encoder, inside: Connection) -> Made:
    here = inside.execute(text(HERE)).one()
    standing = shoppers.newest(encoder, made.placed["sequence_item"])
    return replace(
        made, placed={**made.placed, "sequence_shopper": standing}, network=encoder.as_bytes(),
        snapshot=here.snapshot, epoch=here.epoch,
    )  # fmt: skip
