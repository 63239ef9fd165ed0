"""Candidates: one statement asks every source, fuses, and drops what may not be shown.

It promises at most `pool` items, each with what every source said of it, all on sale right
now: stock, availability and price are read from the live catalogue row. Removal has four
names here, and nowhere else: not on sale, seen, dismissed, outside the category asked for.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson

from behavior import people
from behavior.events import Kind, by_signal
from recommend import again, shoppers, untried, vectors
from recommend.projections import content, covisit, popularity
from recommend.ranker import features, store
from recommend.sources import AGAIN, SHOPPERS, VIEWED
from recsite.db import cursor

COLUMNS: Final = 12
SCORE: Final = 2
SPOKE: Final = 3

HISTORY: Final = 30
"""Events of the shopper that seed a personal list."""

SEED_WEIGHTS: Final = {
    Kind.VIEW_ITEM: 1.0, Kind.SELECT_ITEM: 1.0, Kind.ADD_TO_CART: 3.0, Kind.PURCHASE: 3.0,
    Kind.ADD_TO_WISHLIST: 3.0, Kind.RATE: 1.0, Kind.SHARE: 1.0, Kind.FOLLOW: 1.0,
    Kind.REMOVE_FROM_CART: -3.0, Kind.REFUND: -3.0, Kind.REMOVE_FROM_WISHLIST: -3.0,
    Kind.DISMISS: -1_000.0,
}  # fmt: skip
"""What takes back weighs as much as the deed, less; what is dismissed seeds nothing."""

_BY_SIGNAL: Final = by_signal(SEED_WEIGHTS)

PURCHASED: Final = 1 << Kind.PURCHASE
"""The mask of exclude_seen for what was bought, and not given back."""


@dataclass(frozen=True, slots=True)
class Part:
    """What one source said of a candidate: its share of the score, and the item behind it."""

    source: int
    share: float
    because: int | None


@dataclass(frozen=True, slots=True)
class Candidate:
    """An item that may be shown. `score` is the fused sum of its parts' shares; `fame` how popular it
    is in the whole shop (projections.popularity), where that was asked and is known."""

    item: int
    item_id: str
    score: float
    parts: tuple[Part, ...]
    lineage: tuple[int, ...]
    brand: str
    passage: int | None
    attributes: Mapping[str, Any]
    seller: str = ""
    fame: int | None = None


# What the shopper did lately; each step back in time weighs less.
PERSONAL: Final = f"""
SELECT item, weight FROM (
    SELECT item, sum(strength) AS total, sum(strength * power(age::float8, -0.3::float8)) AS weight
    FROM shopper JOIN user_state USING (person),
         unnest(items[:{HISTORY}], signals[:{HISTORY}]) WITH ORDINALITY AS recent(item, signal, age),
         LATERAL (SELECT (%(strengths)s::float8[])[signal] AS strength) AS known
    GROUP BY item) AS recalled
WHERE total > 0 AND weight > 0
"""

BEGAN_WITH: Final = """
SELECT json_build_array(cardinality(ids), ids[1], ids[cardinality(ids)])
FROM shopper JOIN user_state USING (person)
"""

# The item of the page, or the basket.
GIVEN: Final = (
    "SELECT DISTINCT item, 1.0::float8 AS weight FROM unnest(%(seeds)s::int[]) AS given(item)"
)

# Where this very statement stands: its snapshot of the log, which projections it read and how
# far they had folded, and how much of the shopper it began with. Asked by a statement of its
# own, a fold that commits in between would make it untrue.
STANDING: Final = f"""
SELECT json_build_object(
    'snapshot', pg_current_snapshot()::text, 'cluster', here.epoch,
    'projections', (SELECT json_object_agg(name, json_build_array(version, snapshot, settings))
                    FROM projection WHERE epoch = here.epoch),
    'ranker', {store.LIVE}, 'encoder', {vectors.LIVE}, 'history', ({{history}}){{trials}})::text
FROM (SELECT system_identifier::text AS epoch FROM pg_control_system()) AS here
"""

# Each source says (source, item, share of its best, the item behind it); an item's score is
# the sum of its shares times the scenario's weights. The catalogue is joined last and in
# order, so only as many rows are read as it takes to fill the pool. One more row, without an
# item, says where the statement stands.
GATHER: Final = f"""
WITH shopper AS MATERIALIZED (
    {people.OF_KEY.format(key="%(shopper)s")}
), dismissed AS MATERIALIZED (
    SELECT item FROM shopper JOIN user_item USING (person) WHERE (kinds & {1 << Kind.DISMISS}) <> 0
), seed AS MATERIALIZED (
    {{seeds}}
), heard AS MATERIALIZED (
    {covisit.HEARD}
), taste AS MATERIALIZED (
    {content.TASTE}
), proposed(source, item, share, because) AS (
    {covisit.SOURCE} UNION ALL {content.SOURCE} UNION ALL {popularity.SOURCE} UNION ALL {{shoppers}}{{again}}
), fused AS MATERIALIZED (
    SELECT item, sum(share) AS score, array_agg(source) AS sources, array_agg(share) AS shares,
           array_agg(because) AS becauses{{turn}}
    FROM (SELECT source, item, because, (%(weights)s::float8[])[source] * share AS share{{turns}}
          FROM proposed ORDER BY source) AS weighted
    WHERE share > 0 GROUP BY item
){{untried}}
{{best}}
UNION ALL
SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, ({STANDING}){{none}}
"""

# Of a live row, named by its item.
_MAY_BE_SHOWN: Final = f"""
available AND (stock IS NULL OR stock > 0)
  AND {{item}} <> ALL (%(left_out)s::int[])
  AND (%(category)s::int = {popularity.EVERYTHING} OR %(category)s = ANY (lineage))
  AND {{item}} NOT IN (SELECT item FROM dismissed)
  AND (%(seen)s::int = 0 OR NOT EXISTS (
          SELECT FROM user_item
          WHERE person = (SELECT person FROM shopper) AND user_item.item = {{item}}
            AND kinds & %(seen)s <> 0
            AND (%(seen)s <> {PURCHASED} OR kinds & {1 << Kind.REFUND} = 0 OR kept(bought) IS NOT NULL)))
"""

_FAME: Final = f"""
SELECT popularity.score FROM popularity
WHERE popularity.category = {popularity.EVERYTHING} AND popularity.item = fused.item
"""

_BEST: Final = f"""
SELECT fused.item, item_id, score, sources, shares, becauses, lineage, brand, seller,
       CASE WHEN %(fame)s THEN ({_FAME}) END AS fame, passage,
       CASE WHEN %(attributes)s THEN attributes::text END AS attributes{{price}}
FROM (SELECT * FROM fused ORDER BY {{first}}score DESC, item) AS fused
JOIN catalog_item ON catalog_item.id = fused.item
LEFT JOIN catalog_category ON catalog_category.id = catalog_item.category_id
LEFT JOIN item_passage ON item_passage.item = fused.item
WHERE {_MAY_BE_SHOWN.format(item="fused.item")}
ORDER BY {{first}}score DESC, fused.item
LIMIT %(pool)s
"""
# The ranker may find the best deep in any source, so they take turns: each proposes its next, the
# shopper's own purchases three of them, their neighbours and similar shoppers two.
_TURN: Final = f"""row_number() OVER (PARTITION BY source ORDER BY share DESC, item)
    / CASE source WHEN {AGAIN} THEN 3.0 WHEN {VIEWED} THEN 2.0
                  WHEN {SHOPPERS} THEN 2.0 ELSE 1.0 END"""

# For the ranker: one look-up more for each of the best, and all that the shopper ever bought.
_TOLD: Final = f"""
SELECT best.item, item_id, best.score, sources, shares, becauses, lineage, brand, seller, fame,
       passage, attributes,
       {features.COLUMNS}
FROM ({_BEST.format(price=", price", first="turn, ")}) AS best {features.JOINS}
ORDER BY best.score DESC, best.item
"""


# For a list with a slot for what few have been shown: the newest beside the best, and what became
# of both so far.
_UNTRIED: Final = f""", best AS MATERIALIZED ({{best}}), newest AS MATERIALIZED (
    {untried.NEWEST.format(may_be_shown=_MAY_BE_SHOWN.format(item="catalog_item.id"))}
)"""
_WITH_NEWEST: Final = "SELECT * FROM best UNION ALL SELECT *{none} FROM newest"


def _gathering(seeds: str, history: str, *, ranked: bool = False, exploring: bool = False) -> str:
    peers = f"{shoppers.SOURCE} UNION ALL " if seeds is PERSONAL else ""
    said = {"seeds": seeds, "shoppers": peers, "history": history, "again": again.SOURCE,
            "none": "", "turn": "", "turns": "", "untried": "", "trials": "",
            "best": _BEST.format(price="", first="")}  # fmt: skip
    if ranked:
        said |= {"again": again.EVERY, "best": _TOLD, "none": ", NULL",
                 "turn": ", min(turn) AS turn", "turns": f", {_TURN} AS turn"}  # fmt: skip
    if exploring:
        said |= {"untried": _UNTRIED.format(best=said["best"]),
                 "trials": f", 'trials', ({untried.TRIALS})",
                 "best": _WITH_NEWEST.format(none=said["none"])}  # fmt: skip
    return GATHER.format(**said | {"best": f"({said['best']})"})


GATHER_PERSONAL: Final = _gathering(PERSONAL, BEGAN_WITH)
GATHER_RANKED: Final = _gathering(PERSONAL, BEGAN_WITH, ranked=True)
GATHER_GIVEN: Final = _gathering(GIVEN, "NULL")

EXPLORING: Final = {
    GATHER_PERSONAL: _gathering(PERSONAL, BEGAN_WITH, exploring=True),
    GATHER_RANKED: _gathering(PERSONAL, BEGAN_WITH, ranked=True, exploring=True),
    GATHER_GIVEN: _gathering(GIVEN, "NULL", exploring=True),
}
"""The same statements for a list with a slot for what few have been shown."""

# Items that the merchant pinned, where they may be shown.
PINNED: Final = f"""
SELECT catalog_item.id, item_id, 0.0::float8, ARRAY[]::int[], ARRAY[]::float8[], ARRAY[]::int[],
       lineage, brand, seller, NULL, passage, attributes::text
FROM catalog_item
LEFT JOIN catalog_category ON catalog_category.id = catalog_item.category_id
LEFT JOIN item_passage ON item_passage.item = catalog_item.id
WHERE catalog_item.id = ANY (%(pins)s::int[]) AND available AND (stock IS NULL OR stock > 0)
  AND catalog_item.id <> ALL (%(left_out)s::int[])
  AND (%(category)s::int = {popularity.EVERYTHING} OR %(category)s = ANY (lineage))
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the sources are asked. `seeds` None: the shopper's own history.

    `weights` are in the order of sources; `seen` is a bit mask of event kinds; `category`
    is popularity.EVERYTHING for the whole shop; `attributes` are read only where a rule asks, and
    `fame` where it matters. With a `ranker` and `now` each candidate is described to it. With
    `listed`, the length of the list, what few have been shown is found beside the candidates.
    """

    shopper: str | None
    seeds: Sequence[int] | None
    weights: Sequence[float]
    category: int
    seen: int
    pool: int
    attributes: bool = False
    ranker: str | None = None
    now: datetime | None = None
    fame: bool = False
    listed: int | None = None


Order = Callable[[features.Matrix], npt.NDArray[np.intp]]
"""Rows of the matrix, the best first."""

RANKED: Final = 100
"""Candidates that are put in order by a ranker. Of 300 the best ten are hardly other ones
(measured: NDCG@10 0.385 against 0.382), and describing them takes twice the statement."""


class Gathered(NamedTuple):
    """The best candidates, best first, equal scores in the order of interned ids; where the
    statement stood that found them; what the ranker is told, a row a candidate; and the newest
    items, of which no source spoke."""

    candidates: list[Candidate]
    standing: dict[str, Any]
    told: features.Matrix | None = None
    newest: Sequence[Candidate] = ()


def gather(wanted: Wanted, order: Order | None = None) -> Gathered:
    """Ask every source at once.

    With an `order` that many more are asked for, and of the candidates in that order the first
    `wanted.pool` come back. Their scores are those of the blend, handed out anew from the highest
    down: so a merchant's factors, and the weight of diversity, mean the same in any order.
    """
    with cursor() as hot:
        hot.execute(_statement(wanted), _parameters(wanted), prepare=True, binary=True)
        *every, standing = hot.fetchall()
    rows = [row for row in every if row[SPOKE]]
    newest = [_candidate(row, row[SCORE]) for row in every if not row[SPOKE]]
    told = _told(wanted, rows)
    scores = [row[SCORE] for row in rows]
    if order is not None and told is not None:
        rows = [rows[n] for n in order(told)[: wanted.pool]]
    found = [_candidate(row, score) for row, score in zip(rows, scores, strict=False)]
    return Gathered(found, orjson.loads(standing[COLUMNS - 1]), told, newest)


def _statement(wanted: Wanted) -> str:
    personal = GATHER_PERSONAL if wanted.ranker is None else GATHER_RANKED
    statement = personal if wanted.seeds is None else GATHER_GIVEN
    return statement if wanted.listed is None else EXPLORING[statement]


def _told(wanted: Wanted, rows: Sequence[tuple[Any, ...]]) -> features.Matrix | None:
    """Shares as the sources gave them, whatever weights the merchant gives the sources."""
    if wanted.ranker is None or wanted.now is None:
        return None
    shares = np.zeros((len(rows), len(wanted.weights)))
    places = [place for place, row in enumerate(rows) for _ in row[3]]
    sources = np.array([source - 1 for row in rows for source in row[3]], dtype=np.intp)
    shares[places, sources] = [share for row in rows for share in row[4]]
    shares /= np.maximum(wanted.weights, 1e-9)
    return features.matrix(shares, [row[COLUMNS] for row in rows], _hour(wanted.now))


def _hour(now: datetime) -> int:
    return int(now.timestamp() // 3600)


def pinned(items: Sequence[int], wanted: Wanted) -> dict[int, Candidate]:
    """Those of the items that may be shown in this list. A pin outweighs `seen`."""
    given = {"pins": list(items), "left_out": list(wanted.seeds or ()), "category": wanted.category}
    with cursor() as hot:
        hot.execute(PINNED, given, prepare=True)
        return {row[0]: _candidate(row, row[SCORE]) for row in hot.fetchall()}


def _parameters(wanted: Wanted) -> dict[str, Any]:
    return {
        "shopper": wanted.shopper,
        "strengths": _BY_SIGNAL,
        "seeds": list(wanted.seeds or ()),
        "left_out": list(wanted.seeds or ()),
        "weights": [float(weight) for weight in wanted.weights],
        "category": wanted.category,
        "seen": wanted.seen,
        "pool": wanted.pool if wanted.ranker is None else max(wanted.pool, RANKED),
        "attributes": wanted.attributes,
        "ranker": wanted.ranker,
        "hour": _hour(wanted.now) if wanted.now else None,
        "fame": wanted.fame,
        "listed": wanted.listed,
    }


def _candidate(row: tuple[Any, ...], score: float) -> Candidate:
    (item, item_id, _, sources, shares, becauses, lineage, brand, seller, fame, passage,
     attributes) = row[:COLUMNS]  # fmt: skip
    parts = sorted(map(Part, sources, shares, becauses), key=lambda p: (-p.share, p.source))
    # Django's connection hands JSONB over as text.
    known = orjson.loads(attributes) if attributes else {}
    return Candidate(
        item,
        item_id,
        score,
        tuple(parts),
        tuple(lineage or ()),
        brand,
        passage,
        known,
        seller,
        fame,
    )
