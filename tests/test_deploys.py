"""Two versions of the code at once: the newer one folds, the older one leaves alone and serves."""

import logging
import os
import subprocess
import sys
import time
import types
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from io import StringIO
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
from alembic import command
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from bench import ground
from recommend import erase, fold, tasks
from recommend.projections import PROJECTIONS, popularity
from recsite import schema
from recsite.db import METADATA, cursor
from tests import servers
from tests.given import advance, ask, days, differing, given, item, view
from tests.servers import ROOT, Shop, environment

pytestmark = pytest.mark.usefixtures("committed")

NEWER: Final = popularity.VERSION + 1
LEFT_ALONE: Final = (
    f"popularity was folded by version {NEWER}, this code has {popularity.VERSION} and leaves it"
    " alone. (`refresh --rebuild` takes it back.)"
)


def newer() -> Any:
    """Popularity as the next version's code has it."""
    return types.SimpleNamespace(**vars(popularity) | {"VERSION": NEWER})


def run(sql: str) -> None:
    with cursor() as hot:
        hot.execute(sql)


def version() -> int:
    return int(ask("SELECT version FROM projection WHERE name = 'popularity'")[0][0])


def test_an_older_worker_leaves_alone_what_newer_code_folded_folds_the_rest_and_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    given(view("ann", "a"), view("ann", "b", at=1))
    fold.advance(newer())
    before = days()
    tasks._say_once.cache_clear()
    with caplog.at_level(logging.WARNING, "recsite.tasks"):
        for minute in (2, 3):
            given(view("ann", "a", at=minute))
            tasks.advance()
    said = [record.getMessage() for record in caplog.records if record.name == "recsite.tasks"]
    assert said == [LEFT_ALONE]
    assert (days(), version()) == (before, NEWER)
    assert advance("covisit") == [0]
    assert fold.advance(newer()).events == 2
    assert days() == {("a", 0): 3 * popularity.UNIT, ("b", 0): popularity.UNIT}


WORKER: Final = """
import sys
from recsite.boot import boot
boot()
import django
django.setup()
from recommend import tasks
from recommend.projections import popularity
popularity.VERSION += int(sys.argv[1])
for _ in range(60):
    tasks.advance()
"""


def test_two_workers_of_different_versions_rebuild_once_and_do_not_fight(tmp_path: Path) -> None:
    given(*(view("ann", f"i{n}", at=n) for n in range(20)))
    advance()
    table = "SELECT 'rec.popularity_day'::regclass::oid"
    (before,) = ask(table)
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(ahead)],
            env=os.environ | environment(tmp_path), cwd=ROOT, stderr=subprocess.PIPE, text=True,
        )
        for ahead in (0, 1)
    ]  # fmt: skip
    told = [worker.communicate(timeout=60)[1] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], told
    assert told[0].count("leaves it alone") <= 1
    # A rebuild makes a new table; any further one would have used another number.
    (after,) = ask(table)
    assert after != before
    assert version() == NEWER
    given(view("ann", "i0", at=30))
    assert fold.advance(newer()).events == 1
    assert ask(table) == [after]


def test_a_command_of_older_code_says_so_and_touches_nothing() -> None:
    given(view("ann", "a"))
    fold.advance(newer())
    with pytest.raises(CommandError, match="leaves it alone"):
        call_command("verify", stdout=StringIO())
    with pytest.raises(CommandError, match="leaves it alone"):
        call_command("erase", "ann")
    with pytest.raises(fold.FoldedByNewer):
        erase.erase("user:ann", asked_by="a test")
    said = StringIO()
    call_command("refresh", "--only", "popularity", stdout=said, stderr=said)
    assert said.getvalue().strip() == LEFT_ALONE
    assert ask("SELECT count(*) FROM event") == [(1,)]
    assert version() == NEWER


def test_the_way_back_to_older_code_is_a_rebuild() -> None:
    given(view("ann", "a"))
    fold.advance(newer())
    call_command("refresh", "--only", "popularity", "--rebuild", stdout=StringIO())
    assert version() == popularity.VERSION
    given(view("ann", "a", at=1))
    assert advance("popularity") == [1]
    assert differing() == []


def test_a_migration_claims_a_projection_for_the_code_that_comes_after_it() -> None:
    """What docs/operating.md asks of a migration that changes a projection's table."""
    given(view("ann", "a"))
    advance()
    run(f"UPDATE projection SET version = {NEWER}, epoch = 'claimed' WHERE name = 'popularity'")
    with pytest.raises(fold.FoldedByNewer):
        advance("popularity")
    assert fold.advance(newer()).events == 1
    assert fold.advance(newer()).events == 0


@pytest.fixture
def widened() -> Any:
    """The schema of newer code: a column more in every table of ours, and a table more."""
    folded = {table.name for one in PROJECTIONS for table in one.TABLES}
    tables = [name for name in METADATA.tables if name not in folded]
    tables += ["catalog_item", "catalog_category", "catalog_rule", "catalog_scenario"]
    for table in tables:
        run(f"ALTER TABLE {table} ADD COLUMN of_newer_code int DEFAULT 7")
    run("CREATE TABLE rec.of_newer_code (n int)")
    yield
    for table in tables:
        run(f"ALTER TABLE {table} DROP COLUMN of_newer_code")
    run("DROP TABLE rec.of_newer_code")


def test_a_web_server_of_older_code_serves_on_a_schema_that_has_grown(
    widened: None, tmp_path: Path
) -> None:
    item("mug", title="Mug")
    with servers.web(tmp_path) as (_, port):
        shop = Shop(port)
        shop.tell({"event": "view_item", "user_id": "ann", "item_id": "mug"})
        shop.stock({"item_id": "cup", "title": "Cup"})
        shop.tell({"event": "purchase", "user_id": "bob", "item_id": "cup"})
        advance()
        assert set(shop.shown("home", user_id="ann")) == {"mug", "cup"}
        shop.leave()
    assert differing() == []


@contextmanager
def at_revision(revision: str) -> Iterator[Callable[[], psycopg.Connection[Any]]]:
    """Django is on a database of that revision; gives sessions of one's own."""
    with ground._elsewhere("migrated", "template0"):
        with transaction.atomic():
            run("CREATE SCHEMA rec")
            run("CREATE EXTENSION vector SCHEMA public")
            command.upgrade(schema.alembic_config(), revision)
        parameters = connection.get_connection_params()
        wanted = {name: parameters[name] for name in ("dbname", "user", "host", "port", "options")
                  if parameters.get(name)}  # fmt: skip
        with ExitStack() as stack:
            yield lambda: stack.enter_context(psycopg.connect(**wanted))


def test_migrating_spaces_and_images_back_leaves_nothing_of_them() -> None:
    with at_revision("head") as session, session() as shop:
        for table in ("factors_item_0123456789ab", "sequence_item_next", "sequence_shopper_next"):
            shop.execute(f"CREATE TABLE rec.{table} (item int)")
        shop.execute(
            "INSERT INTO rec.passage (body, image, digest) VALUES (NULL, 'a.jpg', uuidv7())"
        )
        shop.execute("INSERT INTO rec.passage (body, image, digest) VALUES ('a', NULL, uuidv7())")
        shop.execute("INSERT INTO rec.unencoded SELECT passage FROM rec.passage")
        shop.execute(
            "INSERT INTO rec.item_passage (item, passage, as_of)"
            " SELECT passage, passage, digest FROM rec.passage"
        )
        shop.commit()
        with transaction.atomic():
            command.downgrade(schema.alembic_config(), "0015")
        assert shop.execute(LEFT_OF_SPACES).fetchall() == []
        assert shop.execute("SELECT passage FROM rec.unencoded").fetchall() == [(2,)]
        assert shop.execute("SELECT passage FROM rec.item_passage ORDER BY item").fetchall() == [
            (None,),
            (2,),
        ]


LEFT_OF_SPACES: Final = """
SELECT tablename FROM pg_tables WHERE schemaname = 'rec' AND tablename ~ '^(space|factors_|sequence_)'
"""


def test_a_migration_of_the_log_keeps_nobody_waiting_behind_a_long_reader() -> None:
    # The sessions end before the pool does, whose migration would wait for a reader for ever.
    with ThreadPoolExecutor(1) as pool, at_revision("0014") as session:
        reader, writer = session(), session()
        reader.execute("SELECT count(*) FROM event_log")
        migrated = pool.submit(_migrate)
        writer.autocommit = True
        writer.execute("SET lock_timeout = '5s'")
        until = time.monotonic() + 3
        while time.monotonic() < until:
            writer.execute("INSERT INTO event (id, kind) VALUES (uuidv7(), 1)")
            reader.execute("SELECT count(*) FROM event_log")
            assert not migrated.done()
        reader.rollback()
        migrated.result(timeout=60)
        assert reader.execute("SELECT count(order_id) FROM event").fetchone() == (0,)


def _migrate() -> None:
    try:
        schema.upgrade()
    finally:
        connection.close()
