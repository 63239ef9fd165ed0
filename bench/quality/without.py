"""Without: our lists with each source off, as they are then served: what each is good for.

`python -m bench.quality.without` fills a home with each set and learns as `make quality` does; weights and
ranker stay as they were learned, and one source after the other says nothing.
"""

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.quality import judged, off, ours, sets
from bench.quality.judged import Wanted
from bench.quality.sets import Kept


def main() -> None:
    given = _given()
    with tempfile.TemporaryDirectory(prefix="without-") as made:
        # Postgres runs as nobody where we are root.
        Path(made).chmod(0o755)
        for kept in sets.each(given.sets, Path(made)):
            out = _served(kept, Path(made) / kept.name)
            for kind in kept.lists:
                for row in table(kept.name, kind, out, judged.wanted(kept, kind)):
                    print(row, flush=True)


def _given() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="without", description="Our lists without each source.")
    parser.add_argument("--sets", nargs="+", choices=tuple(sets.SETS), default=tuple(sets.SETS))
    return parser.parse_args()


def _served(kept: Kept, made: Path) -> Path:
    """The folder with all lists."""
    out = made / "out"
    out.mkdir()
    ours.fill(kept, made / "home")
    ours.manage(made / "home", "refresh")
    users = kept.folder / "users.parquet"
    ours.run_in(made / "home", "-m", "bench.quality.off", str(users), str(out), *kept.lists)
    return out


def table(name: str, kind: str, out: Path, wanted: Wanted) -> Iterator[str]:
    """What is lost most, first."""
    whole = _ndcg(out, off.NONE, kind, wanted)
    yield f"\n{name}, lists of {kind} items, {len(wanted):,} shoppers: NDCG@10 {whole.mean():.4f}"
    yield f"{'without':12}{'NDCG@10':>9}  lost"
    sources = [path.stem.removesuffix(f"-{kind}") for path in out.glob(f"*-{kind}.parquet")]
    found = {each: _ndcg(out, each, kind, wanted) for each in sources if each != off.NONE}
    for source, values in sorted(found.items(), key=lambda each: each[1].mean()):
        lost = whole - values
        sure = 1.96 * lost.std(ddof=1) / len(lost) ** 0.5
        yield f"{source:12}{values.mean():>9.4f}  {lost.mean():+.4f} ± {sure:.4f}"


def _ndcg(out: Path, source: str, kind: str, wanted: Wanted) -> npt.NDArray[np.float64]:
    """(shoppers,)"""
    rows = judged.of_each(out / f"{source}-{kind}.parquet", wanted)
    return np.array([row["ndcg"] for row in rows])


if __name__ == "__main__":
    main()
