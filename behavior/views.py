"""POST /v1/events: the door through which behaviour comes in.

It promises that one bad event never fails its neighbours, that what was accepted is
committed and in the shopper's own state before the answer leaves, and that the same delivery
may be sent again.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db import transaction
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from behavior import log
from behavior.envelope import parse
from behavior.events import Event, Rejection
from recsite.api import Json, JsonInPlainText, Problem
from recsite.keys import BeaconAuthentication, PublishableKey

MOST: Final = 1_000
MOST_LINES: Final = 5_000
"""Items in one call, over all its events: what bounds the work of a call."""


class EventsView(APIView):
    """Report what happened: one event, a list, or {"events": [...]}."""

    permission_classes = (PublishableKey,)
    # A beacon, the last word of a page that ends, can send neither a header nor JSON's name.
    authentication_classes = (BeaconAuthentication,)
    parser_classes = (Json, JsonInPlainText)

    def post(self, request: Request) -> Response:
        parsed = _parsed(_records(request.data), datetime.now(UTC))
        events = [e for e in parsed if isinstance(e, Event)]
        if sum(len(event.lines) for event in events) > MOST_LINES:
            raise Problem(
                413, "too_many_items", f"At most {MOST_LINES} items a call, over all events."
            )
        with transaction.atomic():
            appended = log.append(events)
        return Response(
            {
                "accepted": appended.accepted,
                "duplicates": appended.duplicates,
                "rejected": [
                    {"index": index, "code": bad.code, "message": bad.message}
                    for index, bad in enumerate(parsed) if isinstance(bad, Rejection)
                ],
                "position": appended.position,
            },
            status=202,
        )  # fmt: skip


def _parsed(records: list[Any], now: datetime) -> list[Event | Rejection]:
    """The records in their order: those without a time get one a millisecond apart, up to now."""
    first = now - timedelta(milliseconds=len(records) - 1)
    return [parse(raw, now=first + timedelta(milliseconds=n)) for n, raw in enumerate(records)]


def _records(data: Any) -> list[Any]:
    """The records of a body: a list, an object with `events`, or a single event."""
    if isinstance(data, dict) and data:
        data = data.get("events", [data])
    if not isinstance(data, list):
        raise Problem(400, "bad_events", 'Send an event, a list of events, or {"events": [...]}.')
    if len(data) > MOST:
        raise Problem(
            413, "too_many_events", f"At most {MOST} events a call; this one has {len(data)}."
        )
    return data
