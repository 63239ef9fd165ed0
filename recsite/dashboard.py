"""The admin's first page: what came in, what was served, and whether the engine keeps up.

It promises to answer in about the time of its allowance however large the log is: big
tables are estimated from Postgres's own statistics, recent ones counted from the newest
row backwards within a time limit, and a figure that took too long says so. "Last 24 hours"
is the log's time, so that an imported history shows its own last day.
"""

import uuid
from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

import orjson
import psycopg
from django.db import transaction
from django.http import HttpRequest
from django.urls import reverse

from behavior import coverage
from recsite import db

ALLOWANCE = "1500ms"
"""How long one figure may take."""

MOST_WAITING = 10_000
DAYS = 7
MOST_KINDS = 6

# reltuples is what the last ANALYZE saw; -1 where it never ran.
ROUGHLY = """
    SELECT coalesce(sum(greatest(reltuples, 0)), 0)::bigint FROM pg_class
    WHERE oid = %(table)s::regclass
       OR oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = %(table)s::regclass)"""

CATALOGUE = ("item_changed", "item_removed")
"""Kinds that no shopper does: a catalogue of thousands would be all that a chart shows."""

NEWEST_EVENT = "SELECT occurred_at FROM event_log ORDER BY id DESC LIMIT 1"
NEWEST_DEED = f"""
    SELECT occurred_at FROM event_log WHERE kind NOT IN {CATALOGUE} ORDER BY id DESC LIMIT 1"""

# Ids begin with their time: only the newest partitions are read.
EVENTS_BY_DAY = """
    SELECT (occurred_at AT TIME ZONE 'UTC')::date, kind, count(*),
           count(*) FILTER (WHERE occurred_at > %(day_ago)s)
    FROM event_log WHERE id >= %(since)s GROUP BY 1, 2"""

SLATES_SINCE = (
    "SELECT count(*), count(*) FILTER (WHERE shortfall > 0) FROM slate WHERE id >= %(since)s"
)

REJECTED = """
    SELECT count(*) FILTER (WHERE rejected_at > now() - interval '1 day'), count(*) FROM rejected"""

PROJECTIONS = (
    "SELECT name, version, snapshot, events, seconds, folded_at FROM projection ORDER BY name"
)

# As the fold reads: visible now, and not in the snapshot that was folded last.
WAITING = """
    SELECT count(*) FROM (
        SELECT FROM event
        WHERE xid >= pg_snapshot_xmin(%(since)s::pg_snapshot)
          AND NOT pg_visible_in_snapshot(xid, %(since)s::pg_snapshot)
        LIMIT %(most)s) AS fresh"""

GREY = "#8b95a5"
DOTS = {"boxWidth": 8, "boxHeight": 8, "usePointStyle": True, "color": GREY}
CHART_OPTIONS = orjson.dumps(
    {
        "maintainAspectRatio": False,
        "animation": False,
        "maxBarThickness": 42,
        "datasets": {"bar": {"borderRadius": 3}},
        "plugins": {"legend": {"position": "bottom", "align": "start", "labels": DOTS}},
        "scales": {
            "x": {
                "stacked": True,
                "grid": {"display": False},
                "ticks": {"maxRotation": 0, "color": GREY},
            },
            "y": {
                "stacked": True,
                "ticks": {"maxTicksLimit": 6, "color": GREY},
                "border": {"display": False},
            },
        },
    }
).decode()

Rows = Sequence[tuple[Any, ...]]


def add_figures(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Unfold's dashboard callback."""
    newest = next((row[0] for row in read(NEWEST_DEED) or read(NEWEST_EVENT) or ()), None)
    by_day = _events_by_day(newest) if newest else []
    return context | {
        "newest": newest,
        "cards": _cards(by_day),
        "chart_options": CHART_OPTIONS,
        "chart": _chart(by_day, newest.date()) if newest and by_day else None,
        "kinds": _kinds(by_day),
        "too_slow": by_day is None,
        "projections": _projections(),
    }


def waiting(snapshot: str) -> str:
    """How many events a reader that has read `snapshot` has yet to fold."""
    rows = read(WAITING, {"since": snapshot, "most": MOST_WAITING})
    if rows is None:
        return "?"
    return f"{MOST_WAITING:,}+" if rows[0][0] == MOST_WAITING else f"{rows[0][0]:,}"


def _events_by_day(newest: datetime) -> Rows | None:
    first_day = datetime.combine(newest.date() - timedelta(days=DAYS - 1), datetime.min.time())
    since = first_day.replace(tzinfo=newest.tzinfo)
    return read(EVENTS_BY_DAY, {"since": _id_at(since), "day_ago": newest - timedelta(days=1)})


def _cards(by_day: Rows | None) -> list[dict[str, str]]:
    slates = read(SLATES_SINCE, {"since": _id_at(datetime.now().astimezone() - timedelta(days=1))})
    served, short = slates[0] if slates else (0, 0)
    return [
        _card("Events in the log", _roughly("event"), _last_day(by_day) + _archived(),
              "recsite_eventrow"),
        _card("Lists served", _roughly("slate"),
              f"{served:,} in 24 hours, {short:,} of them short", "recsite_slaterow"),
        _card("Shoppers known", _roughly("subject_key"), "with a name or without", ""),
        _card("Items", _roughly("catalog_item"), "in the catalogue", "catalog_item"),
        _rejected(),
    ]  # fmt: skip


def _rejected() -> dict[str, str]:
    rows = read(REJECTED)
    figure, kept = (f"{number:,}" for number in rows[0]) if rows else ("?", "?")
    note = f"in 24 hours; {kept} kept to look at"
    card = _card("Records rejected", figure, note, "recsite_rejectedrow")
    return card | {"link": f"{card['link']}?since=day"}


def _card(title: str, figure: str, note: str, model: str) -> dict[str, str]:
    """A figure, and the page of the rows it counts where there is one."""
    link = reverse(f"admin:{model}_changelist") if model else ""
    return {"title": title, "figure": figure, "note": note, "link": link}


def _last_day(by_day: Rows | None) -> str:
    if by_day is None:
        return "too many to count the last day"
    return f"{sum(row[3] for row in by_day):,} in the log's last 24 hours"


def _archived() -> str:
    gone = coverage.archived()
    if not gone:
        return ""
    rows = sum(record.rows for record in gone)
    return f"; {rows:,} archived ({coverage.spans([record.month for record in gone])})"


def _roughly(table: str) -> str:
    """An estimate, marked as one; small tables are counted."""
    rows = read(ROUGHLY, {"table": table})
    if rows is None:
        return "?"
    if (estimate := rows[0][0]) >= 100_000:
        return f"≈ {_short(estimate)}"
    counted = read(f"SELECT count(*) FROM {table}")
    return f"{counted[0][0]:,}" if counted else "?"


def _short(number: int) -> str:
    for size, letter in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if number >= size:
            return f"{number / size:.3g} {letter}"
    return str(number)


def _kinds(by_day: Rows | None) -> list[dict[str, Any]]:
    """Events by kind, the most frequent first."""
    week: defaultdict[str, int] = defaultdict(int)
    day: defaultdict[str, int] = defaultdict(int)
    for _, kind, count, recent in by_day or ():
        week[kind] += count
        day[kind] += recent
    return [
        {"kind": kind, "name": kind.replace("_", " "), "day": day[kind], "week": count}
        for kind, count in sorted(week.items(), key=lambda pair: -pair[1])
    ]


def _chart(by_day: Rows, last: date) -> str:
    """Chart.js data: a bar a day, stacked by the most frequent kinds."""
    days = [last - timedelta(days=back) for back in reversed(range(DAYS))]
    names = [row["kind"] for row in _kinds(by_day) if row["kind"] not in CATALOGUE]
    shown = names[:MOST_KINDS]
    counts: defaultdict[tuple[str, date], int] = defaultdict(int)
    for when, kind, count, _ in by_day:
        if kind in CATALOGUE:
            continue
        counts[kind if kind in shown else "other", when] += count
    layers = shown + (["other"] if len(names) > len(shown) else [])
    datasets = [
        {"label": name.replace("_", " "), "data": [counts[name, day] for day in days],
         "backgroundColor": f"var(--chart-{place})", "stack": "events"}
        for place, name in enumerate(layers)
    ]  # fmt: skip
    labels = [f"{day:%a} {day.day}" for day in days]
    return orjson.dumps({"labels": labels, "datasets": datasets}).decode()


def _projections() -> list[dict[str, Any]]:
    return [
        {"name": name, "version": version, "events": events, "seconds": seconds,
         "folded_at": folded_at, "waiting": waiting(snapshot)}
        for name, version, snapshot, events, seconds, folded_at in read(PROJECTIONS) or ()
    ]  # fmt: skip


def _id_at(moment: datetime) -> uuid.UUID:
    """The lowest UUIDv7 of that moment."""
    return uuid.UUID(int=int(moment.timestamp() * 1000) << 80)


def read(statement: str, values: dict[str, Any] | None = None) -> Rows | None:
    """The rows, or None where they took longer than the allowance."""
    try:
        with transaction.atomic(), db.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = '{ALLOWANCE}'")
            return cursor.execute(statement, values).fetchall()
    except psycopg.errors.QueryCanceled:
        return None
