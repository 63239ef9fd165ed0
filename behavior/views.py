"""POST /v1/events: the door through which behaviour comes in.

It promises that one bad event never fails its neighbours, that what was accepted is
committed and in the shopper's own state before the answer leaves, that the same delivery
may be sent again, and that what was refused is kept for the merchant to look at.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db import transaction
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from behavior import dialects, log, rejected
from behavior.envelope import parse
from behavior.events import Event, Rejection
from behavior.rejected import Refused
from recsite.api import Json, JsonInPlainText, Problem
from recsite.keys import BeaconAuthentication, PublishableKey

MOST: Final = 1_000
MOST_LINES: Final = 5_000
"""Items in one call, over all its events: what bounds the work of a call."""


class EventsView(APIView):
    """Report what happened: one event, a list, or {"events": [...]}, in our words or those of
    Segment, GA4, Shopify, Google Retail and Recombee."""

    permission_classes = (PublishableKey,)
    # A beacon, the last word of a page that ends, can send neither a header nor JSON's name.
    authentication_classes = (BeaconAuthentication,)
    parser_classes = (Json, JsonInPlainText)

    def post(self, request: Request) -> Response:
        records = _records(request.data)
        parsed = _parsed(_translated(records), datetime.now(UTC))
        events = [e for _, _, e in parsed if isinstance(e, Event)]
        if sum(len(event.lines) for event in events) > MOST_LINES:
            raise Problem(
                413, "too_many_items", f"At most {MOST_LINES} items a call, over all events."
            )
        refused = [
            Refused(index, bad, records[index] if raw is bad else raw)
            for index, raw, bad in parsed if isinstance(bad, Rejection)
        ]  # fmt: skip
        with transaction.atomic():
            appended = log.append(events)
            rejected.keep(rejected.HTTP, refused)
        return Response(
            {
                "accepted": appended.accepted,
                "duplicates": appended.duplicates,
                "rejected": [
                    {"index": index, "code": bad.code, "message": bad.message}
                    for index, bad, _ in refused
                ],
                "position": appended.position,
            },
            status=202,
        )  # fmt: skip


def _parsed(
    records: list[tuple[int, Any]], now: datetime
) -> list[tuple[int, Any, Event | Rejection]]:
    """The records in their order: those without a time get one a millisecond apart, up to now."""
    first = now - timedelta(milliseconds=len(records) - 1)
    return [
        (index, raw, _parse(raw, first + timedelta(milliseconds=n)))
        for n, (index, raw) in enumerate(records)
    ]


def _parse(raw: object, now: datetime) -> Event | Rejection:
    """What a dialect has refused stays refused."""
    return raw if isinstance(raw, Rejection) else parse(raw, now=now)


def _translated(records: list[Any]) -> list[tuple[int, Any]]:
    """The records in our own words, each with the index of the one that was sent."""
    said = [(i, each) for i, raw in enumerate(records) for each in dialects.translate(raw)]
    _bounded(len(said))
    return said


def _records(data: Any) -> list[Any]:
    """The records of a body: a list, an object with `events`, a single event, or what
    another vendor calls a batch."""
    if isinstance(data, dict) and data:
        held = dialects.records(data)
        data = data.get("events", [data]) if held is None else held
    if not isinstance(data, list):
        raise Problem(400, "bad_events", 'Send an event, a list of events, or {"events": [...]}.')
    _bounded(len(data))
    return data


def _bounded(count: int) -> None:
    if count > MOST:
        raise Problem(
            413, "too_many_events", f"At most {MOST} events a call; this one has {count}."
        )
