"""Bad input that an attack found, each with the answer it gets now."""

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from behavior.events import Rejection
from catalog.feed import parse
from tests.given import given, view

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture
def users(tmp_path: Path) -> str:
    (tmp_path / "users.csv").write_text("user_id\nann\n")
    return str(tmp_path / "users.csv")


def test_a_folder_as_the_file_to_write_is_a_sentence(users: str, tmp_path: Path) -> None:
    (tmp_path / "lists.csv").mkdir()
    with pytest.raises(CommandError, match="is a folder, not a file"):
        call_command("recommend", users=users, out=str(tmp_path / "lists.csv"))


def test_a_file_that_cannot_be_written_is_a_sentence(users: str) -> None:
    with pytest.raises(CommandError, match=r"--out /proc/lists\.csv: No such file or directory"):
        call_command("recommend", users=users, out="/proc/lists.csv")


@pytest.mark.parametrize("cut", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_the_ends_of_the_calendar_are_no_cut(cut: str) -> None:
    with pytest.raises(CommandError, match="is not between the years 1990 and 9998"):
        call_command("evaluate", cut=cut)


def test_an_unknown_scenario_is_refused_before_anything_is_folded() -> None:
    given(view("ann", "mug"))
    with pytest.raises(CommandError, match="There is no scenario 'nope'"):
        call_command("evaluate", cut="2026-01-01", scenario="nope")


def test_an_import_in_which_no_row_is_good_fails(tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("event,user_id,item_id,occurred_at\nview_item,ann,mug,soon\n")
    with pytest.raises(CommandError, match="No row could be imported"):
        call_command("import_events", str(tmp_path / "bad.csv"))


@pytest.mark.parametrize("attributes", [[{"a": 1, "b": 2}], [["a", "b"]], "[1]", 5])
def test_attributes_that_are_no_object_are_refused(attributes: object) -> None:
    refused = parse({"item_id": "mug", "attributes": attributes})
    assert isinstance(refused, Rejection)
    assert refused.code == "bad_attributes"
