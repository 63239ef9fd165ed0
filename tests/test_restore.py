"""A dump restored into another cluster: its transaction ids mean nothing there.

The dump is pg_dump's, the other cluster a second embedded one, whose transaction ids start
low while the first one's are far ahead.
"""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from typing import Any, Final

import psycopg
import pytest
from django.db import connection

from recommend.projections import PROJECTIONS
from recsite import postgres
from tests import servers
from tests.given import advance, ask, contents, differing, given, item, purchase, serve, view
from tests.servers import Shop

pytestmark = pytest.mark.usefixtures("committed")

SETTINGS: Final = {"fsync": "off", "shared_buffers": "32MB", "max_connections": "30"}

AHEAD: Final = 30_000
"""Transactions that the first cluster has seen more; a restore takes some hundred."""

BUSY: Final = """
DO $$ BEGIN FOR n IN 1..%s LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$
"""

HISTORY: Final = [
    view("ann", "a", key="1"),
    view("ann", "b", at=1, key="2"),
    purchase("bob", "a", at=2, key="3"),
    view("bob", "b", at=3, key="4"),
]


@pytest.fixture(scope="module")
def other() -> Iterator[Path]:
    """The other cluster: where psql would find it."""
    home = Path(tempfile.mkdtemp(prefix="recsite-other-"))
    home.chmod(0o755)
    postgres.start(home, SETTINGS)
    yield home
    postgres.stop(home)
    rmtree(home)


def dump(file: Path) -> None:
    """All of the test database, as an operator would save it."""
    ours = connection.get_connection_params()
    _run("pg_dump", ours["host"], "--format=custom", f"--file={file}", ours["dbname"],
         user=ours["user"])  # fmt: skip


def restore(file: Path, home: Path, name: str) -> None:
    """Into a database of this name, made for it."""
    host = postgres.socket_folder(home)
    with psycopg.connect(
        host=host, user=postgres.USER, dbname="postgres", autocommit=True
    ) as admin:
        admin.execute(f'DROP DATABASE IF EXISTS "{name}"')
        admin.execute(f'CREATE DATABASE "{name}"')
    _run("pg_restore", host, "--exit-on-error", f"--dbname={name}", str(file), user=postgres.USER)


def _run(program: str, host: str, *arguments: str, user: str) -> None:
    done = subprocess.run(
        [str(postgres.binaries() / program), f"--host={host}", f"--username={user}", *arguments],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@contextmanager
def on(home: Path, name: str) -> Iterator[None]:
    """Inside the block Django is on the restored database."""
    ours = connection.settings_dict
    before: dict[str, Any] = {part: ours[part] for part in ("HOST", "NAME", "USER")}
    connection.close()
    ours.update(HOST=postgres.socket_folder(home), NAME=name, USER=postgres.USER)
    try:
        yield
    finally:
        connection.close()
        ours.update(before)


@pytest.fixture
def restored(other: Path, tmp_path: Path) -> Iterator[str]:
    """Django is on a restored copy of a shop with a history; its last position there."""
    ask_nothing(BUSY % AHEAD)
    item("a", title="A")
    item("b", title="B")
    position = [done.position for done in given(*HISTORY)][-1]
    slate = serve("a", "b", user="user:ann")
    given(view("ann", "a", at=4, key="5", slate=slate))
    advance()
    before = contents()
    dump(tmp_path / "shop.dump")
    restore(tmp_path / "shop.dump", other, "test_restored")
    with on(other, "test_restored"):
        assert int(ask("SELECT pg_current_xact_id()::text")[0][0]) < int(position)
        assert contents() == before
        yield position


def ask_nothing(sql: str) -> None:
    from recsite.db import cursor

    with cursor() as hot:
        hot.execute(sql)


FACTS: Final = "SELECT id, kind, subject, item, slate, detail FROM event ORDER BY id"


def test_after_a_restore_every_projection_is_rebuilt_once_and_then_goes_on(restored: str) -> None:
    before, facts = contents(), ask(FACTS)
    assert advance() == [7] * len(PROJECTIONS)
    assert advance() == [0] * len(PROJECTIONS)
    assert (contents(), ask(FACTS)) == (before, facts)
    given(view("ann", "c", at=5, key="6"))
    assert advance() == [1] * len(PROJECTIONS)
    assert differing() == []


def test_what_was_told_before_the_first_fold_is_in_it(restored: str) -> None:
    given(view("ann", "c", at=5, key="6"))
    assert advance() == [8] * len(PROJECTIONS)
    given(view("bob", "c", at=6, key="7"))
    assert advance() == [1] * len(PROJECTIONS)
    assert differing() == []


def test_verify_alone_is_told_nothing_wrong(restored: str) -> None:
    assert differing() == []


def test_keys_that_were_delivered_in_the_old_cluster_are_still_known(restored: str) -> None:
    late = [event._replace(occurred_at=event.occurred_at.replace(day=20)) for event in HISTORY]
    assert [(done.accepted, done.duplicates) for done in given(late)] == [(0, 4)]


def test_a_position_of_the_old_cluster_is_refused_and_new_ones_are_kept(
    restored: str, tmp_path: Path
) -> None:
    with servers.web(tmp_path) as (_, port):
        shop = Shop(port)
        asked = f"/v1/recommend/home?user_id=ann&min_position={restored}"
        refused = shop.call("GET", asked, key=shop.public)
        assert (refused.status, refused.body["code"]) == (400, "unknown_position")
        told = {"event": "view_item", "user_id": "ann", "item_id": "b", "event_id": "8"}
        position = shop.call("POST", "/v1/events", told, key=shop.public).body["position"]
        advance()
        asked = f"/v1/recommend/home?user_id=ann&min_position={position}"
        assert shop.call("GET", asked, key=shop.public).status == 200
