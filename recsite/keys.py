"""API keys: making them, and finding out on every request who calls.

It knows that a key is shown once and kept as a SHA-256 only, and that a publishable key
(pk_) may report events and ask for lists while a secret one (sk_) may do everything. It
promises one prepared look-up a request. It never opens a door to a secret key in a URL: those
end in logs.
"""

import hashlib
import secrets
from typing import TYPE_CHECKING, NamedTuple

import psycopg
from django.db import connection as django_connection
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from recsite import db
from recsite.api import Problem
from recsite.models import ApiKey

if TYPE_CHECKING:
    # At run time rest_framework.views itself imports this module, through the settings.
    from rest_framework.views import APIView

CHALLENGE = 'Bearer realm="recsite"'
IN_ADDRESS = (
    "A secret key must not stand in an address, for addresses end in logs: revoke this one and"
    " send its successor in a header."
)
SHOWN = 12
"""Characters of a key that stay readable in the admin."""

# The digest's unique index answers; the second column saves a write on all but a day's first call.
FIND_KEY = """
    SELECT id, scope, last_used_on IS DISTINCT FROM current_date
    FROM recsite_apikey WHERE digest = %s AND revoked_at IS NULL"""

# Two processes may both see a new day: the condition makes the second write none.
MARK_USED = """
    UPDATE recsite_apikey SET last_used_on = current_date
    WHERE id = %s AND last_used_on IS DISTINCT FROM current_date"""


class Caller(NamedTuple):
    """Whose key this is; what `request.auth` holds."""

    key_id: int
    scope: str


def create(label: str, scope: str) -> str:
    """Make a key and return it; nobody can read it again. Raises ValueError on an unknown scope."""
    if scope not in ApiKey.Scope.values:
        raise ValueError(f"Unknown scope {scope!r}. Known: {', '.join(ApiKey.Scope.values)}.")
    return issue(ApiKey(label=label, scope=scope))


def issue(row: ApiKey) -> str:
    """Save a new row with a fresh key's digest, and return the key."""
    key = ("sk_" if row.scope == ApiKey.Scope.SECRET else "pk_") + secrets.token_urlsafe(32)
    row.prefix, row.digest = key[:SHOWN], digest(key)
    row.save(force_insert=True)
    return key


def digest(key: str) -> str:
    """What is stored of a key. Keys carry 256 random bits, so no salt and no slow hash."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


class KeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer KEY` or `X-API-Key: KEY`."""

    def authenticate(self, request: Request) -> tuple[None, Caller]:
        return None, _caller(_in_a_header(request))

    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE


class BeaconAuthentication(KeyAuthentication):
    """The same, or `?key=pk_…`: what a browser sends while a page ends can carry no header."""

    def authenticate(self, request: Request) -> tuple[None, Caller]:
        key = request.query_params.get("key", "")
        if key.startswith("sk_"):
            raise Problem(400, "secret_key_in_address", IN_ADDRESS)
        return None, _caller(_in_a_header(request) or key)


class PublishableKey(BasePermission):
    """Any valid key."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        return isinstance(request.auth, Caller)


class SecretKey(BasePermission):
    """Secret keys only."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        if isinstance(request.auth, Caller) and request.auth.scope == "secret":
            return True
        raise Problem(
            403,
            "wrong_scope",
            "This needs a secret key (sk_…). A publishable one may post events and ask for lists.",
            headers={"WWW-Authenticate": f'{CHALLENGE}, error="insufficient_scope"'},
        )


def _in_a_header(request: Request) -> str:
    meta = request.META
    scheme, _, key = meta.get("HTTP_AUTHORIZATION", "").partition(" ")
    key = key.strip() if scheme.lower() == "bearer" else ""
    return str(key or meta.get("HTTP_X_API_KEY", "").strip())


def _caller(key: str) -> Caller:
    if not key:
        raise _unauthorized("no_key", "Send an API key: the header `Authorization: Bearer KEY`.")
    found = _find(digest(key))
    if found is None:
        raise _unauthorized("wrong_key", "This API key is unknown or was revoked.")
    key_id, scope, first_today = found
    if first_today:
        _run(MARK_USED, key_id)
    return Caller(key_id, scope)


def _unauthorized(code: str, message: str) -> Problem:
    return Problem(401, code, message, headers={"WWW-Authenticate": CHALLENGE})


def _find(digested: str) -> tuple[int, str, bool] | None:
    """The request's first statement, so a connection that went stale is replaced here, once."""
    try:
        found = _run(FIND_KEY, digested)
    except psycopg.OperationalError:
        if django_connection.in_atomic_block:
            raise
        django_connection.close()
        found = _run(FIND_KEY, digested)
    # Django would ask SELECT 1 before the first transaction; the answer is known already.
    django_connection.health_check_done = True  # type: ignore[attr-defined]
    return found


def _run(statement: str, value: object) -> tuple[int, str, bool] | None:
    with db.cursor() as cursor:
        cursor.execute(statement, [value], prepare=True)
        return cursor.fetchone() if cursor.description else None
