"""Numbers read as people write them."""

from recsite.numbers import many


def test_a_noun_agrees_with_its_number() -> None:
    assert [many(count, "event") for count in (0, 1, 2, 12_000)] == [
        "0 events",
        "1 event",
        "2 events",
        "12,000 events",
    ]
