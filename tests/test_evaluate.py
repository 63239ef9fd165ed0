"""Evaluation: the log before a date, judged by what came after, through the serving path."""

import io

import pytest
from django.core.management import CommandError, call_command

from recommend.evaluate import NothingToJudge, Plan, evaluate
from recommend.management.commands.evaluate import _figure
from recommend.metrics import Quality
from tests.given import advance, ask, differing, given, item, minute, purchase, view

pytestmark = pytest.mark.usefixtures("committed")

CUT = minute(100)
PLAN = Plan(cut=CUT, scenario="home", count=2, exclude_seen="interacted", most=10)


def shop() -> None:
    """Everybody who views a then buys b; cal viewed a, and buys b after the cut."""
    for name in "abcd":
        item(name, title=name)
    for number, user in enumerate(("ann", "bob")):
        given(view(user, "a", at=number), purchase(user, "b", at=number + 50))
    given(view("cal", "a", at=60), purchase("cal", "b", at=101), purchase("cal", "a", at=102))


def test_what_was_bought_after_the_cut_is_found_from_what_was_seen_before() -> None:
    shop()
    report = evaluate(PLAN)
    assert report.new == Quality(1, 1.0, 1.0, 1.0, 0.5, 0.25)
    assert report.repeat == Quality(1, 0.0, 0.0, 0.0, 0.0, 0.25)
    assert (report.every.shoppers, report.every.recall) == (1, 0.5)


def test_nothing_after_the_cut_is_counted() -> None:
    shop()
    before = evaluate(PLAN)
    given(*(purchase(f"later{n}", "d", at=200 + n) for n in range(20)))
    assert evaluate(PLAN) == before


def test_live_tables_and_schemas_are_as_they_were() -> None:
    shop()
    advance()
    schemas = ask("SELECT nspname FROM pg_namespace ORDER BY 1")
    positions = ask("SELECT name, snapshot FROM projection ORDER BY 1")
    evaluate(PLAN)
    assert ask("SELECT nspname FROM pg_namespace ORDER BY 1") == schemas
    assert ask("SELECT name, snapshot FROM projection ORDER BY 1") == positions
    assert ask("SHOW search_path") == [("public,rec",)]
    assert differing() == []


def test_without_a_purchase_after_the_cut_there_is_nothing_to_judge() -> None:
    given(view("ann", "a"))
    with pytest.raises(NothingToJudge, match="No shopper has a history before"):
        evaluate(PLAN)


def test_the_command_prints_all_repeat_and_new() -> None:
    shop()
    out = io.StringIO()
    call_command("evaluate", cut=CUT.isoformat(), count=2, exclude_seen="interacted", stdout=out)
    lines = out.getvalue().splitlines()
    assert lines[0] == "home at 2, cut 2026-03-02"
    assert lines[1].split() == ["shoppers", "hit_rate", "ndcg", "recall", "precision", "coverage"]
    assert [line.split()[:3] for line in lines[2:]] == [
        ["all", "1", "1.0000"], ["repeat", "1", "0.0000"], ["new", "1", "1.0000"],
    ]  # fmt: skip


def test_of_nobody_the_command_prints_no_rate() -> None:
    assert _figure(Quality(0, 0.0, 0.0, 0.0, 0.0, 0.0), "ndcg") == "–"
    assert _figure(Quality(1, 0.0, 0.0, 0.0, 0.0, 0.0), "ndcg") == "0.0000"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"cut": "yesterday"}, "--cut 'yesterday' is not an ISO date."),
        ({"cut": "2999-01-01"}, "--cut '2999-01-01' has not come yet."),
        ({"cut": "2026-01-01", "count": 0}, "--count must be from 1 to 100"),
        ({"cut": CUT.isoformat(), "scenario": "nowhere"}, "There is no scenario 'nowhere'"),
    ],
)
def test_a_wrong_request_is_a_sentence(options: dict[str, object], sentence: str) -> None:
    shop()
    with pytest.raises(CommandError, match=sentence):
        call_command("evaluate", **options)
