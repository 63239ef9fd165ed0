"""The border of the HTTP API: JSON in, JSON out, and one shape for everything that fails.

It promises that whoever calls /v1/ gets {"code", "message"} with the right status, whatever
went wrong, and that no stack trace leaves the house. It never decides what an endpoint does.
"""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from http import HTTPStatus
from math import ceil
from typing import Any

import django.db
import orjson
import psycopg
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import connection as django_connection
from django.http import Http404, UnreadablePostError
from rest_framework import exceptions
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.response import Response

LARGEST_BODY = 2 * 1024 * 1024
RETRY_AFTER = "5"


class Problem(exceptions.APIException):
    """An answer that is not the one asked for: a code for programs, a sentence for people."""

    def __init__(
        self, status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail=message, code=code)
        self.status_code = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})


def too_large() -> Problem:
    return Problem(413, "too_large", f"The body is over {LARGEST_BODY // 2**20} MB. Send less.")


# ── JSON in and out ────────────────────────────────────────────────────────────────────────


class Json(BaseParser):
    """The body that is read. NaN, infinities and more than 1,024 levels are refused."""

    media_type = "application/json"

    def parse(
        self, stream: Any, media_type: str | None = None, context: Mapping[str, Any] | None = None
    ) -> Any:
        body = stream.read(LARGEST_BODY + 1)
        if len(body) > LARGEST_BODY:
            raise too_large()
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise Problem(400, "broken_json", f"The body is not valid JSON: {error}.") from None


class JsonInPlainText(Json):
    """The same under the name that a browser sends to another site without asking first."""

    media_type = "text/plain"


class JsonRenderer(BaseRenderer):
    """The only form of an answer. Dates, UUIDs and tuples are written as JSON has them."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self, data: Any, media_type: str | None = None, context: Mapping[str, Any] | None = None
    ) -> bytes:
        return b"" if data is None else orjson.dumps(data, default=_written)


def _written(value: object) -> object:
    """Money and lazy texts, which orjson does not know."""
    return float(value) if isinstance(value, Decimal) else str(value)


class OnlyJson(DefaultContentNegotiation):
    """Whatever `Accept` says, the first renderer answers: there is only one."""

    def select_renderer(
        self, request: Any, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        only = next(iter(renderers))
        return only, only.media_type


# ── what failed, in one shape ──────────────────────────────────────────────────────────────


def answer_failure(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """DRF's exception handler. None for a bug: Django logs it and `server_error` answers."""
    problem = describe(error)
    if problem is None:
        return None
    body = {"code": problem.code, "message": problem.message}
    return Response(body, status=problem.status_code, headers=problem.headers)


def describe(error: BaseException) -> Problem | None:
    """Put any failure that is not a bug in words."""
    match error:
        case Problem():
            return error
        case Http404():
            return Problem(404, "not_found", _sentence(error, "There is nothing here."))
        case PermissionDenied():
            return Problem(403, "forbidden", _sentence(error, "This is not allowed."))
        case RequestDataTooBig():
            return too_large()
        case UnreadablePostError():
            return Problem(400, "broken_body", "The body ended before all of it had arrived.")
        case exceptions.APIException():
            return _of_the_framework(error)
    return database_problem(error)


IN_WORDS = {
    405: "This method does nothing here; the header Allow lists those that do.",
    415: "Send the body as `Content-Type: application/json`.",
}


def _of_the_framework(error: exceptions.APIException) -> Problem:
    status = error.status_code
    headers = {}
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(ceil(wait))
    code = HTTPStatus(status).phrase.lower().replace(" ", "_")
    return Problem(status, code, IN_WORDS.get(status, str(error.detail)), headers=headers)


def _sentence(error: Exception, otherwise: str) -> str:
    said = error.args[0] if error.args else ""
    return said if isinstance(said, str) and said else otherwise


def database_problem(error: BaseException) -> Problem | None:
    """503 when the database is away or had to give up; None when it is not the database."""
    cause = next(filter(_is_operational, _causes(error)), None)
    if cause is None:
        return None
    # The raw cursors of recsite.db go past Django, which must look at its connection again.
    django_connection.errors_occurred = True
    state = getattr(cause, "sqlstate", None)
    if state == "53100":
        code, message = "database_full", "The database has no room left. Try again later."
    elif state is None or state.startswith(("08", "28", "3D", "53", "57P")):
        code, message = "database_unreachable", "The database cannot be reached. Try again soon."
    else:
        code, message = "database_busy", "The database gave up on this request. Try it again."
    return Problem(503, code, message, headers={"Retry-After": RETRY_AFTER})


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Innermost first: Django and SQLAlchemy both wrap what psycopg said."""
    if error is not None:
        yield from _causes(error.__cause__)
        yield error


def _is_operational(error: BaseException) -> bool:
    return isinstance(
        error,
        psycopg.OperationalError
        | psycopg.InterfaceError
        | django.db.OperationalError
        | django.db.InterfaceError,
    )
