"""Rankers: our network beside LambdaMART, on the same lists with the same features.

`python -m bench.quality.rankers` collects a set's lists once, in a home of its own; both learn from a
part of them and are judged by the others, which neither has seen. That is done twice: with each fifth
of the shoppers held out in turn, for by one of them the two change places; and with the lists of each
window (recommend.ranker.examples). Shoppers who are held out lived through the weeks that were learned
from, in which it is known what all bought at the time; a ranker that serves knows nothing of its weeks.
What is compared is how well they learn: no source, no tuning and no serving stands between. Needs the
peers' environment (`make .venv-peers/.ready`); `--kept FOLDER` keeps the lists there for another run.
"""

import argparse
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bench.quality import lists, ours, sets
from bench.quality.__main__ import HERE, PYTHON
from bench.quality.lists import Lists
from bench.quality.sets import Kept
from recommend import metrics, surely
from recommend.blend import Heard
from recommend.ranker import training
from recommend.ranker.examples import PARTS, Example

AT: Final = 10

Scores = Sequence[npt.NDArray[Any]]
"""Of each list's candidates."""

Meant = npt.NDArray[np.bool_]
Whole = npt.NDArray[np.intp]
Values = npt.NDArray[np.float64]
"""(lists,), all three."""


def main() -> None:
    given = _given()
    print(f"{'':43}{'network':>9}{'LambdaMART':>12}{'':9}")
    with tempfile.TemporaryDirectory(prefix="rankers-") as made:
        # Postgres runs as nobody where we are root.
        Path(made).chmod(0o755)
        paths = {name: (given.kept or Path(made)) / f"{name}.npz" for name in given.sets}
        for kept in sets.each([name for name in paths if not paths[name].exists()], Path(made)):
            _collect(kept, Path(made) / kept.name / "home", paths[kept.name])
        for name in (name for name in paths if paths[name].exists()):
            for row in rows(name, lists.read(paths[name]), Path(made)):
                print(row, flush=True)


def _given() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="rankers", description="Our network beside LambdaMART.")
    parser.add_argument("--sets", nargs="+", choices=tuple(sets.SETS), default=tuple(sets.SETS))
    parser.add_argument("--kept", type=Path, help="a folder where lists are kept for another run")
    return parser.parse_args()


def _collect(kept: Kept, home: Path, path: Path) -> None:
    """Write the set's lists."""
    ours.fill(kept, home)
    ours.manage(home, "refresh", "--without-ranker")
    ours.run_in(home, "-m", "bench.quality.lists", str(path.resolve()))


def rows(name: str, found: Lists, made: Path) -> Iterator[str]:
    """What both reach: in all lists, in those of any items, and in those of new ones."""
    kinds = {"all": np.ones_like(found.is_new), "any": ~found.is_new, "new": found.is_new}
    for by, part in _parts(found).items():
        own, theirs = _in_turn(found, part, made)
        for kind, is_meant in kinds.items():
            persons = found.person[is_meant].tolist()
            a, b = (
                surely.mean(surely.by_shopper(persons, values[is_meant]))
                for values in (own, theirs)
            )
            yield f"{name:17}{by:9}{kind:5}{len(persons):>6,} lists{a:>9.4f}{b:>12.4f}{a / b:>9.3f}"


def _parts(found: Lists) -> dict[str, Whole]:
    """Of each list, with which others it is held out."""
    return {"shoppers": found.person % PARTS, "weeks": np.unique(found.cut, return_inverse=True)[1]}


def _in_turn(found: Lists, part: Whole, made: Path) -> tuple[Values, Values]:
    """Of each list what ours and theirs reach, where the others taught them."""
    own, theirs = (np.zeros(len(found.size)) for _ in range(2))
    for one in np.unique(part):
        is_held = part == one
        own[is_held] = _ndcg(found, is_held, _network(found, is_held))
        theirs[is_held] = _ndcg(found, is_held, _lambdamart(found, is_held, made))
    return own, theirs


def _ndcg(found: Lists, is_held: Meant, scored: Scores) -> Values:
    """(lists that judge,): as recommend.learn judges."""
    wanted = [w for w, held in zip(found.parts(found.wanted), is_held, strict=True) if held]
    return np.array([
        metrics.ndcg(w[np.argsort(-s, kind="stable")[:AT]].tolist(), min(AT, int(w.sum() + missed)))
        for w, s, missed in zip(wanted, scored, found.missed[is_held], strict=True)
    ])  # fmt: skip


def _network(found: Lists, is_held: Meant) -> Scores:
    """Ours, as it is taught."""
    every = zip(found.person, found.parts(found.told), found.parts(found.wanted), strict=True)
    silent = Heard(np.zeros((0, 0), np.float32), np.zeros(0, bool), 0)
    lists = [Example(int(who), told, wanted, 0, silent) for who, told, wanted in every]
    made = training.train([each for each, held in zip(lists, is_held, strict=True) if not held])
    return [made.scores(each.told) for each, held in zip(lists, is_held, strict=True) if held]


def _lambdamart(found: Lists, is_held: Meant, made: Path) -> Scores:
    """Theirs of these lists, from an environment of its own."""
    given, out = made / "lists.npz", made / "scores.npy"
    np.savez(given, told=found.told, wanted=found.wanted, size=found.size, person=found.person,
             is_held=is_held)  # fmt: skip
    subprocess.run([PYTHON, HERE / "lambdamart.py", given, out], check=True)
    return np.split(np.load(out), np.cumsum(found.size[is_held])[:-1])


if __name__ == "__main__":
    main()
