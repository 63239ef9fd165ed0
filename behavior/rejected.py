"""Records that were refused, kept with their reason so that a merchant can look at them and
have them read again (behavior.retry).

It owns the table, and promises that one refusal of one record is kept once, that strangers
cannot fill the disk through it, that a lost row never costs an accepted event, and that what
a person sent is found again for their export or erasure. No record is ever written to a
program's log.
"""

import hashlib
import json
import logging
import re
import uuid
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any, Final, NamedTuple

import psycopg
from django.db import Error, transaction
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Identity,
    Index,
    Table,
    Text,
    Uuid,
    text,
)  # fmt: skip

from behavior.envelope import subject_of
from behavior.events import Rejection
from recsite.db import METADATA, cursor

rejected = Table(
    "rejected",
    METADATA,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("rejected_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    Column("source", Text, nullable=False),
    Column("line", BigInteger, nullable=False),
    Column("code", Text, nullable=False),
    Column("message", Text, nullable=False),
    # As text: jsonb holds no NUL and no half characters, and those are what gets refused.
    Column("payload", Text),
    Column("whole", Boolean, nullable=False),
    Column("subject", Text),
    Column("digest", Uuid, nullable=False, unique=True),
    Index("rejected_rejected_at_idx", "rejected_at"),
    Index("rejected_subject_idx", "subject", postgresql_where=text("subject IS NOT NULL")),
)
"""`payload` is the record as JSON, cut where not `whole`; NULL where a line could not be read."""

HTTP: Final = "http"
"""The source of what came by POST; of a file it is the file's name."""

MOST: Final = 100_000
"""Rows that a trim leaves: with payloads of the greatest length, about 400 MB."""

MOST_BETWEEN: Final = 20_000
"""Rows that may come above MOST until the next trim; beyond it nothing is kept."""

MOST_OF_A_RUN: Final = 50_000
"""Rows that one file may have here."""

KEPT: Final = timedelta(days=30)
LONGEST: Final = 4_000
"""Bytes of a record."""

LONGEST_MESSAGE: Final = 1_000
CHUNK: Final = 1_000

log = logging.getLogger("recsite.rejected")


class Refused(NamedTuple):
    """A record (None: its line could not be read), its index in the call or line in the file,
    and why it was refused."""

    line: int
    rejection: Rejection
    raw: object = None


# The distance of the ids bounds the rows at the cost of two look-ups; the anti-join keeps what
# is there already from taking a number. The order keeps two calls that were refused the same
# records from dead-locking.
KEEP: Final = """
INSERT INTO rejected (source, line, code, message, payload, whole, subject, digest)
SELECT %s, line, code, message, payload, whole, subject, digest
FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[], %s::bool[], %s::text[], %s::uuid[])
     AS given(line, code, message, payload, whole, subject, digest)
WHERE (SELECT coalesce(max(id) - min(id), 0) FROM rejected) < %s
  AND NOT EXISTS (SELECT FROM rejected known WHERE known.digest = given.digest)
ORDER BY digest
ON CONFLICT (digest) DO NOTHING
"""


def keep(source: str, refused: Iterable[Refused]) -> None:
    """Keep these refusals in the caller's transaction; where that fails, its other work stands."""
    remaining = iter(refused)
    try:
        while chunk := list(islice(remaining, CHUNK)):
            columns = zip(*(_row(source, one) for one in chunk), strict=True)
            with transaction.atomic(), cursor() as hot:
                values = [_clean(source), *map(list, columns), MOST + MOST_BETWEEN]
                hot.execute(KEEP, values, prepare=True)
    except (Error, psycopg.Error) as error:
        if transaction.get_rollback():
            # Nor could the savepoint be left: the connection is gone, and with it the events.
            raise
        # Only its kind: what it says may quote the record.
        log.warning("Refused records were not kept: %s.", type(error).__name__)


def _row(source: str, refused: Refused) -> tuple[Any, ...]:
    written, is_exact = ("", False) if refused.raw is None else _written(refused.raw)
    payload = _cut(written) or None
    code, message = refused.rejection.code, sayable(refused.rejection.message)
    # A repeated POST has its records at other places; a file's line stays where it is.
    place = code if source == HTTP else refused.line
    digest = _digest(f"{source}\0{place}\0{written}")
    whole = is_exact and written == payload
    return (refused.line, code, message, payload, whole, subject_of(refused.raw), digest)


def _written(raw: object) -> tuple[str, bool]:
    """The record as text, and whether `from_json` would read the same again.

    Half characters and NaN survive, and the times and numbers of Parquet files where text says
    the same; "" for what is too deep to be written.
    """
    odd: list[object] = []

    def as_text(value: object) -> str:
        odd.append(value)
        return str(value)

    plain = {k: _plain(k, v) for k, v in raw.items()} if isinstance(raw, dict) else raw
    try:
        text = json.dumps(plain, ensure_ascii=False, default=as_text)
        return (text if is_storable(text) else json.dumps(plain, default=str)), not odd
    except (TypeError, ValueError, RecursionError):
        return "", False


READ_FROM_TEXT: Final = {"occurred_at", "recommendation_id", "quantity", "price", "value", "rating"}


def _plain(field: str, value: object) -> object:
    is_text = field in READ_FROM_TEXT and isinstance(value, datetime | Decimal | uuid.UUID)
    return str(value) if is_text else value


def from_json(payload: str) -> Any:
    """The record of a whole payload."""
    return json.loads(payload)


def is_storable(text: str) -> bool:
    """Whether it is text that Postgres and a page can hold."""
    return _clean(text) == text


def sayable(message: str) -> str:
    """A reason as it is kept."""
    return _clean(message)[:LONGEST_MESSAGE]


def _clean(text: str) -> str:
    """Without what Postgres cannot hold: messages may quote it, names of files may have it."""
    return text.replace("\0", "").encode(errors="replace").decode()


def _cut(written: str) -> str:
    encoded = written.encode()
    return written if len(encoded) <= LONGEST else encoded[:LONGEST].decode(errors="ignore")


def _digest(said: str) -> uuid.UUID:
    hashed = hashlib.blake2b(said.encode(errors="surrogateescape"), digest_size=16)
    return uuid.UUID(bytes=hashed.digest())


# ── letting go ─────────────────────────────────────────────────────────────────────────────

TRIM: Final = """
DELETE FROM rejected
WHERE rejected_at < %s OR id <= (SELECT max(id) FROM rejected) - %s
"""


def trim(now: datetime) -> int:
    """Drop what is older than KEPT or not among the newest MOST; how many that were."""
    with cursor() as hot:
        return hot.execute(TRIM, [now - KEPT, MOST]).rowcount


FIELDS_OF_PEOPLE: Final = {
    "user": (
        "user_id", "userId", "customer_id", "previous_user_id", "previousId", "sourceUserId",
        "targetUserId",
    ),
    "anonymous": (
        "anonymous_id", "anonymousId", "client_id", "clientId", "visitorId", "user_pseudo_id",
        "app_instance_id",
    ),
}  # fmt: skip
"""A user and a browser of the same number are not one: each is looked for in its own fields."""

OF_CUSTOMERS: Final = {"user": r'|customer"\s*:\s*\{\s*"id', "anonymous": ""}
NAMED: Final = r'"({fields}{customers})"\s*:\s*"?{name}"?\s*[,}}\]]'
"""A record that names somebody, at any depth of it and in any vendor's words."""

# Look for the bare name first: few records have it, and a regular expression is a hundred times
# slower.
OF_PEOPLE: Final = """
subject = ANY(%(names)s) OR EXISTS (
    SELECT FROM unnest(%(bare)s::text[], %(named)s::text[]) AS wanted(bare, named)
    WHERE strpos(payload, bare) > 0 AND payload ~ named)
"""
LOOK_FOR: Final = f"""
SELECT pg_snapshot_xmin(pg_current_snapshot())::text, ARRAY(SELECT id FROM rejected WHERE {OF_PEOPLE})
"""
FORGET: Final = f"DELETE FROM rejected WHERE {OF_PEOPLE}"
FORGET_FOUND: Final = "DELETE FROM rejected WHERE id = ANY(%(ids)s)"

# Ids are no order of commits; a row that the search did not see was written by a transaction no
# older than the oldest that was under way. Its age is compared before any payload is read.
FORGET_SINCE: Final = f"""
DELETE FROM rejected WHERE age(xmin) <= age(%(since)s::xid8::xid) AND ({OF_PEOPLE})
"""
TOLD: Final = ("rejected_at", "source", "line", "code", "message", "payload", "subject")
TELL: Final = f"SELECT {', '.join(TOLD)} FROM rejected WHERE {OF_PEOPLE} ORDER BY id"


def forget(subject_keys: Sequence[str]) -> int:
    """Delete what these shoppers ("user:…", "anonymous:…") sent, and what names them; how many
    rows that were."""
    with cursor() as hot:
        return hot.execute(FORGET, _named(subject_keys)).rowcount


class Found(NamedTuple):
    """The rows of these shoppers, and the oldest transaction whose rows may be missing in it."""

    names: frozenset[str]
    ids: list[int]
    since: str


def look_for(subject_keys: Iterable[str]) -> Found:
    """Find what these shoppers sent, and what names them. Reads every payload, so let it be done
    before anybody has to wait for it."""
    names = frozenset(subject_keys)
    with cursor() as hot:
        since, ids = hot.execute(LOOK_FOR, _named(sorted(names))).fetchone() or ("", [])
    return Found(names, ids, since)


def forget_found(found: Found, subject_keys: Iterable[str]) -> int:
    """As `forget`, where that was looked for already: reads only the payloads that came since."""
    names = frozenset(subject_keys)
    if names != found.names:
        # Somebody was joined to them meanwhile, or parted.
        return forget(sorted(names))
    with cursor() as hot:
        known = hot.execute(FORGET_FOUND, {"ids": found.ids}).rowcount
        return (
            known
            + hot.execute(FORGET_SINCE, _named(sorted(names)) | {"since": found.since}).rowcount
        )


def told_of(subject_keys: Sequence[str]) -> Iterator[dict[str, Any]]:
    """What is kept of these shoppers, the oldest first, as dicts for an export."""
    with cursor() as hot:
        hot.execute(TELL, _named(subject_keys))
        yield from (dict(zip(TOLD, row, strict=True)) for row in hot)


def _named(subject_keys: Sequence[str]) -> dict[str, Any]:
    parted = [key.partition(":")[::2] for key in subject_keys]
    bare = [json.dumps(name, ensure_ascii=False)[1:-1] for _, name in parted]
    named = [
        NAMED.format(fields="|".join(FIELDS_OF_PEOPLE[kind]), customers=OF_CUSTOMERS[kind],
                     name=re.escape(name))
        for (kind, _), name in zip(parted, bare, strict=True)
    ]  # fmt: skip
    return {"names": list(subject_keys), "bare": bare, "named": named}
