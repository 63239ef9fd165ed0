"""How much is measured: the real size, and one that only proves that the bench works."""

from dataclasses import dataclass, replace
from typing import Final


@dataclass(frozen=True, slots=True)
class Size:
    """Every loop's bound; `seconds` bound those that go by time."""

    history: int
    """Newest lines of the demo's history that the shop has."""
    warm_up: int
    requests: int
    """Calls by one client, of the list and of the view that does nothing."""
    shoppers: int
    """Whose lists are made with and without each source."""
    saturated: float
    """Seconds of as many calls as the stack can answer."""
    import_rows: int
    fold_events: int
    fold_batch: int
    commit: int
    """Events a transaction while folding."""
    texts: int
    deeds: int
    """That both spaces are learned from."""
    steps: int
    """Of the network of sequences, at most."""
    stream: float
    """Seconds of events posted while a worker folds."""
    rate: int
    """Events a second of that stream."""
    clicks: int
    """Shoppers whose next list must have changed."""
    batches: int
    singles: int
    """Posts as fast as they are answered: of a hundred events, and of one."""
    short: int
    long: int
    """Events of the two invented histories."""
    heavy: int
    """Events of a person who is erased from the long one."""
    warm_rounds: int
    rounds: int
    """Folds of a thousand new events behind each, and folds before these that nobody times."""


FULL: Final = Size(
    history=2_000_000, warm_up=2_500, requests=2_000, shoppers=200, saturated=8,
    import_rows=300_000, fold_events=20_000, fold_batch=2_000, commit=300, texts=1_024,
    deeds=200_000, steps=100_000,
    stream=20, rate=200, clicks=50, batches=300, singles=8_000,
    short=100_000, long=1_000_000, heavy=1_000, warm_rounds=20, rounds=7,
)  # fmt: skip
SMOKE: Final = Size(
    history=5_000, warm_up=50, requests=50, shoppers=3, saturated=0.5,
    import_rows=2_000, fold_events=600, fold_batch=300, commit=100, texts=16, deeds=600, steps=20,
    stream=1, rate=50, clicks=3, batches=3, singles=20,
    short=1_000, long=3_000, heavy=100, warm_rounds=1, rounds=1,
)  # fmt: skip
SCALE: Final = replace(FULL, long=10_000_000)
"""The promised length of the log: half an hour, and no part of the default table."""
