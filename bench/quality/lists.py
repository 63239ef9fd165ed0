"""Lists: the examples that a ranker learns from, of the shop in RECSITE_HOME, written to a file.

A process of its own for each home. It promises what `refresh` would have learned from at that moment
(recommend.learn), in one file that anybody's tool can read.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import django
import numpy as np
import numpy.typing as npt

from recsite.boot import boot


@dataclass(frozen=True, slots=True)
class Lists:
    """All candidates in line: `told` (candidates, features) and `wanted` (candidates); of each list
    the `size`, how much was bought that is not among its candidates, whose it is, whether it leaves
    out what the shopper knows, and where what was known ended (`cut`, seconds since 1970)."""

    told: npt.NDArray[np.float32]
    wanted: npt.NDArray[np.bool_]
    size: npt.NDArray[np.intp]
    missed: npt.NDArray[np.intp]
    person: npt.NDArray[np.intp]
    is_new: npt.NDArray[np.bool_]
    cut: npt.NDArray[np.intp]

    def parts(self, values: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """What is in line, list by list."""
        return np.split(values, np.cumsum(self.size)[:-1])


def main() -> None:
    boot()
    django.setup()
    write(Path(sys.argv[1]), _collected())


def _collected() -> Sequence[Any]:
    # Models may be read only once Django is set up.
    from recommend import learn
    from recommend.ranker import examples
    from recommend.spaces.learning import Course

    spans = examples.windows(datetime.now(UTC))
    return learn.find(learn.collecting(spans, iter, Course()), learn.LEAST)[1]


def write(path: Path, found: Sequence[Any]) -> None:
    """As recommend.ranker.examples has them."""
    np.savez(
        path,
        told=np.concatenate([each.told for each in found]),
        wanted=np.concatenate([each.wanted for each in found]),
        size=np.array([len(each.wanted) for each in found]),
        missed=np.array([each.missed for each in found]),
        person=np.array([each.person for each in found]),
        is_new=np.array([each.is_new for each in found]),
        cut=np.array([int(each.cut.timestamp()) if each.cut else 0 for each in found]),
    )


def read(path: Path) -> Lists:
    """What was written."""
    with np.load(path) as kept:
        return Lists(**{name: kept[name] for name in kept.files})


if __name__ == "__main__":
    main()
