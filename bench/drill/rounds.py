"""The rounds of the drill: kill a part, start it again, wait until everything works.

It knows what working means: an event that is posted after the kill is answered with 202 and
folded into every projection; and beat, where it was killed, has sent a task again. It
promises that every wait has an end.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import ceil
from typing import Final

import psycopg

from bench.drill.house import PARTS, PATIENCE, POSTGRES, House
from bench.drill.shoppers import SHOPPERS, Book, Shopper
from demo.processes import Failed
from recommend.projections import PROJECTIONS

VICTIMS: Final = (*PARTS, POSTGRES)

BEHIND: Final = """
SELECT count(*) FILTER (WHERE pg_visible_in_snapshot(%s::text::xid8, snapshot::pg_snapshot)) FROM projection
"""
UNREAD: Final = """
SELECT count(*) FROM projection, LATERAL (
    SELECT FROM event WHERE xid >= pg_snapshot_xmin(snapshot::pg_snapshot)
      AND NOT pg_visible_in_snapshot(xid, snapshot::pg_snapshot) LIMIT 1) AS unread
"""


@dataclass(frozen=True, slots=True)
class Round:
    """What was killed, when (seconds after the start, and on the clock that never goes back),
    how many requests were under way, and the seconds until everything worked again."""

    number: int
    victim: str
    when: float
    moment: float
    in_flight: int
    recovered: float


def victims(rounds: int, draw: random.Random) -> list[str]:
    """Whom to kill, in order: everyone as often as the others, or once less."""
    chosen = [*VICTIMS] * ceil(rounds / len(VICTIMS))
    chosen = chosen[:rounds]
    draw.shuffle(chosen)
    return chosen


class Load:
    """Shoppers who shop in threads until the block ends."""

    def __init__(self, house: House, key: str, seed: int) -> None:
        self.shoppers = [Shopper(f"s{n}", house.port, key, seed) for n in range(SHOPPERS)]
        self._over = threading.Event()
        self._threads = [threading.Thread(target=s.shop, args=(self._over,), daemon=True)
                         for s in self.shoppers]  # fmt: skip

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(PATIENCE)
        if any(thread.is_alive() for thread in self._threads):
            raise Failed("a shopper never stopped shopping")

    @property
    def books(self) -> list[Book]:
        return [shopper.book for shopper in self.shoppers]


def fire(house: House, load: Load, probe: Shopper, order: list[str], seed: int) -> Iterator[Round]:
    """Kill them in this order, each at a moment that the seed draws."""
    draw = random.Random(seed)
    began = time.monotonic()
    for number, victim in enumerate(order, 1):
        time.sleep(draw.uniform(0.5, 3.0))
        in_flight = sum(book.waits for book in load.books)
        moment = time.monotonic()
        house.kill(victim)
        time.sleep(draw.uniform(0.0, 1.0))
        house.start(victim)
        wait_until_it_works(house, probe, number, victim)
        yield Round(number, victim, moment - began, moment, in_flight, time.monotonic() - moment)


def wait_until_it_works(house: House, probe: Shopper, number: int, victim: str) -> None:
    """Raises Failed after a minute."""
    event = {"event": "view_item", "event_id": f"probe-{number}", "user_id": "probe",
             "item_id": "i0"}  # fmt: skip
    position = probe.tell(event, PATIENCE)
    if position is None:
        raise Failed(f"no event was accepted within {PATIENCE:g} s after {victim} was killed")
    _until(lambda: house.ask(BEHIND, str(position)) == [(len(PROJECTIONS),)],
           f"an event was never folded after {victim} was killed")  # fmt: skip
    if victim == "beat":
        _until(lambda: "Sending due task" in house.said("beat"), "beat sent no task again")


def wait_until_all_is_read(house: House) -> None:
    """Until the worker has brought every projection to the log's end, by itself."""
    _until(lambda: house.ask(UNREAD) == [(0,)], "the worker never caught up")


def _until(done: Callable[[], bool], otherwise: str) -> None:
    end = time.monotonic() + PATIENCE
    while not _tried(done):
        if time.monotonic() > end:
            raise Failed(f"{otherwise}, within {PATIENCE:g} s")
        time.sleep(0.05)


def _tried(done: Callable[[], bool]) -> bool:
    try:
        return done()
    except psycopg.OperationalError:
        return False
