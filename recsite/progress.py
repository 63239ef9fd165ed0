"""Progress bars: shown to a person at a terminal, silent in a pipe."""

import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm


def bar(
    title: str,
    *,
    total: int | None = None,
    initial: int = 0,
    unit: str = " rows",
    of: Iterable[Any] | None = None,
) -> "tqdm[Any]":
    """A bar on stderr; use it as a context manager and call update(n), or iterate over `of`."""
    return tqdm(
        of,
        desc=title,
        total=total,
        initial=initial,
        unit=unit,
        unit_scale=True,
        disable=not sys.stderr.isatty(),
    )
