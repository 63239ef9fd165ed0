"""Where requests come in: what is refused before any view, and what is said when none answers.

It promises that a request which cannot be meant well (NUL bytes, a body over the limit) is
refused in words, and that whatever escapes a view is answered in the form that the caller
reads: JSON for programs, a page for people. It never shows a stack trace.
"""

import io
import sys
from collections.abc import Callable

import orjson
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render

from recsite.api import LARGEST_BODY, Problem, describe, too_large

FOR_PROGRAMS = ("/v1/", "/healthz")
"""Paths whose callers read JSON; everywhere else somebody looks at a page."""


class Border:
    """The outermost middleware."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        try:
            _refuse_nul(request)
            if "HTTP_TRANSFER_ENCODING" in request.META:
                _measure_body(request)
        except Problem as problem:
            return answer(request, problem)
        return self.get_response(request)


def _refuse_nul(request: HttpRequest) -> None:
    """Postgres text cannot hold NUL, so nothing that is looked up may carry one."""
    meta = request.META
    nul_in_cookie = "\\000" in meta.get("HTTP_COOKIE", "")
    if "\0" in request.path_info or "%00" in meta.get("QUERY_STRING", "") or nul_in_cookie:
        raise Problem(400, "bad_request", "The address holds a NUL byte.")


def _measure_body(request: HttpRequest) -> None:
    """Give a chunked body a length; Django would take it for an empty one."""
    body = request.META["wsgi.input"].read(LARGEST_BODY + 1)
    if len(body) > LARGEST_BODY:
        raise too_large()
    request.META["CONTENT_LENGTH"] = str(len(body))
    request._stream = io.BytesIO(body)


def answer(request: HttpRequest, problem: Problem) -> HttpResponse:
    """A problem in the form that this caller reads."""
    if request.path_info.startswith(FOR_PROGRAMS):
        body = orjson.dumps({"code": problem.code, "message": problem.message})
        response = HttpResponse(body, content_type="application/json")
    else:
        response = render(request, "recsite/problem.html", {"problem": problem})
    response.status_code = problem.status_code
    for name, value in problem.headers.items():
        response[name] = value
    return response


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """handler400: a host that is not ours, a form too large, a cookie that was tampered with."""
    if isinstance(exception, DisallowedHost):
        said = Problem(400, "unknown_host", "This host name is not in RECSITE_HOSTS.")
    else:
        said = describe(exception) or Problem(400, "bad_request", "The request makes no sense.")
    return answer(request, said)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """handler404."""
    known = "The API's paths are listed at /v1/docs."
    return answer(request, Problem(404, "unknown_path", f"Nothing lives at this address. {known}"))


def server_error(request: HttpRequest) -> HttpResponse:
    """handler500: reached for what no view or middleware caught, so also for a lost database."""
    raised = sys.exc_info()[1]
    known = describe(raised) if raised else None
    return answer(request, known or Problem(500, "internal", "This is our mistake. It was logged."))
