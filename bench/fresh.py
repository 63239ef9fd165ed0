"""Freshness: how long after a post the projections hold it, while a real worker folds.

Clients post at a fixed rate over HTTP; meanwhile this process looks every 20 ms where the
projections stand. The clock of an event begins when its post is sent, so the figures hold
the post's own time, and up to 20 ms of looking.
"""

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Final

import orjson

from bench.figures import Figure, at_least, at_most, percentile
from bench.sizes import Size
from bench.traffic import SEED, Client, Shop, happenings
from recsite.db import cursor

WATCHED: Final = {"covisit": "neighbours", "popularity": "popularity"}
LOOK_EVERY: Final = 0.02
PATIENCE: Final = 60.0
"""Seconds until an event that no projection has is called lost."""

CLIENTS: Final = 2
AWAKE: Final = "UPDATE wakeup SET asked = false"
STANDS: Final = "SELECT name, snapshot FROM projection WHERE name = ANY(%s)"


class NeverFresh(Exception):
    """A projection did not come to an event in a minute; the message says which."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A post: when it was sent (monotonic seconds), and its transaction's id."""

    at: float
    xid: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a reader has seen, as Postgres writes it: xmin:xmax:the open ones between."""

    xmin: int
    xmax: int
    open: frozenset[int]

    @classmethod
    def read(cls, text: str) -> "Snapshot":
        xmin, xmax, between = text.split(":")
        return cls(int(xmin), int(xmax), frozenset(map(int, filter(None, between.split(",")))))

    def has_seen(self, xid: int) -> bool:
        return xid < self.xmin or (xid < self.xmax and xid not in self.open)


class Watch:
    """Each projection's snapshots, with the moment when each was first met."""

    def __init__(self) -> None:
        self.times: dict[str, list[float]] = {name: [] for name in WATCHED}
        self.snapshots: dict[str, list[Snapshot]] = {name: [] for name in WATCHED}
        self._texts: dict[str, str] = {}

    def look(self) -> None:
        with cursor() as hot:
            rows = hot.execute(STANDS, [list(WATCHED)], prepare=True).fetchall()
        now = time.monotonic()
        for name, text in rows:
            if self._texts.get(name) != text:
                self._texts[name] = text
                self.times[name].append(now)
                self.snapshots[name].append(Snapshot.read(text))

    def have_seen(self, xid: int) -> bool:
        """Whether every projection has."""
        return all(seen and seen[-1].has_seen(xid) for seen in self.snapshots.values())

    def lag(self, name: str, sent: Sent) -> float:
        """Seconds from the post to the first look that found it folded."""
        first = bisect_left(self.times[name], sent.at)
        later = zip(self.times[name][first:], self.snapshots[name][first:], strict=True)
        return next(at for at, snapshot in later if snapshot.has_seen(sent.xid)) - sent.at


def measure(connect: Callable[[], Client], shop: Shop, size: Size) -> list[Figure]:
    """The stream, then the clicks. A worker must be on its way up."""
    with cursor() as hot:
        hot.execute(AWAKE)
    _await_worker(connect, shop)
    watch, posts = Watch(), size.rate * size.stream
    began = time.monotonic()
    with ThreadPoolExecutor(CLIENTS) as pool:
        streams = [pool.submit(_post, connect, shop, size, n) for n in range(CLIENTS)]
        sent = _watch(watch, streams)
    rate = posts / (max(each.at for each in sent) - began)
    lags = {name: [watch.lag(name, each) for each in sent] for name in WATCHED}
    return [
        Figure("events posted over HTTP", rate, "/s"),
        *(figure for name, seconds in lags.items() for figure in _lag(WATCHED[name], seconds)),
        *_own_list(connect, shop, size.clicks),
    ]


def _lag(name: str, seconds: Sequence[float]) -> list[Figure]:
    return [
        Figure(f"post → {name}, median", percentile(seconds, 0.5), "s", at_most(1)),
        Figure(f"post → {name}, p99", percentile(seconds, 0.99), "s", at_most(1)),
    ]


def _await_worker(connect: Callable[[], Client], shop: Shop) -> None:
    """Until the first event is folded, which is when the worker has come up."""
    with connect() as client:
        (event,) = islice(_events(shop, SEED), 1)
        first = _send(client, event)
    look_until_seen(Watch(), first.xid)


def _watch(watch: Watch, streams: Sequence["Future[list[Sent]]"]) -> list[Sent]:
    while not all(stream.done() for stream in streams):
        watch.look()
        time.sleep(LOOK_EVERY)
    sent = [each for stream in streams for each in stream.result()]
    for each in sent:
        look_until_seen(watch, each.xid)
    return sent


def look_until_seen(watch: Watch, xid: int) -> None:
    """Return when every projection has this transaction. Raises NeverFresh after a minute."""
    end = time.monotonic() + PATIENCE
    watch.look()
    while not watch.have_seen(xid):
        if time.monotonic() > end:
            raise NeverFresh(f"no worker folded transaction {xid} in {PATIENCE:.0f} seconds.")
        time.sleep(LOOK_EVERY)
        watch.look()


def _post(connect: Callable[[], Client], shop: Shop, size: Size, number: int) -> list[Sent]:
    """This client's part of the stream, each post at its own moment."""
    events = _events(shop, SEED + 1 + number)
    gap, began = CLIENTS / size.rate, time.monotonic()
    sent = []
    with connect() as client:
        for n in range(int(size.rate * size.stream) // CLIENTS):
            time.sleep(max(0.0, began + (n + number / CLIENTS) * gap - time.monotonic()))
            sent.append(_send(client, next(events)))
    return sent


def _events(shop: Shop, seed: int) -> Any:
    """Without their times: what a page posts has just happened."""
    for event in happenings(shop, seed, since=datetime.now(UTC), gap=timedelta()):
        yield {name: value for name, value in event.items() if name != "occurred_at"}


def _send(client: Client, event: dict[str, Any]) -> Sent:
    at = time.monotonic()
    answer = orjson.loads(client.post("/v1/events", event))
    return Sent(at, int(answer["position"]))


def _own_list(connect: Callable[[], Client], shop: Shop, clicks: int) -> list[Figure]:
    """Strangers who look at one item each: does the very next list follow it?"""
    items = [item for item, _ in Counter(shop.bought).most_common(clicks)]
    followed, took = 0, []
    with connect() as client:
        for number, item in enumerate(items):
            visitor = f"bench-{number}"
            path = f"/v1/recommend/home?anonymous_id={visitor}"
            began = time.perf_counter()
            client.post(
                "/v1/events", {"event": "view_item", "anonymous_id": visitor, "item_id": item}
            )
            answer = client.get(path)
            took.append(time.perf_counter() - began)
            followed += item in _named(answer)
    changed = 100 * followed / len(items)
    return [
        Figure("next list of that shopper names the click", changed, "%", at_least(100)),
        Figure("click and next list together, p50", percentile(took, 0.5) * 1e3, "ms"),
    ]


def _named(answer: bytes) -> set[str]:
    """The shopper's own items that the list's reasons name."""
    shown = orjson.loads(answer)["items"]
    return {reason.get("because") for item in shown for reason in item["reasons"]}
