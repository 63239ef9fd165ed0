"""GET and DELETE /v1/users/{user_id}: what is kept about a person, and forgetting it.

For servers only (a secret key). An export is JSONL, a line a row, and is sent as it is read.
"""

from itertools import chain

from django.http import StreamingHttpResponse
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from behavior import dossier
from behavior.events import subject_key
from behavior.fields import LONGEST_ID
from catalog.refusal import storable
from recommend.erase import Nobody, OutOfReach, erase
from recommend.fold import FoldedByNewer
from recsite.api import Problem
from recsite.keys import Caller


class PersonView(APIView):
    """A person, under all names that were joined to this one."""

    def get(
        self, request: Request, user_id: str | None = None, anonymous_id: str | None = None
    ) -> StreamingHttpResponse:
        name = _named(user_id, anonymous_id)
        try:
            rows = dossier.told_of(name)
        except dossier.OutOfReach as error:
            raise Problem(409, "archived", str(error)) from None
        first = next(rows, None)
        if first is None:
            raise _unknown()
        lines = (dossier.line(row) + b"\n" for row in chain((first,), rows))
        return StreamingHttpResponse(lines, content_type="application/x-ndjson")

    def delete(
        self, request: Request, user_id: str | None = None, anonymous_id: str | None = None
    ) -> Response:
        name = _named(user_id, anonymous_id)
        try:
            done = erase(name, asked_by=f"key {_caller(request).key_id}")
        except Nobody:
            raise _unknown() from None
        except OutOfReach as error:
            raise Problem(409, "archived", str(error)) from None
        except FoldedByNewer as newer:
            raise Problem(503, "newer_version", str(newer)) from None
        return Response({"erasure": done.erasure, "names": done.names, "events": done.events,
                         "slates": done.slates})  # fmt: skip


def _caller(request: Request) -> Caller:
    assert isinstance(request.auth, Caller)  # else the permission had refused
    return request.auth


def _named(user_id: str | None, anonymous_id: str | None) -> str:
    name = subject_key(user_id, anonymous_id)
    given = user_id or anonymous_id or ""
    if len(given) > LONGEST_ID or not storable(given):
        raise _unknown()
    return name


def _unknown() -> Problem:
    return Problem(404, "unknown_person", "There is no shopper of this name.")
