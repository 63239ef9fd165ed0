"""Suspects: shoppers who look like a bot, a crawler, a fraud or a name that many share.

It reads what is kept of each shopper anyway (their newest events, their dealings, their names),
never the log. It promises the worst MOST of them, each with its reasons and the figures behind
them, a function of those tables; and that nobody is hidden by it: a person decides that.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

import orjson
from django.db import transaction
from sqlalchemy import Column, DateTime, Index, Integer, SmallInteger, Table
from sqlalchemy.dialects.postgresql import JSONB

from behavior.events import Kind
from recsite.db import METADATA, cursor

suspect = Table(
    "suspect",
    METADATA,
    Column("person", Integer, primary_key=True, autoincrement=False),
    Column("score", SmallInteger, nullable=False),
    Column("reasons", JSONB, nullable=False),
    Column("seen_at", DateTime(timezone=True)),
    Index("suspect_score_idx", "score"),
)
"""score: 1 to 100. reasons: [{"reason", "figure", "of", "points"}], the heaviest first.
seen_at: their newest event; none where only the names are known."""

MOST: Final = 500

LEAST_TIMES: Final = 20
"""Below so many different moments a shopper says nothing about rhythm."""

LEAST_TAKEN_BACK: Final = 8

BOUNDS: Final[Mapping[str, float]] = {
    "rate": 30.0,  # different moments a minute, over the newest events
    "rhythm": 0.1,  # coefficient of variation of the pauses between them
    "breadth": 200.0,  # different items looked at in a day
    "refunds": 0.8,  # refunds to a purchase, among the newest events
    "removals": 0.9,  # baskets left to baskets filled
    "names": 20.0,  # names joined to one person
}
"""From here on (of `rhythm`: down from here) a figure is a reason. It weighs 40 points at the bound
and grows with the figure, to 80 at twice the bound; a score is the sum, at most 100."""

SLOWEST: Final = 600.0
"""Seconds. Longer pauses may be even because a file had only days in it."""

_LOOKS: Final = (1 << Kind.VIEW_ITEM) | (1 << Kind.SELECT_ITEM)

# A name to which others lead need not have said anything itself.
_NAMES: Final = "(count(*) + (NOT bool_or(subject = person))::int)"


def _points(reason: str, figure: str) -> str:
    return f"least(80, round(40 * {figure} / {BOUNDS[reason]}))"


# Only who was there on the log's last day is unpacked: of the rest a length and an id are read.
# The lines of one order share their moment, so rhythm counts moments and not lines.
LOOK: Final = f"""
WITH present AS (
    SELECT least(%(now)s, uuid_extract_timestamp(id)) AS moment FROM event ORDER BY id DESC LIMIT 1
), recent AS MATERIALIZED (
    SELECT person, uuid_extract_timestamp(ids[1]) AS seen_at, ids, signals FROM user_state, present
    WHERE ids[1] >= first_id(moment - interval '1 day')
), beat AS (
    SELECT person, at,
           extract(epoch FROM at - lag(at) OVER (PARTITION BY person ORDER BY at))::float8 AS pause
    FROM (SELECT DISTINCT person, uuid_extract_timestamp(id) AS at FROM recent, unnest(ids) AS id
          WHERE cardinality(ids) >= {LEAST_TIMES}) AS moments
), rhythm AS (
    SELECT person, count(*) AS of, avg(pause) AS pause,
           60 / avg(pause) AS rate, stddev_pop(pause) / avg(pause) AS variation
    FROM beat GROUP BY person HAVING count(*) >= {LEAST_TIMES}
), breadth AS (
    SELECT person, count(*) AS items
    FROM recent JOIN present ON cardinality(ids) >= {LEAST_TIMES} JOIN user_item USING (person)
    WHERE kinds & {_LOOKS} <> 0 AND last >= first_id(moment - interval '1 day')
    GROUP BY person HAVING count(*) >= {BOUNDS["breadth"]}
), dealt AS (
    SELECT person, count(*) FILTER (WHERE signal = {Kind.PURCHASE.value}) AS bought,
           count(*) FILTER (WHERE signal = {Kind.REFUND.value}) AS refunded,
           count(*) FILTER (WHERE signal = {Kind.ADD_TO_CART.value}) AS filled,
           count(*) FILTER (WHERE signal = {Kind.REMOVE_FROM_CART.value}) AS emptied
    FROM recent, unnest(signals) AS signal
    WHERE signals && ARRAY[{Kind.REFUND.value}, {Kind.REMOVE_FROM_CART.value}]::smallint[]
    GROUP BY person
), named AS (
    SELECT person, {_NAMES} AS names FROM person WHERE person IS NOT NULL
    GROUP BY person HAVING {_NAMES} >= {BOUNDS["names"]}
), reason AS (
    SELECT person, 'rate' AS reason, round(rate::numeric, 1) AS figure, of,
           {_points("rate", "rate")} AS points
    FROM rhythm WHERE rate >= {BOUNDS["rate"]}
    UNION ALL
    SELECT person, 'rhythm', round(variation::numeric, 3), of,
           80 - round(40 * variation / {BOUNDS["rhythm"]})
    FROM rhythm WHERE variation <= {BOUNDS["rhythm"]} AND pause <= {SLOWEST}
    UNION ALL
    SELECT person, 'breadth', items, items, {_points("breadth", "items")} FROM breadth
    UNION ALL
    SELECT person, 'refunds', refunded, bought, {_points("refunds", "refunded / greatest(bought, 1)::float8")}
    FROM dealt WHERE refunded >= {LEAST_TAKEN_BACK} AND refunded >= {BOUNDS["refunds"]} * bought
    UNION ALL
    SELECT person, 'removals', emptied, filled, {_points("removals", "emptied / greatest(filled, 1)::float8")}
    FROM dealt WHERE emptied >= {LEAST_TAKEN_BACK} AND emptied >= {BOUNDS["removals"]} * filled
    UNION ALL
    SELECT person, 'names', names, names, {_points("names", "names")} FROM named
), found AS MATERIALIZED (
    SELECT person, least(100, sum(points))::smallint AS score,
           jsonb_agg(jsonb_build_object('reason', reason, 'figure', figure, 'of', of, 'points', points)
                     ORDER BY points DESC, reason) AS reasons
    FROM reason GROUP BY person ORDER BY score DESC, person LIMIT {MOST}
), gone AS (
    DELETE FROM suspect WHERE person NOT IN (SELECT person FROM found)
), kept AS (
    INSERT INTO suspect AS old (person, score, reasons, seen_at)
    SELECT person, score, reasons, uuid_extract_timestamp(ids[1])
    FROM found LEFT JOIN user_state USING (person)
    ON CONFLICT (person) DO UPDATE SET
        score = excluded.score, reasons = excluded.reasons, seen_at = excluded.seen_at
    WHERE (old.score, old.reasons, old.seen_at)
        IS DISTINCT FROM (excluded.score, excluded.reasons, excluded.seen_at)
)
SELECT count(*) FROM found
"""

# Taken by whoever looks and whoever erases: or a look that began before an erasure committed
# would bring the erased back.
ALONE: Final = "SELECT pg_advisory_xact_lock(hashtext('recsite.suspects'))"


def look(now: datetime) -> int:
    """Replace the suspects by those of now; how many there are."""
    with transaction.atomic(), cursor() as hot:
        hot.execute(ALONE)
        (count,) = hot.execute(LOOK, {"now": now}).fetchone() or (0,)
        return int(count)


LISTED: Final = """
SELECT name, score, reasons::text FROM suspect_log ORDER BY score DESC, person
"""


def listed() -> list[tuple[str, int, list[dict[str, Any]]]]:
    """(name, score, reasons) of all suspects, the most suspect first."""
    with cursor() as hot:
        rows = hot.execute(LISTED).fetchall()
    return [(name, score, orjson.loads(reasons)) for name, score, reasons in rows]


SENTENCES: Final[Mapping[str, str]] = {
    "rate": "{figure:g} events a minute over their newest {of:g}",
    "rhythm": "pauses as even as a clock's (they vary by {percent} %)",
    "breadth": "{figure:g} different items looked at in a day",
    "refunds": "{figure:g} refunds to {of:g} purchases",
    "removals": "{figure:g} items taken out of the basket to {of:g} put in",
    "names": "{figure:g} names joined to one person",
}


def sentence(reason: Mapping[str, Any]) -> str:
    """A reason in words."""
    percent = f"{float(reason['figure']) * 100:.1f}".removesuffix(".0")
    return SENTENCES[reason["reason"]].format(
        figure=float(reason["figure"]), of=float(reason["of"]), percent=percent
    )


def sentences(reasons: Iterable[Mapping[str, Any]]) -> list[str]:
    """All reasons in words, the heaviest first."""
    return [sentence(reason) for reason in reasons]
