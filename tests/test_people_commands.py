"""Erasing, exporting and hiding people from a terminal and over HTTP; lists that wait."""

import json
import time
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from recommend.arrival import LONGEST
from recommend.projections import PROJECTIONS
from recsite import keys
from recsite.models import ApiKey
from tests.given import (
    Row,
    advance,
    ask,
    contents,
    differing,
    given,
    identify,
    item,
    logged,
    persons,
    purchase,
    serve,
    state,
    view,
)
from tests.test_concurrency import everyone

pytestmark = pytest.mark.usefixtures("committed")


def run(*words: str) -> str:
    """What a command prints."""
    out = StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


@pytest.fixture
def ann() -> None:
    """Two names of one person, a list served, and another person."""
    item("mug")
    given(
        view("anonymous:phone", "mug"), purchase("ann", "mug", at=1),
        identify("anonymous:phone", "ann", at=2), view("bob", "cup", at=3),
    )  # fmt: skip
    serve("mug", user="anonymous:phone")
    advance()


# ── manage.py erase ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("words", [("ann",), ("phone", "--anonymous")])
def test_erase_takes_a_person_under_either_name(ann: None, words: tuple[str, ...]) -> None:
    assert run("erase", *words) == "erased: 3 events and 1 slate under 2 names (proof 1)\n"
    assert ask("SELECT key FROM subject_key") == [("user:bob",)]
    assert ask("SELECT asked_by FROM erasure") == [("the command erase",)]
    assert differing() == []


@pytest.mark.parametrize("words", [("phone",), ("ann", "--anonymous"), ("an",), ("user:ann",)])
def test_erase_knows_nobody_by_another_name(ann: None, words: tuple[str, ...]) -> None:
    before = (logged(), contents())
    with pytest.raises(CommandError, match=r"There is no shopper '(user|anonymous):"):
        run("erase", *words)
    assert (logged(), contents()) == before
    assert ask("SELECT count(*) FROM erasure") == [(0,)]


# ── manage.py export ───────────────────────────────────────────────────────────────────────

WHOLE = ["name", "name", "event", "event", "event", "slate", "recent events", "item"]


def about(lines: str | bytes) -> list[str]:
    return [json.loads(line)["about"] for line in lines.splitlines()]


def test_export_prints_a_line_a_row(ann: None) -> None:
    assert about(run("export", "ann")) == WHOLE
    assert run("export", "phone", "--anonymous") == run("export", "ann")
    names, events = (
        [json.loads(line) for line in run("export", "ann").splitlines()][part]
        for part in (slice(0, 2), slice(2, 5))
    )
    assert names == [
        {"about": "name", "name": "anonymous:phone", "linked_to": "user:ann", "hidden": False,
         "person": "user:ann"},
        {"about": "name", "name": "user:ann"},
    ]  # fmt: skip
    assert [(event["kind"], event["subject"]) for event in events] == [
        ("view_item", "anonymous:phone"), ("purchase", "user:ann"), ("identify", "anonymous:phone"),
    ]  # fmt: skip


def test_export_writes_a_file(ann: None, tmp_path: Path) -> None:
    file = tmp_path / "ann.jsonl"
    assert run("export", "ann", "--out", str(file)) == ""
    assert file.read_text() == run("export", "ann")


def test_export_says_why_it_cannot_write(ann: None, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"--out .*: Is a directory\."):
        run("export", "ann", "--out", str(tmp_path))


def test_export_of_nobody_is_an_error_and_no_file(ann: None, tmp_path: Path) -> None:
    file = tmp_path / "nobody.jsonl"
    for words in ((), ("--out", str(file))):
        with pytest.raises(CommandError, match=r"There is no shopper 'user:nobody'\."):
            run("export", "nobody", *words)
    assert not file.exists()


def test_a_hidden_person_is_exported_too(ann: None) -> None:
    run("quarantine", "ann")
    assert about(run("export", "ann")) == ["name"] * 2 + ["event"] * 5 + ["slate"]


# ── manage.py quarantine ───────────────────────────────────────────────────────────────────


def test_quarantine_hides_all_names_and_undo_shows_them(ann: None) -> None:
    assert run("quarantine", "phone", "--anonymous", "--because", "a test") == (
        "hidden: anonymous:phone, user:ann\n"
    )
    assert persons() == {"anonymous:phone": None, "user:ann": None}
    assert [detail for (detail,) in ask("SELECT detail::text FROM event WHERE kind = 23")] == [
        '{"because": "a test"}'
    ] * 2
    advance()
    assert differing() == []
    assert run("quarantine", "ann", "--undo") == "shown again: anonymous:phone, user:ann\n"
    assert persons() == {"anonymous:phone": "user:ann"}
    assert state("ann") == [("purchase", "mug"), ("view_item", "mug")]


def test_undoing_a_quarantine_names_those_who_were_hidden_and_is_no_fact_of_others(
    ann: None,
) -> None:
    before = logged()
    assert run("quarantine", "ann", "bob", "--undo") == (
        "not hidden: anonymous:phone, user:ann, user:bob\n"
    )
    assert logged() == before
    run("quarantine", "bob")
    assert run("quarantine", "ann", "bob", "--undo") == "shown again: user:bob\n"
    with pytest.raises(CommandError, match=r"There is no shopper 'user:nobody'\."):
        run("quarantine", "nobody", "--undo")


def test_quarantine_takes_many_and_skips_who_is_unknown(ann: None) -> None:
    assert run("quarantine", "bob", "nobody", "ann") == (
        "hidden: anonymous:phone, user:ann, user:bob\n"
    )


def test_quarantine_of_nobody_is_an_error(ann: None) -> None:
    before = logged()
    with pytest.raises(CommandError, match=r"There is no shopper 'user:nobody'\."):
        run("quarantine", "nobody")
    assert logged() == before


# ── GET and DELETE /v1/users/{id} and /v1/anonymous/{id} ───────────────────────────────────


@pytest.fixture
def secret() -> Iterator[Client]:
    yield Client(headers={"Authorization": f"Bearer {keys.create('tests', 'secret')}"})
    ApiKey.objects.all().delete()


@pytest.fixture
def public() -> Iterator[Client]:
    yield Client(headers={"Authorization": f"Bearer {keys.create('page', 'publishable')}"})
    ApiKey.objects.all().delete()


def told(client: Client, path: str) -> tuple[int, Any]:
    """Status, and what the lines are about or the code of the refusal."""
    answer: Any = client.get(path)
    if answer.status_code != 200:
        return answer.status_code, answer.json()["code"]
    assert answer["Content-Type"] == "application/x-ndjson"
    return 200, about(b"".join(answer.streaming_content))


def test_a_person_is_told_under_any_name(ann: None, secret: Client) -> None:
    assert told(secret, "/v1/users/ann") == told(secret, "/v1/anonymous/phone") == (200, WHOLE)
    assert told(secret, "/v1/users/bob") == (200, ["name", "event", "recent events", "item"])


UNKNOWN = (404, "unknown_person")


@pytest.mark.parametrize(
    "path",
    ["/v1/users/nobody", "/v1/users/phone", "/v1/anonymous/ann", "/v1/users/user:ann",
     f"/v1/users/{'x' * 129}", "/v1/users/%ED%A0%80", "/v1/users/ann%20", "/v1/users/ann/"],
)  # fmt: skip
def test_nobody_is_not_found(ann: None, secret: Client, path: str) -> None:
    before = logged()
    assert told(secret, path) == UNKNOWN
    answer = secret.delete(path)
    assert (answer.status_code, answer.json()["code"]) == UNKNOWN
    assert logged() == before


@pytest.mark.parametrize(
    "user", ["a/b", "a%2Fb", "a b", "ä€😀", "a?b#c", "..", "a//b", "/", "%", "x" * 128]
)
def test_any_id_is_found_percent_encoded(secret: Client, user: str) -> None:
    given(view(f"user:{user}", "mug"), view(f"anonymous:{user}", "cup"))
    path = quote(user, safe="")
    assert told(secret, f"/v1/users/{path}")[0] == 200
    done = secret.delete(f"/v1/users/{path}").json()
    assert done == {"erasure": 1, "names": 1, "events": 1, "slates": 0}
    assert told(secret, f"/v1/users/{path}") == UNKNOWN
    assert told(secret, f"/v1/anonymous/{path}")[0] == 200


def test_a_slash_need_not_be_encoded(secret: Client) -> None:
    given(view("user:a/b", "mug"))
    assert told(secret, "/v1/users/a/b")[0] == 200


def test_who_was_erased_is_unknown(ann: None, secret: Client) -> None:
    answer = secret.delete("/v1/anonymous/phone")
    assert (answer.status_code, answer.json()) == (
        200, {"erasure": 1, "names": 2, "events": 3, "slates": 1},
    )  # fmt: skip
    for path in ("/v1/users/ann", "/v1/anonymous/phone"):
        assert told(secret, path) == UNKNOWN
        assert secret.delete(path).status_code == 404
    assert ask("SELECT asked_by FROM erasure") == [(f"key {ApiKey.objects.get().pk}",)]
    assert differing() == []


@pytest.mark.parametrize("path", ["/v1/users/ann", "/v1/anonymous/phone", "/v1/users/nobody"])
def test_people_are_for_servers_only(ann: None, public: Client, path: str) -> None:
    before = logged()
    for answer in (public.get(path), public.delete(path)):
        assert (answer.status_code, answer.json()["code"]) == (403, "wrong_scope")
    for answer in (Client().get(path), Client().delete(path)):
        assert (answer.status_code, answer.json()["code"]) == (401, "no_key")
    assert logged() == before


def test_no_other_method_touches_a_person(ann: None, secret: Client) -> None:
    for answer in (
        secret.post("/v1/users/ann", b"{}", "application/json"),
        secret.put("/v1/users/ann", b"{}", "application/json"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")


# ── min_position ───────────────────────────────────────────────────────────────────────────


def asked(client: Client, position: Any) -> tuple[int, Any, float]:
    """Status, body, and the seconds it took."""
    began = time.monotonic()
    answer = client.get("/v1/recommend/popular", {"min_position": position})
    return answer.status_code, answer.json(), time.monotonic() - began


@pytest.mark.parametrize(
    "position", ["-1", "1.5", "x", "1e3", "0x10", "١", "9" * 20, "1 ", "1:2:", "null"]
)
def test_what_is_no_position_is_refused(public: Client, position: str) -> None:
    said = {
        "code": "bad_min_position",
        "message": "min_position must be the position that an answer carried.",
    }
    assert asked(public, position)[:2] == (400, said)
    body = json.dumps({"min_position": True})
    answer = public.post("/v1/recommend/popular", body, "application/json")
    assert (answer.status_code, answer.json()) == (400, said)


@pytest.mark.parametrize("position", ["9" * 18, "9" * 19])
def test_a_position_that_this_log_never_had_is_refused(public: Client, position: str) -> None:
    status, body, _ = asked(public, position)
    said = {"code": "unknown_position", "message": "This log has no such position."}
    assert (status, body) == (400, said)


def test_an_empty_position_waits_for_nothing(public: Client) -> None:
    given(view("ann", "mug"))
    status, body, took = asked(public, "")
    assert (status, "behind" in body, took < LONGEST) == (200, False, True)


def test_a_list_waits_for_the_fold_that_comes_meanwhile(public: Client) -> None:
    item("mug")
    advance()
    (appended,) = given(view("ann", "mug"))
    answers = []

    def fold_later() -> None:
        time.sleep(0.3)
        advance()

    everyone(lambda: answers.append(asked(public, appended.position)), fold_later)
    ((status, body, _),) = answers
    assert (status, "behind" in body) == (200, False)
    assert [shown["item_id"] for shown in body["items"]] == ["mug"]


def test_a_position_that_was_reached_is_not_behind(public: Client) -> None:
    item("mug")
    (appended,) = given(view("ann", "mug"))
    advance()
    status, body, took = asked(public, appended.position)
    assert (status, "behind" in body, took < LONGEST) == (200, False, True)
    assert [shown["item_id"] for shown in body["items"]] == ["mug"]
    again = json.dumps({"min_position": int(appended.position)})
    answer = public.post("/v1/recommend/popular", again, "application/json")
    assert (answer.status_code, "behind" in answer.json()) == (200, False)


def test_without_a_worker_the_answer_says_how_far_behind_it_is(public: Client) -> None:
    given(view("ann", "mug"))
    advance()
    given(view("ann", "cup", at=1), [view("bob", "mug", at=2), view("bob", "cup", at=3)])
    advance("popularity")
    (appended,) = given([view("ann", f"i{n}", at=4 + n) for n in range(4)])
    status, body, took = asked(public, appended.position)
    others = {one.NAME: 7 for one in PROJECTIONS}
    assert (status, body["behind"]) == (200, others | {"popularity": 4})
    assert LONGEST <= took < LONGEST + 1.5


def test_projections_that_hold_the_position_are_not_named(public: Client) -> None:
    given(view("ann", "mug"))
    advance()
    (appended,) = given(view("ann", "cup", at=1))
    advance("popularity")
    advance("covisit")
    given(view("ann", "pot", at=2))
    assert asked(public, appended.position)[1]["behind"] == {"content": 2, "attribution": 2}


def positions() -> list[Row]:
    return ask("SELECT name, snapshot FROM projection ORDER BY name")


def test_before_the_first_fold_nothing_is_held(public: Client) -> None:
    (appended,) = given(view("ann", "mug"))
    assert positions() == []
    assert asked(public, appended.position)[1]["behind"] == {one.NAME: 1 for one in PROJECTIONS}
