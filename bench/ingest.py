"""Ingest: how much comes in over HTTP in a second while a real worker folds it.

A few keep-alive connections send bodies made beforehand as fast as they are answered, so the
clients' own part of the two cores is small (and said). An answer means that the events are on
the disk and in their shoppers' own state. The clock of the catch-up begins with the last
answer: how long the worker then needs until every projection holds all of it.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Final

import orjson

from bench import fresh
from bench.figures import Figure, at_least
from bench.fresh import Watch
from bench.sizes import Size
from bench.traffic import SEED, Client, Shop, happenings

PATH: Final = "/v1/events"
BATCH: Final = 100
CLIENTS: Final = 16
"""Twice the web server's threads: connections fall unevenly on its processes, and a thread that
waits for a client, rather than for the disk, would be measured as the stack's own."""


def measure(connect: Callable[[], Client], shop: Shop, size: Size) -> list[Figure]:
    """Batches, then single events. A worker must be running."""
    batches = _flooded(connect, _batches(shop, size.batches))
    singles = _flooded(connect, list(islice(_events(shop, SEED + 1), size.singles)))
    return [
        Figure(f"events in batches of {BATCH}", batches.rate * BATCH, "events/s",
               at_least(5_000), batches.rate * BATCH / singles.rate, "one by one"),
        Figure(f"{size.batches * BATCH:,} of them, until all are folded", batches.behind, "s"),
        Figure("events one by one", singles.rate, "requests/s", at_least(800)),
        Figure(f"{size.singles:,} of them, until all are folded", singles.behind, "s"),
        Figure("the clients' own part of a core", 100 * singles.clients, "%"),
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Flood:
    """Requests answered a second, seconds until all was folded, the clients' share of a core."""

    rate: float
    behind: float
    clients: float


def _flooded(connect: Callable[[], Client], bodies: Sequence[object]) -> _Flood:
    """Send all, each client its share, and wait until the projections have it."""
    with connect() as client:
        requests = [client.posting(PATH, body) for body in bodies]
    began, busy = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(CLIENTS) as pool:
        mine = [requests[n::CLIENTS] for n in range(min(CLIENTS, len(requests)))]
        last = list(pool.map(lambda part: _send(connect, part), mine))
    took, spent = time.perf_counter() - began, time.process_time() - busy
    ended = time.perf_counter()
    _await_folded(last)
    return _Flood(len(bodies) / took, time.perf_counter() - ended, spent / took)


def _send(connect: Callable[[], Client], requests: Sequence[bytes]) -> bytes:
    """The last answer."""
    answer = b""
    with connect() as client:
        for request in requests:
            answer = client.call(request)
    return answer


def _await_folded(answers: Sequence[bytes]) -> None:
    watch = Watch()
    for answer in answers:
        fresh.look_until_seen(watch, int(orjson.loads(answer)["position"]))


def _batches(shop: Shop, count: int) -> list[list[dict[str, Any]]]:
    events = _events(shop, SEED)
    return [list(islice(events, BATCH)) for _ in range(count)]


def _events(shop: Shop, seed: int) -> Iterator[dict[str, Any]]:
    """As a shop's page sends them: they happen when they arrive, and each has a key, so that a
    retry would change nothing."""
    drawn = happenings(shop, seed, since=datetime.now(UTC), gap=timedelta())
    for number, event in enumerate(drawn):
        del event["occurred_at"]
        yield event | {"event_id": f"bench-{seed}-{number}"}
