"""Finetuning: the text encoder learns which texts go together, and serves so only if it is surely better."""

import random
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from io import StringIO
from typing import Any, Final

import numpy as np
import orjson
import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from pytest_django import Settings

from behavior.events import Event
from recommend import embed, encoders, evaluate, tasks
from recommend.encoders import ENCODERS, ModelMissing, english, tuned
from recommend.encoders.tuned import Gone, Weights
from recommend.finetuning import adapter, attempt, judgement, layers, pairs, store
from recommend.finetuning.attempt import Refused
from recommend.finetuning.pairs import Lessons, Query
from tests.given import advance, ask, given, item, minute, quarantine, shown, view

DAY: Final = 24 * 60
SYLLABLES: Final = (
    "ba",
    "dro",
    "fli",
    "gub",
    "kesh",
    "lom",
    "nirp",
    "quo",
    "sna",
    "tev",
    "vux",
    "zil",
)


def words(count: int, seed: int = 5) -> list[str]:
    """Words that mean nothing in any language."""
    chance = random.Random(seed)
    made: dict[str, None] = {}
    while len(made) < count:
        made["".join(chance.choices(SYLLABLES, k=3))] = None
    return list(made)


GROUPS: Final = 8
VARIANTS: Final = ("red", "blue", "tall", "small", "round")
STEMS: Final = words(2 * GROUPS)
TITLES: Final = {
    (group, n): f"{STEMS[2 * group + n // 5]} {VARIANTS[n % 5]}"
    for group in range(GROUPS) for n in range(10)
}  # fmt: skip
"""Ten of each group, which bear two names that have nothing in common; the fifth and the tenth are new."""

OLD: Final = (0, 1, 2, 3, 5, 6, 7, 8)


def lessons() -> Lessons:
    """Who chose one of a group chooses the others of it next."""
    places = {at: place for place, at in enumerate(TITLES)}
    learned = [
        (places[g, a], places[g, b]) for g in range(GROUPS) for a in OLD for b in OLD if a < b
    ]
    queries = [
        Query(place, place, frozenset(places[g, m] for m in range(10)) - {place})
        for (g, _), place in places.items()
    ]
    known = frozenset(places[g, n] for g in range(GROUPS) for n in OLD)
    return Lessons(list(TITLES.values()), np.array(learned), queries, queries, known)


def never() -> bool:
    return False


def lie(encode: tuned.Encode, texts: Sequence[str]) -> judgement.Vectors:
    return np.array(encode(texts), np.float32)


def found(vectors: judgement.Vectors, queries: Sequence[Query]) -> float:
    return float(np.mean(judgement.of_shoppers(vectors, queries)))


# ── what teaches, and what judges ──────────────────────────────────────────────────────────


@pytest.fixture
def three(committed: None) -> None:
    """Three texts on four items."""
    for name, title in {"mug": "Mug", "cup": "Cup", "jug": "Jug", "jug2": "Jug"}.items():
        item(name, title=title)
    advance("content")


SPANS: Final = [
    (minute(30 * DAY), minute(40 * DAY)),
    (minute(20 * DAY), minute(30 * DAY)),
    (minute(10 * DAY), minute(20 * DAY)),
]
"""As examples.windows has them."""


def told(found: Lessons) -> tuple[set[tuple[str, str]], list[tuple[str, set[str]]]]:
    """The pairs that teach, and what judges, as titles."""
    body = found.texts
    return (
        {tuple(sorted((body[lo], body[hi]))) for lo, hi in found.pairs},
        [(body[query.at], {body[place] for place in query.wanted}) for query in found.judged],
    )


def chose(who: str, *items: str, at: float) -> list[Event]:
    return [view(who, name, at=at + place) for place, name in enumerate(items)]


def test_what_two_shoppers_chose_one_after_another_teaches(three: None) -> None:
    given(chose("ann", "mug", "jug", at=0), chose("bob", "jug2", "mug", at=9))
    given(chose("ann", "mug", "cup", at=60 * 24 * 3))
    assert told(pairs.collect(SPANS)) == ({("Jug", "Mug")}, [])


def test_neither_one_text_twice_nor_what_is_days_apart_nor_what_was_only_shown_teaches(
    three: None,
) -> None:
    for who in ("ann", "bob"):
        given(chose(who, "jug", "jug2", at=0), [view(who, "cup", at=2 * DAY)])
        given([shown(who, "mug", "cup", at=4 * DAY)])
    assert told(pairs.collect(SPANS)) == (set(), [])


def test_what_says_the_same_is_one_text_and_what_says_nothing_is_none(three: None) -> None:
    item("jug", title="Jug", image="front.png")
    item("jug2", title="Jug", image="back.png")
    item("mute", image="mute.png")
    advance("content")
    for who in ("ann", "bob"):
        given(chose(who, "jug", "jug2", "mute", "mug", at=0))
    assert told(pairs.collect(SPANS)) == ({("Jug", "Mug")}, [])


def test_who_is_hidden_teaches_nothing_and_judges_nothing(three: None) -> None:
    for who in ("ann", "bob"):
        given(chose(who, "mug", "cup", at=0), chose(who, "mug", "cup", at=25 * DAY))
    given(quarantine("user:bob", at=26 * DAY))
    assert told(pairs.collect(SPANS)) == (set(), [("Mug", {"Cup"})])


def test_an_image_without_a_text_teaches_nothing_and_is_no_text_of_the_shop(three: None) -> None:
    item("photo", image="photo.jpg")
    advance("content")
    for who in ("ann", "bob"):
        given(chose(who, "mug", "photo", "cup", at=0), chose(who, "photo", "mug", at=35 * DAY))
    lesson = pairs.collect(SPANS)
    assert (sorted(lesson.texts), told(lesson)) == (["Cup", "Jug", "Mug"], ({("Cup", "Mug")}, []))


def test_what_is_chosen_after_the_cut_judges_and_does_not_teach(three: None) -> None:
    for who in ("ann", "bob"):
        given(chose(who, "mug", "cup", at=0))
        given(chose(who, "mug", "jug", at=15 * DAY))
    given(chose("ann", "cup", "jug", "mug", at=35 * DAY))
    lesson = pairs.collect(SPANS)
    taught, judging = told(lesson)
    assert taught == {("Cup", "Mug")}
    assert sorted(judging) == [("Cup", {"Jug", "Mug"}), ("Jug", {"Mug"})]
    assert sorted(lesson.texts[query.at] for query in lesson.tried) == ["Mug", "Mug"]
    assert [(lesson.texts[q.at], [lesson.texts[p] for p in q.wanted]) for q in pairs.of_new(lesson)] == [
        ("Cup", ["Jug"])
    ]  # fmt: skip


# ── the adapter ────────────────────────────────────────────────────────────────────────────


def test_it_finds_what_no_text_says() -> None:
    lesson = lessons()
    plain = lie(ENCODERS["multilingual"].encode, lesson.texts)
    taught = tuned.adapted(adapter.train(lesson, plain, never)["adapter"], plain)
    assert found(plain, lesson.judged) < 0.6
    assert found(taught, lesson.judged) > 0.9
    # Also those that nobody had chosen.
    new = pairs.of_new(lesson)
    assert found(taught, new) > found(plain, new) + 0.2


def test_the_same_lessons_teach_the_same() -> None:
    lesson = lessons()
    plain = lie(ENCODERS["multilingual"].encode, lesson.texts)
    one, other = (tuned.digest(adapter.train(lesson, plain, never)) for _ in range(2))
    assert one == other


def test_it_ends_when_its_time_is_over() -> None:
    lesson, looked = lessons(), []

    def loop(epochs: range) -> Iterator[int]:
        for epoch in epochs:
            looked.append(epoch)
            yield epoch

    plain = lie(ENCODERS["multilingual"].encode, lesson.texts)
    adapter.train(lesson, plain, lambda: True, loop)
    assert looked == [0]


def test_nothing_learned_changes_nothing() -> None:
    plain = lie(ENCODERS["multilingual"].encode, list(TITLES.values()))
    assert np.allclose(tuned.adapted(np.zeros((512, 512), np.float16), plain), plain, atol=1e-6)


def some_map(seed: int = 0, size: int = 512) -> Weights:
    chance = np.random.default_rng(seed)
    return tuned.as_adapter((chance.standard_normal((size, size)) / 10).astype(np.float16))


@pytest.mark.parametrize("name", ["multilingual", "english"])
def test_an_adapter_gives_a_text_the_same_unit_vector_whatever_it_comes_with(name: str) -> None:
    encoder = ENCODERS[name]
    encode = tuned.encoding(some_map(size=encoder.dimensions), encoder.encode)
    texts = ["A ceramic mug", "", "电热水壶 1.7L", "A ceramic mug"]
    together, alone = lie(encode, texts), np.concatenate([lie(encode, [text]) for text in texts])
    assert np.allclose(together, alone, atol=0.01)
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    assert encode([]) == []


# ── a shop, and the gate ───────────────────────────────────────────────────────────────────


@pytest.fixture
def shop(committed: None) -> None:
    """Forty shoppers who come every other day for 24 days and choose four of a group; from the
    tenth day on also what is new."""
    for (group, n), title in TITLES.items():
        item(f"{group}-{n}", title=title)
    chance = random.Random(3)
    visits: list[Event] = []
    for day in range(24):
        for who in range(day % 2, 80, 2):
            group = chance.randrange(GROUPS)
            for place, n in enumerate(chance.sample(range(10) if day > 9 else OLD, 4)):
                visits.append(view(f"u{who // 2}", f"{group}-{n}", at=day * DAY + who + place / 5))
    given(visits)
    advance("content")


END: Final = minute(24 * DAY)


def attempts() -> list[tuple[str, bool, bool]]:
    """(mode, is live, whether what it learned is kept), the oldest first."""
    rows = ask("SELECT mode, is_live, weights IS NOT NULL FROM finetuning ORDER BY id")
    return [tuple(row) for row in rows]


def teaching(learn: Callable[..., Weights], monkeypatch: pytest.MonkeyPatch) -> None:
    """Teaching comes to this."""
    monkeypatch.setitem(attempt.TEACH, "adapter", learn)


def serving() -> tuple[str, int]:
    """Whose vectors serve, and of how many texts."""
    ((name,),) = ask("SELECT name FROM encoder WHERE is_live")
    ((count,),) = ask("SELECT count(*) FROM embedding")
    return name, count


def vector(body: str) -> list[float]:
    ((said,),) = ask(
        "SELECT vector::text FROM passage JOIN embedding USING (passage) WHERE body = %s", body
    )
    return list(orjson.loads(said))


def test_a_better_one_goes_live_and_all_texts_are_encoded_anew_beside_and_switched(
    shop: None,
) -> None:
    assert list(embed.embed()) == [80]
    done = attempt.attempt(END)
    assert done.judged is not None
    assert done.judged.ndcg > done.judged.base + 0.2
    assert done.name is not None
    assert done.said.endswith(f"{done.name} is live")
    assert attempts() == [("adapter", True, True)]
    assert (encoders.chosen().name, serving()) == (done.name, ("multilingual-1", 80))
    assert embed.is_due()
    assert list(embed.embed()) == [80]
    assert serving() == (done.name, 80)
    # And so is what comes later.
    item("late", title="Late mug")
    advance("content")
    assert list(embed.embed()) == [1]
    assert vector("Late mug") == pytest.approx(encoders.chosen().encode(["Late mug"])[0], abs=1e-3)
    assert vector("Late mug") != pytest.approx(
        ENCODERS["multilingual"].encode(["Late mug"])[0], abs=1e-2
    )


def test_an_evaluation_says_that_the_encoder_was_taught(shop: None) -> None:
    plan = evaluate.Plan(minute(20 * DAY), "home", 10, None, 20, "event")
    assert evaluate.ENCODER not in evaluate.evaluate(plan).notes
    assert attempt.attempt(END).name is not None
    list(embed.embed())
    assert evaluate.ENCODER in evaluate.evaluate(plan).notes


def test_there_is_a_way_back_and_forth(shop: None) -> None:
    name = attempt.attempt(END).name
    list(embed.embed())
    before = vector(TITLES[0, 0])
    said = finetuned("--retire")
    assert said.startswith(f"{name} is retired, multilingual-1 serves; ")
    assert list(embed.embed()) == [80]
    assert serving() == ("multilingual-1", 80)
    with pytest.raises(CommandError, match=r"No encoder that was made of multilingual-1 is live\."):
        finetuned("--retire")
    assert finetuned("--use", str(name)).startswith(f"{name} is live; ")
    assert list(embed.embed()) == [80]
    assert (serving(), vector(TITLES[0, 0])) == ((name, 80), before)


def test_the_next_attempt_must_beat_the_live_one_too(shop: None) -> None:
    first = attempt.attempt(END)
    again = attempt.attempt(END)
    assert again.judged is not None
    assert first.judged is not None
    assert (again.name, again.judged.live) == (None, first.judged.ndcg)
    assert again.said.endswith("not better, so it does not serve")
    assert attempts() == [("adapter", True, True), ("adapter", False, False)]
    assert encoders.chosen().name == first.name


def test_a_worse_one_never_goes_live_and_is_noted(
    shop: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    teaching(lambda *_: some_map(), monkeypatch)
    done = attempt.attempt(END)
    assert done.judged is not None
    assert (done.name, done.judged.ndcg < done.judged.base) == (None, True)
    assert (attempts(), encoders.chosen().name) == ([("adapter", False, False)], "multilingual-1")


def test_one_that_knows_no_number_is_worse(shop: None, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = tuned.as_adapter(np.full((512, 512), np.nan, np.float16))
    teaching(lambda *_: lost, monkeypatch)
    with pytest.raises(attempt.Lost):
        attempt.attempt(END)
    assert (attempts(), encoders.chosen().name) == ([("adapter", False, False)], "multilingual-1")


def test_a_run_that_fails_is_noted_and_leaves_what_was(
    shop: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = attempt.attempt(END).name

    def broken(*_: Any) -> Weights:
        raise MemoryError("no room")

    teaching(broken, monkeypatch)
    with pytest.raises(MemoryError):
        attempt.attempt(END)
    assert attempts() == [("adapter", True, True), ("adapter", False, False)]
    assert ask("SELECT judged->>'failed' FROM finetuning WHERE NOT is_live") == [
        ("MemoryError: no room",)
    ]
    assert encoders.chosen().name == name


def test_one_that_goes_live_later_takes_the_place_of_the_one_before(shop: None) -> None:
    noted = store.Attempt("multilingual-1", "adapter", END)
    names = [store.publish(noted, JUDGED, some_map(seed)) for seed in range(8)]
    assert encoders.chosen().name == names[-1]
    # What the last five learned is kept.
    assert store.kept("multilingual-1") == names[:2:-1]
    with pytest.raises(Gone, match="is not kept any more"):
        tuned.read(names[0])
    assert not store.use("multilingual-1", names[0])
    assert encoders.chosen().name == names[-1]


JUDGED: Final = store.Judged(300, 90, 40, 0.5, 0.25, None, 30, 0.2, 0.1, 7)


def test_another_worker_is_at_it(shop: None, stranger: Any) -> None:
    stranger.execute("SELECT pg_advisory_lock(hashtext('recsite.finetuning'))")
    assert attempt.attempt(END).said == attempt.BUSY
    assert attempts() == []


# ── what cannot work ───────────────────────────────────────────────────────────────────────


def test_an_empty_log_teaches_nothing(committed: None) -> None:
    assert attempt.attempt(END).said == "the log is empty: nothing to learn from"
    tasks.finetune()
    assert attempts() == []


def test_too_few_pairs_teach_nothing_and_that_is_noted(three: None) -> None:
    given(chose("ann", "mug", "cup", at=0), chose("bob", "mug", "cup", at=20 * DAY))
    said = attempt.attempt(END).said
    assert said == (
        "0 pairs of texts to learn from and 0 shoppers to judge by, 200 and 30 are needed: "
        "multilingual-1 serves as before"
    )
    assert attempts() == [("adapter", False, False)]
    assert not attempt.is_due(END)


@pytest.mark.parametrize("name", ["multilingual", "english-int8", "english-static"])
@pytest.mark.parametrize("mode", ["last", "all"])
def test_layers_are_taught_only_where_they_are_a_network_in_torch(
    settings: Settings, name: str, mode: str
) -> None:
    settings.ENCODER = name
    with pytest.raises(Refused, match=f"{name}-1 is not a network in torch, .*the mode 'adapter'"):
        attempt.refuse(mode)
    attempt.refuse("adapter")


def test_a_mode_that_there_is_not_is_refused() -> None:
    with pytest.raises(Refused, match=r"no mode 'some': it is one of adapter, last, all\."):
        attempt.refuse("some")


def test_without_its_package_nothing_is_taught(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = encoders.Encoder("gone-1", 512, "recsite_has_no_such_package", "multilingual")
    monkeypatch.setitem(ENCODERS, "multilingual", gone)
    with pytest.raises(ModelMissing, match="recsite_has_no_such_package is missing"):
        attempt.refuse("adapter")
    tasks.finetune()


# ── the layers ─────────────────────────────────────────────────────────────────────────────


def test_taught_layers_find_it_too_and_the_same_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "EPOCHS", 1)
    monkeypatch.setattr(layers, "RATE", 3e-4)
    lesson = lessons()
    plain = lie(ENCODERS["english"].encode, lesson.texts)
    weights, again = (layers.train(lesson, layers.last, never) for _ in range(2))
    assert tuned.digest(weights) == tuned.digest(again)
    taught = lie(tuned.encoding(weights, english.encode), lesson.texts)
    assert found(taught, lesson.judged) > found(plain, lesson.judged) + 0.05


def test_which_parameters_are_taught() -> None:
    _, model = english.load()
    last, every = dict(layers.last(model)), dict(layers.every(model))
    assert {name[:16] for name in last} == {"encoder.layer.4.", "encoder.layer.5."}
    assert last.keys() < every.keys()
    assert "embeddings.word_embeddings.weight" in every


def test_taught_layers_serve_from_the_database(
    committed: None, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ENCODER = "english"
    weights = {"encoder.layer.5.output.dense.bias": np.linspace(-1, 1, 384).astype(np.float16)}
    name = store.publish(store.Attempt("english-1", "last", END), JUDGED, weights)
    assert (encoders.chosen().name, name[:14]) == (name, "english-1+last")
    item("mug", title="Mug")
    advance("content")
    assert list(embed.embed()) == [1]
    expected = tuned.encoding(weights, english.encode)(["Mug"])[0]
    assert vector("Mug") == pytest.approx(expected, abs=1e-3)
    assert vector("Mug") != pytest.approx(english.encode(["Mug"])[0], abs=1e-2)
    settings.ENCODER = "english-int8"
    assert encoders.chosen().name == "english-int8-1"


# ── how it is asked for, and shown ─────────────────────────────────────────────────────────


def finetuned(*options: str) -> str:
    said = StringIO()
    call_command("finetune", *options, stdout=said)
    return said.getvalue()


def test_the_command_says_what_came_of_it(shop: None) -> None:
    first, then = finetuned("--minutes", "1").splitlines()
    assert first.startswith("adapter: learned from ")
    assert first.endswith(f"{encoders.chosen().name} is live")
    assert then.startswith(
        "a worker, or `manage.py refresh --only content`, encodes all texts anew"
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--mode", "last"), "multilingual-1 is not a network in torch"),
        (("--minutes", "0"), "--minutes is more than 0"),
        (("--minutes", "nan"), "--minutes is more than 0"),
        (("--retire", "--mode", "adapter"), "--use and --retire go alone"),
        (("--retire", "--use", "x"), "--use and --retire go alone"),
        (("--use", "x"), "there is no 'x' to go back to; there is none"),
    ],
)
def test_the_command_refuses_what_makes_no_sense(
    committed: None, options: tuple[str, ...], said: str
) -> None:
    with pytest.raises(CommandError, match=said):
        finetuned(*options)
    assert attempts() == []


def test_the_worker_tries_it_once_a_week(shop: None) -> None:
    assert attempt.is_due(END)
    tasks.finetune()
    assert attempts() == [("adapter", True, True)]
    tasks.finetune()
    assert len(attempts()) == 1
    given(view("u1", "0-0", at=29.5 * DAY))
    assert not attempt.is_due(END + timedelta(days=9))
    given(view("u1", "0-0", at=30.5 * DAY))
    assert attempt.is_due(END + timedelta(days=9))


@pytest.mark.usefixtures("committed")
def test_the_admin_shows_each_attempt(admin_client: Client) -> None:
    noted = store.Attempt("multilingual-1", "adapter", END)
    name = store.publish(noted, JUDGED, some_map())
    store.note(noted, JUDGED)
    store.note(noted, store.TooFew(3, 2))
    store.note(noted, store.Failed("MemoryError: no room"))
    page = admin_client.get("/admin/recsite/finetuningrow/").content.decode()
    for said in ("live", "not better", "too few pairs", "failed", "0.5000", "0.2500", "a map behind it",
                 "300 pairs of texts", "MemoryError: no room",
                 "nothing: 3 pairs of texts to learn from and 2 shoppers to judge by"):  # fmt: skip
        assert said in page, said
    ((row,),) = ask("SELECT id FROM finetuning WHERE is_live")
    one = admin_client.get(f"/admin/recsite/finetuningrow/{row}/change/").content.decode()
    for said in (name, "0.2000, untaught 0.1000 (30 shoppers)", "90 choices of 40 shoppers", "7 s"):
        assert said in one, said
    assert 'name="_save"' not in one
    store.retire("multilingual-1")
    assert "retired" in admin_client.get("/admin/recsite/finetuningrow/").content.decode()
