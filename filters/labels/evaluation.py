"""A classifier judged on labelled clips: every label in figures, by source, and its worst mistakes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from filters.labels.metrics import Counts, Scores, counts, intervals, score
from filters.labels.questions import LABELS

__all__ = ["Evaluation", "LabelResult", "Mistake", "SourceResult", "evaluate", "figures", "summary"]


@dataclass(frozen=True, slots=True)
class Mistake:
    """A clip that was told wrong."""

    clip_id: str
    source_uri: str
    label: str
    answer: str
    """what people say: yes or no"""
    probability: float
    """of yes"""


@dataclass(frozen=True, slots=True)
class SourceResult:
    """One source."""

    source: str
    clips: int
    wrong: int
    mean_probability: float


@dataclass(frozen=True, slots=True)
class LabelResult:
    """One label."""

    clips: int
    sources: int
    counts: Counts
    scores: Scores
    intervals: Mapping[str, tuple[float, float] | None]
    """95 %, by resampling sources"""
    by_source: Sequence[SourceResult]
    """most mistakes first"""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All of it."""

    model: str
    clips: int
    sources: int
    labels: Mapping[str, LabelResult | None]
    """None: nobody answered"""
    mistakes: Sequence[Mistake]
    """the worst, over all labels"""

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def evaluate(
    model: str,
    clips: Sequence[Mapping[str, Any]],
    sources: Sequence[str],
    yes_NL: npt.NDArray[np.float32],
    p_NL: npt.NDArray[np.float64],
    *,
    worst: int = 10,
    resamples: int = 1000,
) -> Evaluation:
    """Return figures of probabilities `p_NL` against answers `yes_NL` (not a number: unsure).

    `clips` are rows with clip_id and source_uri. A probability of 0.5 or more is a yes.
    """
    results: dict[str, LabelResult | None] = {}
    mistakes: list[Mistake] = []
    for number, label in enumerate(LABELS):
        known = np.flatnonzero(~np.isnan(yes_NL[:, number]))
        if not len(known):
            results[label] = None
            continue
        yes, p = yes_NL[known, number] == 1, p_NL[known, number]
        of = [sources[n] for n in known]
        results[label] = LabelResult(
            len(known),
            len(set(of)),
            counts(yes, p),
            score(yes, p),
            intervals(yes, p, of, resamples=resamples),
            _by_source(yes, p, of),
        )
        for n, truth, said in zip(known, yes, p, strict=True):
            if (said >= 0.5) != truth:
                row = clips[n]
                answer = "yes" if truth else "no"
                mistakes.append(
                    Mistake(str(row["clip_id"]), str(row["source_uri"]), label, answer, float(said))
                )
    mistakes.sort(key=lambda m: (-abs(m.probability - (m.answer == "yes")), m.label, m.clip_id))
    return Evaluation(model, len(clips), len(set(sources)), results, mistakes[:worst])


def _by_source(
    yes_N: npt.NDArray[np.bool_], p_N: npt.NDArray[np.float64], sources: Sequence[str]
) -> list[SourceResult]:
    found: dict[str, list[int]] = {}
    for number, source in enumerate(sources):
        found.setdefault(source, []).append(number)
    results = [
        SourceResult(
            source,
            len(numbers),
            int(np.count_nonzero((p_N[numbers] >= 0.5) != yes_N[numbers])),
            float(p_N[numbers].mean()),
        )
        for source, numbers in found.items()
    ]
    return sorted(results, key=lambda result: (-result.wrong, -result.clips, result.source))


_SHOWN = {
    "recall_yes": "recall of yes",
    "precision_yes": "precision of yes",
    "recall_no": "recall of no",
    "precision_no": "precision of no",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "pr_auc": "PR-AUC",
    "calibration_error": "calibration error",
}


def figures(found: Evaluation) -> list[list[str]]:
    """Return the table: a head, and a row a figure, with intervals."""
    rows = [["", *LABELS]]
    results = [found.labels[label] for label in LABELS]
    rows.append(["clips (sources)", *(f"{r.clips} ({r.sources})" if r else "—" for r in results)])
    for name in ("tp", "fp", "tn", "fn"):
        rows.append([name.upper(), *(f"{getattr(r.counts, name):.0f}" if r else "—" for r in results)])
    for name, title in _SHOWN.items():
        rows.append([title, *(_cell(r, name) for r in results)])
    return rows


def _cell(result: LabelResult | None, name: str) -> str:
    value = getattr(result.scores, name) if result else None
    if result is None or value is None:
        return "—"
    span = result.intervals[name]
    return f"{value:.3f}" if span is None else f"{value:.3f} ({span[0]:.2f}–{span[1]:.2f})"


def summary(found: Evaluation) -> list[list[str]]:
    """Return a narrower table: a head, and a row a label; intervals of the two figures that matter most."""
    head = ["", "TP", "FP", "TN", "FN", "recall y/n", "precision y/n", "balanced accuracy", "PR-AUC", "ECE"]
    rows = [head]
    for label, result in found.labels.items():
        if result is None:
            rows.append([label, *["—"] * (len(head) - 1)])
            continue
        counted, scores = result.counts, result.scores
        rows.append(
            [
                label,
                *(f"{getattr(counted, name):.0f}" for name in ("tp", "fp", "tn", "fn")),
                f"{_short(scores.recall_yes)}/{_short(scores.recall_no)}",
                f"{_short(scores.precision_yes)}/{_short(scores.precision_no)}",
                _cell(result, "balanced_accuracy"),
                _cell(result, "pr_auc"),
                _short(scores.calibration_error),
            ]
        )
    return rows


def _short(value: float | None) -> str:
    return "—" if value is None else f"{value:.2f}"
