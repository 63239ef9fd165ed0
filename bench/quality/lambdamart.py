"""LambdaMART: LightGBM's (Burges, From RankNet to LambdaRank to LambdaMART, 2010), as a peer.

Runs in the peers' environment and knows nothing of this project: it reads lists (bench.quality.lists),
learns from those that are not held out and writes a score for each candidate of the others.
Its settings are those that do best on every fifth of the shoppers it learns from; then it learns from
all of these with as many trees.
"""

import sys
from typing import Any, Final

import lightgbm
import numpy as np

PART: Final = 5
TREES: Final = 600
PATIENCE: Final = 40
"""Trees that may bring nothing before it is enough."""

COMMON: Final = {
    "objective": "lambdarank", "metric": "ndcg", "eval_at": [10], "verbosity": -1, "seed": 1,
    "num_threads": 1, "deterministic": True, "force_row_wise": True, "feature_pre_filter": False,
    "bagging_freq": 1, "bagging_fraction": 0.8,
}  # fmt: skip
TRIED: Final = (
    {"num_leaves": 7, "learning_rate": 0.05, "min_data_in_leaf": 100, "feature_fraction": 0.5},
    {"num_leaves": 15, "learning_rate": 0.05, "min_data_in_leaf": 50, "feature_fraction": 0.5},
    {"num_leaves": 31, "learning_rate": 0.05, "min_data_in_leaf": 20, "feature_fraction": 0.8},
    {"num_leaves": 31, "learning_rate": 0.05, "min_data_in_leaf": 200, "feature_fraction": 0.5},
    {"num_leaves": 15, "learning_rate": 0.03, "min_data_in_leaf": 100, "feature_fraction": 0.3},
)


def main() -> None:
    _, lists, out = sys.argv
    with np.load(lists) as kept:
        given = {name: kept[name] for name in ("told", "wanted", "size", "person", "is_held")}
    np.save(out, scores(given, ~given["is_held"]))


def scores(given: dict[str, Any], is_learned: Any) -> Any:
    """A score for each candidate of the lists that are not learned from, in their order."""
    is_inner = is_learned & (given["person"] // PART % PART > 0)
    inner, judging = _data(given, is_inner), _data(given, is_learned & ~is_inner)
    tried = [_tried(COMMON | settings, inner, judging) for settings in TRIED]
    _, trees, settings = max(tried, key=lambda each: each[0])
    made = lightgbm.train(settings, _data(given, is_learned), trees)
    return made.predict(given["told"][np.repeat(~is_learned, given["size"])])


def _tried(settings: dict[str, Any], inner: Any, judging: Any) -> tuple[float, int, dict[str, Any]]:
    """How good it is, with how many trees."""
    stop = lightgbm.early_stopping(PATIENCE, verbose=False)
    made = lightgbm.train(settings, inner, TREES, valid_sets=[judging], callbacks=[stop])
    return made.best_score["valid_0"]["ndcg@10"], made.best_iteration, settings


def _data(given: dict[str, Any], is_meant: Any) -> Any:
    rows = np.repeat(is_meant, given["size"])
    return lightgbm.Dataset(
        given["told"][rows], given["wanted"][rows].astype(int), group=given["size"][is_meant],
        params=COMMON, free_raw_data=False,
    )  # fmt: skip


if __name__ == "__main__":
    main()
