"""Waking and tasks: one task for many commits, and whoever dies, nothing is lost or repeated.

The queue, the web server and the workers are the real ones, on the test database.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import transaction

from behavior import tasks, wake
from behavior.months import ahead
from recommend import tasks as folding
from recsite.celery import app
from recsite.db import cursor
from tests import servers
from tests.given import advance, ask, counts, differing, given, minute, pairs, purchase, view
from tests.servers import Shop, eventually, wait_for_the_worker


def asked() -> bool:
    return bool(ask("SELECT asked FROM wakeup WHERE name = 'advance'")[0][0])


def queued() -> int:
    """Tasks that wait in the queue `fold`."""
    return int(ask("SELECT queue_length FROM pgmq.metrics('fold')")[0][0])


@pytest.fixture(scope="module")
def port(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[int]:
    home = tmp_path_factory.mktemp("web")
    with django_db_blocker.unblock(), servers.web(home) as (_, port):
        yield port


@pytest.fixture
def shop(committed: None, port: int) -> Iterator[Shop]:
    """A shop whose commits ask for a worker, and an empty queue."""
    _empty_queues()  # a worker that another test killed may have left its task
    with servers.shop(port) as open_shop:
        yield open_shop
    _empty_queues()


def _empty_queues() -> None:
    with cursor() as hot:
        hot.execute("SELECT pgmq.purge_queue(queue_name) FROM pgmq.meta")


def see(user: str, item_id: str) -> dict[str, Any]:
    return {"event": "view_item", "user_id": user, "item_id": item_id}


# ── waking ─────────────────────────────────────────────────────────────────────────────────


def test_many_commits_before_the_worker_looks_send_one_task(shop: Shop) -> None:
    shop.tell(see("ann", "mug"), see("ann", "cup"), see("bob", "mug"))
    assert (asked(), queued()) == (True, 1)
    wake.answer()
    assert asked() is False
    shop.tell(see("bob", "cup"), see("bob", "jug"))
    assert (asked(), queued()) == (True, 2)


def test_a_change_of_the_catalogue_asks_too_and_a_repeated_delivery_does_not(shop: Shop) -> None:
    event = see("ann", "mug") | {"event_id": "1", "occurred_at": "2026-03-02T09:00:00Z"}
    shop.tell(event)
    wake.answer()
    again = shop.call("POST", "/v1/events", event, key=shop.public)
    assert (again.body["accepted"], again.body["duplicates"], asked()) == (0, 1, False)
    shop.stock({"item_id": "mug"})
    assert (asked(), queued()) == (True, 2)


def test_events_collect_between_two_folds_and_after_a_pause_they_need_not(
    history: None,
) -> None:
    with cursor() as hot:
        hot.execute("UPDATE projection SET folded_at = now() - interval '1 minute'")
        assert folding.until_due() == 0
        hot.execute("UPDATE projection SET folded_at = now() + interval '1 hour'")
        assert folding.until_due() == folding.COLLECT
        hot.execute("DELETE FROM projection")
        assert folding.until_due() == 0


def test_of_two_that_commit_at_once_the_second_asks_nobody(
    stranger: psycopg.Connection[Any],
) -> None:
    servers.allow_waking()
    with stranger.transaction():
        assert stranger.execute(wake.ASK).rowcount == 1
        with closing(other_session()) as second:
            # It waits for the first one's row, and then finds the flag up.
            second.pgconn.send_query(wake.ASK.encode())
            waits = "SELECT wait_event_type FROM pg_stat_activity WHERE pid = %s"
            eventually(lambda: ask(waits, second.info.backend_pid) == [("Lock",)])
            stranger.execute("COMMIT")
            result = second.pgconn.get_result()
            assert result is not None
            assert result.command_tuples == 0


def test_a_commit_that_comes_back_asks_nobody(committed: None) -> None:
    servers.allow_waking()
    with transaction.atomic():
        given(view("ann", "mug"))
        transaction.set_rollback(True)
    assert asked() is False


def other_session() -> psycopg.Connection[Any]:
    from django.db import connection

    params = connection.get_connection_params()
    return psycopg.connect(
        host=params.get("host"), user=params.get("user"), dbname=params["dbname"],
        port=params.get("port"), password=params.get("password"),
        options="-c search_path=public,rec", autocommit=True,
    )  # fmt: skip


def test_while_the_broker_is_away_facts_are_kept_and_it_is_said(
    committed: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers.allow_waking()
    with servers.web(tmp_path, broker="redis://127.0.0.1:1/0") as (web, port):
        shop = Shop(port)
        shop.tell(see("ann", "mug"))
        said = "no worker was woken (OperationalError); beat will ask again"
        assert said in eventually(lambda: web.log.read_text(), lambda log: said in log)
        shop.tell(see("ann", "cup"))
        shop.leave()
    assert ask("SELECT count(*) FROM event") == [(2,)]
    assert advance() == [2, 2, 2, 2]


# ── workers that die ───────────────────────────────────────────────────────────────────────


@contextmanager
def stuck_at(table: str, stranger: psycopg.Connection[Any]) -> Iterator[None]:
    """Inside the block a fold that writes this table waits in the middle of its transaction."""
    with stranger.transaction():
        stranger.execute(f"LOCK TABLE {table} IN SHARE MODE")
        yield


WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'recsite' AND wait_event_type = 'Lock'
  AND query LIKE %s
"""


def wait_until_stuck(table: str) -> None:
    eventually(lambda: ask(WAITING, f"%{table}%"), lambda n: n == [(1,)])


@pytest.fixture
def history(committed: None) -> None:
    """What is folded already."""
    given([view("ann", "mug"), view("ann", "cup", at=1), purchase("bob", "mug", at=2)])
    assert advance() == [3, 3, 3, 3]


def tell_of_three_views(shop: Shop) -> None:
    """In one transaction, whose commit wakes the worker."""
    at = {"occurred_at": minute(60).isoformat()}
    events = [see(user, "jug") | at for user in ("ann", "bob", "cyd")]
    assert shop.call("POST", "/v1/events", events, key=shop.public).body["accepted"] == 3


SIX_ONCE = {"mug": (98_304, 65_536), "cup": (65_536, 0), "jug": (196_608, 0)}
"""item → (seen, bought) where each of the six events counts once; a purchase is seen by half."""


def test_a_worker_killed_in_the_middle_of_its_task_loses_and_repeats_nothing(
    history: None, shop: Shop, stranger: psycopg.Connection[Any], tmp_path: Path
) -> None:
    before = pairs()
    with servers.worker(tmp_path) as worker:
        with stuck_at("neighbours", stranger):
            tell_of_three_views(shop)
            wait_until_stuck("neighbours")
            os.killpg(worker.process.pid, signal.SIGKILL)
            worker.process.wait(servers.PATIENCE)
        eventually(servers.busy, lambda count: count == 0)
    assert pairs() == before
    # Popularity had committed before; the rest begins where it stood.
    assert advance() == [0, 3, 3, 3]
    assert counts() == SIX_ONCE
    assert differing() == []


def test_a_worker_killed_while_it_idles_is_followed_by_one_that_folds_the_next_commit(
    history: None, shop: Shop, tmp_path: Path
) -> None:
    with servers.worker(tmp_path) as worker:
        os.killpg(worker.process.pid, signal.SIGKILL)
        worker.process.wait(servers.PATIENCE)
    tell_of_three_views(shop)
    with servers.worker(tmp_path):
        wait_for_the_worker()
    assert counts() == SIX_ONCE
    assert differing() == []


def test_one_process_does_all_of_a_workers_work(history: None, shop: Shop, tmp_path: Path) -> None:
    """So that killing it is seen by whoever supervises it, and nothing half of it goes on."""
    with servers.worker(tmp_path) as worker:
        tell_of_three_views(shop)
        wait_for_the_worker()
        assert servers.descendants(worker.process.pid) == []


# ── the clock ──────────────────────────────────────────────────────────────────────────────


def test_the_months_of_today_and_the_next_two_are_made_ahead(committed: None) -> None:
    tasks.make_months()
    made = {name for (name,) in ask("SELECT relname FROM pg_class WHERE relname LIKE 'event_20%%'")}
    months = ahead(datetime.now(UTC), 2)
    assert {f"event_{year}_{month:02}" for year, month in months} <= made


# ── what takes long ────────────────────────────────────────────────────────────────────────


def test_a_worker_has_a_thread_to_fold_with_while_all_that_takes_long_is_under_way() -> None:
    slow = [name for name, route in app.conf.task_routes.items() if route["queue"] == "embed"]
    assert sorted(slow) == [
        "recommend.tasks.embed", "recommend.tasks.finetune", "recommend.tasks.teach"
    ]  # fmt: skip
    # Two of them wait for the same lock, and only one of the two is ever at work.
    assert app.conf.worker_concurrency == len(slow)
    assert set(slow) <= set(app.tasks)
