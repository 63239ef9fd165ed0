"""The reckoning: what the shoppers' books say against what the database holds.

It promises to look at every line of the log, and at every key that was delivered. It changes
nothing but what `verify` may (it lets projections read the log to its end).
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Final

from bench.drill.house import House
from bench.drill.shoppers import Book

# The lines of every event that a shopper sent, by what an id keeps of the key: a line that is
# there twice is named twice. Kinds from 20 on are the merchant's own.
LOGGED: Final = """
SELECT right(id::text, 12), array_agg(('x' || substr(id::text, 21, 3))::bit(12)::int ORDER BY id)
FROM event WHERE kind < 20 GROUP BY 1
"""
DELIVERED: Final = "SELECT replace(key::text, '-', '') FROM delivery"
SLATES: Final = "SELECT id::text FROM slate"

LONGEST_LOSS: Final = 1.0
"""Seconds before a kill of Postgres in which a list may be lost: thrice wal_writer_delay is 0.6."""

DYING: Final = 0.1
"""Seconds behind a kill in which Postgres' processes end what they are at, a list too, that nobody
writes to the disk any more (measured: up to 0.03)."""

EXPECTED_ENDS: Final = {"202", "200", "no answer", "503 database_unreachable", "503 database_busy"}


@dataclass(frozen=True, slots=True)
class Reckoning:
    """Counts, and under `wrong` every sentence that must not be said."""

    answered: int
    lines: int
    unanswered_kept: int
    unanswered_gone: int
    tables: int
    lists: int
    lists_lost: int
    slowest: float
    ends: Counter[str]
    wrong: list[str]

    def __str__(self) -> str:
        if self.wrong:
            return "WRONG: " + " ".join(self.wrong)
        return (
            f"{self.answered:,} events ({self.lines:,} lines) were answered with 202: each is there"
            f" once and whole. {self.unanswered_kept + self.unanswered_gone} were sent and never"
            f" answered: {self.unanswered_kept} are there once and whole, {self.unanswered_gone}"
            f" not at all. Nothing else is there. verify: {self.tables} tables equal. Of"
            f" {self.lists:,} lists {self.lists_lost} lost their slate (it may be lost in the"
            " second before a kill of Postgres). The slowest answer took"
            f" {self.slowest:.1f} s."
        )


def reckon(house: House, books: Sequence[Book], killed_postgres: Sequence[float]) -> Reckoning:
    """Compare; `killed_postgres` are the moments at which Postgres was killed."""
    sent = {key: lines for book in books for key, lines in book.sent.items()}
    answered = {key for book in books for key in book.answered}
    logged = dict(house.ask(LOGGED))
    kept = {key for key in sent if _short(key) in logged}
    ends = sum((book.ends for book in books), Counter[str]())
    slates = {slate for (slate,) in house.ask(SLATES)}
    lists = {slate: at for book in books for slate, at in book.lists.items()}
    lost = {slate: at for slate, at in lists.items() if slate not in slates}
    verified = _verified(house)
    wrong = [
        *differences(sent, answered, logged, {key for (key,) in house.ask(DELIVERED)}),
        *_some("lists lost that no kill of Postgres explains",
               (s for s, at in lost.items() if not _about(at, killed_postgres))),
        *_some("unexpected answers", ends.keys() - EXPECTED_ENDS),
        *_some("tables that are not equal", (t for t, is_equal in verified.items() if not is_equal)),
    ]  # fmt: skip
    silent = sent.keys() - answered
    return Reckoning(
        answered=len(answered), lines=sum(sent[key] for key in answered),
        unanswered_kept=len(silent & kept), unanswered_gone=len(silent - kept),
        tables=len(verified), lists=len(lists), lists_lost=len(lost),
        slowest=max(book.slowest for book in books), ends=ends, wrong=wrong,
    )  # fmt: skip


def differences(
    sent: Mapping[str, int],
    answered: Set[str],
    logged: Mapping[str, list[int]],
    delivered: Set[str],
) -> list[str]:
    """A sentence for each kind of untruth. `sent` holds lines by key; `logged` the lines that are
    there, in order, by the short form of a key; `delivered` the digests of keys."""
    kept = {key for key in sent if _short(key) in logged}
    return [
        *_some("answered with 202 and not there", answered - kept),
        *_some("there twice or in part",
               (k for k in kept if logged[_short(k)] != list(range(sent[k])))),
        *_some("there and never sent", logged.keys() - {_short(key) for key in sent}),
        *_some("not the same in the log and among the delivered",
               {_digest(key) for key in kept} ^ delivered),
    ]  # fmt: skip


def _verified(house: House) -> dict[str, bool]:
    """Table → whether `verify` says that it is equal."""
    said = house.manage("verify").splitlines()
    return {
        line.split(":")[0]: ": equal (" in line for line in said if not line.startswith("log: ")
    }


def _some(what: str, found: Iterable[str]) -> list[str]:
    all_of_them = sorted(found)
    if not all_of_them:
        return []
    return [f"{len(all_of_them)} {what} ({', '.join(all_of_them[:3])} …)."]


def _about(at: float, kills: Sequence[float]) -> bool:
    return any(-DYING <= kill - at <= LONGEST_LOSS for kill in kills)


def _short(key: str) -> str:
    return hashlib.md5(key.encode()).hexdigest()[:12]


def _digest(key: str) -> str:
    return hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
