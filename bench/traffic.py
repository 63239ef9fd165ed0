"""Traffic: a client that costs next to nothing, and shoppers who behave alike in every run.

The client shares two cores with what it measures, so it sends bytes made beforehand and reads
no more of an answer than its length. The shoppers are drawn by seed: households of the demo
who view, put in carts and buy what its history says is popular.
"""

import random
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import orjson
import pyarrow.parquet as pq

from demo.processes import HOST

SEED: Final = 20_261_124
AT_ONCE: Final = 60
"""Shoppers in the shop at a time; each stays for about ten events."""

KINDS: Final = ("view_item", "add_to_cart", "purchase")
KIND_SHARES: Final = (70, 15, 15)
MOST_HISTORY: Final = 100_000


class Refused(Exception):
    """The stack answered with something else than was expected; the message has the answer."""


@dataclass(frozen=True, slots=True)
class Shop:
    """Who shops, what is bought (as often as it is), and the history's file."""

    users: list[str]
    bought: list[str]
    history: Path

    @classmethod
    def read(cls, folder: Path) -> "Shop":
        history = folder / "events.parquet"
        table = pq.read_table(history, columns=["user_id", "item_id"])
        users = sorted(set(table["user_id"].to_pylist()))
        return cls(users, table["item_id"].to_pylist()[-MOST_HISTORY:], history)


def happenings(
    shop: Shop, seed: int, *, since: datetime, gap: timedelta
) -> Iterator[dict[str, Any]]:
    """Events without end, as a shop would send them: one every `gap`, shoppers interleaved."""
    draw = random.Random(seed)
    present = draw.choices(shop.users, k=AT_ONCE)
    while True:
        place = draw.randrange(AT_ONCE)
        if draw.random() < 0.1:
            present[place] = draw.choice(shop.users)
        yield {
            "event": draw.choices(KINDS, KIND_SHARES)[0],
            "occurred_at": since.isoformat(),
            "user_id": present[place],
            "item_id": draw.choice(shop.bought),
        }
        since += gap


class Client:
    """One keep-alive connection. Use it as a context manager."""

    def __init__(self, port: int, key: str) -> None:
        self._socket = socket.create_connection((HOST, port), timeout=30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._head = f"Host: {HOST}:{port}\r\nAuthorization: Bearer {key}\r\n".encode()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def get(self, path: str) -> bytes:
        """The body of a 200. Raises Refused for any other answer."""
        return self.call(self.getting(path))

    def post(self, path: str, body: object) -> bytes:
        """The body of a 202. Raises Refused for any other answer."""
        return self.call(self.posting(path, body))

    def posting(self, path: str, body: object) -> bytes:
        """The request as bytes, to be made before the clock starts."""
        sent = orjson.dumps(body)
        head = b"POST %b HTTP/1.1\r\n%bContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        return head % (path.encode(), self._head, len(sent)) + sent

    def getting(self, path: str) -> bytes:
        """The request as bytes, to be made before the clock starts."""
        return b"GET %b HTTP/1.1\r\n%b\r\n" % (path.encode(), self._head)

    def call(self, request: bytes) -> bytes:
        """Send, and wait for the whole answer; returns its body."""
        self._socket.sendall(request)
        answer = self._socket.recv(65_536)
        while (end := answer.find(b"\r\n\r\n")) < 0:
            answer += self._more()
        whole = end + 4 + _length(answer[:end])
        while len(answer) < whole:
            answer += self._more()
        if not answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 202")):
            raise Refused(f"the stack answered {answer[:500].decode(errors='replace')}")
        return answer[end + 4 :]

    def _more(self) -> bytes:
        if not (received := self._socket.recv(65_536)):
            raise Refused("the stack closed the connection in the middle of an answer")
        return received


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise Refused(f"an answer without its length: {head[:500].decode(errors='replace')}")
