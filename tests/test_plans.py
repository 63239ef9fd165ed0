"""The plans of the hot statements: each look-up through its index, no big table read whole.

On a shop large enough for Postgres to care, and as the application runs them: what serves is
planned once for all parameters, what folds is planned for the parameters it has.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

import orjson
import pytest
from django.db import transaction
from sqlalchemy import text

from behavior import attribution, log, position, slates, user_state
from behavior.counted import SIGNED
from behavior.events import by_signal
from behavior.names import INTERN
from catalog.countings import SHIPPED
from recommend import fold, gathering, pipeline, reasons
from recommend.projections import content, covisit, neighbours, popularity
from recommend.sources import VIEWED
from recommend.spaces import shoppers as followed
from recsite.db import connection, cursor
from tests.conftest import wipe
from tests.given import advance, ask, given, view

LARGE_TABLES = (
    "item_key", "subject_key", "catalog_item", "user_state", "user_item", "neighbours", "covisit",
    "item_count", "popularity", "popularity_day", "embedding", "item_passage", "slate", "attribution",
    "item_habit", "item_link",
    "event_2026_01", "event_2026_02", "event_2026_03", "event_late",
)  # fmt: skip

FRESH = 30
"""Events that have come since the last fold."""

FILL = (
    "INSERT INTO item_key (key) SELECT 'i' || n FROM generate_series(1, 5000) AS n",
    "INSERT INTO subject_key (key) SELECT 'user:u' || n FROM generate_series(1, 1000) AS n",
    "INSERT INTO catalog_category (path, name, lineage) VALUES ('Home', 'Home', '{1}')",
    """
    INSERT INTO catalog_item (id, item_id, title, description, category_id, brand, seller, currency,
                              available, image, attributes, changed_at)
    SELECT item, key, key, '', CASE WHEN item % 20 = 0 THEN 1 END, '', '', '', true, '', '{}', now()
    FROM item_key
    """,
    "SELECT make_month(2026, month) FROM generate_series(1, 3) AS month",
    # Views and purchases, from the 1st of January into March.
    """
    INSERT INTO event (id, kind, subject, item)
    SELECT event_id('2026-01-01Z'::timestamptz + n * interval '3 minutes', 0, n::text), 1 + n % 2 * 7,
           1 + (hashint4(n) & 511), 1 + (hashint4(-n) & 4095) FROM generate_series(1, 30000) AS n
    """,
    # A year that nobody has made partitions for.
    """
    INSERT INTO event (id, kind, subject, item)
    SELECT event_id('2019-01-01Z'::timestamptz + n * interval '1 hour', 0, n::text), 1,
           1 + (hashint4(n) & 511), 1 + (hashint4(-n) & 4095) FROM generate_series(1, 1000) AS n
    """,
    """
    INSERT INTO passage (body, digest)
    SELECT n::text, md5(n::text)::uuid FROM generate_series(1, 1000) AS n
    """,
    """
    INSERT INTO embedding (passage, vector)
    SELECT n, (SELECT array_agg(sin(n * k)) FROM generate_series(1, 512) AS k)::real[]::halfvec(512)
    FROM generate_series(1, 1000) AS n
    """,
    "INSERT INTO item_passage (item, passage, as_of) SELECT item, 1 + item % 1000, uuidv7() FROM item_key",
    *(
        f"INSERT INTO {table} SELECT {key},"
        f" (SELECT array_agg(sin({key} * k)) FROM generate_series(1, 64) AS k)::real[]::halfvec(64)"
        f" FROM {whose}"
        for table, key, whose in (
            ("factors_item", "item", "item_key"),
            ("sequence_item", "item", "item_key"),
            ("sequence_shopper", "subject", "subject_key"),
        )
    ),
    "INSERT INTO slate (id, scenario, items, shortfall, position, detail)"
    " SELECT uuidv7(), 'home', '{1,2,3}', 0, '0', '{}' FROM generate_series(1, 2000)",
    # What became of them; attribution's own fold follows only what names a slate.
    "INSERT INTO attribution SELECT uuidv7(), id, 2, unnest(items), 1 FROM slate",
    # What two rankers know.
    "INSERT INTO item_habit SELECT ranker, item, 9, 3, 7.0"
    " FROM item_key, (VALUES ('one')) AS those(ranker)",
    "INSERT INTO item_link SELECT ranker, item, '{1,2,3}', '{30,20,10}'"
    " FROM item_key, (VALUES ('one')) AS those(ranker)",
)


@pytest.fixture(scope="module")
def _filled(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    with django_db_blocker.unblock():
        wipe()
        with transaction.atomic(), cursor() as hot:
            for statement in FILL:
                hot.execute(statement)
        with transaction.atomic(), connection() as inside:
            user_state.fill(inside)
        advance()
        with cursor() as hot:
            hot.execute("ANALYZE")
        given([view(f"u{n}", f"i{n}", at=n) for n in range(1, FRESH + 1)])
        yield
        wipe()


@pytest.fixture
def shop(_filled: None, django_db_blocker: Any) -> Iterator[None]:
    """5,000 items and 30,000 events of 512 shoppers, folded; then some fresh ones. Tests only look."""
    with django_db_blocker.unblock():
        yield


# ── reading plans ──────────────────────────────────────────────────────────────────────────

Node = dict[str, Any]


def nodes(plan: Node) -> Iterator[Node]:
    """The plan's nodes, itself first."""
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def of_table(node: Node) -> str:
    """The table that a node reads; a partition is its parent."""
    return re.sub(r"^event_(\d{4}_\d\d|late)$", "event", node.get("Relation Name", ""))


# For a page or two, reading them is the fastest way.
LARGE = "SELECT relname FROM pg_class WHERE relname = %s AND reltuples >= 500"


def read_whole(plan: Node) -> list[str]:
    """Large tables, and partitions, that a plan reads from end to end."""
    scanned = [n["Relation Name"] for n in nodes(plan) if n["Node Type"] == "Seq Scan"]
    return [name for name in scanned if ask(LARGE, name)]


def indexes(plan: Node) -> set[str]:
    """The indexes that a plan uses; a partition's is its parent's."""
    used = {n["Index Name"] for n in nodes(plan) if "Index Name" in n}
    return {re.sub(r"^event_(\d{4}_\d\d|late)_(.*?)\d*$", r"event_\2", name) for name in used}


def runs(plan: Node, index: str) -> int:
    """How often an index was really asked."""
    asked = [n["Actual Loops"] for n in nodes(plan) if index in indexes({**n, "Plans": ()})]
    assert asked, f"{index} is not in the plan"
    return sum(map(int, asked))


def served(statement: str) -> Node:
    """The plan of a prepared statement, the same for all parameters."""
    order: dict[str, int] = {}

    def numbered(found: re.Match[str]) -> str:
        name = found[1] or f"#{len(order)}"
        return f"${order.setdefault(name, len(order) + 1)}"

    sql = re.sub(r"%(?:\((\w+)\))?s", numbered, statement)
    with cursor() as hot:
        found = hot.execute(f"EXPLAIN (GENERIC_PLAN, FORMAT JSON) {sql}").fetchone()
    return _plan(found)


WEIGHTS: Final = by_signal(SHIPPED["covisit"].weights)
TOLD: Final = {"weights": WEIGHTS, "seen": WEIGHTS, "orders": WEIGHTS, "double_click": 0.0}


def folded(statement: str, *before: str) -> Node:
    """The plan of a fold's statement for the fresh facts, carried out and taken back; `before`
    are the statements that a fold carries out first."""
    with transaction.atomic():
        with cursor() as hot:
            hot.execute("SET LOCAL plan_cache_mode = auto")
            (since,) = ask("SELECT snapshot FROM projection WHERE name = 'covisit'")[0]
        with connection() as inside:
            neighbours.clear_changed(inside)
            touched = text(popularity.TOUCHED.format(signed=SIGNED))
            items = list(inside.scalars(touched, TOLD | {"since": since}))
            for earlier in before:
                inside.execute(text(earlier), TOLD | {"since": since})
            explain = text(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}")
            found = inside.execute(explain, TOLD | {"since": since, "items": items}).one()
        transaction.set_rollback(True)
    return _plan(tuple(found))


def _plan(row: Any) -> Node:
    (said,) = row
    plans = orjson.loads(said) if isinstance(said, str) else said
    plan: Node = plans[0]["Plan"]
    return plan


def test_reading_a_large_table_whole_would_be_seen(shop: None) -> None:
    for table in LARGE_TABLES:
        assert read_whole(served(f"SELECT * FROM {table}")) == [table]


# ── serving ────────────────────────────────────────────────────────────────────────────────

GATHERED = {
    "subject_key_key_key", "neighbours_pkey", "item_count_pkey", "embedding_vector_idx",
    "embedding_pkey", "item_passage_pkey", "item_passage_passage_idx", "popularity_score_idx",
    "popularity_trend_idx", "user_item_pkey", "catalog_item_pkey",
}  # fmt: skip


PERSONAL = {
    "user_state_pkey", "user_item_newest_idx", "factors_item_pkey", "factors_item_vector_idx",
    "sequence_shopper_pkey", "sequence_item_vector_idx",
}  # fmt: skip


def test_a_personal_list_is_gathered_through_indexes_alone(shop: None) -> None:
    plan = served(gathering.GATHER_PERSONAL)
    assert read_whole(plan) == []
    assert indexes(plan) >= GATHERED | PERSONAL


def test_what_a_ranker_is_told_is_looked_up_by_key(shop: None) -> None:
    plan = served(gathering.GATHER_RANKED)
    assert read_whole(plan) == []
    assert indexes(plan) >= GATHERED | PERSONAL
    for table in ("item_habit", "item_link"):
        (look_up,) = (n for n in nodes(plan) if n.get("Relation Name") == table)
        assert "item = " in look_up["Index Cond"], f"all that a ranker knows is read: {table}"


def test_a_list_from_given_items_is_gathered_through_indexes_alone(shop: None) -> None:
    plan = served(gathering.GATHER_GIVEN)
    assert read_whole(plan) == []
    assert indexes(plan) >= GATHERED
    assert "user_state" not in {of_table(node) for node in nodes(plan)}


@pytest.mark.parametrize("statement", gathering.EXPLORING, ids=["personal", "ranked", "given"])
def test_the_untried_are_found_through_indexes_and_only_where_they_are_asked_for(
    shop: None, statement: str
) -> None:
    plan = served(gathering.EXPLORING[statement])
    assert read_whole(plan) == []
    assert indexes(plan) >= GATHERED | {"attribution_item_idx", "catalog_item_newest"}
    assert "attribution" not in {of_table(node) for node in nodes(served(statement))}


def test_no_list_reads_the_log(shop: None) -> None:
    gathers = (*gathering.EXPLORING, *gathering.EXPLORING.values())
    for statement in (*gathers, reasons.NAME):
        assert "event" not in {of_table(node) for node in nodes(served(statement))}


@pytest.mark.parametrize(
    ("statement", "used"),
    [
        (reasons.NAME, {"item_key_pkey", "catalog_item_pkey", "subject_key_key_key",
                        "user_item_pkey"}),
        (pipeline.RESOLVE, {"item_key_key_key"}),
        (gathering.PINNED, {"catalog_item_pkey", "item_passage_pkey"}),
        (slates.RECORD, {"subject_key_key_key"}),
        (INTERN.format(table="item_key"), {"item_key_key_key"}),
        (INTERN.format(table="subject_key"), {"subject_key_key_key"}),
        (log.APPEND_SENT, {"item_key_key_key", "subject_key_key_key"}),
    ],
    ids=["reasons", "resolve", "pins", "slate", "item names", "subject names", "append"],
)  # fmt: skip
def test_what_runs_in_a_request_looks_names_up(shop: None, statement: str, used: set[str]) -> None:
    plan = served(statement)
    assert read_whole(plan) == []
    assert indexes(plan) >= used


def test_an_append_meets_what_is_there_by_unique_indexes(shop: None) -> None:
    arbiters = {
        of_table(node): node["Conflict Arbiter Indexes"]
        for node in nodes(served(log.APPEND_SENT)) if "Conflict Arbiter Indexes" in node
    }  # fmt: skip
    assert arbiters == {
        "delivery": ["delivery_pkey"],
        "event": ["event_pkey"],
        "user_state": ["user_state_pkey"],
        "user_item": ["user_item_pkey"],
    }


# ── the log ────────────────────────────────────────────────────────────────────────────────


def test_a_history_between_two_times_reads_the_partition_of_its_month(shop: None) -> None:
    plan = served(
        "SELECT * FROM event WHERE id >= first_id('2026-02-03Z') AND id < first_id('2026-02-20Z')"
    )
    assert {node.get("Relation Name") for node in nodes(plan)} == {"event_2026_02"}


def test_a_reader_finds_fresh_facts_by_their_transaction(shop: None) -> None:
    plan = folded(position.FRESH)
    assert read_whole(plan) == []
    assert indexes(plan) == {"event_xid_idx"}
    assert plan["Actual Rows"] == FRESH


# ── folding ────────────────────────────────────────────────────────────────────────────────


def test_whoever_is_followed_is_found_by_what_is_new(shop: None) -> None:
    plan = folded(followed.MOVED_ON)
    assert read_whole(plan) == []
    assert {"event_xid_idx", "user_state_pkey"} <= indexes(plan)


def test_pairs_of_new_events_are_counted_without_the_log(shop: None) -> None:
    plan = folded(covisit.COUNT_FRESH)
    assert read_whole(plan) == []
    assert {"event_xid_idx", "user_state_pkey"} <= indexes(plan)
    assert runs(plan, "event_subject_idx") == 0


SINKS: Final = "UPDATE changed_pair SET shrunk = true, weight = 1"


def test_rows_of_neighbours_are_found_by_their_items(shop: None) -> None:
    plan = folded(neighbours.RANK_MOVED, covisit.COUNT_FRESH)
    assert read_whole(plan) == []
    assert "neighbours_pkey" in indexes(plan)


def test_a_row_that_sank_is_ranked_from_its_own_pairs(shop: None) -> None:
    some = f"INSERT INTO sunk SELECT item, {VIEWED} FROM neighbours ORDER BY item LIMIT 20"
    plan = folded(neighbours.RANK_SUNK, some)
    assert read_whole(plan) == []
    assert {"covisit_pkey", "covisit_hi_idx"} <= indexes(plan)
    found = folded(neighbours.NOTE_SUNK, covisit.COUNT_FRESH, SINKS)
    assert read_whole(found) == []


@pytest.mark.parametrize(
    ("statement", "used"),
    [
        (popularity.COUNT.format(signed=SIGNED), {"event_xid_idx"}),
        (popularity.PLACE.format(touched=popularity.THESE),
         {"popularity_day_pkey", "popularity_item_idx", "catalog_item_pkey"}),
        (covisit.COUNT_ITEMS.format(signed=SIGNED), {"event_xid_idx"}),
        (attribution.TIE.format(tied=SIGNED), {"event_xid_idx", "slate_pkey"}),
        (attribution.JUDGE.format(doubtful=attribution.DOUBTFUL),
         {"event_xid_idx", "user_item_pkey", "slate_pkey"}),
        (content.INTERN, {"event_xid_idx"}),
        (content.DESCRIBE, {"event_xid_idx"}),
        (fold.COUNT_FRESH, {"event_xid_idx"}),
    ],
    ids=["popularity", "places", "items", "attribution", "judged", "passages", "described", "fresh"],
)  # fmt: skip
def test_a_fold_reads_what_is_new_and_what_that_touches(
    shop: None, statement: str, used: set[str]
) -> None:
    plan = folded(statement)
    assert read_whole(plan) == []
    assert indexes(plan) >= used
