"""The past: the catalogue and the merchant's wishes as the visible log tells them.

It knows how items, categories, scenarios and rules follow from the facts that were appended
when they changed, and makes tables of them in a schema of its own, so that whoever puts that
schema in front of search_path reads the catalogue of that moment. `event` decides how far it
looks: a view that leaves facts out. Ids are those of the live tables. It never writes to
those.

What no fact tells: a scenario that ships stands as it is until its first change, whose fact
says what was before; a category that nothing has named yet is not there.
"""

from collections.abc import Sequence
from typing import Final

import orjson

from behavior.events import Kind
from catalog.countings import Counting, of_json, wanted
from catalog.feed import LEVEL
from catalog.scenarios import LATER
from recsite.db import cursor

TABLES: Final = (
    "catalog_category", "catalog_item", "catalog_scenario", "catalog_rule",
    "catalog_rule_scenarios",
)  # fmt: skip

VERSION: Final = 2
"""Of these tables' columns: a schema that was kept by other code may lack what serving reads."""

LIVE: Final = "public"
LOG: Final = "rec"

_CHANGED: Final = Kind.ITEM_CHANGED.value
_GOODS: Final = f"{Kind.ITEM_CHANGED.value}, {Kind.ITEM_REMOVED.value}"
_WISH: Final = Kind.RULE_CHANGED.value

# A merchant's fact has no subject; that condition finds the few of them through an index.
_FACTS: Final = f"""
SELECT id, (detail->'{{what}}'->>'id')::bigint AS about, detail->'{{what}}' AS said,
       detail->'before' AS before, detail ? 'deleted' AS deleted
FROM {{event}} WHERE subject IS NULL AND kind = {_WISH} AND detail ? '{{what}}'
"""

# What each was last said to be; of one that is only spoken of later, what its first fact says
# was before.
_STOOD: Final = f"""
WITH told AS MATERIALIZED ({_FACTS.format(event="event", what="{what}")}),
ever AS MATERIALIZED ({_FACTS.format(event=f"{LOG}.event", what="{what}")})
SELECT about, said
FROM (SELECT DISTINCT ON (about) * FROM told ORDER BY about, id DESC) AS newest
WHERE NOT deleted
UNION ALL
SELECT about, before
FROM (SELECT DISTINCT ON (about) * FROM ever ORDER BY about, id) AS first
WHERE about NOT IN (SELECT about FROM told) AND before <> 'null'
"""

# What is not spoken of at all stands as it is.
_UNTOLD: Final = f"""
SELECT * FROM {LIVE}.catalog_{{what}} AS live
WHERE NOT EXISTS (SELECT FROM ({_FACTS.format(event=f"{LOG}.event", what="{what}")}) AS ever
                  WHERE about = live.id)
"""

# Every path that a fact names, with all above it; a path that is not there any more gets an
# id that no category has.
CATEGORIES: Final = f"""
WITH named AS (
    SELECT detail->>'category' AS path FROM event
    WHERE subject IS NULL AND kind = {_CHANGED}
    UNION SELECT said->>'category' FROM ({_STOOD.format(what="rule")}) AS stood
    UNION SELECT path FROM {LIVE}.catalog_category AS category
          JOIN ({_UNTOLD.format(what="rule")}) AS untold ON untold.category_id = category.id
    UNION SELECT unnest(%(named)s::text[])
), level AS (
    SELECT DISTINCT array_to_string(names[:depth], '{LEVEL}') AS path, names[:depth] AS names, depth
    FROM (SELECT string_to_array(path, '{LEVEL}') AS names FROM named WHERE path <> '') AS split,
         generate_subscripts(names, 1) AS depth
), numbered AS MATERIALIZED (
    SELECT coalesce(known.id, -row_number() OVER (ORDER BY path)) AS id, path, names, depth
    FROM level LEFT JOIN {LIVE}.catalog_category AS known USING (path)
), rooted AS (
    SELECT low.id, low.path, low.names, low.depth, array_agg(up.id ORDER BY up.depth) AS lineage
    FROM numbered AS low CROSS JOIN generate_series(1, low.depth) AS above
    JOIN numbered AS up ON up.path = array_to_string(low.names[:above], '{LEVEL}')
    GROUP BY 1, 2, 3, 4
)
INSERT INTO {{schema}}.catalog_category (id, path, name, parent_id, lineage)
SELECT id, path, names[depth], lineage[depth - 1], lineage FROM rooted
"""

ITEMS: Final = f"""
INSERT INTO {{schema}}.catalog_item (id, item_id, title, description, category_id, brand, seller,
    price, currency, stock, available, image, attributes, changed_at)
SELECT item, key, coalesce(title, ''), coalesce(description, ''), category.id, coalesce(brand, ''),
       coalesce(seller, ''), price, coalesce(currency, ''), stock, coalesce(available, true),
       coalesce(image, ''), coalesce(attributes, '{{{{}}}}'), occurred_at
FROM (SELECT DISTINCT ON (item) item, kind, occurred_at, detail FROM event
      WHERE subject IS NULL AND kind IN ({_GOODS}) AND item IS NOT NULL
      ORDER BY item, id DESC) AS newest
JOIN item_key USING (item)
LEFT JOIN LATERAL jsonb_to_record(detail) AS said(title text, description text, category text, brand text,
    seller text, price numeric, currency text, stock int, available bool, image text,
    attributes jsonb) ON true
LEFT JOIN {{schema}}.catalog_category AS category ON category.path = said.category
WHERE kind = {_CHANGED}
"""

# Settings that a fact does not name were not there yet, and hence off.
SCENARIOS: Final = f"""
INSERT INTO {{schema}}.catalog_scenario
SELECT (jsonb_populate_record(live, %(later)s::jsonb || said)).*
FROM ({_STOOD.format(what="scenario")}) AS stood
LEFT JOIN {LIVE}.catalog_scenario AS live ON live.id = about
UNION ALL {_UNTOLD.format(what="scenario")}
"""

RULES: Final = f"""
INSERT INTO {{schema}}.catalog_rule
SELECT (jsonb_populate_record(live, said || jsonb_build_object('category_id', category.id))).*
FROM ({_STOOD.format(what="rule")}) AS stood
LEFT JOIN {LIVE}.catalog_rule AS live ON live.id = about
LEFT JOIN {{schema}}.catalog_category AS category ON category.path = said->>'category'
UNION ALL {_UNTOLD.format(what="rule")}
"""

PLACES_OF_RULES: Final = f"""
INSERT INTO {{schema}}.catalog_rule_scenarios (id, rule_id, scenario_id)
SELECT row_number() OVER (ORDER BY rule, scenario), rule, scenario FROM (
    SELECT about AS rule, scenario.id AS scenario
    FROM ({_STOOD.format(what="rule")}) AS stood
    CROSS JOIN jsonb_array_elements_text(said->'scenarios') AS place(name)
    JOIN {{schema}}.catalog_scenario AS scenario USING (name)
    UNION ALL
    SELECT rule_id, scenario_id
    FROM {LIVE}.catalog_rule_scenarios AS live
    JOIN ({_UNTOLD.format(what="rule")}) AS untold ON untold.id = rule_id
) AS placed
"""

FILL: Final = (CATEGORIES, ITEMS, SCENARIOS, RULES, PLACES_OF_RULES)


def build(schema: str, named: Sequence[str] = ()) -> None:
    """Make the catalogue's tables in `schema`, anew where they are there, from `event`.

    `named` are category paths that are known to have been there. The schema's name is taken
    as it is, so it must not come from outside unchecked.
    """
    given = {"named": list(named), "later": orjson.dumps(LATER).decode()}
    with cursor() as hot:
        for table in TABLES:
            hot.execute(f"DROP TABLE IF EXISTS {schema}.{table}")
            hot.execute(f"CREATE TABLE {schema}.{table} (LIKE {LIVE}.{table} INCLUDING ALL)")
        for statement in FILL:
            hot.execute(statement.format(schema=schema), given)


# How a projection was told to count: what was said last, or what the first fact after it says
# was before.
COUNTING: Final = f"""
SELECT said::text FROM (
    (SELECT detail->'weights' AS said, 1 AS place FROM event
     WHERE subject IS NULL AND kind = {_WISH} AND detail->'weights'->>'projection' = %(name)s
     ORDER BY id DESC LIMIT 1)
    UNION ALL
    (SELECT detail->'before', 2 FROM {LOG}.event
     WHERE subject IS NULL AND kind = {_WISH} AND detail->'weights'->>'projection' = %(name)s
     ORDER BY id LIMIT 1)) AS told
ORDER BY place LIMIT 1
"""


def counting(projection: str) -> Counting:
    """What the projection was told; where no fact says anything, what it is told now."""
    with cursor() as hot:
        row = hot.execute(COUNTING, {"name": projection}).fetchone()
    return wanted(projection) if row is None else of_json(orjson.loads(row[0]))
