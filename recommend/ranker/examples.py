"""Examples: lists of the past, with what the shopper bought in the weeks after.

For each of a few windows at the log's end the log before it is folded (recommend.split), every
source is asked as serving asks it, and what a shopper bought in the window (or did, where a shop
has another goal: recommend.goals) is what should have stood first. Where few come again, what the
last of them found new is held out, too, whenever that was. Each shopper gives two lists:
of all items, and of those that were new to them; of both it is kept what the ranker is told, and
what the blend would have made its list of.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, text

from behavior.user_state import KIND_LIST
from recommend import candidates, goals, split
from recommend.blend import Heard
from recommend.candidates import Gathered, Wanted
from recommend.goals import Goal
from recommend.projections.pairs import VISIT
from recommend.ranker import features, habits, links, looks
from recommend.ranker.features import Matrix
from recommend.ranker.looks import Looks, Worth
from recommend.split import Target
from recsite.db import cursor

SCHEMA: Final = "rec_examples"

LONGEST: Final = timedelta(days=30)
SHARE: Final = 6
"""A window is 30 days, or this part of a log that is shorter than that."""

WINDOWS: Final = 3
SHOPPERS: Final = 1_000
"""A window; each is asked for two lists, at about 25 ms."""

HEARD: Final = 200
"""Candidates of the blend: other weights than those they are drawn by find their best among them."""

# Both ends of the log by its key; whatever lies further back than windows can reach, a lone event
# of long ago, makes a young log no older.
SPAN: Final = f"""
WITH newest AS (
    SELECT uuid_extract_timestamp(id) AS at FROM event
    WHERE kind IN ({KIND_LIST}) AND subject IS NOT NULL AND id < first_id(%(until)s)
    ORDER BY id DESC LIMIT 1
)
SELECT (SELECT uuid_extract_timestamp(id) FROM event
        WHERE kind IN ({KIND_LIST}) AND subject IS NOT NULL AND id >= first_id(at - %(reach)s)
        ORDER BY id LIMIT 1), at
FROM newest
"""

SHOPPERS_SINCE: Final = """
SELECT count(DISTINCT subject) FROM event
WHERE id >= first_id(%(since)s) AND (%(strengths)s::float8[])[signal(kind, detail)] > 0
"""

NEWEST: Final = 10_000
"""Shoppers by whom it is told whether a shop's come again."""

# By the last deeds of who did more than one thing: whether most did them in one visit.
COMES_ONCE: Final = f"""
SELECT coalesce(avg(CASE WHEN visits = 1 THEN 1.0 ELSE 0.0 END) > 0.5, false) FROM (
    SELECT person, 1 + count(*) FILTER (WHERE at - before > {VISIT}) AS visits
    FROM (SELECT person, at, lag(at) OVER (PARTITION BY person ORDER BY at) AS before
          FROM (SELECT person, ids FROM user_state WHERE cardinality(ids) > 1
                ORDER BY ids[1] DESC LIMIT {NEWEST}) AS newest, unnest(ids) AS deed(id),
               LATERAL (SELECT uuid_extract_timestamp(id) AS at) AS moment) AS followed
    GROUP BY person) AS shopper
"""

INTERACTED: Final = -1
EITHER: Final = (0, INTERACTED)
"""Lists of all items, and those that leave out what the shopper dealt with."""


@dataclass(frozen=True, slots=True)
class Example:
    """A list: `told` (candidates, features), `wanted` (candidates), whether each was bought;
    `missed` how much was bought that should be in it and is not; `heard` the same list as the
    blend has it; `cut` where what was known ended; `is_new` whether it leaves out what the shopper had
    dealt with; `worth` (candidates), how much each says if it was bought, and none where all say as
    much (looks)."""

    person: int
    told: Matrix
    wanted: npt.NDArray[np.bool_]
    missed: int
    heard: Heard
    cut: datetime | None = None
    is_new: bool = False
    worth: npt.NDArray[np.float32] | None = None


def windows(until: datetime) -> list[tuple[datetime, datetime]]:
    """(cut, end) of each window before `until`, the newest first; none for an empty log."""
    with cursor() as hot:
        first, last = hot.execute(SPAN, {"until": until, "reach": LONGEST * SHARE}).fetchone() or (
            None,
            None,
        )
    if first is None:
        return []
    length = min(LONGEST, (last - first) / SHARE)
    end = last + timedelta(milliseconds=1)
    return [(end - length * (n + 1), end - length * n) for n in range(WINDOWS)]


def most_lists(spans: Sequence[tuple[datetime, datetime]], goal: Goal) -> int:
    """How many examples there can be at most: two of each shopper who reached it in a window."""
    if not spans:
        return 0
    told = {"since": spans[-1][0], "strengths": goals.strengths(goal)}
    with cursor() as hot:
        (shoppers,) = hot.execute(SHOPPERS_SINCE, told).fetchone() or (0,)
    return int(shoppers) * 2 * len(spans)


def comes_once() -> bool:
    """Whether most shoppers were here for one visit: weeks then say little of what is asked for."""
    with cursor() as hot:
        (once,) = hot.execute(COMES_ONCE).fetchone() or (False,)
    return bool(once)


Teach = Callable[[Connection, datetime], None]
"""Learns what else serves from the log in front, which ends at the cut."""


def collect(
    wanted: Wanted, cut: datetime, end: datetime, goal: Goal, shoppers: Any = iter,
    looked: Looks = looks.NONE, *, teach: Teach | None = None,
) -> Iterator[Example]:  # fmt: skip
    """The examples of a window. `shoppers` wraps the loop over shoppers (a progress bar); by `looked`
    it is told what a choice from one of our own lists is worth."""
    with split.before(cut, SCHEMA) as inside:
        _know(inside, cut, teach)
        targets = split.targets(inside, cut, end, goal, most=SHOPPERS)
        worth = looks.worth(inside, looked, cut, end, goal, [target.person for target in targets])
        yield from _lists(inside, wanted, cut, targets, worth, shoppers)


def collect_last(
    wanted: Wanted, end: datetime, goal: Goal, shoppers: Any = iter, *, teach: Teach | None = None,
    seen: Sequence[int] = EITHER,
) -> Iterator[Example]:  # fmt: skip
    """Those of who met something new last, as if they were asked for at the log's end: of a shop
    where few come again, whose weeks say little. Of all others it is known what came after."""
    with split.without_last_new(goal, SCHEMA, most=SHOPPERS) as (inside, targets):
        _know(inside, end, teach)
        yield from _lists(inside, wanted, end, targets, {}, shoppers, seen)


def _know(inside: Connection, cut: datetime, teach: Teach | None) -> None:
    # The name of no ranker: these are the habits and links that this split knows.
    habits.fill(inside, "", cut)
    links.fill(inside, "")
    inside.execute(text("ANALYZE item_habit, item_link"))
    if teach is not None:
        teach(inside, cut)


def _lists(
    inside: Connection, wanted: Wanted, cut: datetime, targets: Sequence[Target], worth: Worth,
    shoppers: Any, seen: Sequence[int] = EITHER,
) -> Iterator[Example]:  # fmt: skip
    """Of each shopper one for each mask of what it leaves out, where anything was chosen of it."""
    dealt = split.dealt(inside, [target.person for target in targets])
    for target in shoppers(targets):
        for mask in seen:
            relevant = target.items - dealt[target.person] if mask else target.items
            asked = replace(wanted, shopper=target.key, seen=mask, now=cut)
            example = _example(target.person, relevant, asked, worth.get(target.person))
            if example is not None:
                yield replace(example, cut=cut, is_new=mask == INTERACTED)


def _example(
    person: int, relevant: frozenset[int], asked: Wanted, worth: Mapping[int, float] | None
) -> Example | None:
    """Nothing is learned from a list in which nothing was bought."""
    gathered = candidates.gather(replace(asked, ranker=""))
    bought = _bought(gathered, relevant)
    if gathered.told is None or not bought.any():
        return None
    heard = _heard(candidates.gather(replace(asked, pool=HEARD)), relevant, asked.weights)
    missed = len(relevant) - int(bought.sum())
    return Example(person, gathered.told, bought, missed, heard, worth=_worth(gathered, worth))


def _heard(gathered: Gathered, relevant: frozenset[int], weights: Sequence[float]) -> Heard:
    bought = _bought(gathered, relevant)
    said = np.zeros((len(bought), len(weights)), dtype=np.float32)
    for place, candidate in enumerate(gathered.candidates):
        for part in candidate.parts:
            said[place, part.source - 1] = part.share / weights[part.source - 1]
    return Heard(said, bought, len(relevant) - int(bought.sum()))


def _worth(gathered: Gathered, worth: Mapping[int, float] | None) -> npt.NDArray[np.float32] | None:
    if not worth:
        return None
    return np.array([worth.get(c.item, 1.0) for c in gathered.candidates], dtype=np.float32)


def _bought(gathered: Gathered, relevant: frozenset[int]) -> npt.NDArray[np.bool_]:
    return np.array([candidate.item in relevant for candidate in gathered.candidates], dtype=bool)


def silenced(example: Example, silent: Sequence[int]) -> Example:
    """The same, had these sources said nothing; by their place in sources.NAMES. What they alone had
    proposed is missed, as it is where they do not serve."""
    said = example.heard.said.copy()
    said[:, list(silent)] = 0
    told, is_heard = features.silenced(example.told, silent)
    return replace(
        example,
        told=told,
        wanted=example.wanted[is_heard],
        missed=example.missed + int(example.wanted[~is_heard].sum()),
        heard=replace(example.heard, said=said),
        worth=None if example.worth is None else example.worth[is_heard],
    )


PARTS: Final = 5


def held_out(examples: Sequence[Example], part: int = 0) -> tuple[list[Example], list[Example]]:
    """Those to learn from, and those of every fifth shopper, who is never learned from."""
    learned = [e for e in examples if e.person % PARTS != part]
    return learned, [e for e in examples if e.person % PARTS == part]


def in_turn(
    examples: Sequence[Example], first: int = 0
) -> Iterator[tuple[list[Example], list[Example]]]:
    """The same for each fifth of the shoppers from the `first` on, where there is anything of both."""
    for part in range(first, PARTS):
        learned, held = held_out(examples, part)
        if learned and held:
            yield learned, held
