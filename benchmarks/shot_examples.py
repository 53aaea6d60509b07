"""Candidates of the shot detector, with their features and what they are: what its judges learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from filters.shots import gradual, hard
from filters.shots.history import History
from filters.shots.planes import TinyFrame, steps

__all__ = ["Examples", "Marks", "examples_of"]


@dataclass(frozen=True, slots=True)
class Marks:
    """The truth of one video. `gradual` ranges are half-open; near `unsure` frames nothing is learnt."""

    hard: Sequence[int]
    gradual: Sequence[tuple[int, int]]
    unsure: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Examples:
    """Candidates: where, features, and 1, 0 or -1 (neither right nor wrong)."""

    place_N: npt.NDArray[np.int64]
    x_NF: npt.NDArray[np.float32]
    y_N: npt.NDArray[np.int8]


def examples_of(frames: Sequence[TinyFrame], marks: Marks) -> tuple[Examples, Examples]:
    """Return the candidates for cuts and for gradual transitions of one video."""
    history = History()
    for frame, step in zip(frames, steps(frames, None), strict=True):
        history.append(frame, step)
    halves = history.halves()
    for index in range(len(frames)):
        history.measure(index, halves)
    cuts = []
    for index in range(1, len(frames)):
        gap = history.gap(index)
        if gap is not None:
            *_, features = hard.closer(gap, hard.glance(gap))
            cuts.append((index, features, _is_cut(index, marks)))
    ramps = []
    for index in range(len(frames)):
        candidate = history.span(index)
        if candidate is not None:
            offset, span = candidate
            found = gradual.ramp(span)
            place = (found.end_frame + offset, found.start_frame + offset)
            *_, features = gradual.closer(span, gradual.glance(span, found))
            ramps.append(
                (index, features, _is_transition(index, (span.last - span.first) // 2, place, marks))
            )
    return _stack(cuts, len(hard.FEATURES)), _stack(ramps, len(gradual.FEATURES))


def _is_cut(index: int, marks: Marks) -> int:
    if index in marks.hard:
        return 1
    near = any(abs(index - u) <= 1 for u in [*marks.unsure, *marks.hard])
    return -1 if near or any(a - 1 <= index <= b + 1 for a, b in marks.gradual) else 0


def _is_transition(centre: int, half: int, place: tuple[int, int], marks: Marks) -> int:
    a, b = place
    verdict = 0
    for first, end in marks.gradual:
        shared = min(b, end) - max(a, first)
        if (
            shared > 0
            and first - 2 <= centre <= end + 2
            and shared >= min(0.3 * (b - a), 0.6 * (end - first))
        ):
            return 1
        if shared > -6:
            verdict = -1
    if any(a - 3 <= u <= b + 3 for u in marks.unsure):
        return -1
    # A cut at the edge of the range is neither; one within the window makes it wrong.
    if any(a - 3 <= c <= b + 3 for c in marks.hard):
        return 0 if any(centre - half < c <= centre + half for c in marks.hard) else -1
    return verdict


def _stack(rows: Sequence[tuple[int, npt.NDArray[np.float32], int]], features: int) -> Examples:
    return Examples(
        np.array([place for place, _, _ in rows], np.int64),
        np.array([x for _, x, _ in rows], np.float32).reshape(len(rows), features),
        np.array([y for _, _, y in rows], np.int8),
    )
