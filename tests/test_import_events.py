"""import_events: a history file in; bad rows with their line and reason, the good beside them."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.core.management import CommandError, call_command

from behavior import history
from tests.given import advance, ask, counts, differing, logged, state

pytestmark = pytest.mark.usefixtures("committed")

CSV = """event,occurred_at,user_id,anonymous_id,item_id,quantity,price,order_id,colour
view_item,2026-03-02T09:00:00Z,ann,,007,,,,
viewed,2026-03-02T09:00:00Z,ann,,007,,,,
purchase,2026-03-02T09:05:00Z,ann,,007,2,7.50,o1,blue
purchase,2026-03-02T09:05:00Z,ann,,cup,-1,,o1,
purchase,2026-03-02T09:05:00Z,,,cup,1,,o1,
purchase,yesterday,ann,,cup,1,,o1,
purchase,,ann,,cup,1,,o1,
purchase,2026-03-02T09:05:00Z,ann
view_item,2026-03-02 09:10,,x,cup,,,,
"""

REASONS = """line 3: unknown_event: Unknown event 'viewed'. Known: view_item, view_item_list, \
select_item, add_to_cart, remove_from_cart, view_cart, begin_checkout, purchase, refund, \
add_to_wishlist, remove_from_wishlist, search, rate, dismiss, share, follow, identify.
line 5: bad_quantity: quantity must be a whole number from 0 to 1000000.
line 6: no_subject: An event needs a user_id or an anonymous_id.
line 7: bad_time: occurred_at 'yesterday' is not an ISO 8601 time.
line 8: no_time: A row of a file needs an occurred_at.
line 9: unreadable_line: The line has 3 cells where the header has 9.
"""

FACTS = [
    (0.0, "view_item", "user:ann", "007"),
    (5.0, "purchase", "user:ann", "007"),
    (10.0, "view_item", "anonymous:x", "cup"),
]


def run(path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """What the command said and what it complained of."""
    call_command("import_events", str(path))
    said = capsys.readouterr()
    return said.out, said.err


def test_good_rows_are_kept_and_bad_ones_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "log.csv").write_text(CSV)
    assert run(tmp_path / "log.csv", capsys) == (
        "3 accepted, 0 duplicates, 6 rejected\n",
        REASONS,
    )
    assert logged() == FACTS
    assert ask("SELECT quantity, price, order_id FROM event ORDER BY id")[1] == (
        2,
        Decimal("7.5"),
        "o1",
    )
    assert state("ann") == [("purchase", "007"), ("view_item", "007")]


def test_the_same_file_again_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "log.csv").write_text(CSV)
    run(tmp_path / "log.csv", capsys)
    advance()
    before = ask("SELECT id, xid::text FROM event ORDER BY id"), state("ann"), counts()
    assert run(tmp_path / "log.csv", capsys) == ("0 accepted, 3 duplicates, 6 rejected\n", REASONS)
    assert advance() == [0, 0, 0, 0]
    assert (ask("SELECT id, xid::text FROM event ORDER BY id"), state("ann"), counts()) == before
    assert differing() == []


def test_a_longer_file_adds_only_what_is_new(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "log.csv").write_text(CSV)
    run(tmp_path / "log.csv", capsys)
    (tmp_path / "longer.csv").write_text(CSV + "view_item,2026-03-03,bob,,cup,,,,\n")
    out, _ = run(tmp_path / "longer.csv", capsys)
    assert out == "1 accepted, 3 duplicates, 6 rejected\n"
    assert logged() == [*FACTS, (15 * 60.0, "view_item", "user:bob", "cup")]


def test_the_three_formats_say_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "log.csv").write_text(
        "event,occurred_at,user_id,item_id,quantity,price\n"
        "purchase,2026-03-02T09:00:00Z,7,5,2,7.5\n"
        "view_item,2026-03-02T09:01:00Z,7,6,,\n"
    )
    (tmp_path / "log.jsonl").write_text(
        '{"event": "purchase", "occurred_at": 1772442000, "user_id": 7, "item_id": "5",'
        ' "quantity": 2, "price": "7.50"}\n'
        "\n"
        '{"event": "view_item", "occurred_at": "2026-03-02T10:01:00+01:00", "user_id": "7",'
        ' "items": [{"item_id": 6}]}\n'
    )
    times = [datetime(2026, 3, 2, 9, minute, tzinfo=UTC) for minute in (0, 1)]
    table = pa.table(
        {
            "event": ["purchase", "view_item"],
            "occurred_at": pa.array(times, pa.timestamp("ns", "UTC")),
            "user_id": [7.0, 7.0],
            "item_id": [5, 6],
            "quantity": [2, None],
            "price": pa.array([Decimal("7.50"), None], pa.decimal128(9, 2)),
        }
    )
    pq.write_table(table, tmp_path / "log.parquet")
    said = [run(tmp_path / f"log.{end}", capsys) for end in ("csv", "jsonl", "parquet")]
    assert said == [
        ("2 accepted, 0 duplicates, 0 rejected\n", ""),
        ("0 accepted, 2 duplicates, 0 rejected\n", ""),
        ("0 accepted, 2 duplicates, 0 rejected\n", ""),
    ]
    assert logged() == [(0.0, "purchase", "user:7", "5"), (1.0, "view_item", "user:7", "6")]


def test_a_row_with_an_event_id_is_known_by_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = '{"event": "view_item", "occurred_at": "2026-03-02T09:00:00Z", "user_id": "ann", %s}\n'
    (tmp_path / "log.jsonl").write_text(
        row % '"item_id": "a", "event_id": "1"' + row % '"item_id": "a", "event_id": "2"'
        + row % '"item_id": "a", "event_id": "1"' + row % '"item_id": "a"'
    )  # fmt: skip
    out, _ = run(tmp_path / "log.jsonl", capsys)
    assert out == "3 accepted, 1 duplicates, 0 rejected\n"


def test_batches_and_months_do_not_show(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "BATCH", 3)
    lines = [f"view_item,2011-0{1 + n % 9}-01,u{n % 2},i{n}" for n in range(20)]
    (tmp_path / "log.csv").write_text("\n".join(["event,occurred_at,user_id,item_id", *lines]))
    out, _ = run(tmp_path / "log.csv", capsys)
    assert out == "20 accepted, 0 duplicates, 0 rejected\n"
    places = ask("SELECT DISTINCT tableoid::regclass::text FROM event ORDER BY 1")
    assert places == [(f"event_2011_0{month}",) for month in range(1, 10)]
    assert differing() == []


def test_what_came_before_a_file_broke_off_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "BATCH", 1_000)
    times = [datetime(2026, 3, 2, 9, tzinfo=UTC)] * 30_000
    users = [f"u{n}" for n in range(30_000)]
    table = pa.table({"occurred_at": times, "user_id": users})
    table = table.append_column("event", pa.array(["view_item"] * 30_000))
    table = table.append_column("item_id", pa.array(["a"] * 30_000))
    whole = tmp_path / "log.parquet"
    pq.write_table(table, whole, row_group_size=10_000, compression="none", use_dictionary=False)
    content = bytearray(whole.read_bytes())
    middle = content.index(b"u25000")
    content[middle - 3_000 : middle + 3_000] = b"\xff" * 6_000
    whole.write_bytes(content)
    with pytest.raises(CommandError, match=r"^log.parquet cannot be read from row 20,001 on: "):
        run(whole, capsys)
    assert ask("SELECT count(*) FROM event") == [(20_000,)]


def test_only_the_first_reasons_are_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "log.jsonl").write_text("{}\n" * 25)
    with pytest.raises(CommandError, match="No row could be imported"):
        run(tmp_path / "log.jsonl", capsys)
    out, err = capsys.readouterr()
    assert out == "0 accepted, 0 duplicates, 25 rejected\n"
    assert len(err.splitlines()) == 21
    assert err.splitlines()[-1] == "… and 5 more rejected."
    assert logged() == []


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("log.txt", "", r"the name must end in one of \.csv"),
        ("log.csv", "", "is empty; its first line must name the columns"),
        ("log.parquet", "not parquet", "is not a Parquet file"),
        ("log.csv", "\ufeffevent,event\n", "has the column event twice"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_sentence(
    name: str, content: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(CommandError, match=sentence):
        run(tmp_path / name, capsys)
    assert logged() == []


def test_a_file_that_is_not_there_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CommandError, match="No such file or directory"):
        run(tmp_path / "log.csv", capsys)


# ── in the words of other vendors ──────────────────────────────────────────────────────────

RECOMBEE = """type,userId,itemId,timestamp,amount,price,rating
AddDetailView,ann,mug,2026-03-02T09:00:00Z,,,
AddPurchase,ann,mug,2026-03-02T09:05:00Z,2,15,
AddRating,ann,mug,2026-03-02T09:10:00Z,,,1
DeletePurchase,ann,mug,2026-03-02T09:05:00Z,,,
AddBookmark,ann,cup,,,,
"""

GA4 = """{"client_id": "x", "timestamp_micros": 1772442000000000, "events": [\
{"name": "view_item", "params": {"items": [{"item_id": "mug"}]}}, {"name": "scroll"}, \
{"name": "add_to_cart", "params": {"items": [{"item_id": "mug"}]}}]}
{"type": "track", "event": "Product Viewed", "userId": "ann", "timestamp": \
"2026-03-02T09:01:00Z", "properties": {"product_id": "cup"}}
"""


def test_a_file_of_recombees_interactions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "log.csv").write_text(RECOMBEE)
    out, err = run(tmp_path / "log.csv", capsys)
    assert out == "3 accepted, 0 duplicates, 2 rejected\n"
    assert [line.split(":")[:2] for line in err.splitlines()] == [
        ["line 5", " not_a_shop_event"], ["line 6", " no_time"],
    ]  # fmt: skip
    assert logged() == [
        (0.0, "view_item", "user:ann", "mug"),
        (5.0, "purchase", "user:ann", "mug"),
        (10.0, "rate", "user:ann", "mug"),
    ]
    kept = "SELECT quantity, price, (detail->>'rating')::float FROM event ORDER BY id"
    assert ask(kept)[1:] == [(2, Decimal("7.5"), None), (None, None, 5.0)]


def test_a_row_of_several_events_twice_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "log.jsonl").write_text(GA4)
    out, err = run(tmp_path / "log.jsonl", capsys)
    assert out == "3 accepted, 0 duplicates, 1 rejected\n"
    assert err.startswith("line 1: not_a_shop_event: 'scroll' tells of nothing")
    assert run(tmp_path / "log.jsonl", capsys)[0] == "0 accepted, 3 duplicates, 1 rejected\n"
    assert {row[1:] for row in logged()} == {
        ("view_item", "anonymous:x", "mug"), ("add_to_cart", "anonymous:x", "mug"),
        ("view_item", "user:ann", "cup"),
    }  # fmt: skip
