"""Tuning: the weights that are found, when they are saved, and what is told of it."""

import io
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import numpy as np
import orjson
import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection as django_connection
from django.test import Client

from catalog import changes
from catalog.models import Scenario
from catalog.models.places import MOST_WEIGHT
from catalog.scenarios import HOME
from recommend import blend, judging, learn, tune, tunings
from recommend.blend import Heard
from recommend.evaluate import Plan, evaluate
from recommend.goals import GOALS
from recommend.management.commands import tune as tune_command
from recommend.ranker import examples
from recommend.ranker.examples import Example
from recommend.sources import NAMES
from recommend.tunings import Judged, TooFew
from tests.given import advance, ask, given, hurry, item, minute, purchase, view
from tests.test_ranker_habits import DAY
from tests.test_replay import erase

UNTIL: Final = minute(100 * DAY)
SHIPPED: Final = {name: float(HOME.get(name, 0.0)) for name in NAMES}
RIGHT: Final = NAMES.index("led")
LOUD: Final = NAMES.index("viewed")


# ── the search ─────────────────────────────────────────────────────────────────────────────


def a_list(chance: np.random.Generator, right: int = RIGHT, loud: int = LOUD) -> Heard:
    """Twenty candidates: what is chosen is what one source is sure of, and a louder one is not."""
    said = np.zeros((20, len(NAMES)), np.float32)
    said[:, loud] = chance.random(20)
    place = int(chance.integers(20))
    said[place, right] = 1.0
    return Heard(said, np.arange(20) == place, 0)


def lists(count: int, seed: int = 0, sources: tuple[int, int] = (RIGHT, LOUD)) -> list[Heard]:
    chance = np.random.default_rng(seed)
    return [a_list(chance, *sources) for _ in range(count)]


def vector(weights: tunings.Weights) -> blend.Vector:
    return np.array([weights[name] for name in NAMES])


def climbed(heard: Sequence[Heard], start: blend.Vector) -> blend.Vector:
    return blend.climb(blend.beside(heard, len(NAMES)), np.full(len(heard), 1 / len(heard)), start)


def test_it_finds_who_is_right_and_helps_on_other_lists() -> None:
    start = vector(SHIPPED)
    found = climbed(lists(200), start)
    assert found[RIGHT] * start[LOUD] > start[RIGHT] * found[LOUD]
    others = blend.beside(lists(100, seed=1), len(NAMES))
    assert blend.ndcg(others, found).mean() > blend.ndcg(others, start).mean() + 0.3


def test_a_source_that_is_off_is_tried_too() -> None:
    start = vector(SHIPPED)
    start[RIGHT] = 0
    assert climbed(lists(200), start)[RIGHT] > 0


def test_weights_that_nothing_is_better_than_stay() -> None:
    start = vector(SHIPPED)
    best = climbed(lists(200), start)
    assert (climbed(lists(200), best) == best).all()
    assert (climbed(lists(200), start) == best).all()


def test_weights_stay_within_what_a_scenario_takes() -> None:
    loud = vector(SHIPPED) * 500
    assert climbed(lists(200), loud).max() <= MOST_WEIGHT


def test_it_is_ndcg_as_everywhere_whatever_the_lists_are_long() -> None:
    chance = np.random.default_rng(3)
    heard = []
    for size in (0, 3, 10, 25):
        said = chance.random((size, len(NAMES))).astype(np.float32)
        heard.append(Heard(said, chance.random(size) < 0.4, 2))
    weights = chance.random(len(NAMES))
    for each, value in zip(
        heard, blend.ndcg(blend.beside(heard, len(NAMES)), weights), strict=True
    ):
        assert value == pytest.approx(
            judging._ndcg(each.said @ weights, Example(1, each.said, each.wanted, 2, each))
        )


# ── what is saved ──────────────────────────────────────────────────────────────────────────


def given_lists(count: int = 150, sources: tuple[int, int] = (RIGHT, LOUD)) -> list[Example]:
    return [
        Example(person, each.said, each.wanted, 0, each)
        for person, each in enumerate(lists(count, sources=sources))
    ]


def stand(scenario: str = "home") -> dict[str, float]:
    found = Scenario.objects.filter(name=scenario).values(*NAMES).first()
    assert found is not None
    return dict(found)


def test_better_weights_are_the_scenario_s_own_and_a_fact_of_the_log(committed: None) -> None:
    done = tune.tune(tunings.begin("home"), "purchase", given_lists(), UNTIL)
    assert (done.is_saved, done.weights) == (True, stand())
    assert done.judged is not None
    assert done.judged.ndcg > done.judged.stood
    assert done.said.endswith(": saved")
    ((said, before),) = ask(
        "SELECT (detail->'scenario'->>'led')::float, (detail->'before'->>'led')::float FROM event"
        " WHERE kind = 22"
    )
    assert (said, before) == (stand()["led"], HOME["led"])


def test_weights_that_are_not_surely_better_are_noted_and_stay(committed: None) -> None:
    tune.tune(tunings.begin("home"), "purchase", given_lists(), UNTIL)
    once = stand()
    again = tune.tune(tunings.begin("home"), "purchase", given_lists(), UNTIL)
    assert (again.is_saved, stand()) == (False, once)
    assert again.said.endswith("stay as they are")
    assert ask("SELECT is_saved FROM tuning ORDER BY id") == [(True,), (False,)]


def test_where_lists_are_few_every_shopper_judges_what_the_others_choose(committed: None) -> None:
    """A fifth of them, who take all that there is, are of no opinion."""
    done = tune.tune(tunings.begin("home"), "purchase", _of_no_opinion(300), UNTIL)
    assert (done.is_saved, done.weights) == (True, stand())
    assert done.judged is not None
    assert (done.judged.lists, done.judged.learned) == (300, 240)


@pytest.mark.parametrize(("count", "few"), [(150, 1_000), (300, 300)], ids=["fewer", "many"])
def test_where_they_are_fewer_or_many_a_fifth_judges(
    committed: None, monkeypatch: pytest.MonkeyPatch, count: int, few: int
) -> None:
    monkeypatch.setattr(tune, "FEW", few)
    done = tune.tune(tunings.begin("home"), "purchase", _of_no_opinion(count), UNTIL)
    assert (done.is_saved, stand()) == (False, SHIPPED)


def _of_no_opinion(count: int) -> list[Example]:
    return [e if e.person % 5 else _took_all(e) for e in given_lists(count)]


def _took_all(example: Example) -> Example:
    wanted = np.ones_like(example.wanted)
    return replace(example, wanted=wanted, heard=replace(example.heard, wanted=wanted))


def test_too_few_lists_choose_nothing(committed: None) -> None:
    done = tune.tune(tunings.begin("home"), "purchase", given_lists(40), UNTIL)
    assert done.said == "40 lists to choose by, 100 are needed: they stay as they are"
    assert stand() == SHIPPED
    ((stood, weights, judged, is_saved),) = ask(
        "SELECT stood, weights, judged, is_saved FROM tuning"
    )
    assert (orjson.loads(stood), orjson.loads(weights), is_saved) == (SHIPPED, SHIPPED, False)
    assert TooFew(**orjson.loads(judged)) == TooFew(40, 8, "purchase")


def test_it_is_said_where_too_few_are_held_out_to_judge_by(committed: None) -> None:
    one = [replace(example, person=1) for example in given_lists(140)]
    done = tune.tune(tunings.begin("home"), "purchase", one + given_lists(50), UNTIL)
    assert done.said == (
        "180 lists to choose by and 10 to judge by, 20 of each are needed: they stay as they are"
    )
    assert stand() == SHIPPED


def test_who_chose_others_meanwhile_has_the_last_word(
    committed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    climb = blend.climb

    def slowly(*given: Any) -> blend.Vector:
        Scenario.objects.filter(name="home").update(popular=0.7)
        return climb(*given)

    monkeypatch.setattr(blend, "climb", slowly)
    done = tune.tune(tunings.begin("home"), "purchase", given_lists(), UNTIL)
    assert (done.is_saved, stand()["popular"], stand()["led"]) == (False, 0.7, HOME["led"])
    assert done.said.endswith(": somebody changed them meanwhile, so they stay as they are")
    assert ask("SELECT is_saved, judged->'is_better' FROM tuning") == [(False, "true")]


def test_who_chose_others_and_put_them_back_meanwhile_has_the_last_word(committed: None) -> None:
    begun = tunings.begin("home")
    choose(popular=0.9)
    choose(**SHIPPED)
    done = tune.tune(begun, "purchase", given_lists(), UNTIL)
    assert (done.is_saved, stand()) == (False, SHIPPED)
    assert done.said.endswith(": somebody changed them meanwhile, so they stay as they are")


def test_what_cannot_be_noted_is_not_saved(
    committed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = []

    def broken(*given: Any) -> None:
        saved.append((stand() != SHIPPED, *ask("SELECT detail->>'by' FROM event WHERE kind = 22")))
        raise RuntimeError

    monkeypatch.setattr(tunings, "keep", broken)
    with pytest.raises(RuntimeError):
        tune.tune(tunings.begin("home"), "purchase", given_lists(), UNTIL)
    assert saved == [(True, ("tuning",))]
    assert (stand(), ask("SELECT id FROM event WHERE kind = 22")) == (SHIPPED, [])


# ── who chose them ─────────────────────────────────────────────────────────────────────────


def choose(**settings: Any) -> None:
    """A merchant saves these."""
    scenario = Scenario.objects.get(name="home")
    for name, value in settings.items():
        setattr(scenario, name, value)
    changes.save_scenario(scenario)


def tune_it(right: int = RIGHT, loud: int = LOUD) -> None:
    found = given_lists(sources=(right, loud))
    assert tune.tune(tunings.begin("home"), "purchase", found, UNTIL).is_saved


def test_weights_are_left_alone_until_somebody_chooses_others(committed: None) -> None:
    assert tunings.is_left_alone("home")
    assert not tunings.is_tuned("home")
    tune_it()
    assert tunings.is_left_alone("home")
    assert tunings.is_tuned("home")
    choose(popular=0.9)
    assert not tunings.is_left_alone("home")
    assert not tunings.is_tuned("home")


def test_each_fact_of_a_scenario_says_by_whom(committed: None) -> None:
    tune_it()
    choose(popular=0.9)
    assert ask("SELECT detail->>'by' FROM event WHERE kind = 22 ORDER BY id") == [
        ("tuning",), ("merchant",)
    ]  # fmt: skip


def test_a_source_that_is_silenced_by_hand_is_a_choice(committed: None) -> None:
    choose(linked=0.0)
    assert not tunings.is_left_alone("home")


def test_shipped_and_tuned_weights_that_are_put_back_by_hand_are_a_choice(committed: None) -> None:
    tune_it()
    tuned = stand()
    choose(**SHIPPED)
    assert not tunings.is_left_alone("home")
    choose(**tuned)
    assert not tunings.is_left_alone("home")


def test_who_saves_a_scenario_as_its_weights_stand_chooses_none(committed: None) -> None:
    choose(title="Welcome")
    assert tunings.is_left_alone("home")
    tune_it()
    choose(diversity=0.4)
    assert tunings.is_left_alone("home")
    assert tunings.is_tuned("home")


def test_a_shop_that_is_older_than_a_source_is_left_alone_too(committed: None) -> None:
    Scenario.objects.filter(name="home").update(shoppers=0, linked=0)
    assert tunings.is_left_alone("home")


def test_weights_that_were_tuned_before_there_was_a_source_are_left_alone(committed: None) -> None:
    tune_it()
    before_linked()
    assert tunings.is_left_alone("home")
    assert tunings.is_tuned("home")


def before_linked() -> None:
    """As if all this had been before *linked* came."""
    Scenario.objects.filter(name="home").update(linked=0)
    ask("UPDATE tuning SET weights = weights - 'linked', stood = stood - 'linked' RETURNING id")
    erase("UPDATE event SET detail = detail #- '{scenario,linked}' #- '{before,linked}'")


def unsigned() -> None:
    """As if all facts were of before they said by whom."""
    erase("UPDATE event SET detail = detail - 'by'")


def test_facts_that_do_not_say_by_whom_are_ours_where_they_say_what_was_tuned(
    committed: None,
) -> None:
    tune_it()
    unsigned()
    assert tunings.is_left_alone("home")
    before_linked()
    assert tunings.is_left_alone("home")
    choose(popular=0.9)
    unsigned()
    assert not tunings.is_left_alone("home")
    choose(**SHIPPED)
    unsigned()
    assert not tunings.is_left_alone("home")


def test_forgetting_puts_back_what_stood_before_the_first_that_was_saved(committed: None) -> None:
    tunings.forget("home")
    assert stand() == SHIPPED
    Scenario.objects.filter(name="home").update(shoppers=0, linked=0)
    older = stand()
    tunings.forget("home")
    assert stand() == older
    tune_it()
    tune_it(NAMES.index("content"), NAMES.index("again"))
    before_linked()
    tunings.forget("home")
    assert stand() == older


def test_forgetting_puts_back_what_somebody_chose_before_it_was_tuned(committed: None) -> None:
    tune_it()
    choose(popular=0.9, led=0.0)
    chosen = stand()
    tunings.forget("home")
    assert stand() == chosen
    tune_it()
    assert stand() != chosen
    tunings.forget("home")
    assert stand() == chosen


def test_forgetting_goes_back_to_what_a_merchant_put_back_and_no_further(committed: None) -> None:
    tune_it()
    tuned = stand()
    choose(popular=0.9)
    choose(**tuned)
    tune_it(NAMES.index("content"), NAMES.index("again"))
    tune_it(NAMES.index("bought"), NAMES.index("content"))
    tunings.forget("home")
    assert stand() == tuned


def archived() -> None:
    """As if a month of facts until now were archived."""
    ask(
        "INSERT INTO archived_month (year, month, rows, checksum, file, format, bytes, first_at, last_at,"
        " cluster, snapshot, subjects, lacking)"
        " VALUES (2018, 1, 1, '', '', 2, 1, now(), now(), '', '1:1:', '{}', '{}') RETURNING year"
    )


def test_a_choice_that_is_archived_counts_where_an_older_tuning_is_not(committed: None) -> None:
    tune_it()
    choose(popular=0.9)
    archived()
    erase("DELETE FROM event WHERE detail->>'by' = 'merchant'")
    assert not tunings.is_left_alone("home")
    assert not tunings.is_tuned("home")


def test_a_choice_that_is_not_archived_counts_where_others_are(committed: None) -> None:
    choose(popular=0.9)
    choose(**SHIPPED)
    archived()
    assert not tunings.is_left_alone("home")


def test_where_the_fact_may_be_archived_the_values_tell(committed: None) -> None:
    archived()
    Scenario.objects.filter(name="home").update(shoppers=0)
    assert tunings.is_left_alone("home")
    tune_it()
    erase("DELETE FROM event")
    assert tunings.is_tuned("home")
    Scenario.objects.filter(name="home").update(popular=0.9)
    assert not tunings.is_left_alone("home")


# ── a shop whose weights are chosen ────────────────────────────────────────────────────────

SHOPPERS: Final = 60


def shop() -> None:
    """Everybody buys what follows from what they looked at, and looks at what nobody buys."""
    for number in range(12):
        item(f"lamp{number}", title=f"lamp {number}")
        item(f"bulb{number}", title=f"bulb {number}")
    for week in range(20):
        at = week * 7 * DAY
        given(*(
            event
            for who in range(SHOPPERS)
            for lamp in ((who * 5 + week * 7) % 12,)
            for event in (
                view(f"u{who}", f"lamp{(lamp + 3) % 12}", at=at + who),
                view(f"u{who}", f"lamp{lamp}", at=at + who + 5),
                purchase(f"u{who}", f"bulb{lamp}", at=at + who + 10),
            )
        ))  # fmt: skip
    advance()


END: Final = minute(20 * 7 * DAY)


@pytest.fixture
def weeks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examples, "LONGEST", timedelta(days=7))
    hurry(monkeypatch)


@pytest.mark.usefixtures("committed", "weeks")
def test_learning_chooses_the_weights_that_nobody_chose() -> None:
    shop()
    done = learn.learn(END)
    ((learned, is_saved, weights),) = ask(
        "SELECT judged->>'learned', is_saved, weights FROM tuning"
    )
    assert done.weights.startswith(f"chosen by {learned} lists")
    assert done.weights.endswith(": saved")
    assert (is_saved, orjson.loads(weights)) == (True, stand())
    assert stand() != SHIPPED


def once_beside(**settings: Any) -> Callable[[Any], Any]:
    """A merchant who saves these, once, on a connection of their own."""
    asked: list[Any] = []

    def save() -> None:
        choose(**settings)
        django_connection.close()

    def look(each: Any) -> Any:
        if not asked:
            merchant = threading.Thread(target=save)
            merchant.start()
            merchant.join()
        asked.append(each)
        return each

    return look


@pytest.mark.usefixtures("committed", "weeks")
def test_learning_leaves_weights_that_somebody_chose_while_lists_are_collected() -> None:
    shop()
    done = learn.learn(END, once_beside(popular=0.9, linked=0.0))
    assert stand() == SHIPPED | {"popular": 0.9, "linked": 0.0}
    assert done.weights.endswith(": somebody changed them meanwhile, so they stay as they are")
    assert ask("SELECT is_saved FROM tuning") == [(False,)]


@pytest.mark.usefixtures("committed", "weeks")
def test_the_command_leaves_weights_that_somebody_chose_while_lists_are_collected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shop()
    look = once_beside(popular=0.9)
    monkeypatch.setattr(tune_command, "bar", lambda what, of, unit: look(of))
    said = tuned()
    assert stand() == SHIPPED | {"popular": 0.9}
    assert "somebody changed them meanwhile" in said


@pytest.mark.usefixtures("committed", "weeks")
def test_weights_are_chosen_by_purchases_where_only_a_ranker_has_too_few(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shop()
    collect, goals = examples.collect, []

    def counted(*given: Any, **more: Any) -> Iterator[Example]:
        goals.append(given[3])
        return collect(*given, **more)

    monkeypatch.setattr(examples, "collect", counted)
    monkeypatch.setattr(learn, "LEAST", 10_000)
    done = learn.learn(END)
    assert ask("SELECT judged->>'goal' FROM tuning") == [("purchase",)]
    assert done.said.endswith("10000 are needed: the blend serves alone")
    assert goals == [goal for goal in GOALS.values() for _ in range(examples.WINDOWS)]


@pytest.mark.parametrize(
    ("enough", "goal"),
    [(100, "purchase"), (200, "purchase"), (300, "cart"), (500, "event"), (900, "event")],
)
def test_the_goal_is_the_first_with_lists_enough_for_who_asks(enough: int, goal: str) -> None:
    every = {"purchase": given_lists(200), "cart": given_lists(300), "event": given_lists(600)}
    assert learn.find(every.__getitem__, enough) == (goal, every[goal])


@pytest.mark.usefixtures("committed", "weeks")
def test_learning_leaves_weights_that_somebody_chose() -> None:
    choose(popular=0.9)
    shop()
    done = learn.learn(END)
    assert done.weights == "somebody chose them, so they stay as they are"
    assert ask("SELECT id FROM tuning") == []


def test_learning_says_of_an_empty_log_that_it_is_empty(committed: None) -> None:
    assert learn.learn(END).weights == "the log is empty, so they stay as they are"


def test_learning_says_where_another_process_is_at_it(
    committed: None, stranger: psycopg.Connection[Any]
) -> None:
    stranger.execute("SELECT pg_advisory_lock(hashtext('recsite.ranker'))")
    done = learn.learn(END)
    assert (done.said, done.weights) == ("another process is at it", "another process is at it")


@pytest.mark.usefixtures("committed", "weeks")
def test_an_evaluation_chooses_weights_by_what_it_knows_and_changes_none() -> None:
    shop()
    asked: list[dict[str, float]] = []

    def look(each: Any) -> Any:
        asked.append(stand())
        return each

    report = evaluate(Plan(minute(19 * 7 * DAY), "home", 10, None, 100, with_ranker=True), look)
    (said,) = (note for note in report.notes if note.startswith("Weights: chosen by "))
    assert said.endswith(": saved.")
    assert (asked[0] == SHIPPED, asked[-1] == SHIPPED) == (True, False)
    assert (stand(), ask("SELECT id FROM tuning")) == (SHIPPED, [])
    assert ask("SELECT id FROM event WHERE kind = 22") == []


# ── the command and the admin ──────────────────────────────────────────────────────────────


def tuned(*given: str) -> str:
    out = io.StringIO()
    call_command("tune", *given, stdout=out)
    return out.getvalue()


@pytest.mark.usefixtures("committed", "weeks")
def test_the_command_says_what_stood_and_what_was_chosen() -> None:
    Scenario.objects.filter(name="home").update(popular=0.9)
    shop()
    said = tuned()
    assert said.startswith("home: chosen by ")
    assert [line.split()[:2] for line in said.splitlines()[2:]] == [
        [name, f"{weight:g}"] for name, weight in (SHIPPED | {"popular": 0.9}).items()
    ]
    assert said.splitlines()[0].endswith(": saved")
    assert [line.split()[2] for line in said.splitlines()[2:]] == [
        f"{w:g}" for w in stand().values()
    ]


def test_the_command_on_an_empty_log(committed: None) -> None:
    assert tuned().strip() == "home: the log is empty, so they stay as they are"


def test_weights_that_are_handed_over_stay_and_are_left_to_tuning(committed: None) -> None:
    choose(popular=0.9)
    chosen = stand()
    for _ in range(2):
        assert tuned("--hand-over") == "home: from now on its weights are tuned by themselves\n"
    assert (tunings.is_left_alone("home"), tunings.is_tuned("home")) == (True, False)
    assert stand() == chosen
    assert ask("SELECT detail->>'by' FROM event WHERE kind = 22 ORDER BY id") == [
        ("merchant",), ("nobody",)
    ]  # fmt: skip
    tune_it()
    tunings.forget("home")
    assert stand() == chosen
    choose(popular=0.8)
    assert not tunings.is_left_alone("home")
    with pytest.raises(CommandError, match="Only the weights of 'home' are tuned by themselves"):
        tuned("--scenario", "similar", "--hand-over")


@pytest.mark.parametrize(
    ("scenario", "says"),
    [("nowhere", "There is no scenario 'nowhere'"), ("cart", "do not start from the shopper")],
)
def test_what_cannot_be_tuned_is_refused(committed: None, scenario: str, says: str) -> None:
    with pytest.raises(CommandError, match=says):
        tuned("--scenario", scenario)


def test_the_admin_shows_each_attempt(committed: None, admin_client: Client) -> None:
    tune.tune(tunings.begin("home"), "purchase", given_lists(), UNTIL)
    tune.tune(tunings.begin("home"), "purchase", given_lists(), UNTIL)
    page = admin_client.get("/admin/recsite/tuningrow/").content.decode()
    assert [word in page for word in ("saved", "not better", "home")] == [True] * 3
    ((first, loud),) = ask("SELECT id, (weights->>'viewed')::float FROM tuning WHERE is_saved")
    own = admin_client.get(f"/admin/recsite/tuningrow/{first}/change/").content.decode()
    assert f"viewed 1 → {loud:g}" in own
    assert "purchases" in own


def test_the_admin_says_why_nothing_was_saved(
    committed: None, admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    tune.tune(tunings.begin("home"), "purchase", given_lists(40), UNTIL)
    monkeypatch.setattr(tune, "_save", lambda *given: False)
    tune.tune(tunings.begin("home"), "purchase", given_lists(), UNTIL)
    page = admin_client.get("/admin/recsite/tuningrow/").content.decode()
    told = ("too few lists", "none were tried", "changed meanwhile", "not better")
    assert [word in page for word in told] == [True, True, True, False]
    ((few,),) = ask("SELECT min(id) FROM tuning")
    own = admin_client.get(f"/admin/recsite/tuningrow/{few}/change/").content.decode()
    assert "nothing: 40 lists to choose by, 100 are needed" in own


def test_the_ranker_must_beat_the_weights_that_stand(committed: None) -> None:
    held = given_lists()
    before = tune.of_each(held, tunings.standing(learn.SCENARIO))
    tune.tune(tunings.begin("home"), "purchase", held, UNTIL)
    none = np.zeros(len(held))
    assert judging.beside(held, none, None, "home").blend.mean() > np.mean(before)


def test_figures_are_kept_as_they_are_said(committed: None) -> None:
    done = tune.tune(tunings.begin("home"), "event", given_lists(), UNTIL)
    ((kept,),) = ask("SELECT judged FROM tuning")
    assert Judged(**orjson.loads(kept)) == done.judged
