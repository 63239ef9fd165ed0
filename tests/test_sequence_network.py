"""The sequence encoder: what it learns, and that a batch, a seed and bytes give the same again."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import pytest

from recommend.spaces import network, training
from recommend.spaces.histories import Histories, once_a_run
from recommend.spaces.lesson import Aim
from recommend.spaces.network import Encoder, Matrix, users
from recommend.spaces.training import train

RING: Final = 20
"""Items in a circle: after each comes the one that follows."""


def told(*histories: Sequence[int], kinds: int = 1, apart: int = 1) -> Histories:
    """Histories of one kind, an event every so many hours."""
    items = np.array([item for history in histories for item in history], np.int32)
    ends = np.cumsum([len(history) for history in histories], dtype=np.int64)
    hours = [apart * n for history in histories for n in range(len(history))]
    return Histories(items, ends, np.full(len(items), kinds, np.int8), np.array(hours, np.int32))


def circles(shoppers: int, ring: int = RING) -> Histories:
    """Each walks on from where it happens to stand."""
    return told(*([(n * 7 + step) % ring for step in range(4 + n % 9)] for n in range(shoppers)))


def foretold(encoder: Encoder, *histories: Sequence[int], best: int = 1) -> list[list[int]]:
    """What is nearest to each and new to them."""
    near = users(encoder, told(*histories)) @ encoder.items.T
    for scores, known in zip(near, histories, strict=True):
        scores[list(known)] = -1
    return [sorted(order[:best].tolist()) for order in np.argsort(-near, axis=1)]


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return train(circles(400), RING, most=4_000)


def test_it_finds_what_follows(encoder: Encoder) -> None:
    asked = [[n, (n + 1) % RING, (n + 2) % RING] for n in range(RING)]
    assert foretold(encoder, *asked) == [[(n + 3) % RING] for n in range(RING)]


def test_vectors_are_of_length_one(encoder: Encoder) -> None:
    made = users(encoder, circles(3))
    assert made.dtype == encoder.items.dtype == np.float32
    for vectors in (made, encoder.items):
        assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(len(vectors)))


def test_the_same_seed_gives_the_same_encoder() -> None:
    first, again, other = (
        train(circles(16), RING, most=4_000, seed=seed).as_bytes() for seed in (1, 1, 2)
    )
    assert first == again != other


def test_a_batch_gives_each_shopper_what_they_get_alone(encoder: Encoder) -> None:
    walks = [[n, *range(n % 7)] for n in range(RING)]
    alone: list[Matrix] = [users(encoder, told(walk)) for walk in walks]
    assert (users(encoder, told(*walks)) == np.concatenate(alone)).all()


def test_only_the_latest_events_are_read(encoder: Encoder) -> None:
    latest = [n % RING for n in range(network.LATEST)]
    assert (users(encoder, told([3, 9, *latest])) == users(encoder, told(latest))).all()


def test_serving_gives_what_training_computed(encoder: Encoder) -> None:
    import torch

    walk = told([3, 4, 5, 6])
    weights = {name: torch.from_numpy(values.copy()) for name, values in encoder.weights.items()}
    weights["items"] = torch.from_numpy(encoder.items.copy())
    learned = training._encoded(weights, walk.items[None], walk.kinds[None])
    assert users(encoder, walk)[0] == pytest.approx(learned[0, -1].numpy(), abs=1e-5)


def test_bytes_give_the_encoder_again(encoder: Encoder) -> None:
    again = network.of_bytes(encoder.as_bytes())
    assert again.as_bytes() == encoder.as_bytes()
    assert (users(again, circles(9)) == users(encoder, circles(9))).all()


@pytest.mark.parametrize("said", [b"", b"PK", b"something else"])
def test_other_bytes_are_refused(said: bytes) -> None:
    with pytest.raises(ValueError, match=r"These bytes are no sequence encoder\."):
        network.of_bytes(said)


def test_who_did_nothing_has_no_direction(encoder: Encoder) -> None:
    made = users(encoder, told([], [4], []))
    assert not made[[0, 2]].any()
    assert (made[1] == users(encoder, told([4]))[0]).all()
    assert users(encoder, told()).shape == (0, training.WIDTH)


@pytest.mark.parametrize("histories", [told(), told([]), told([1]), told([1], [], [2, 2])])
@pytest.mark.parametrize("aim", Aim)
def test_where_there_is_nothing_to_learn_an_encoder_is_made_all_the_same(
    histories: Histories, aim: Aim
) -> None:
    made = train(histories, RING, most=4_000, aim=aim)
    assert made.items.shape == (RING, training.WIDTH)
    assert np.isfinite(users(made, told([1, 2]))).all()


def test_without_time_it_is_as_it_began(encoder: Encoder) -> None:
    grown = train(circles(40), RING, most=0, warm=encoder)
    assert grown.items == pytest.approx(encoder.items, abs=1e-6)


def test_it_goes_on_from_another_and_learns_what_is_new(encoder: Encoder) -> None:
    """Eight more items, on a circle of their own."""
    more = RING + 8
    begun = Encoder(np.pad(encoder.items, ((0, 8), (0, 0))), encoder.weights)
    others = [[RING + (n + step) % 8 for step in range(6)] for n in range(200)]
    walks = [[(n + step) % RING for step in range(6)] for n in range(200)]
    grown = train(told(*others, *walks), more, most=4_000, warm=begun)
    kept = (grown.items[:RING] * encoder.items).sum(axis=1)
    assert kept.min() > 0.5
    asked = [[RING, RING + 1], [RING + 6, RING + 7], [2, 3]]
    assert foretold(grown, *asked) == [[RING + 2], [RING], [4]]


def test_of_baskets_it_learns_which_come_later() -> None:
    """Whoever has the basket {n, n + 1} has {n + 10, n + 11} the next day, in any order."""
    baskets, hours = [], []
    for n in range(400):
        a, b = n % 5 * 2, n % 5 * 2 + 1
        baskets += [a, b] if n % 2 else [b, a]
        baskets += [a + 10, b + 10] if n % 3 else [b + 10, a + 10]
        hours += [0, 0, 24, 24]
    histories = Histories(
        np.array(baskets, np.int32),
        np.arange(4, 4 * 400 + 1, 4, dtype=np.int64),
        np.full(len(baskets), 3, np.int8),
        np.array(hours, np.int32),
    )
    made = train(histories, RING, most=4_000, aim=Aim.LATER)
    assert foretold(made, [4, 5], [5, 4], best=2) == [[14, 15], [14, 15]]


def test_an_item_that_was_come_back_to_at_once_stands_once() -> None:
    walked = Histories(
        np.array([5, 5, 6, 5, 5], np.int32),
        np.array([0, 4, 5], np.int64),
        np.array([1, 3, 1, 1, 2], np.int8),
        np.arange(5, dtype=np.int32),
    )
    once = once_a_run(walked)
    assert once.items.tolist() == [5, 6, 5, 5]
    assert once.kinds.tolist() == [3, 1, 1, 2]
    assert once.hours.tolist() == [1, 2, 3, 4]
    assert once.ends.tolist() == [0, 3, 4]


def test_what_is_no_history_is_refused() -> None:
    one = np.zeros(1, np.int32)
    with pytest.raises(ValueError, match="must be as many as the last history's end says"):
        Histories(one, np.array([2], np.int64), one.astype(np.int8), one)
    with pytest.raises(ValueError, match="must not end before it begins"):
        Histories(one, np.array([1, 0], np.int64), one.astype(np.int8), one)
    with pytest.raises(ValueError, match="A kind must be a number from 0 to 7"):
        Histories(one, np.array([1], np.int64), np.array([8], np.int8), one)


def test_an_item_that_is_not_known_is_refused(encoder: Encoder) -> None:
    with pytest.raises(ValueError, match="The encoder knows items 0 to 19 only"):
        users(encoder, told([RING]))
    with pytest.raises(ValueError, match="Items must be numbers from 0 to 19"):
        train(told([RING]), RING, most=4_000)
    with pytest.raises(ValueError, match="must have 30 rows of 64"):
        train(told([1]), 30, most=4_000, warm=encoder)
