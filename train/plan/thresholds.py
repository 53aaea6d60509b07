"""Thresholds that move with the step: what bounds a column at a step, and which clips pass."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from shards.errors import ConfigError
from train.recipe import Stage, Threshold

__all__ = ["bound_at", "column_key", "fails", "resolved", "turning_points"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_log = logging.getLogger(__name__)


def bound_at(threshold: Threshold, step: int) -> float:
    """Return the bound at a step, counted from the stage's first.

    A step function holds a point's value from its step on, a ramp draws straight lines between points; both
    have the first value before the first point, and the last one after the last. A quantile has no bound
    until it is `resolved`.
    """
    match threshold.kind:
        case "constant":
            assert threshold.value is not None
            return threshold.value
        case "step":
            begun = [value for at, value in threshold.points if at <= step]
            return begun[-1] if begun else threshold.points[0][1]
        case "ramp":
            steps, values = zip(*threshold.points, strict=True)
            return float(np.interp(step, steps, values))
        case "quantile":
            raise ValueError("a quantile must be resolved first")


def column_key(threshold: Threshold) -> str:
    """Return what the threshold's values are called: of captions, the bound decides which one counts."""
    caption = threshold.column.startswith("captions.")
    return f"{threshold.column} {threshold.bound}" if caption else threshold.column


def fails(threshold: Threshold, bound: float, values_N: Floats) -> tuple[Bools, Bools]:
    """Return which clips have a value on the wrong side of the bound, and which have none and are dropped.

    The bound itself is on the right side.
    """
    missing_N = np.isnan(values_N)
    with np.errstate(invalid="ignore"):
        wrong_N = values_N < bound if threshold.bound == "min" else values_N > bound
    return wrong_N, missing_N if threshold.nulls == "drop" else np.zeros_like(missing_N)


def resolved(stage: Stage, columns: Mapping[str, Floats], candidates_N: Bools) -> Stage:
    """Return the stage with quantiles turned into numbers, by the values of the candidates.

    The number is one of the values: with a lower bound of 0.8, the best fifth has at least that. Raises
    ConfigError where no candidate has a value.
    """
    made = []
    for threshold in stage.thresholds:
        if threshold.kind != "quantile":
            made.append(threshold)
            continue
        values = columns[column_key(threshold)][candidates_N]
        values = values[~np.isnan(values)]
        if not values.size:
            raise ConfigError(
                f"stage {stage.name}: no clip of it has a value of {threshold.column!r} to take a quantile of"
            )
        method = "higher" if threshold.bound == "min" else "lower"
        assert threshold.value is not None
        number = float(np.quantile(values, threshold.value, method=method))  # type: ignore[call-overload]
        _log.info(
            "stage %s: %s %s %g, the quantile %g of %d clips",
            stage.name, threshold.column, threshold.bound, number, threshold.value, values.size,
        )  # fmt: skip
        made.append(replace(threshold, kind="constant", value=number))
    return replace(stage, thresholds=tuple(made))


def turning_points(thresholds: Sequence[Threshold], steps: int) -> list[int]:
    """Return the steps of a stage, first and last among them, between which bounds go one way."""
    inner = {at for threshold in thresholds for at, _ in threshold.points if 0 < at < steps}
    return sorted({0, steps - 1} | inner)
