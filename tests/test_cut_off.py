"""A connection that is lost in the middle of a batch: nothing half there, the retry completes it.

A stranger holds what the batch needs, so that it waits in the middle, and has the server end its
session there. What a single call does then is in test_events_api.
"""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest

from behavior.packing import digest_of
from tests import servers
from tests.given import Row, advance, ask, differing, names
from tests.servers import ROOT, Shop, environment, eventually

pytestmark = pytest.mark.usefixtures("committed")

BATCH: Final = 50_000
ROWS: Final = 60_000

# Sessions of ours that wait for the stranger.
WAITING: Final = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'recsite' AND wait_event_type = 'Lock'
"""


@contextmanager
def held(stranger: psycopg.Connection[Any], sql: str, value: object) -> Iterator[None]:
    """Inside the block a row is about to be there, so that who needs to know whether it is waits."""
    with stranger.transaction():
        stranger.execute(sql, [value])
        yield
        raise psycopg.Rollback


def cut_off(stranger: psycopg.Connection[Any]) -> None:
    """Have the server end the one session that waits, once it does."""
    (found,) = eventually(lambda: ask(WAITING))
    stranger.execute("SELECT pg_terminate_backend(%s)", found)


def sizes() -> Row:
    return ask(
        "SELECT (SELECT count(*) FROM event), (SELECT count(*) FROM delivery),"
        " (SELECT count(*) FROM user_state), (SELECT count(*) FROM user_item),"
        " (SELECT count(*) FROM item_key), (SELECT count(*) FROM subject_key)"
    )[0]


def test_a_call_of_many_events(stranger: psycopg.Connection[Any], tmp_path: Path) -> None:
    events = [
        {"event": "purchase", "event_id": str(n), "user_id": f"u{n % 7}",
         "items": [{"item_id": f"i{n}"}, {"item_id": "a"}]}
        for n in range(100)
    ]  # fmt: skip
    with servers.web(tmp_path) as (_, port):
        shop = Shop(port)
        answers: list[servers.Answer] = []

        def post() -> None:
            answers.append(shop.call("POST", "/v1/events", events, key=shop.public))

        posting = threading.Thread(target=post)
        with held(stranger, "INSERT INTO delivery VALUES (%s)", digest_of("50")):
            posting.start()
            cut_off(stranger)
            posting.join(servers.PATIENCE)
        assert (answers[0].status, answers[0].body["code"]) == (503, "database_unreachable")
        assert sizes() == (0, 0, 0, 0, 0, 0)
        post()
        assert (answers[1].status, answers[1].body["accepted"]) == (202, 100)
        shop.leave()
    assert sizes() == (200, 100, 7, 107, 101, 7)
    advance()
    assert differing() == []


def run_import(file: Path, home: Path) -> tuple[int, str]:
    """Exit code and last line of `import_events`."""
    done = subprocess.run(
        [sys.executable, "manage.py", "import_events", str(file)], env=environment(home) | PATH,
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return done.returncode, (done.stdout + done.stderr).strip().splitlines()[-1]


PATH: Final = {"PATH": "/usr/bin:/bin"}


def test_an_import_keeps_whole_batches_and_the_same_command_goes_on(
    stranger: psycopg.Connection[Any], tmp_path: Path
) -> None:
    file = tmp_path / "history.csv"
    rows = (f"view_item,2026-03-02T09:00:00Z,u{n % 1_000},i{n // 1_000}\n" for n in range(ROWS))
    file.write_text("event,occurred_at,user_id,item_id\n" + "".join(rows))
    done: list[tuple[int, str]] = []
    importing = threading.Thread(target=lambda: done.append(run_import(file, tmp_path)))
    # Only the second batch names this item.
    with held(stranger, "INSERT INTO item_key (key) VALUES (%s)", "i55"):
        importing.start()
        cut_off(stranger)
        importing.join(servers.PATIENCE)
    assert done == [(1, (
        "CommandError: The database cannot be reached. Try again soon. The first 50,000 rows are in"
        " and nothing of the others; run the same command again to go on."
    ))]  # fmt: skip
    assert ask("SELECT count(*) FROM event") == [(BATCH,)]
    assert set(names("item_key").values()) == {f"i{n}" for n in range(50)}
    assert run_import(file, tmp_path) == (0, "60,000 accepted, 0 duplicates, 0 rejected")
    assert ask("SELECT count(*) FROM event") == [(ROWS,)]
    advance()
    assert differing() == []
