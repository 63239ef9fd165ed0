"""Evaluation: the log without what came after, judged by it, through the serving path."""

import io
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

from behavior import archive, months, user_state
from behavior.coverage import MonthsArchived
from behavior.events import Kind
from behavior.months import Month
from catalog import changes
from catalog.models import Scenario
from recommend import fold, goals, learn, split, tune, tunings
from recommend.evaluate import NothingToJudge, Plan, Report, evaluate
from recommend.evaluation import answers
from recommend.evaluation.judgement import AUC, AUC_GATHERED, FOUND
from recommend.pipeline import Ask, Refused, compose
from recommend.ranker import examples
from recommend.sources import NAMES
from tests.given import (
    advance,
    ask,
    differing,
    given,
    hurry,
    identify,
    item,
    minute,
    names,
    purchase,
    quarantine,
    rate,
    rule,
    state,
    view,
)  # fmt: skip
from tests.test_ranker import END, staples, without_spaces
from tests.test_tune import given_lists, stand

pytestmark = pytest.mark.usefixtures("committed")

CUT = minute(100)
PLAN = Plan(cut=CUT, scenario="home", count=2, exclude_seen="interacted", most=10)
LAST = replace(PLAN, cut=None)


def shop() -> None:
    """Everybody who views a then buys b; cal viewed a, and buys b after the cut."""
    for name in "abcd":
        item(name, title=name)
    for number, user in enumerate(("ann", "bob")):
        given(view(user, "a", at=number), purchase(user, "b", at=number + 50))
    given(view("cal", "a", at=60), purchase("cal", "b", at=101), purchase("cal", "a", at=102))


def figures(report: Report, group: str, *wanted: str) -> list[float | None]:
    (found,) = [one for one in report.judgement.by_item if one.name == group]
    means = [found.figures[name] for name in wanted]
    return [None if one is None else one.mean for one in means]


LISTED = ("hit_rate", "ndcg", "recall", "precision")


# ── before a cut ───────────────────────────────────────────────────────────────────────────


def test_what_was_bought_after_the_cut_is_found_from_what_was_seen_before() -> None:
    shop()
    report = evaluate(PLAN)
    assert figures(report, "new", *LISTED) == [1.0, 1.0, 1.0, 0.5]
    assert figures(report, "repeat", *LISTED) == [0.0, 0.0, 0.0, 0.0]
    assert figures(report, "all", "recall", FOUND) == [0.5, 0.5]
    assert (report.judgement.shoppers, report.judgement.coverage) == (1, 0.25)


def test_it_is_said_that_what_is_not_shown_again_cannot_be_found() -> None:
    shop()
    assert "What a shopper has dealt with is not shown, so it cannot be found again." in (
        evaluate(PLAN).notes
    )
    assert len(evaluate(replace(PLAN, exclude_seen="none")).notes) == len(evaluate(PLAN).notes) - 1


def test_pairs_are_judged_among_the_candidates_and_over_all_that_is_on_sale() -> None:
    shop()
    report = evaluate(PLAN)
    # b is the only candidate of cal, who has seen a: there is no pair among the candidates.
    assert figures(report, "all", AUC_GATHERED) == [None]
    # b stands above c and d; a, which was seen, shares the last place with them.
    assert figures(report, "all", AUC) == [0.75]
    assert any("AUC@500 leaves out 1 shopper of 1" in note for note in report.notes)


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
    evaluate(LAST)
    assert ask("SELECT nspname FROM pg_namespace ORDER BY 1") == schemas
    assert ask("SELECT name, snapshot FROM projection ORDER BY 1") == positions
    assert ask("SHOW search_path") == [("public,rec",)]
    assert differing() == []


def test_without_a_purchase_after_the_cut_there_is_nothing_to_judge() -> None:
    given(view("ann", "a"))
    with pytest.raises(NothingToJudge, match="No shopper has a history before 2026"):
        evaluate(PLAN)
    with pytest.raises(NothingToJudge, match="before a purchase of theirs"):
        evaluate(LAST)


def test_a_shop_that_sells_nothing_is_judged_by_events() -> None:
    for name in "abc":
        item(name, title=name)
    given(
        view("ann", "a"), view("ann", "b", at=1), view("bob", "a", at=2), view("bob", "b", at=101)
    )
    assert figures(evaluate(replace(PLAN, of="event")), "new", "hit_rate") == [1.0]
    assert evaluate(replace(LAST, of="event")).judgement.shoppers == 2


# ── without the last ───────────────────────────────────────────────────────────────────────


def held_out(*kinds: Kind, most: int = 10) -> list[tuple[str, set[str], float]]:
    """(shopper, items, minutes after START) of what is held out."""
    with split.without_last(kinds, "rec_evaluate", most=most) as (_, targets):
        return _told(targets)


def _told(targets: Sequence[split.Target]) -> list[tuple[str, set[str], float]]:
    key = names("item_key")
    told = [
        (t.key, {key[i] for i in t.items}, (t.at - minute(0)) / timedelta(minutes=1))
        for t in targets
    ]
    return sorted(told)


def test_from_a_shoppers_last_purchase_on_nothing_that_they_did_is_known() -> None:
    given(view("ann", "a"), purchase("ann", "b", "c", at=10), view("ann", "d", at=11))
    given(view("bob", "d", at=30))
    with split.without_last((Kind.PURCHASE,), "rec_evaluate", most=10) as (_, targets):
        assert _told(targets) == [("user:ann", {"b", "c"}, 10)]
        assert state("ann") == [("view_item", "a")]
        assert state("bob") == [("view_item", "d")]
    assert len(state("ann")) == 4


def held_out_new(*kinds: Kind, most: int = 10) -> list[tuple[str, set[str], float]]:
    with split.without_last_new(kinds, "rec_evaluate", most=most) as (_, targets):
        return _told(targets)


def test_from_where_a_shopper_met_what_they_last_found_nothing_that_they_did_is_known() -> None:
    """Ann looks at b before she buys it, and has a again."""
    given(view("ann", "a"), purchase("ann", "a", at=5), view("ann", "b", at=10))
    given(purchase("ann", "b", at=20), purchase("ann", "a", at=30), view("ann", "c", at=40))
    given(view("bob", "d", at=30))
    with split.without_last_new((Kind.PURCHASE,), "rec_evaluate", most=10) as (_, targets):
        assert _told(targets) == [("user:ann", {"a", "b"}, 10)]
        assert state("ann") == [("purchase", "a"), ("view_item", "a")]
        assert state("bob") == [("view_item", "d")]
    assert len(state("ann")) == 6


def test_who_chose_nothing_but_what_they_began_with_found_nothing_new() -> None:
    given(view("ann", "a"), purchase("ann", "a", at=5), view("ann", "b", at=9))
    assert held_out_new(Kind.PURCHASE) == []


def test_of_many_those_who_found_something_last_are_drawn() -> None:
    for n in range(9):
        given(view(f"u{n}", "a"), purchase(f"u{n}", "b", at=10 + n))
    assert held_out_new(Kind.PURCHASE, most=2) == [("user:u7", {"b"}, 17), ("user:u8", {"b"}, 18)]


def test_purchases_of_one_moment_are_one_basket() -> None:
    given(view("ann", "a"), purchase("ann", "b", at=10), purchase("ann", "c", at=10))
    assert held_out(Kind.PURCHASE) == [("user:ann", {"b", "c"}, 10)]


def test_who_did_nothing_before_it_is_not_drawn() -> None:
    given(purchase("ann", "a", "b"), view("ann", "c", at=5))
    assert held_out(Kind.PURCHASE) == []
    assert held_out(Kind.VIEW_ITEM) == [("user:ann", {"c"}, 5)]


def test_a_person_is_held_out_under_all_their_names() -> None:
    given(view("anon:x", "a"), purchase("ann", "b", at=10), view("anon:x", "c", at=20))
    given(identify("anon:x", "ann", at=30))
    with split.without_last((Kind.PURCHASE,), "rec_evaluate", most=10) as (_, targets):
        assert _told(targets) == [("user:ann", {"b"}, 10)]
        assert state("ann") == [("view_item", "a")]


def test_a_rating_is_liked_from_above_the_middle_on() -> None:
    given(view("ann", "a"), rate("ann", "b", stars=2.5, at=10), rate("ann", "c", stars=3, at=20))
    assert held_out(Kind.RATE) == [("user:ann", {"c"}, 20)]


def test_nobody_who_is_hidden_is_asked_for() -> None:
    given(view("ann", "a"), purchase("ann", "b", at=10), quarantine("ann", at=20))
    assert held_out(Kind.PURCHASE) == []


def test_a_split_within_a_split_knows_no_more_than_the_outer_one() -> None:
    given(view("ann", "a"), purchase("ann", "b", at=10), view("bob", "a"), view("bob", "b", at=10))
    bought, until = (Kind.PURCHASE, Kind.VIEW_ITEM), minute(99)
    with split.before(minute(5), "rec_examples") as inside:
        assert len(split.targets(inside, minute(5), until, bought, most=9)) == 2
    with split.without_last((Kind.PURCHASE,), "rec_evaluate", most=9):
        with split.before(minute(5), "rec_examples") as inside:
            later = split.targets(inside, minute(5), until, bought, most=9)
            assert _told(later) == [("user:bob", {"b"}, 5)]
        assert state("bob") == [("view_item", "b"), ("view_item", "a")]


def test_of_many_the_same_few_are_drawn() -> None:
    for n in range(9):
        given(view(f"u{n}", "a"), purchase(f"u{n}", "b", at=10))
    few = held_out(Kind.PURCHASE, most=3)
    assert len(few) == 3
    assert held_out(Kind.PURCHASE, most=3) == few
    assert len(held_out(Kind.PURCHASE)) == 9


def test_each_list_is_asked_for_at_its_own_moment() -> None:
    shop()
    rule(title="no b since noon", action="hide", item_id="b", starts_at=minute(40))
    # ann and bob bought b at 50 and 51, cal bought a, which cal had seen.
    assert figures(evaluate(replace(LAST, exclude_seen="none")), "all", "hit_rate") == [1 / 3]
    assert any("later than a shopper's list" in note for note in evaluate(LAST).notes)


# ── the serving path ───────────────────────────────────────────────────────────────────────


def test_candidates_begin_as_the_list_that_is_served() -> None:
    shop()
    advance()
    given(*(purchase(f"u{n}", "c", "d", at=70 + n) for n in range(3)))
    advance()
    ask("UPDATE catalog_scenario SET diversity = 0 WHERE name = 'popular' RETURNING name")
    for scenario in ("home", "popular"):
        asked = Ask(scenario, "user:ann", count=4)
        shown = [shown.item for shown in compose(asked, CUT).items]
        assert answers.gather(asked, CUT)[: len(shown)] == shown


def test_a_scenario_that_needs_an_item_cannot_be_evaluated() -> None:
    shop()
    with pytest.raises(Refused, match="needs an item_id"):
        evaluate(replace(PLAN, scenario="similar"))


def test_the_same_log_gives_the_same_report() -> None:
    shop()
    assert evaluate(LAST) == evaluate(LAST)
    assert evaluate(PLAN) == evaluate(PLAN)


# ── the ranker ─────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows of a week, and as many lists as the shop of staples has."""
    monkeypatch.setattr(examples, "LONGEST", timedelta(days=7))
    monkeypatch.setattr(learn, "LEAST", 100)
    hurry(monkeypatch)


@pytest.mark.usefixtures("short")
def test_a_ranker_is_taught_from_what_is_known_and_nothing_of_it_stays() -> None:
    staples()
    without_spaces()
    plan = Plan(END - timedelta(days=7, hours=1), "home", 1, None, 60)
    blend, ranked = evaluate(plan), evaluate(replace(plan, with_ranker=True))
    assert said_of("Ranker", ranked).endswith("it is live for lists of any items.")
    assert said_of("Factors", ranked)
    assert said_of("Sequence", ranked)
    (before,), (after,) = figures(blend, "all", "ndcg"), figures(ranked, "all", "ndcg")
    assert before is not None
    assert after is not None
    assert after > before
    assert ask("SELECT name FROM ranker UNION SELECT name FROM space") == []
    last = evaluate(replace(plan, cut=None, with_ranker=True))
    assert said_of("Ranker", last).startswith("Ranker: learned from")
    assert ask("SELECT name FROM ranker UNION SELECT name FROM space") == []


def said_of(what: str, report: Report) -> str:
    (note,) = [note for note in report.notes if note.startswith(f"{what}:")]
    return note


@pytest.mark.usefixtures("short")
def test_where_a_ranker_serves_it_is_said_that_it_was_not_asked() -> None:
    staples()
    without_spaces()
    plan = Plan(END - timedelta(days=7, hours=1), "home", 1, None, 60)
    before = evaluate(plan)
    assert learn.learn(END).is_live
    after = evaluate(plan)
    assert after.judgement == before.judgement
    assert after.notes[-1].startswith("A ranker serves, but it has learned from what is held out")
    assert before.notes == after.notes[:-1]


def test_a_source_that_is_silent_proposes_nothing_and_nothing_is_changed() -> None:
    staples()
    plan = Plan(END - timedelta(days=7, hours=1), "home", 10, None, 60)
    ((whole,), (deaf,)) = (
        figures(evaluate(replace(plan, without=silent)), "all", "ndcg")
        for silent in ((), tuple(name for name in NAMES if name != "trending"))
    )
    assert whole is not None
    assert deaf is not None
    assert deaf < whole
    assert ask("SELECT viewed, again FROM catalog_scenario WHERE name = 'home'") == [(1.0, 2.0)]
    silent = evaluate(replace(plan, without=("viewed", "again")))
    assert "Silent in these lists: viewed, again." in silent.notes


def test_it_is_said_where_weights_were_tuned_by_what_judges() -> None:
    staples()
    plan = Plan(END - timedelta(days=7, hours=1), "home", 10, None, 60)
    assert not any("tuned" in note for note in evaluate(plan).notes)
    tune.tune(tunings.begin("home"), "purchase", given_lists(), END)
    assert any(note.startswith("The weights were tuned") for note in evaluate(plan).notes)


def test_weights_of_another_scenario_are_not_tuned_by_what_was_known() -> None:
    shop()
    changes.save_scenario(Scenario(name="corner", title="Corner", **stand()))
    tune.tune(tunings.begin("corner"), "purchase", given_lists(), END)
    for plan in (
        replace(PLAN, scenario="corner"),
        replace(PLAN, scenario="corner", with_ranker=True),
    ):
        notes = evaluate(plan).notes
        assert "The weights were tuned, also by what is held out here." in notes


def test_who_saves_the_scenario_meanwhile_does_not_wait(stranger: psycopg.Connection[Any]) -> None:
    shop()
    stranger.execute("SET lock_timeout = '5s'")
    saved: list[Any] = []

    def save(each: Any) -> Any:
        done = stranger.execute("UPDATE catalog_scenario SET count = count + 1 WHERE name = 'home'")
        saved.append(done.rowcount)
        return each

    tune.tune(tunings.begin("home"), "purchase", given_lists(), END)
    before = stand()
    for plan in (replace(PLAN, without=("viewed",)), replace(PLAN, with_ranker=True)):
        evaluate(plan, save)
        assert saved
        saved.clear()
    assert stand() == before


def test_a_source_that_is_off_stays_off_while_a_ranker_is_taught() -> None:
    shop()
    Scenario.objects.filter(name="home").update(shoppers=0, linked=0, factors=0, sequence=0)
    older, asked = stand(), []

    def look(each: Any) -> Any:
        asked.append(stand())
        return each

    evaluate(replace(PLAN, with_ranker=True), look)
    assert asked[-1] == older


# ── archived months ────────────────────────────────────────────────────────────────────────

MONTH = Month(2018, 5)


@pytest.fixture
def archived(committed: None, tmp_path: Path) -> Any:
    """A month of the log is in a file."""
    with transaction.atomic():
        months.make([MONTH])
    long_ago = (datetime(MONTH.year, MONTH.month, 1, tzinfo=UTC) - minute(0)) / timedelta(minutes=1)
    shop()
    given(purchase("cal", "d", at=long_ago + 5))
    archive.archive(MONTH, tmp_path, read=fold.read_by_all())


@pytest.mark.usefixtures("archived")
def test_a_log_of_which_months_are_archived_is_not_split() -> None:
    with pytest.raises(MonthsArchived, match=r"archived months? \(2018-05\)"):
        evaluate(PLAN)
    with pytest.raises(CommandError, match="Attach them first"):
        call_command("evaluate", leave_last=True)


@pytest.mark.usefixtures("archived")
def test_once_their_counts_are_let_go_it_is_split_and_said_so() -> None:
    call_command("refresh", "--rebuild", "--without-archived", stdout=io.StringIO())
    assert "Histories lack the archived months (2018-05)." in evaluate(PLAN).notes


@pytest.mark.usefixtures("archived")
def test_a_ranker_is_taught_from_what_is_left_of_the_log() -> None:
    out = io.StringIO()
    call_command("refresh", "--only", "ranker", stdout=out)
    assert "lists to learn from" in out.getvalue()


# ── the command ────────────────────────────────────────────────────────────────────────────


def said(**options: Any) -> list[str]:
    out = io.StringIO()
    call_command("evaluate", count=2, exclude_seen="interacted", stdout=out, **options)
    return out.getvalue().splitlines()


def test_the_command_prints_a_line_and_its_intervals_for_each_group() -> None:
    shop()
    given(view("dan", "a", at=70), purchase("dan", "b", at=110))
    lines = said(cut=CUT.isoformat())
    assert lines[0] == "home at 2, cut at 2026-03-02 10:40, judged by purchases"
    assert lines[2].split() == [
        "shoppers", "hit_rate", "precision", "recall", "ndcg", "mrr", "recall@500", "auc@500", "auc",
    ]  # fmt: skip
    assert [line.split()[:3] for line in lines[3:13]] == [
        ["all", "2", "1.0000"], ["95%", "1.000–1.000", ".500–.500"],
        ["repeat", "1", "0.0000"],
        ["new", "2", "1.0000"], ["95%", "1.000–1.000", ".500–.500"],
        ["warm", "0", "–"],
        ["cold", "2", "1.0000"], ["95%", "1.000–1.000", ".500–.500"],
        ["1–4", "items", "2"], ["95%", "1.000–1.000", ".500–.500"],
    ]  # fmt: skip
    assert [line.split()[0] for line in lines[14:21]] == [
        "diversity", "novelty", "popularity", "chosen", "bias", "coverage", "gini",
    ]  # fmt: skip


def test_the_report_is_a_page(tmp_path: Path) -> None:
    shop()
    file = tmp_path / "report.html"
    lines = said(leave_last=True, report=str(file))
    assert lines[0] == "home at 2, each shopper's last purchase held out"
    assert lines[-1] == f"Report in {file}"
    assert file.read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"cut": "yesterday"}, "--cut 'yesterday' is not an ISO date."),
        ({"cut": "2999-01-01"}, "--cut '2999-01-01' has not come yet."),
        ({"cut": "2026-01-01", "count": 0}, "--count must be from 1 to 100"),
        ({"cut": CUT.isoformat(), "scenario": "nowhere"}, "There is no scenario 'nowhere'"),
        ({"leave_last": True, "scenario": "nowhere"}, "There is no scenario 'nowhere'"),
        ({"leave_last": True, "cut": CUT.isoformat()}, "not allowed with"),
        ({}, "one of the arguments"),
        ({"leave_last": True, "report": "/nowhere/report.html"}, "--report must end in .html, in"),
        ({"leave_last": True, "report": "report.pdf"}, "--report must end in .html, in"),
    ],
)
def test_a_wrong_request_is_a_sentence(options: dict[str, object], sentence: str) -> None:
    shop()
    arguments = [f"--{name.replace('_', '-')}" + ("" if value is True else f"={value}")
                 for name, value in options.items()]  # fmt: skip
    with pytest.raises(CommandError, match=sentence):
        call_command("evaluate", *arguments)


def test_a_report_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    shop()
    (tmp_path / "a.html").mkdir()
    with pytest.raises(CommandError, match=r"a\.html: Is a directory"):
        said(leave_last=True, report=str(tmp_path / "a.html"))


def test_every_kind_that_judges_is_a_dealing() -> None:
    assert set(goals.DEED) <= set(user_state.KINDS)
