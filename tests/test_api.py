"""The border of the API: whatever is sent, the answer is JSON, a code and a sentence."""

import json
import os
import subprocess
import sys
from io import BytesIO
from typing import Any

import psycopg
import pytest
import sqlalchemy.exc
from django.db import OperationalError
from django.test import Client
from rest_framework.exceptions import Throttled

from recsite import keys
from recsite.api import LARGEST_BODY, Problem, describe
from recsite.border import Border

EVENTS = "/v1/events"
VIEW = {"event": "view_item", "user_id": "7", "item_id": "mug"}
UNREACHABLE = {
    "code": "database_unreachable",
    "message": "The database cannot be reached. Try again soon.",
}


@pytest.fixture
def secret(db: None) -> Client:
    return Client(headers={"Authorization": f"Bearer {keys.create('tests', 'secret')}"})


def post(client: Client, body: bytes, kind: str = "application/json") -> tuple[int, str, str]:
    """Status, code and message of a refused POST to /v1/events."""
    answer = client.post(EVENTS, body, content_type=kind)
    said = answer.json()
    assert set(said) == {"code", "message"}
    return answer.status_code, said["code"], said["message"]


class TestBodies:
    @pytest.mark.parametrize(
        ("body", "why"),
        [
            (b"{", "unexpected end of data: line 1 column 2 (char 1)"),
            (
                b'{"a": NaN}',
                "unexpected character, expected a JSON value: line 1 column 7 (char 6)",
            ),
            (b"[1e999]", "number is infinity when parsed as double: line 1 column 2 (char 1)"),
            (b'"\\ud800"', "no low surrogate in string: line 1 column 2 (char 1)"),
            (b"\xff", "str is not valid UTF-8: surrogates not allowed: line 1 column 1 (char 0)"),
            (b"[" * 100_000, "depth limit exceeded: line 1 column 1026 (char 1025)"),
        ],
    )
    def test_broken_json(self, secret: Client, body: bytes, why: str) -> None:
        said = f"The body is not valid JSON: {why}."
        assert post(secret, body) == (400, "broken_json", said)

    @pytest.mark.parametrize(
        "kind", ["text/html", "application/x-www-form-urlencoded", "multipart/form-data", ""]
    )
    def test_only_json_is_read(self, secret: Client, kind: str) -> None:
        said = "Send the body as `Content-Type: application/json`."
        assert post(secret, b"{}", kind) == (415, "unsupported_media_type", said)

    def test_json_may_be_called_plain_text_where_beacons_come_in(self, secret: Client) -> None:
        plain = "text/plain;charset=UTF-8"
        answer = secret.post(EVENTS, json.dumps(VIEW), content_type=plain)
        assert (answer.status_code, answer.json()["accepted"]) == (202, 1)
        assert post(secret, b"view", plain)[:2] == (400, "broken_json")
        refused = secret.post("/v1/items", b"[]", content_type=plain)
        assert (refused.status_code, refused.json()["code"]) == (415, "unsupported_media_type")

    def test_too_large(self, secret: Client) -> None:
        body = b'"' + b"a" * (LARGEST_BODY - 1) + b'"'
        assert len(body) == LARGEST_BODY + 1
        assert post(secret, body) == (413, "too_large", "The body is over 2 MB. Send less.")
        assert post(secret, body[1:-1])[:2] == (400, "broken_json")

    def test_too_large_without_a_length(self, secret: Client) -> None:
        answer = _chunked(secret, b"[" + b" " * LARGEST_BODY)
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")

    def test_a_chunked_body_is_read(self, secret: Client) -> None:
        answer = _chunked(secret, json.dumps(VIEW).encode())
        assert (answer.status_code, answer.json()["accepted"]) == (202, 1)


def _chunked(client: Client, body: bytes) -> Any:
    """A POST that says how it is cut, and not how long it is."""
    headers = {"Transfer-Encoding": "chunked", "Content-Type": "application/json"}
    unmeasured: dict[str, Any] = {"CONTENT_LENGTH": "", "wsgi.input": BytesIO(body)}
    return client.generic("POST", EVENTS, headers=headers, **unmeasured)


class TestAddresses:
    @pytest.mark.parametrize(
        ("path", "status", "code"),
        [
            ("/v1/", 404, "unknown_path"),
            ("/v1/events/", 404, "unknown_path"),
            ("/v1/recommend/a/b", 404, "unknown_path"),
            ("/v1/recommend/%ff%zz", 404, "unknown_scenario"),
            ("/v1/recommend/a%00b", 400, "bad_request"),
            ("/v1/items/a%00b", 400, "bad_request"),
            ("/v1/noop?x=%00", 400, "bad_request"),
            ("/v1/items/a%ff%zz", 404, "unknown_item"),
            ("/v1/items/%F0%9F%92%A9", 404, "unknown_item"),
            ("/v1/items/" + "a" * 5_000, 404, "unknown_item"),
        ],
    )
    def test_strange_ones(self, secret: Client, path: str, status: int, code: str) -> None:
        answer = secret.get(path)
        assert (answer.status_code, answer.json()["code"]) == (status, code)

    @pytest.mark.parametrize("item_id", ["a/b", "a b", "a%2Fb", "ä?#", "mug/", "a\nb", "."])
    def test_an_item_id_may_hold_anything(self, secret: Client, item_id: str) -> None:
        from urllib.parse import quote

        path = "/v1/items/" + quote(item_id, safe="")
        assert secret.put(path, {"title": "Mug"}, "application/json").status_code == 201
        assert secret.get(path).json()["item_id"] == item_id

    @pytest.mark.parametrize("method", ["get", "put", "patch", "delete", "options", "trace"])
    def test_a_method_that_does_nothing(self, secret: Client, method: str) -> None:
        answer = getattr(secret, method)(EVENTS)
        said = "This method does nothing here; the header Allow lists those that do."
        assert (answer.status_code, answer.headers["Allow"]) == (405, "POST, OPTIONS")
        assert answer.json() == {"code": "method_not_allowed", "message": said}

    def test_a_host_that_is_not_ours(self, secret: Client) -> None:
        answer = secret.get("/v1/noop", headers={"Host": "evil.example"})
        assert (answer.status_code, answer.json()["code"]) == (400, "unknown_host")

    def test_people_get_a_page(self, client: Client) -> None:
        answer = client.get("/nothing")
        assert (answer.status_code, answer["Content-Type"]) == (404, "text/html; charset=utf-8")
        assert b"Nothing lives at this address." in answer.content

    def test_a_nul_in_a_cookie_reaches_no_query(self, client: Client) -> None:
        answer = client.get("/admin/", headers={"Cookie": r'sessionid="\000abcdefgh"'})
        assert answer.status_code == 400


class TestOtherSites:
    """A shop's pages are another site: their browsers ask before they post."""

    ASKING = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}

    @pytest.mark.parametrize("path", [EVENTS, "/v1/recommend/home"])
    def test_may_post_events_and_ask_for_lists(self, client: Client, path: str) -> None:
        answer = client.options(path, headers=self.ASKING)
        assert answer.status_code == 200
        assert answer["Access-Control-Allow-Origin"] == "*"
        assert answer["Access-Control-Allow-Headers"] == "authorization, content-type, x-api-key"
        assert "Access-Control-Allow-Credentials" not in answer

    def test_can_read_why_they_were_refused(self, client: Client) -> None:
        answer = client.post(
            EVENTS, {}, "application/json", headers={"Origin": "https://a.example"}
        )
        assert (answer.status_code, answer["Access-Control-Allow-Origin"]) == (401, "*")
        assert answer["Access-Control-Expose-Headers"] == "date, retry-after"

    def test_may_not_touch_the_catalogue(self, client: Client) -> None:
        answer = client.options("/v1/items", headers=self.ASKING)
        assert (answer.status_code, "Access-Control-Allow-Origin" in answer) == (401, False)


class TestFailures:
    def test_a_bug_is_logged_and_shows_nothing(self, client: Client, caplog: Any) -> None:
        def broken(request: Any) -> Any:
            raise RuntimeError("the inside of the house")

        from django.core.handlers.exception import response_for_exception

        request = client.request().wsgi_request
        request.path_info = EVENTS
        try:
            Border(broken)(request)
        except RuntimeError as bug:
            answer = response_for_exception(request, bug)
        said = {"code": "internal", "message": "This is our mistake. It was logged."}
        assert (answer.status_code, json.loads(answer.content)) == (500, said)
        assert "the inside of the house" in caplog.text

    @pytest.mark.parametrize(
        ("error", "code"),
        [
            (psycopg.OperationalError("gone"), "database_unreachable"),
            (psycopg.InterfaceError("closed"), "database_unreachable"),
            (OperationalError("gone"), "database_unreachable"),
            (psycopg.errors.AdminShutdown("bye"), "database_unreachable"),
            (psycopg.errors.TooManyConnections("full"), "database_unreachable"),
            (psycopg.errors.DiskFull("full"), "database_full"),
            (psycopg.errors.DeadlockDetected("stuck"), "database_busy"),
            (psycopg.errors.QueryCanceled("slow"), "database_busy"),
        ],
    )
    def test_the_database_in_trouble(self, error: Exception, code: str) -> None:
        wrapped = sqlalchemy.exc.OperationalError("SELECT", {}, error)
        wrapped.__cause__ = error
        for raised in (error, wrapped):
            said = describe(raised)
            assert said is not None
            assert (said.status_code, said.code) == (503, code)
            assert said.headers == {"Retry-After": "5"}

    @pytest.mark.parametrize("bug", [psycopg.errors.UndefinedTable("x"), KeyError("x")])
    def test_a_bug_is_not_called_trouble(self, bug: Exception) -> None:
        assert describe(bug) is None

    def test_too_many_requests_say_when(self) -> None:
        said = describe(Throttled(wait=1.2))
        assert said is not None
        assert (said.code, said.headers) == ("too_many_requests", {"Retry-After": "2"})

    def test_a_problem_stays_what_it_is(self) -> None:
        problem = Problem(404, "unknown_scenario", "There is none.")
        assert describe(problem) is problem


ASK_WITHOUT_A_DATABASE = """
import json
from recsite.boot import boot
boot()
import django
django.setup()
from django.test import Client
client = Client(raise_request_exception=False, SERVER_NAME="localhost",
                headers={"Authorization": "Bearer pk_x"})
def said(answer):
    body = answer.json() if "json" in answer["Content-Type"] else None
    return [answer.status_code, answer.headers.get("Retry-After"), body]
client.cookies["sessionid"] = "abcdefghijklmnopqrstuvwxyz012345"
paths = ("/v1/noop", "/v1/recommend/home", "/healthz", "/admin/", "/")
print(json.dumps({path: said(client.get(path)) for path in paths}))
"""


def test_a_database_that_refuses_connections(tmp_path: Any) -> None:
    """A process of its own: port 1 refuses, as a server that is down does."""
    env = {
        **os.environ,
        "RECSITE_HOME": str(tmp_path),
        "DATABASE_URL": "postgresql://a@127.0.0.1:1/a",
    }
    done = subprocess.run([sys.executable, "-c", ASK_WITHOUT_A_DATABASE], env=env,
                          capture_output=True, text=True, check=True)  # fmt: skip
    away = [503, "5", UNREACHABLE]
    assert json.loads(done.stdout) == {
        "/v1/noop": away,
        "/v1/recommend/home": away,
        "/healthz": away,
        "/admin/": [503, "5", None],
        "/": [200, None, None],
    }


@pytest.mark.django_db
class TestPages:
    def test_health(self, client: Client) -> None:
        assert client.get("/healthz").json() == {"status": "ok", "database": "ok"}

    def test_the_front_page_leads_everywhere(self, client: Client) -> None:
        page = client.get("/").content.decode()
        for path in ("/v1/docs", "/admin/", "/healthz"):
            assert f'href="{path}"' in page
            assert client.get(path, follow=True).status_code == 200

    def test_the_docs_load_nothing_from_elsewhere(self, client: Client) -> None:
        page = client.get("/v1/docs").content.decode()
        assert "https://" not in page
        assert "/static/drf_spectacular_sidecar/" in page

    def test_the_document_names_every_call(
        self, client: Client, capsys: pytest.CaptureFixture[str]
    ) -> None:
        document = client.get("/v1/schema").json()
        # The generator says there what it could not make out.
        assert capsys.readouterr().err == ""
        assert list(document["components"]["securitySchemes"]) == ["key"]
        calls = {f"{m.upper()} {path}" for path, ms in document["paths"].items() for m in ms}
        assert calls == {
            "POST /v1/events", "POST /v1/items", "GET /v1/items/{item_id}",
            "PUT /v1/items/{item_id}", "PATCH /v1/items/{item_id}", "DELETE /v1/items/{item_id}",
            "GET /v1/recommend/{scenario}", "POST /v1/recommend/{scenario}", "GET /v1/noop",
            "GET /v1/users/{user_id}", "DELETE /v1/users/{user_id}",
            "GET /v1/anonymous/{anonymous_id}", "DELETE /v1/anonymous/{anonymous_id}",
        }  # fmt: skip
        for operations in document["paths"].values():
            for operation in operations.values():
                assert operation["security"] == [{"key": []}]
                for failure in ("4XX", "5XX"):
                    schema = operation["responses"][failure]["content"]["application/json"]
                    assert schema["schema"] == {"$ref": "#/components/schemas/Problem"}
