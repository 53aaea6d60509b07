"""Boosted trees of LightGBM as arrays that torch walks: grown where LightGBM is, asked everywhere.

On the numbers that `nano`'s trees read, LightGBM tells more than our own boosting of `filters.boosting` with
as many and as deep trees (docs/decisions/0014), in a fifteenth of the time. Thresholds are rounded down to
float32, so that float32 numbers fall on the side on which LightGBM has them. Same data and seed, same trees,
whatever the number of threads.

Shape letters: M examples, X numbers of an example, T trees, N nodes of a tree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from shards.errors import ConfigError

__all__ = ["DEPTH", "NODES", "Trees", "boost", "check_lightgbm"]

DEPTH: Final = 8
"""questions on the way to a leaf, at most"""
_LEAVES: Final = 31
NODES: Final = 2 * _LEAVES - 1
_SETTINGS: Final = {
    "objective": "binary", "learning_rate": 0.07, "num_leaves": _LEAVES, "max_depth": DEPTH,
    "min_data_in_leaf": 40, "lambda_l2": 5.0, "max_bin": 63,
    "feature_fraction": 0.5, "bagging_fraction": 0.7, "bagging_freq": 1,
    "use_missing": False, "deterministic": True, "force_row_wise": True, "verbose": -1,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Trees:
    """One label's trees; from a node that is a leaf both ways lead to itself."""

    feature_TN: npt.NDArray[np.int16]
    child_TN2: npt.NDArray[np.int8]
    """for numbers at most the threshold, and above it"""
    number_TN: npt.NDArray[np.float32]
    """threshold; of a leaf, what it adds to the log-odds"""

    @classmethod
    def silent(cls, trees: int) -> Trees:
        """Return trees that add nothing."""
        child = np.zeros((trees, NODES, 2), np.int8)
        return cls(np.zeros((trees, NODES), np.int16), child, np.zeros((trees, NODES), np.float32))


def check_lightgbm() -> None:
    """Raise ConfigError where LightGBM cannot be imported."""
    try:
        import lightgbm  # noqa: F401
    except (ImportError, OSError) as exc:
        raise ConfigError(
            f"trees are grown by LightGBM: pip install 'cogcurate[labels-train]' ({exc}); "
            "where libgomp is missing, Debian has it as libgomp1"
        ) from exc


def boost(
    x_MX: npt.NDArray[np.float32],
    yes_M: npt.NDArray[np.bool_],
    weight_M: npt.NDArray[np.float64],
    guess_M: npt.NDArray[np.float64] | None = None,
    *,
    trees: int,
    seed: int,
    threads: int = 1,
) -> Trees:
    """Return trees whose leaves add up to the log-odds of `yes_M`, less `guess_M`; numbers are finite."""
    import lightgbm

    wanted = yes_M.astype(np.float32)
    data = lightgbm.Dataset(x_MX, wanted, weight=weight_M, init_score=guess_M, params={"verbose": -1})
    settings = {**_SETTINGS, "seed": seed, "num_threads": threads}
    grown = lightgbm.train(settings, data, num_boost_round=trees)
    made = Trees.silent(trees)
    for number, told in enumerate(grown.dump_model()["tree_info"]):
        _lay(told["tree_structure"], made, number)
    return made


def _lay(root: dict[str, Any], made: Trees, tree: int) -> None:
    """Lay the nodes of a tree into its row of the arrays, the root first."""
    waiting, taken = [(root, 0)], 1
    while waiting:
        node, place = waiting.pop()
        if "leaf_value" in node:
            made.child_TN2[tree, place] = place
            made.number_TN[tree, place] = node["leaf_value"]
            continue
        made.feature_TN[tree, place] = node["split_feature"]
        made.number_TN[tree, place] = _rounded_down(node["threshold"])
        made.child_TN2[tree, place] = taken, taken + 1
        waiting += [(node["left_child"], taken), (node["right_child"], taken + 1)]
        taken += 2


def _rounded_down(threshold: float) -> np.float32:
    near = np.float32(threshold)
    return np.nextafter(near, np.float32(-np.inf)) if float(near) > threshold else near
