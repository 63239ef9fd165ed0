"""API keys: shown once, kept as a hash, and asked for on every call."""

import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from io import StringIO
from typing import Any
from urllib.parse import urlencode

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from recsite import keys
from recsite.models import ApiKey

NOOP = "/v1/noop"
NO_KEY = {"code": "no_key", "message": "Send an API key: the header `Authorization: Bearer KEY`."}
WRONG_KEY = {"code": "wrong_key", "message": "This API key is unknown or was revoked."}
WRONG_SCOPE = {
    "code": "wrong_scope",
    "message": "This needs a secret key (sk_…)."
    " A publishable one may post events and ask for lists.",
}

IN_ADDRESS = {
    "code": "secret_key_in_address",
    "message": "A secret key must not stand in an address, for addresses end in logs:"
    " revoke this one and send its successor in a header.",
}


def call(path: str = NOOP, **headers: str) -> tuple[int, Any, str | None]:
    """Status, body and challenge of a GET."""
    answer = Client().get(path, headers=headers)
    return answer.status_code, answer.json(), answer.headers.get("WWW-Authenticate")


def beacon(key: str, **headers: str) -> tuple[int, Any]:
    """Status and refusal of an empty report under this key in its address."""
    path = f"/v1/events?{urlencode({'key': key})}"
    answer = Client().post(path, b"[]", content_type="text/plain;charset=UTF-8", headers=headers)
    return answer.status_code, None if answer.status_code == 202 else answer.json()


@pytest.mark.django_db
class TestMakingKeys:
    @pytest.mark.parametrize(("scope", "start"), [("publishable", "pk_"), ("secret", "sk_")])
    def test_only_the_hash_is_kept(self, scope: str, start: str) -> None:
        key = keys.create("Shop front", scope)
        row = ApiKey.objects.get()
        assert (key[:3], len(key)) == (start, 46)
        assert row.digest == hashlib.sha256(key.encode()).hexdigest()
        assert (row.label, row.scope, row.prefix) == ("Shop front", scope, key[:12])
        assert key not in str(ApiKey.objects.values())

    def test_two_keys_differ(self) -> None:
        assert keys.create("a", "secret") != keys.create("a", "secret")

    def test_an_unknown_scope_makes_nothing(self) -> None:
        with pytest.raises(ValueError, match=r"Unknown scope 'root'. Known: publishable, secret."):
            keys.create("a", "root")
        assert ApiKey.objects.count() == 0

    def test_the_command_prints_the_key_once(self) -> None:
        out = StringIO()
        call_command("create_key", "Shop server", "--scope", "secret", stdout=out)
        key = out.getvalue().strip()
        row = ApiKey.objects.get()
        assert (row.label, row.scope, row.digest) == ("Shop server", "secret", keys.digest(key))

    def test_the_command_asks_for_a_label(self) -> None:
        with pytest.raises(CommandError, match="A key needs a label"):
            call_command("create_key", " ")
        assert ApiKey.objects.count() == 0

    def test_the_command_knows_two_scopes(self) -> None:
        with pytest.raises(CommandError, match="invalid choice: 'root'"):
            call_command("create_key", "a", "--scope", "root")
        assert ApiKey.objects.count() == 0


@pytest.mark.django_db
class TestAskingForAKey:
    def test_either_header_and_either_scope_open_a_publishable_door(self) -> None:
        for scope in ("publishable", "secret"):
            key = keys.create("a", scope)
            assert call(Authorization=f"Bearer {key}") == (200, {"ok": True}, None)
            assert call(Authorization=f"bearer  {key} ") == (200, {"ok": True}, None)
            assert call(**{"X-API-Key": key}) == (200, {"ok": True}, None)

    @pytest.mark.parametrize(
        "headers",
        [{}, {"Authorization": ""}, {"Authorization": "Bearer "}, {"Authorization": "Basic YTpi"},
         {"X-API-Key": ""}],
    )  # fmt: skip
    def test_no_key(self, headers: dict[str, str]) -> None:
        assert call(**headers) == (401, NO_KEY, 'Bearer realm="recsite"')

    @pytest.mark.parametrize("key", ["pk_wrong", "x" * 10_000, "' OR 1=1 --", "ключ", "pk_\x00"])
    def test_a_wrong_key(self, key: str) -> None:
        assert call(Authorization=f"Bearer {key}") == (401, WRONG_KEY, 'Bearer realm="recsite"')

    def test_a_key_in_the_address_is_no_key(self) -> None:
        key = keys.create("a", "secret")
        assert call(f"{NOOP}?key={key}&api_key={key}")[:2] == (401, NO_KEY)

    def test_where_beacons_come_in_a_publishable_key_may_stand_in_the_address(self) -> None:
        key = keys.create("a", "publishable")
        assert beacon(key) == (202, None)
        assert beacon(f" {key}") == beacon("pk_wrong") == (401, WRONG_KEY)
        assert beacon("") == (401, NO_KEY)
        ApiKey.objects.get().revoke()
        assert beacon(key) == (401, WRONG_KEY)

    def test_a_key_in_a_header_goes_before_one_in_the_address(self) -> None:
        key = keys.create("a", "publishable")
        assert beacon("pk_wrong", Authorization=f"Bearer {key}") == (202, None)
        assert beacon(key, Authorization="Bearer pk_wrong") == (401, WRONG_KEY)

    def test_a_secret_key_in_the_address_is_refused_though_it_is_right(self) -> None:
        key = keys.create("a", "secret")
        assert beacon(key) == (400, IN_ADDRESS)
        assert beacon(key, Authorization=f"Bearer {key}") == (400, IN_ADDRESS)
        assert ApiKey.objects.get().last_used_on is None

    def test_no_other_door_opens_to_a_key_in_the_address(self) -> None:
        key = keys.create("a", "publishable")
        for path in (NOOP, "/v1/recommend/home", "/v1/items/mug"):
            assert call(f"{path}?key={key}")[:2] == (401, NO_KEY)

    def test_a_revoked_key_is_refused_from_the_next_call_on(self) -> None:
        key = keys.create("a", "secret")
        assert call(Authorization=f"Bearer {key}")[0] == 200
        row = ApiKey.objects.get()
        row.revoke()
        first = row.revoked_at
        row.revoke()
        assert row.revoked_at == first
        assert call(Authorization=f"Bearer {key}")[:2] == (401, WRONG_KEY)

    def test_a_publishable_key_opens_no_secret_door(self) -> None:
        key = keys.create("a", "publishable")
        challenge = 'Bearer realm="recsite", error="insufficient_scope"'
        for path in ("/v1/items/mug", "/v1/items/a%2Fb"):
            assert call(path, Authorization=f"Bearer {key}") == (403, WRONG_SCOPE, challenge)

    def test_the_day_of_use_is_written_once_a_day(self) -> None:
        key = keys.create("a", "publishable")
        ApiKey.objects.update(last_used_on=date(2020, 1, 1))
        for _ in range(2):
            call(Authorization=f"Bearer {key}")
            assert ApiKey.objects.get().last_used_on == datetime.now(UTC).date()

    def test_a_call_asks_neither_for_a_session_nor_through_the_orm(self) -> None:
        key = keys.create("a", "publishable")
        client = Client(headers={"Authorization": f"Bearer {key}"})
        client.cookies["sessionid"] = "abcdefghijklmnopqrstuvwxyz012345"
        with CaptureQueriesContext(connection) as asked:
            answer = client.get(NOOP)
        assert (answer.status_code, len(asked), answer.cookies) == (200, 0, {})
        assert "Cookie" not in answer.headers.get("Vary", "")


class TestKeysInTheAdmin:
    def test_a_new_key_is_shown_once_and_works(self, admin_client: Client) -> None:
        form = {"label": "Shop front", "scope": "publishable"}
        page = admin_client.post("/admin/recsite/apikey/add/", form)
        (shown,) = re.findall(r"pk_[\w-]{43}", page.content.decode())
        assert page.status_code == 200
        assert "no-store" in page["Cache-Control"]
        assert call(Authorization=f"Bearer {shown}") == (200, {"ok": True}, None)
        row = ApiKey.objects.get()
        for path in ("/admin/recsite/apikey/", f"/admin/recsite/apikey/{row.pk}/change/"):
            later = admin_client.get(path).content.decode()
            assert shown[:12] in later
            assert shown not in later

    def test_a_key_is_neither_changed_nor_deleted(self, admin_client: Client) -> None:
        keys.create("a", "publishable")
        before = ApiKey.objects.values().get()
        at = f"/admin/recsite/apikey/{before['id']}"
        changed = admin_client.post(f"{at}/change/", {"label": "b", "scope": "secret"})
        deleted = admin_client.post(f"{at}/delete/", {"post": "yes"})
        assert (changed.status_code, deleted.status_code) == (403, 403)
        assert ApiKey.objects.values().get() == before

    def test_revoking(self, admin_client: Client) -> None:
        gone, kept = keys.create("gone", "secret"), keys.create("kept", "secret")
        chosen = {"action": "revoke", "_selected_action": ApiKey.objects.get(label="gone").pk}
        admin_client.post("/admin/recsite/apikey/", chosen)
        assert call(Authorization=f"Bearer {gone}")[0] == 401
        assert call(Authorization=f"Bearer {kept}")[0] == 200


@pytest.fixture
def committed_key(committed: None) -> Iterator[str]:
    yield keys.create("a", "publishable")
    ApiKey.objects.all().delete()


def test_a_connection_that_broke_is_replaced_within_the_call(
    committed_key: str, stranger: psycopg.Connection[Any]
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (before,) = cursor.fetchone()
    stranger.execute("SELECT pg_terminate_backend(%s, 5000)", [before])
    assert call(Authorization=f"Bearer {committed_key}") == (200, {"ok": True}, None)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        assert cursor.fetchone() != (before,)
