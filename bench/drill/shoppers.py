"""Shoppers under fire: they post events and ask for lists, and keep book of what was answered.

A delivery is sent again until it is answered with 202, by the same key, as docs/events.md
asks of a shop; some shoppers never wait for an answer. It promises that whatever was sent stands in
the book before it leaves. It never looks into the database.
"""

import contextlib
import http.client
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from demo.processes import HOST

SHOPPERS: Final = 4
USERS: Final = 60
ITEMS: Final = 80
LEAVE: Final = 0.05
"""The share of deliveries whose sender does not wait for an answer."""

TIMEOUT: Final = 10.0
"""Seconds that a shopper waits for an answer."""

KINDS: Final = ("view_item", "add_to_cart", "purchase", "refund", "dismiss", "rate", "identify",
                "search")  # fmt: skip
SHARES: Final = (50, 15, 12, 3, 3, 5, 4, 8)

Event = dict[str, Any]


@dataclass
class Book:
    """What one shopper knows: lines by key of all that was sent, the keys that were answered
    with 202, when each list was answered, and how every attempt ended."""

    sent: dict[str, int] = field(default_factory=dict)
    answered: set[str] = field(default_factory=set)
    lists: dict[str, float] = field(default_factory=dict)
    ends: Counter[str] = field(default_factory=Counter)
    waits: bool = False
    slowest: float = 0.0


class Shopper:
    """Posts until told to stop; `name` keeps its keys apart from the others'."""

    def __init__(self, name: str, port: int, key: str, seed: int) -> None:
        self.book = Book()
        self._name, self._port, self._key = name, port, key
        self._draw = random.Random(f"{seed} {name}")
        self._line: http.client.HTTPConnection | None = None
        self._count = 0
        self._slate: str | None = None

    def shop(self, over: threading.Event) -> None:
        """One visit after the other, until `over`."""
        while not over.is_set():
            if self._draw.random() < 0.2:
                self._ask_for_a_list()
            else:
                self._deliver(over)
            time.sleep(self._draw.uniform(0.0, 0.04))
        self.close()

    def tell(self, event: Event, patience: float) -> int | None:
        """Post one event until it is answered; the position, or None when `patience` is over."""
        end = time.monotonic() + patience
        self.book.sent[event["event_id"]] = 1
        while time.monotonic() < end:
            if (answer := self.post([event])) is not None:
                return int(answer["position"])
            time.sleep(0.05)
        return None

    def _deliver(self, over: threading.Event) -> None:
        size = 1 if self._draw.random() < 0.7 else self._draw.randint(2, 40)
        events = [self._event() for _ in range(size)]
        self.book.sent |= {event["event_id"]: lines(event) for event in events}
        if self._draw.random() < LEAVE:
            self._leave_at_once(events)
            return
        while self.post(events) is None and not over.is_set():
            time.sleep(self._draw.uniform(0.02, 0.2))

    def _leave_at_once(self, events: list[Event]) -> None:
        """Send, and be gone before any answer."""
        with (
            contextlib.suppress(OSError),
            closing(http.client.HTTPConnection(HOST, self._port, timeout=TIMEOUT)) as line,
        ):
            line.request("POST", "/v1/events", orjson.dumps(events), self._headers())

    def post(self, events: list[Event]) -> dict[str, Any] | None:
        """The answer, once it is 202 and says that all of them are kept."""
        status, said = self._call("POST", "/v1/events", events)
        if status != 202:
            return None
        if said["rejected"] or said["accepted"] + said["duplicates"] != len(events):
            self.book.ends[f"202 {said}"] += 1
            return None
        self.book.answered.update(event["event_id"] for event in events)
        return dict(said)

    def _ask_for_a_list(self) -> None:
        user = self._draw.randrange(USERS)
        status, said = self._call("GET", f"/v1/recommend/home?user_id=u{user}&count=10", None)
        if status == 200:
            self._slate = str(said["recommendation_id"])
            self.book.lists[self._slate] = time.monotonic()

    def _call(self, method: str, path: str, body: object) -> tuple[int, Any]:
        """Status and answer of one attempt; (0, None) where none came."""
        self.book.waits = True
        began = time.monotonic()
        try:
            if self._line is None:
                self._line = http.client.HTTPConnection(HOST, self._port, timeout=TIMEOUT)
            sent = None if body is None else orjson.dumps(body)
            self._line.request(method, path, sent, self._headers())
            got = self._line.getresponse()
            said = orjson.loads(got.read())
        except (OSError, http.client.HTTPException, orjson.JSONDecodeError):
            self.close()
            self.book.ends["no answer"] += 1
            return 0, None
        finally:
            self.book.waits = False
            self.book.slowest = max(self.book.slowest, time.monotonic() - began)
        self.book.ends[str(got.status) + (f" {said['code']}" if got.status >= 300 else "")] += 1
        return got.status, said

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}

    def close(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None

    def _event(self) -> Event:
        self._count += 1
        draw = self._draw
        kind = draw.choices(KINDS, SHARES)[0]
        event: Event = {"event": kind, "event_id": f"{self._name}-{self._count}",
                        "user_id": f"u{draw.randrange(USERS)}"}  # fmt: skip
        if draw.random() < 0.5:  # the others get the time of each attempt
            ago = timedelta(hours=draw.uniform(0, 72))
            event["occurred_at"] = (datetime.now(UTC) - ago).isoformat()
        return event | self._about(kind)

    def _about(self, kind: str) -> Event:
        draw = self._draw
        if kind == "identify":
            return {"anonymous_id": f"a{draw.randrange(USERS)}"}
        if kind == "search":
            return {"query": "a mug"}
        if kind == "purchase":
            bought = draw.sample(range(ITEMS), draw.randint(1, 5))
            return {"items": [{"item_id": f"i{n}", "quantity": 1, "price": 7.5} for n in bought]}
        about: Event = {"item_id": f"i{draw.randrange(ITEMS)}"}
        if kind == "rate":
            return about | {"rating": draw.randint(0, 5)}
        return about | ({"recommendation_id": self._slate} if self._slate else {})


def lines(event: Event) -> int:
    """How many rows of the log an event is."""
    return len(event.get("items", [event]))


def catalogue() -> Iterator[dict[str, Any]]:
    """What there is to be recommended, as a feed has it."""
    for n in range(ITEMS):
        yield {"item_id": f"i{n}", "title": f"Item {n}", "category": f"Shelf {n % 7}"}
