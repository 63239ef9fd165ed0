"""Many writers, many workers, one log: nothing is lost, nothing counts twice, nobody is stuck.

Writers retry and repeat each other's events, in batches that name the same shoppers and items
in every order; workers compete for the same projections; some are killed. At the end the
tables must be those of tests.oracle, exactly.
"""

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
from django.db import connection

from behavior.events import Event, Kind
from recommend import fold
from recommend.projections import PROJECTIONS, pairs
from tests import oracle
from tests.given import advance, ask, contents, did, differing, given, item, states
from tests.servers import ROOT, environment

pytestmark = pytest.mark.usefixtures("committed")

WRITERS: Final = 6
ROUNDS: Final = 50
PATIENCE: Final = 60.0
KINDS: Final = (Kind.VIEW_ITEM, Kind.ADD_TO_CART, Kind.PURCHASE, Kind.REFUND, Kind.DISMISS)


def drawn(writer: int) -> list[Event]:
    """What one writer has to say, of shoppers and items that all of them know."""
    chance = random.Random(writer)
    return [
        did(
            chance.choice(KINDS),
            f"u{chance.randrange(8)}",
            *chance.sample("abcdefghij", chance.randint(1, 3)),
            at=chance.randrange(3_000),
            key=f"{writer}-{n}",
        )
        for n in range(ROUNDS * 4)
    ]


HISTORIES: Final = [drawn(writer) for writer in range(WRITERS)]
EVERYTHING: Final = [event for history in HISTORIES for event in history]


def everyone(*jobs: Callable[[], None]) -> None:
    """Run the jobs at once, each in a thread with a connection of its own; none may fail."""
    failures: list[BaseException] = []

    def run(job: Callable[[], None]) -> None:
        try:
            with contextlib.closing(connection):
                job()
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(job,), daemon=True) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert failures == []
    assert not any(thread.is_alive() for thread in threads), "somebody is stuck"


def writer(number: int) -> Callable[[], None]:
    """Single events and batches of its own, each sent again at once or later, and some of
    the next writer's in another order."""

    def write() -> None:
        chance = random.Random(100 + number)
        own, other = list(HISTORIES[number]), HISTORIES[(number + 1) % WRITERS]
        for start in range(0, len(own), 4):
            batch = own[start : start + 4]
            given(batch[0], batch[1:])
            again = [*batch, *other[start : start + 4]]
            chance.shuffle(again)
            given(again)

    return write


def worker(done: threading.Event) -> Callable[[], None]:
    """Advances everything, in an order of its own, until all is written."""

    def work() -> None:
        while not done.is_set():
            advance()

    return work


def expected(events: Sequence[Event]) -> dict[str, Any]:
    facts = oracle.facts(events)
    return {
        "covisit": oracle.pairs(facts),
        "item_count": oracle.counts(facts),
        "popularity_day": oracle.days(facts),
        "user_state": oracle.states(facts),
        "user_item": oracle.dealings(facts),
    }


def held() -> dict[str, Any]:
    return {table: rows for table, rows in contents().items() if table in expected([])}


def test_six_writers_and_two_workers_count_every_event_once() -> None:
    written = threading.Event()
    jobs = [writer(number) for number in range(WRITERS)]
    left = [len(jobs)]
    count = threading.Lock()

    def and_say_so(job: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            try:
                job()
            finally:
                with count:
                    left[0] -= 1
                    if not left[0]:
                        written.set()

        return run

    everyone(*map(and_say_so, jobs), worker(written), worker(written))
    advance()
    assert ask("SELECT count(*) FROM event") == [(len(oracle.facts(EVERYTHING)),)]
    assert held() == expected(EVERYTHING)
    assert differing() == []
    assert advance() == [0] * len(PROJECTIONS)


def test_the_same_batch_in_opposite_orders_does_not_dead_lock() -> None:
    batches = [
        [did(Kind.VIEW_ITEM, f"u{n}", f"i{n}", at=n, key=f"{turn}-{n}") for n in range(300)]
        for turn in range(6)
    ]
    together = threading.Barrier(2, timeout=10)

    def forwards() -> None:
        for batch in batches:
            together.wait()
            given(batch)

    def backwards() -> None:
        for batch in batches:
            together.wait()
            given(batch[::-1])

    everyone(forwards, backwards)
    assert ask("SELECT count(*) FROM event") == [(1_800,)]
    assert states() == oracle.states(oracle.facts(e for batch in batches for e in batch))


def test_the_catalogue_changes_while_shoppers_and_workers_go_on() -> None:
    written = threading.Event()

    def merchant() -> None:
        try:
            for n in range(40):
                item("abcde"[n % 5], title=f"Mug {n}", category=("Home", "Home > Mugs")[n % 2])
        finally:
            written.set()

    everyone(merchant, writer(0), worker(written))
    advance()
    assert differing() == []
    assert contents(["content"])["item_passage"] == {
        "abcde"[n % 5]: (f"Mug {n}. {('Home', 'Home > Mugs')[n % 2]}", None) for n in range(35, 40)
    }


def test_projections_are_rebuilt_and_proven_while_others_write_and_fold() -> None:
    written = threading.Event()

    def writes() -> None:
        try:
            writer(0)()
        finally:
            written.set()

    def proves() -> None:
        while not written.is_set():
            assert differing() == []

    def rebuilds() -> None:
        while not written.is_set():
            for one in PROJECTIONS:
                fold.rebuild(one)

    everyone(writes, worker(written), proves, rebuilds)
    advance()
    assert differing() == []
    shown = [*HISTORIES[0], *HISTORIES[1][: ROUNDS * 4]]
    assert contents(["covisit"])["covisit"] == oracle.pairs(oracle.facts(shown))


# ── a worker that dies ─────────────────────────────────────────────────────────────────────

WORKER: Final = """
from recsite.boot import boot
boot()
import django
django.setup()
from recsite.db import psycopg_connection
from recommend import fold
from recommend.projections import PROJECTIONS
print(psycopg_connection().info.backend_pid, flush=True)
while True:
    for one in PROJECTIONS:
        fold.advance(one)
"""


@contextlib.contextmanager
def doomed_worker(home: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A worker in a process of its own, and the number of its session in Postgres."""
    with subprocess.Popen(
        [sys.executable, "-c", WORKER],
        env=os.environ | environment(home),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            yield process, int(process.stdout.readline())
        finally:
            process.kill()


def wait_until_it_folds(stranger: psycopg.Connection[Any], session: int) -> str:
    """Until that session is inside a transaction that has written; what it runs."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = stranger.execute(
            "SELECT query FROM pg_stat_activity"
            " WHERE pid = %s AND backend_xid IS NOT NULL AND xact_start IS NOT NULL",
            [session],
        ).fetchone()
        if found is not None:
            return str(found[0])
    raise AssertionError("the worker never folded")


def test_a_worker_killed_in_the_middle_of_a_fold_loses_and_repeats_nothing(
    tmp_path: Path, stranger: psycopg.Connection[Any]
) -> None:
    chance = random.Random(9)
    sent = [
        did(chance.choice(KINDS), f"u{n % 40}", f"i{chance.randrange(60)}", at=n, key=f"k{n}")
        for n in range(6_000)
    ]
    given(sent[:10])
    advance()
    for turn in range(4):
        with doomed_worker(tmp_path) as (process, session):
            given(sent[turn * 1_500 : (turn + 1) * 1_500])
            wait_until_it_folds(stranger, session)
            time.sleep(chance.random() * 0.05)
            process.send_signal(signal.SIGKILL)
            process.wait(PATIENCE)
    advance()
    assert held() == expected(sent)
    assert differing() == []


def test_a_lock_of_a_worker_that_died_is_free_again(
    tmp_path: Path, stranger: psycopg.Connection[Any]
) -> None:
    given(did(Kind.VIEW_ITEM, "ann", "a", key="1"))
    with doomed_worker(tmp_path) as (process, session):
        process.send_signal(signal.SIGKILL)
        process.wait(PATIENCE)
    given(did(Kind.VIEW_ITEM, "ann", "b", at=1, key="2"))
    advance()
    assert contents(["covisit"])["item_count"] == {
        "a": (pairs.UNIT, 0),
        "b": (pairs.UNIT, 0),
    }
    gone = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = %s"
    assert stranger.execute(gone, [session]).fetchone() == (0,)
