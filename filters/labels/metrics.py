"""How good a classifier of one label is, in plain numbers over arrays.

`yes_N` is the truth (bool), `p_N` the probability of yes, `weight_N` how much each clip counts (a bootstrap
resample is a weight). None where there is nothing to divide by: a class that nobody has, a class that was
never said. Formulas are those of scikit-learn, which is no dependency: average precision as the step-wise
integral, without interpolation (Davis and Goadrich 2006 say why not).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = [
    "Counts",
    "Scores",
    "average_precision",
    "calibration_error",
    "counts",
    "intervals",
    "log_loss",
    "score",
]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_BINS: Final = 10


@dataclass(frozen=True, slots=True)
class Counts:
    """Clips by truth and answer, as Table 11 of CogVideoX prints them."""

    tp: float
    fp: float
    tn: float
    fn: float


@dataclass(frozen=True, slots=True)
class Scores:
    """Each 0 to 1."""

    accuracy: float | None
    recall_yes: float | None
    recall_no: float | None
    precision_yes: float | None
    precision_no: float | None
    balanced_accuracy: float | None
    pr_auc: float | None
    calibration_error: float | None


def counts(yes_N: Bools, p_N: Floats, weight_N: Floats | None = None, threshold: float = 0.5) -> Counts:
    """Return what became of clips when a probability of at least `threshold` is a yes."""
    weight = np.ones(len(p_N)) if weight_N is None else weight_N
    said = p_N >= threshold
    return Counts(
        float(weight[said & yes_N].sum()),
        float(weight[said & ~yes_N].sum()),
        float(weight[~said & ~yes_N].sum()),
        float(weight[~said & yes_N].sum()),
    )


def score(yes_N: Bools, p_N: Floats, weight_N: Floats | None = None, threshold: float = 0.5) -> Scores:
    """Return every figure of one label."""
    found = counts(yes_N, p_N, weight_N, threshold)
    yes, no = _share(found.tp, found.fn), _share(found.tn, found.fp)
    return Scores(
        _share(found.tp + found.tn, found.fp + found.fn),
        yes,
        no,
        _share(found.tp, found.fp),
        _share(found.tn, found.fn),
        None if yes is None or no is None else (yes + no) / 2,
        average_precision(yes_N, p_N, weight_N),
        calibration_error(yes_N, p_N, weight_N),
    )


def average_precision(yes_N: Bools, p_N: Floats, weight_N: Floats | None = None) -> float | None:
    """Return the area under precision over recall: each rise of the recall times the precision there.

    Clips of equal probability come in together. None without a yes.
    """
    weight = np.ones(len(p_N)) if weight_N is None else weight_N
    order = np.argsort(-p_N, kind="stable")
    p, yes, weight = p_N[order], yes_N[order], weight[order]
    ends = np.flatnonzero(np.append(np.diff(p) != 0, True)) if len(p) else np.empty(0, np.intp)
    hits = np.cumsum(weight * yes)[ends]
    said = np.cumsum(weight)[ends]
    if not len(ends) or hits[-1] <= 0:
        return None
    precision = np.divide(hits, said, out=np.zeros_like(hits), where=said > 0)
    return float(np.sum(np.diff(hits, prepend=0.0) * precision) / hits[-1])


def calibration_error(yes_N: Bools, p_N: Floats, weight_N: Floats | None = None) -> float | None:
    """Return the expected calibration error over ten equal bins of probability, the classes as they are.

    Of each bin the distance between mean probability and share of yes, weighed by its clips (Naeini, Cooper,
    Hauskrecht, AAAI 2015, of the probability of yes).
    """
    weight = np.ones(len(p_N)) if weight_N is None else weight_N
    total = float(weight.sum())
    if total <= 0:
        return None
    bins = np.minimum((p_N * _BINS).astype(np.intp), _BINS - 1)
    told = np.bincount(bins, weight * p_N, _BINS)
    true = np.bincount(bins, weight * yes_N, _BINS)
    return float(np.abs(told - true).sum() / total)


def log_loss(yes_N: Bools, odds_N: Floats, weight_N: Floats | None = None) -> float | None:
    """Return the mean negative log likelihood of log-odds, in nats."""
    weight = np.ones(len(odds_N)) if weight_N is None else weight_N
    if weight.sum() <= 0:
        return None
    loss = np.logaddexp(0.0, np.where(yes_N, -odds_N, odds_N))
    return float((weight * loss).sum() / weight.sum())


def intervals(
    yes_N: Bools,
    p_N: Floats,
    sources: Sequence[str],
    *,
    resamples: int = 1000,
    seed: int = 0,
    share: float = 0.95,
    threshold: float = 0.5,
    scored: Callable[..., Scores] = score,
) -> dict[str, tuple[float, float] | None]:
    """Return the percentile interval of every figure, over resamples of whole sources (Efron 1979).

    Clips of one film agree more than clips of several: drawing clips would make the intervals too narrow. A
    resample without one of the classes has no say on the figures that need it. None for a figure that fewer
    than half of the resamples have.
    """
    names, of = np.unique(np.asarray(sources), return_inverse=True)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(names), np.full(len(names), 1 / max(1, len(names))), size=resamples)
    found: dict[str, list[float]] = {field.name: [] for field in fields(Scores)}
    for times in drawn:
        scores = scored(yes_N, p_N, times[of].astype(np.float64), threshold)
        for name, values in found.items():
            value = getattr(scores, name)
            if value is not None:
                values.append(value)
    tail = (1 - share) / 2
    return {
        name: None
        if 2 * len(values) < resamples
        else (float(np.quantile(values, tail)), float(np.quantile(values, 1 - tail)))
        for name, values in found.items()
    }


def _share(part: float, rest: float) -> float | None:
    return part / (part + rest) if part + rest > 0 else None
