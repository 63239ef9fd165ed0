"""Lists over HTTP, against a view of the same stack that does nothing.

One client measures how long an answer takes: list and nothing in turn, so that whatever else
the machine does meets both alike. Several clients at once measure how many there are.
"""

import itertools
import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from bench.figures import Figure, at_least, at_most, percentile
from bench.sizes import Size
from bench.traffic import SEED, Client, Shop

NOOP: Final = "/v1/noop"
CLIENTS: Final = 6
"""Enough to keep two processes of two threads busy."""

MILLISECOND: Final = 1e3


def measure(connect: Callable[[], Client], shop: Shop, size: Size) -> list[Figure]:
    """The home lists of real households, warm; `connect` opens a client."""
    users = random.Random(SEED).choices(shop.users, k=size.warm_up + size.requests)
    lists = [f"/v1/recommend/home?user_id={user}" for user in users]
    _call_all(connect, lists[: size.warm_up])
    alone = _one_client(connect, lists[size.warm_up :])
    noop, listed = (_saturated(connect, paths, seconds=size.saturated) for paths in ([NOOP], lists))
    return [
        *alone,
        Figure("home list, answers when saturated", listed, "/s", at_least(400),
               listed / noop, "no-op"),
        Figure("no-op view, answers when saturated", noop, "/s"),
    ]  # fmt: skip


def _one_client(connect: Callable[[], Client], lists: Sequence[str]) -> list[Figure]:
    took, idle = [], []
    with connect() as client:
        nothing = client.getting(NOOP)
        for path in lists:
            took.append(_time(client, client.getting(path)))
            idle.append(_time(client, nothing))
    p50, p99 = (percentile(took, share) for share in (0.5, 0.99))
    noop50, noop99 = (percentile(idle, share) for share in (0.5, 0.99))
    return [
        Figure("home list, one client, p50", p50, "ms", at_most(4), p50 / noop50, "no-op"),
        Figure("home list, one client, p99", p99, "ms", at_most(12), p99 / noop99, "no-op"),
        Figure("home list ÷ no-op, p50", p50 / noop50, "times", at_most(8)),
        Figure("no-op view, one client, p50", noop50, "ms"),
        Figure("no-op view, one client, p99", noop99, "ms"),
    ]


def _time(client: Client, request: bytes) -> float:
    began = time.perf_counter()
    client.call(request)
    return (time.perf_counter() - began) * MILLISECOND


def _call_all(connect: Callable[[], Client], paths: Sequence[str]) -> None:
    """Every path once, by all clients together."""

    def call(mine: Sequence[str]) -> None:
        with connect() as client:
            for path in mine:
                client.get(path)

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(call, [paths[n::CLIENTS] for n in range(CLIENTS)]))


def _saturated(connect: Callable[[], Client], paths: Sequence[str], *, seconds: float) -> float:
    """Answers a second of all clients together."""
    began = time.perf_counter()
    end = began + seconds

    def call(first: int) -> int:
        with connect() as client:
            asked = itertools.cycle([client.getting(p) for p in paths[first::CLIENTS] or paths])
            done = 0
            while time.perf_counter() < end:
                client.call(next(asked))
                done += 1
            return done

    with ThreadPoolExecutor(CLIENTS) as pool:
        total = sum(pool.map(call, range(CLIENTS)))
    return total / (time.perf_counter() - began)
