"""Time travel: all that serving reads, as of a moment, in a schema of its own.

The log before the moment is folded by the projections' own statements and the catalogue is
made from its facts; with that schema in front of search_path the serving path answers as it
would have then. Log time decides: what came late counts at its own time. It promises that no
live table is touched, but for texts that no fold has met yet, which are interned. What the log
does not tell is as today: which texts are encoded, and how an index finds neighbours.
"""

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from django.db import transaction
from sqlalchemy import Connection, text

from behavior import coverage, people, user_state
from catalog import past
from catalog.countings import Counting
from recommend import fold, vectors
from recommend.projections import PROJECTIONS
from recommend.projections.content import NAMED
from recommend.ranker import features, store
from recommend.spaces import past as past_spaces
from recommend.spaces import store as spaces
from recommend.spaces.past import Spaces
from recsite.db import connection, one_snapshot

TABLES: Final = (
    *people.TABLES, *user_state.TABLES, *(table for one in PROJECTIONS for table in one.TABLES),
    spaces.sequence_shopper,
)  # fmt: skip

NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,40}")
TAKEN: Final = ("public", "rec", "pgmq", "information_schema")


class Unusable(Exception):
    """There can be no such schema, or it is not ours; the message says which."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Which facts were seen, as conditions on the log's rows: by whoever serves, and by each
    projection (one that is not named had seen none). `passages` is a condition on rows of
    embedding, `named` are category paths known to have been there, `counted` is how a projection
    counted, where that is known better than from the merchant's facts. `ranker` is an SQL expression for
    the name of the one that was live, `spaces` are those that were."""

    serving: str
    folded: Mapping[str, str]
    passages: str
    named: tuple[str, ...] = ()
    counted: Mapping[str, Counting] = field(default_factory=dict)
    ranker: str = "NULL"
    spaces: Spaces = field(default_factory=Spaces)


def before(moment: datetime) -> Seen:
    """Every fact of before the moment, to the millisecond, and every text that they name."""
    facts = f"id < rec.first_id('{moment.astimezone(UTC).isoformat()}'::timestamptz)"
    named = (
        "EXISTS (SELECT FROM {schema}.named_passage AS named WHERE named.passage = live.passage)"
    )
    return Seen(facts, {one.NAME: facts for one in PROJECTIONS}, named, ranker=_ranker_at(moment))


def _ranker_at(moment: datetime) -> str:
    """The newest that was live by then, where its habits are still known."""
    return f"""(
        SELECT name FROM (
            SELECT name FROM rec.ranker
            WHERE live_since <= '{moment.astimezone(UTC).isoformat()}' AND features = '{features.NAME}'
            ORDER BY live_since DESC LIMIT 1) AS newest
        WHERE EXISTS (SELECT FROM rec.item_habit AS habit WHERE habit.ranker = newest.name))"""


@contextlib.contextmanager
def back_at(moment: datetime, each: Any = iter) -> Iterator[None]:
    """Inside the block serving answers as of the moment; nothing of it remains.

    `each` wraps the loop over projections (a progress bar). Raises Unusable where months of
    before then are archived: what they say of items and shoppers would be missing.
    """
    _require_whole(moment)
    then = before(moment)
    with connection() as inside:
        known = past_spaces.at(inside, moment, then.serving)
    with rebuilt(replace(then, spaces=known), each):
        yield


@contextlib.contextmanager
def rebuilt(seen: Seen, each: Any = iter) -> Iterator[Connection]:
    """Inside the block serving reads tables made of what was seen, and of nothing else."""
    with one_snapshot() as inside:
        # Of its own for each session: two that travel at once would wait for each other.
        schema = f"rec_travel_{inside.scalar(text('SELECT pg_backend_pid()'))}"
        with fold.beside(inside, TABLES, schema):
            _fill(inside, schema, seen, each)
            _serve_from_here(inside)
            yield inside
        transaction.set_rollback(True)


def keep(schema: str, moment: datetime, each: Any = iter) -> None:
    """Make the tables of the moment in `schema`, to be visited later; an old one is replaced.

    Raises Unusable for a name that is taken by anything but an earlier run, and where months of
    before then are archived.
    """
    _require_whole(moment)
    with one_snapshot() as inside:
        _check_name(inside, schema)
        with fold.beside(inside, TABLES, schema):
            then = before(moment)
            known = past_spaces.at(inside, moment, then.serving)
            _fill(inside, schema, replace(then, spaces=known), each, kept=True)
            inside.execute(text(f"DROP VIEW {schema}.event"))
        note = orjson.dumps({"as_of": moment, "versions": _versions(inside)}).decode()
        # A comment takes no parameters; SQLAlchemy would take a colon for one.
        inside.exec_driver_sql(f"COMMENT ON SCHEMA {schema} IS '{note}'")


def _require_whole(moment: datetime) -> None:
    then = moment.astimezone(UTC)
    gone = [one.month for one in coverage.archived() if one.month <= (then.year, then.month)]
    if gone:
        raise Unusable(
            f"The log of before {then:%Y-%m-%d} lacks archived months ({coverage.spans(gone)})."
            f" Attach them first (`archive --attach {gone[0]}`)."
        )


@contextlib.contextmanager
def visit(schema: str) -> Iterator[datetime]:
    """Inside the block serving answers from a schema that was kept; yields its moment."""
    with one_snapshot() as inside:
        kept = _note(inside, schema) if NAME.fullmatch(schema) else None
        if kept is None:
            raise Unusable(f"There is no schema {schema!r} made by refresh --into.")
        if kept["versions"] != _versions(inside):
            raise Unusable(
                f"The schema {schema!r} was made by other code, or another encoder. Make it again."
            )
        path = inside.scalar(text("SHOW search_path"))
        inside.execute(text(f"SET LOCAL search_path = {schema}, {path}"))
        _serve_from_here(inside)
        yield datetime.fromisoformat(kept["as_of"])


def _fill(inside: Connection, schema: str, seen: Seen, each: Any, *, kept: bool = False) -> None:
    """Fold each projection from what it had seen; the catalogue last, as serving saw it."""
    shelved = None
    for one in each(PROJECTIONS):
        facts = seen.folded.get(one.NAME)
        if facts is None:
            continue
        if facts != shelved:
            _shelve(inside, schema, facts, seen)
            shelved = facts
        one.fill(inside, seen.counted.get(one.NAME) or past.counting(one.NAME))
    _stand(inside, schema, seen, kept=kept)
    _shelve(inside, schema, seen.serving, seen)
    user_state.fill(inside)
    _show_passages(inside, schema, seen.passages)
    inside.exec_driver_sql(store.VIEW.format(schema=schema, wanted=seen.ranker))
    for name in (*(table.name for table in TABLES), *past.TABLES):
        inside.execute(text(f"ANALYZE {schema}.{name}"))


def _stand(inside: Connection, schema: str, seen: Seen, *, kept: bool) -> None:
    """Have the spaces in front, and each shopper where they stood: by the state that had been followed,
    which is another one than what serving saw."""
    if seen.spaces.followed is not None:
        _shelve(inside, schema, seen.spaces.followed, seen)
        user_state.fill(inside)
    past_spaces.show(inside, schema, seen.spaces, kept=kept)
    for table in user_state.TABLES:
        inside.execute(text(f"DELETE FROM {table.name}"))


def _shelve(inside: Connection, schema: str, facts: str, seen: Seen) -> None:
    """From here on the log is these facts, and the catalogue and who is who are theirs."""
    inside.exec_driver_sql(
        f"CREATE OR REPLACE VIEW {schema}.event AS SELECT * FROM rec.event WHERE {facts}"
    )
    past.build(schema, seen.named)
    inside.execute(text("DELETE FROM person"))
    people.fill(inside)


def _show_passages(inside: Connection, schema: str, known: str) -> None:
    """A text of later would take the place of an older one among the nearest."""
    inside.exec_driver_sql(f"CREATE TABLE {schema}.named_passage (passage int PRIMARY KEY)")
    inside.exec_driver_sql(f"INSERT INTO {schema}.named_passage {NAMED}")
    inside.exec_driver_sql(f"ANALYZE {schema}.named_passage")
    inside.exec_driver_sql(
        f"CREATE VIEW {schema}.embedding AS SELECT * FROM rec.embedding AS live"
        f" WHERE {known.format(schema=schema)}"
    )


def _serve_from_here(inside: Connection) -> None:
    # The big statement is planned once, as it is live, and its index goes on until it has
    # found enough of the texts that there were.
    inside.execute(text("SET LOCAL plan_cache_mode = force_generic_plan"))
    inside.execute(text("SET LOCAL hnsw.iterative_scan = strict_order"))


def _check_name(inside: Connection, schema: str) -> None:
    # What needs quotes is a word of SQL.
    plain = text("SELECT quote_ident(:schema) = :schema")
    if (
        not NAME.fullmatch(schema)
        or schema in TAKEN
        or schema.startswith("pg_")
        or not inside.scalar(plain, {"schema": schema})
    ):
        raise Unusable(
            f"{schema!r} can be no schema of yours: a to z, digits and _, at most 41 of them,"
            f" no word of SQL, not {', '.join(TAKEN)} or pg_…"
        )
    there = text("SELECT to_regnamespace(:schema) IS NOT NULL")
    if inside.scalar(there, {"schema": schema}) and _note(inside, schema) is None:
        raise Unusable(f"The schema {schema!r} is there already, and was not made by this command.")


def _note(inside: Connection, schema: str) -> dict[str, Any] | None:
    """What `keep` wrote down about a schema; None where it did not make it."""
    said = inside.scalar(
        text("SELECT obj_description(to_regnamespace(:schema), 'pg_namespace')"), {"schema": schema}
    )
    try:
        note = orjson.loads(said or "null")
    except orjson.JSONDecodeError:
        return None
    return note if isinstance(note, dict) and note.keys() == {"as_of", "versions"} else None


def _versions(inside: Connection) -> dict[str, Any]:
    """What must be as it was: with other vectors the schema's view of them is gone."""
    folded = {one.NAME: one.VERSION for one in PROJECTIONS}
    return folded | {"catalogue": past.VERSION, "encoder": vectors.live(inside)}
