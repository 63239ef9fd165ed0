"""Gathering: the statements that ask every source at once.

Each says, of at most `pool` items that may be shown, what every source said of it; one more row
says where the statement stood. There is one for a shopper's own list, one for that list with what
a ranker is told of each candidate, one for what an item's page or a basket shows, and each again
for a list with a slot for the untried. What can be left out is not in the statement at all.
"""

from collections.abc import Sequence
from typing import Final

from behavior import people
from behavior.events import Kind
from recommend import again, shoppers, untried, vectors
from recommend.familiar import DEALT, FAMILIAR
from recommend.projections import content, covisit, popularity
from recommend.ranker import features, links, store
from recommend.sources import AGAIN, LINKED, POPULAR, SHOPPERS, TRENDING, VIEWED
from recommend.spaces import factors, sequence
from recommend.spaces import store as spaces

COLUMNS: Final = 12
SCORE: Final = 2
SPOKE: Final = 3
"""Of a row: how many columns describe the candidate, and where its score and its sources stand."""

HISTORY: Final = 30
"""Events of the shopper that seed a personal list."""

LONG: Final = 250
"""Candidates of a list of fifty; more are asked for a longer one, and by an evaluation."""

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
    'ranker', {store.LIVE}, 'encoder', {vectors.LIVE},
    'spaces', {spaces.LIVE}, 'history', ({{history}}){{trials}})::text
FROM (SELECT system_identifier::text AS epoch FROM pg_control_system()) AS here
"""

# Each source says (source, item, share of its best, the item behind it); an item's score is
# the sum of its shares times the scenario's weights. The catalogue is joined last and in
# order, so only as many rows are read as it takes to fill the pool. One more row, without an
# item, says where the statement stands.
GATHER: Final = f"""
WITH shopper AS MATERIALIZED (
    {people.OF_KEY.format(key="%(shopper)s")}
), dealt AS MATERIALIZED (
    {DEALT}
), dismissed AS MATERIALIZED (
    SELECT item FROM shopper JOIN user_item USING (person) WHERE (kinds & {1 << Kind.DISMISS}) <> 0
), familiar AS MATERIALIZED (
    {FAMILIAR}
), seed AS MATERIALIZED (
    {{seeds}}
), heard AS MATERIALIZED (
    {covisit.HEARD}
), taste AS MATERIALIZED (
    {content.TASTE}
){{spaces}}, {{proposed}}, fused AS MATERIALIZED (
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
  AND {{item}} NOT IN (SELECT item FROM familiar)
"""

_FAME: Final = f"""
SELECT popularity.score FROM popularity
WHERE popularity.category = {popularity.EVERYTHING} AND popularity.item = fused.item
"""

_BEST: Final = f"""
SELECT fused.item, item_id, score, sources, shares, becauses, lineage, brand, seller,
       CASE WHEN %(fame)s THEN ({_FAME}) END AS fame, item_passage.said,
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
# shopper's own purchases three of them, their neighbours, similar shoppers and links two. Far down
# neighbours have nothing sure to say any more; all that was ever bought, links and what is popular have
# (of groceries 500 candidates hold .43 instead of .40 of what was bought next; of what was new, .18
# instead of .14).
_TURNS: Final = {AGAIN: 3.0, VIEWED: 2.0, SHOPPERS: 2.0, LINKED: 2.0}
_FAR_DOWN: Final = _TURNS | {AGAIN: 30.0, LINKED: 10.0, POPULAR: 3.0, TRENDING: 3.0}


def _at_once(turns: dict[int, float]) -> str:
    return "".join(f" WHEN {source} THEN {several}" for source, several in turns.items())


_TURN: Final = f"""row_number() OVER (PARTITION BY source ORDER BY share DESC, item)
    / CASE WHEN %(pool)s > {LONG} THEN CASE source{_at_once(_FAR_DOWN)} ELSE 1.0 END
           ELSE CASE source{_at_once(_TURNS)} ELSE 1.0 END END"""

# For the ranker: what it is told of each of the best (features.JOINS), and all that the shopper ever bought.
_TOLD: Final = f"""
SELECT best.item, item_id, best.score, sources, shares, becauses, lineage, brand, seller, fame,
       said, attributes,
       {features.COLUMNS}
FROM ({_BEST.format(price=", price", first="turn, ")}) AS best {features.JOINS}
ORDER BY best.score DESC, best.item
"""


# For a list with a slot for what few have been shown: the newest beside the best, and what became
# of both so far.
_UNTRIED: Final = f""", best AS MATERIALIZED ({{best}}), newest AS MATERIALIZED (
    {untried.NEWEST.format(may_be_shown=_MAY_BE_SHOWN.format(item="catalog_item.id"))}
)"""
_SPACES: Final = f""", tastes AS MATERIALIZED (
    {factors.TASTE}
), ahead AS MATERIALIZED (
    {sequence.AHEAD}
)"""
_PERSONAL: Final = (shoppers.SOURCE, factors.SOURCE, sequence.SOURCE)
_PROPOSED: Final = "proposed(source, item, share, because) AS ({sources})"
# Links propose their best, and say of what others propose how loudly all speak for it.
_LINKED: Final = f"""unlinked(source, item, share, because) AS MATERIALIZED (
    {{sources}}
), spoken_for AS MATERIALIZED (
    {links.SPOKEN_FOR}
), proposed AS (
    SELECT * FROM unlinked UNION ALL {links.SOURCE}
)"""
_WITH_NEWEST: Final = "SELECT * FROM best UNION ALL SELECT *{none} FROM newest"


def _gathering(seeds: str, history: str, *, ranked: bool = False, exploring: bool = False) -> str:
    proposed = _proposed(() if seeds is GIVEN else _PERSONAL, ranked=ranked)
    said = {"seeds": seeds, "spaces": "" if seeds is GIVEN else _SPACES, "proposed": proposed,
            "history": history, "none": "", "turn": "", "turns": "", "untried": "", "trials": "",
            "best": _BEST.format(price="", first="")}  # fmt: skip
    if ranked:
        said |= {"best": _TOLD, "none": ", NULL", "turn": ", min(turn) AS turn",
                 "turns": f", {_TURN} AS turn"}  # fmt: skip
    if exploring:
        said |= {"untried": _UNTRIED.format(best=said["best"]),
                 "trials": f", 'trials', ({untried.TRIALS})",
                 "best": _WITH_NEWEST.format(none=said["none"])}  # fmt: skip
    return GATHER.format(**said | {"best": f"({said['best']})"})


def _proposed(personal: Sequence[str], *, ranked: bool) -> str:
    sources = (covisit.SOURCE, content.SOURCE, popularity.SOURCE, *personal,
               again.EVERY if ranked else again.SOURCE)  # fmt: skip
    return (_LINKED if ranked else _PROPOSED).format(sources=" UNION ALL ".join(sources))


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
       lineage, brand, seller, NULL, item_passage.said, attributes::text
FROM catalog_item
LEFT JOIN catalog_category ON catalog_category.id = catalog_item.category_id
LEFT JOIN item_passage ON item_passage.item = catalog_item.id
WHERE catalog_item.id = ANY (%(pins)s::int[]) AND available AND (stock IS NULL OR stock > 0)
  AND catalog_item.id <> ALL (%(left_out)s::int[])
  AND (%(category)s::int = {popularity.EVERYTHING} OR %(category)s = ANY (lineage))
"""
