"""What is refused is kept, once and within bounds, and can be read again."""

import logging
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import orjson
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.test import Client

from behavior import rejected, tasks
from behavior.events import Rejection
from behavior.rejected import Refused
from behavior.retry import Retried, retry
from recsite import keys
from recsite.models import ApiKey
from tests.given import Row, ask, logged, minute
from tests.test_concurrency import everyone

AT = "2026-03-02T09:00:00Z"
NO = Rejection("no", "No.")


@pytest.fixture
def client(committed: None) -> Iterator[Client]:
    key = keys.create("tests", "publishable")
    yield Client(headers={"Authorization": f"Bearer {key}"})
    ApiKey.objects.all().delete()


def post(client: Client, *events: Any) -> Any:
    answer = client.post("/v1/events", orjson.dumps(list(events)), "application/json")
    assert answer.status_code == 202, answer.content
    return answer.json()


def kept() -> list[Row]:
    """(source, line, code, payload, whole, subject), the oldest call first."""
    return ask(
        "SELECT source, line, code, payload, whole, subject FROM rejected"
        " ORDER BY rejected_at, source, line"
    )


def keep(*refused: Refused, source: str = "http") -> None:
    with transaction.atomic():
        rejected.keep(source, refused)


def view(**more: Any) -> dict[str, Any]:
    return {"event": "view_item", "user_id": "ann", "item_id": "mug", "occurred_at": AT} | more


def row_ids() -> list[int]:
    return [row[0] for row in ask("SELECT id FROM rejected ORDER BY id")]


# ── what is kept ───────────────────────────────────────────────────────────────────────────


def test_a_call_keeps_what_it_rejects_beside_what_it_accepts(client: Client) -> None:
    said = post(
        client, view(), view(event="teleport"), {"event": "search"}, "x\0y", view(user_id=[])
    )
    assert said["accepted"] == 1
    assert said["rejected"] == [
        {"index": line, "code": code, "message": message}
        for line, code, message in ask("SELECT line, code, message FROM rejected ORDER BY line")
    ]
    assert kept() == [
        ("http", 1, "unknown_event",
         '{"event": "teleport", "user_id": "ann", "item_id": "mug", "occurred_at": '
         '"2026-03-02T09:00:00Z"}', True, "user:ann"),
        ("http", 2, "no_subject", '{"event": "search"}', True, None),
        ("http", 3, "not_an_object", '"x\\u0000y"', True, None),
        ("http", 4, "bad_user_id",
         '{"event": "view_item", "user_id": [], "item_id": "mug", "occurred_at": '
         '"2026-03-02T09:00:00Z"}', True, None),
    ]  # fmt: skip


def test_the_same_record_again_is_kept_once_wherever_it_stands_in_a_call(client: Client) -> None:
    post(client, view(event="teleport"))
    post(client, view(), view(event="teleport"), view(event="teleport"), view(event="fly"))
    assert [(line, code) for _, line, code, *_ in kept()] == [
        (0, "unknown_event"),
        (3, "unknown_event"),
    ]


def test_a_subject_is_read_even_where_another_id_is_bad(client: Client) -> None:
    post(client, view(user_id=[], anonymous_id="a1"), view(event="fly", anonymous_id="a1"))
    assert [subject for *_, subject in kept()] == ["anonymous:a1", "user:ann"]


def test_a_long_record_is_cut_and_not_read_again(client: Client) -> None:
    post(client, view(event="fly", page="x" * 4_000))
    ((_, _, _, payload, whole, subject),) = kept()
    assert (len(payload.encode()), whole, subject) == (4_000, False, "user:ann")
    assert retry(row_ids(), datetime.now(UTC)) == Retried(0, 0)
    assert len(kept()) == 1


def test_a_record_too_deep_to_be_written_is_named_only(client: Client) -> None:
    body = b'[{"event": "fly", "a": ' + b"[" * 1_000 + b"]" * 1_000 + b"}]"
    answer = client.post("/v1/events", body, "application/json")
    assert answer.status_code == 202
    assert kept() == [("http", 0, "unknown_event", None, False, None)]


def test_a_file_keeps_its_bad_rows_with_name_and_line(
    committed: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "log.csv").write_bytes(
        b"event,occurred_at,user_id,item_id\n"
        b"view_item,2026-03-02,ann,mug\n"
        b"viewed,2026-03-02,ann,mug\n"
        b"view_item,2026-03-02,bob,\xff\n"
        b"view_item,2026-03-02\n"
        b"viewed,2026-03-02,ann,mug\n"
    )
    for _ in range(2):
        call_command("import_events", str(tmp_path / "log.csv"))
    viewed = '{"event": "viewed", "occurred_at": "2026-03-02", "user_id": "ann", "item_id": "mug"}'
    assert kept() == [
        ("log.csv", 3, "unknown_event", viewed, True, "user:ann"),
        ("log.csv", 4, "bad_item_id", '{"event": "view_item", "occurred_at": "2026-03-02", '
         '"user_id": "bob", "item_id": "\\udcff"}', True, "user:bob"),
        ("log.csv", 5, "unreadable_line", None, False, None),
        ("log.csv", 6, "unknown_event", viewed, True, "user:ann"),
    ]  # fmt: skip


def test_values_that_text_would_change_are_kept_but_not_read_again(
    committed: None, tmp_path: Path
) -> None:
    table = pa.table(
        {
            "event": ["view_item"] * 3,
            "occurred_at": [minute(0)] * 3,
            "user_id": ["ann"] * 3,
            "item_id": pa.array([b"mug", None, b"cup"], pa.binary()),
            "price": [Decimal("-1.50")] * 3,
        }
    )
    pq.write_table(table, tmp_path / "log.parquet")
    with pytest.raises(Exception, match="No row could be imported"):
        call_command("import_events", str(tmp_path / "log.parquet"))
    assert [(code, whole) for _, _, code, _, whole, _ in kept()] == [
        ("bad_item_id", False), ("no_item", True), ("bad_item_id", False),
    ]  # fmt: skip
    assert kept()[1][3] == (
        '{"event": "view_item", "occurred_at": "2026-03-02 09:00:00+00:00", "user_id": "ann",'
        ' "item_id": null, "price": "-1.50"}'
    )


def test_what_cannot_be_kept_costs_no_accepted_event_and_is_not_logged(
    client: Client, stranger: psycopg.Connection[Any], caplog: pytest.LogCaptureFixture
) -> None:
    stranger.execute("ALTER TABLE rejected ADD CONSTRAINT broken CHECK (false) NOT VALID")
    try:
        with caplog.at_level(logging.WARNING):
            said = post(client, view(), view(event="the secret"))
    finally:
        stranger.execute("ALTER TABLE rejected DROP CONSTRAINT broken")
    assert (said["accepted"], len(said["rejected"])) == (1, 1)
    assert logged() == [(0.0, "view_item", "user:ann", "mug")]
    assert kept() == []
    assert [record.getMessage() for record in caplog.records] == [
        "Refused records were not kept: CheckViolation."
    ]


DIES: Final = """
CREATE FUNCTION rec.dies() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN new; END $$;
CREATE TRIGGER dies BEFORE INSERT ON rejected FOR EACH ROW EXECUTE FUNCTION rec.dies()
"""


def test_where_the_connection_breaks_meanwhile_nothing_is_said_to_be_accepted(
    client: Client, stranger: psycopg.Connection[Any]
) -> None:
    stranger.execute(DIES)
    try:
        body = orjson.dumps([view(), view(event="fly")])
        assert client.post("/v1/events", body, "application/json").status_code == 503
    finally:
        stranger.execute("DROP TRIGGER dies ON rejected; DROP FUNCTION rec.dies()")
        connection.close()
    assert (logged(), kept()) == ([], [])


def test_a_call_that_is_rolled_back_keeps_nothing(committed: None) -> None:
    with transaction.atomic():
        rejected.keep("http", [Refused(0, NO, view())])
        transaction.set_rollback(True)
    assert kept() == []


# ── bounds ─────────────────────────────────────────────────────────────────────────────────


def test_beyond_the_bound_nothing_is_kept_until_the_next_trim(
    committed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rejected, "MOST", 5)
    monkeypatch.setattr(rejected, "MOST_BETWEEN", 4)
    for n in range(20):
        keep(Refused(n, NO, view(n=n)))
    assert [line for _, line, *_ in kept()] == list(range(10))
    tasks.drop_old()
    assert [line for _, line, *_ in kept()] == [5, 6, 7, 8, 9]
    keep(Refused(20, NO, view(n=20)))
    assert [line for _, line, *_ in kept()] == [5, 6, 7, 8, 9, 20]


def test_a_repeated_record_takes_no_number(committed: None) -> None:
    for _ in range(5):
        keep(Refused(0, NO, view()))
    keep(Refused(0, NO, view(n=1)))
    assert row_ids() == [1, 2]


def test_rows_older_than_thirty_days_leave(committed: None) -> None:
    keep(Refused(0, NO, view()), Refused(1, NO, view(n=1)))
    ask("UPDATE rejected SET rejected_at = now() - interval '31 days' WHERE line = 0 RETURNING id")
    assert rejected.trim(datetime.now(UTC)) == 1
    assert [line for _, line, *_ in kept()] == [1]


def test_a_run_keeps_no_more_than_its_allowance(
    committed: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rejected, "MOST_OF_A_RUN", 7)
    monkeypatch.setattr("behavior.history.BATCH", 5)
    (tmp_path / "log.jsonl").write_text('{"event": "fly"}\n' * 20)
    with pytest.raises(Exception, match="No row could be imported"):
        call_command("import_events", str(tmp_path / "log.jsonl"))
    assert [line for _, line, *_ in kept()] == [1, 2, 3, 4, 5, 6, 7]


# ── a person's own ─────────────────────────────────────────────────────────────────────────


def test_a_person_is_told_of_and_forgotten(client: Client) -> None:
    post(client, view(event="fly"), view(event="fly", user_id="bob"), {"event": "search"})
    (told,) = rejected.told_of(["user:ann", "anonymous:x"])
    assert told.pop("rejected_at") is not None
    assert told.pop("message").startswith("Unknown event 'fly'.")
    assert told == {
        "source": "http", "line": 0, "code": "unknown_event", "subject": "user:ann",
        "payload": '{"event": "fly", "user_id": "ann", "item_id": "mug", "occurred_at": '
                   '"2026-03-02T09:00:00Z"}',
    }  # fmt: skip
    assert rejected.forget(["user:ann", "anonymous:x"]) == 1
    assert [subject for *_, subject in kept()] == ["user:bob", None]


NAMING_ANN: Final = (
    {"event": "fly", "user_id": "bob", "anonymous_id": "ann's phone", "previous_user_id": "ann"},
    {"method": "POST", "path": "/fly/", "params": {"userId": "ann", "itemId": "mug"}},
    {"event": "fly", "customer": {"id": "ann", "name": "A."}},
    {"event": "fly", "anonymous_id": 'a "quoted" (ann)', "userId": "ann"},
)
NOT_NAMING_ANN: Final = (
    {"event": "fly", "user_id": "anne", "item_id": "ann"},
    {"event": "fly", "user_id": "bob", "params": {"title": "ann"}},
    {"event": "fly", "user_id": "bob", "anonymous_id": "ann"},
)


@pytest.mark.parametrize("record", NAMING_ANN)
def test_a_record_that_names_a_person_anywhere_is_theirs(client: Client, record: Any) -> None:
    post(client, record)
    assert len(list(rejected.told_of(["user:ann"]))) == 1
    assert rejected.forget(["user:ann"]) == 1
    assert kept() == []


@pytest.mark.parametrize("record", NOT_NAMING_ANN)
def test_a_record_in_which_the_name_means_something_else_is_not(
    client: Client, record: Any
) -> None:
    post(client, record)
    assert list(rejected.told_of(["user:ann"])) == []
    assert rejected.forget(["user:ann"]) == 0


def test_a_browser_and_a_user_of_the_same_number_are_two(client: Client) -> None:
    post(client, view(event="fly", user_id=7), {"event": "fly", "visitorId": "7"})
    assert rejected.forget(["anonymous:7"]) == 1
    assert [subject for *_, subject in kept()] == ["user:7"]


def test_a_name_is_no_pattern(client: Client) -> None:
    post(client, view(event="fly", user_id="a.*(b"), view(event="fly", user_id="axx(b"))
    assert rejected.forget(["user:a.*(b"]) == 1


# ── another try ────────────────────────────────────────────────────────────────────────────


def test_what_came_too_early_is_accepted_once_the_clock_has_moved(client: Client) -> None:
    later = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=30)
    post(client, view(occurred_at=later.isoformat()), view(event="fly"))
    assert [row[2] for row in kept()] == ["time_in_future", "unknown_event"]
    assert retry(row_ids(), datetime.now(UTC)) == Retried(0, 2)
    assert retry(row_ids(), later) == Retried(1, 1)
    assert ask("SELECT occurred_at FROM event") == [(later,)]
    assert [row[2] for row in kept()] == ["unknown_event"]


def test_what_is_still_refused_stays_with_its_new_reason(committed: None) -> None:
    keep(Refused(3, NO, view(event="fly")), source="log.csv")
    keep(Refused(4, NO, view(occurred_at="")), source="log.csv")
    assert retry(row_ids(), datetime.now(UTC)) == Retried(0, 2)
    assert ask("SELECT line, code, left(message, 20) FROM rejected ORDER BY line") == [
        (3, "unknown_event", "Unknown event 'fly'."),
        (4, "no_time", "A row of a file need"),
    ]
    assert logged() == []


def test_a_post_without_a_time_happened_when_it_came(committed: None) -> None:
    keep(Refused(0, NO, {"event": "view_item", "user_id": "ann", "item_id": "mug"}))
    ((came,),) = ask("SELECT rejected_at FROM rejected")
    assert retry(row_ids(), came + timedelta(days=3)) == Retried(1, 0)
    assert ask(
        "SELECT date_trunc('milliseconds', %s::timestamptz) = occurred_at FROM event", came
    ) == [(True,)]


def test_a_row_of_a_file_is_known_by_its_content_after_a_retry(
    committed: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(Refused(2, NO, view()), source="log.jsonl")
    retry(row_ids(), datetime.now(UTC))
    (tmp_path / "log.jsonl").write_bytes(orjson.dumps(view()))
    call_command("import_events", str(tmp_path / "log.jsonl"))
    assert capsys.readouterr().out == "0 accepted, 1 duplicates, 0 rejected\n"
    assert ask("SELECT tableoid::regclass::text FROM event") == [("event_2026_03",)]


def test_a_retry_that_fails_changes_nothing(
    committed: None, stranger: psycopg.Connection[Any]
) -> None:
    keep(Refused(0, NO, view()))
    before = kept()
    stranger.execute("ALTER TABLE event ADD CONSTRAINT broken CHECK (item IS NULL) NOT VALID")
    try:
        with pytest.raises(psycopg.errors.CheckViolation):
            retry(row_ids(), datetime.now(UTC))
    finally:
        stranger.execute("ALTER TABLE event DROP CONSTRAINT broken")
    assert (kept(), logged()) == (before, [])


def test_two_retries_of_the_same_rows_append_each_once(committed: None) -> None:
    # Without a time and a key an event is new each time it is appended.
    keep(
        *(
            Refused(n, NO, {"event": "search", "user_id": f"u{n}", "query": "mug"})
            for n in range(300)
        )
    )
    ids, together, done = row_ids(), threading.Barrier(2, timeout=10), []

    def try_again(order: int) -> None:
        together.wait()
        done.append(retry(ids[::order], datetime.now(UTC)))

    everyone(lambda: try_again(1), lambda: try_again(-1))
    assert sorted(done) == [Retried(0, 0), Retried(300, 0)]
    assert ask("SELECT count(*) FROM event") == [(300,)]
    assert kept() == []


def test_many_rows_are_retried_a_thousand_at_a_time(committed: None) -> None:
    keep(*(Refused(n, NO, view(item_id=f"i{n}")) for n in range(2_500)))
    assert retry(row_ids(), datetime.now(UTC)) == Retried(2_500, 0)
    assert ask("SELECT count(*) FROM event") == [(2_500,)]


def test_what_was_looked_for_is_forgotten_with_what_came_since(client: Client) -> None:
    post(client, view(event="fly"), view(event="fly", user_id="bob"))
    found = rejected.look_for(["user:ann"])
    assert len(found.ids) == 1
    post(client, view(event="swim"), view(event="swim", user_id="bob"))
    assert rejected.forget_found(found, ["user:ann"]) == 2
    assert [subject for *_, subject in kept()] == ["user:bob", "user:bob"]


def test_a_name_that_was_not_looked_for_is_looked_for_now(client: Client) -> None:
    post(client, view(event="fly"), {"event": "fly", "visitorId": "7"})
    found = rejected.look_for(["user:ann"])
    assert rejected.forget_found(found, ["user:ann", "anonymous:7"]) == 2
    assert kept() == []
