"""The shot detector: looks for candidates as frames come, judges them when their neighbourhood is complete.

A frame is judged about two seconds after it came: as a cut, by its jump from the frame before, and as the
centre of a gradual transition. What was accepted then waits for its neighbours (see `boundaries`). The delay
is at most 4 s and 240 frames, and 24 frames where that is longer; memory a few megabytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from pydantic import Field

from curate.frames import Boundary, SmallFrame, Transition
from curate.records import Options
from filters.shots import gradual, hard
from filters.shots.boundaries import Boundaries, Found
from filters.shots.compare import Floats, contrast
from filters.shots.history import MARGIN, History
from filters.shots.planes import TinyFrame, shrink, steps
from filters.shots.trees import load_judge, weights_digest

__all__ = ["ShotDetector", "ShotOptions"]

_BLANK_STD = 6.0
"""gray levels: a frame with less contrast shows nothing"""
_DELAY_S = 4.0
_LEAST_DELAY_FRAMES = 24
_MOST_DELAY_FRAMES = 240
_DIMMER = 1.003
"""contrast of a frame over that of the next, from which a fade goes on"""
_WIPE_STEPS = 0.5
_WIPE_ORDER = 0.15
_STEPS, _ORDER = (gradual.FEATURES.index(name) for name in ("pixel_steps", "step_order"))


class ShotOptions(Options):
    """How sure the detector must be. Lower finds more and errs more."""

    hard_threshold: float = Field(default=0.7, gt=0, lt=1)
    """probability from which a jump is a cut"""
    gradual_threshold: float = Field(default=0.85, gt=0, lt=1)
    """probability from which a gradual change is a dissolve, fade or wipe"""
    blank_s: float = Field(default=0.5, ge=0, le=1)
    """a fade-out and the next fade-in are one transition when the blank between is at most this long;
    blank frames at most this long at either end of a source belong to its first fade-in or last fade-out"""


class ShotDetector:
    """Finds hard cuts, dissolves, fades and wipes; implements `curate.frames.Detector`."""

    version: ClassVar[int] = 2
    Options: ClassVar[type[ShotOptions]] = ShotOptions

    def __init__(self, options: ShotOptions) -> None:
        self._options = options
        self._history = History()
        self._boundaries = Boundaries()
        self._latest: TinyFrame | None = None
        self._measured = 0
        self._judged = 1

    def digests(self) -> Mapping[str, str]:
        """Return the digest of the judges' weights."""
        return {"weights.npz": weights_digest()}

    @property
    def settled(self) -> int:
        """No boundary that is still to come ends before this frame index."""
        return self._boundaries.settled

    def push(self, frames: Sequence[SmallFrame]) -> Sequence[Boundary]:
        """Take the next frames; return the boundaries that have become certain, in order."""
        found: list[Boundary] = []
        tiny_frames = shrink(frames, self._latest)
        for frame, step in zip(tiny_frames, steps(tiny_frames, self._latest), strict=True):
            self._history.append(frame, step)
            found += self._certain()
            self._latest = frame
        return found

    def _certain(self) -> Sequence[Boundary]:
        """Judge what the newest frame has completed; return what has become certain by it."""
        history = self._history
        halves = history.halves()
        self._advance(halves, history.end - 2 * halves[-1] - MARGIN)
        # A transition judged next may end 1.5 half windows before its centre.
        before = self._judged - 3 * halves[-1] // 2 - 1
        delay = round(min(_MOST_DELAY_FRAMES, max(_LEAST_DELAY_FRAMES, _DELAY_S * history.fps)))
        return self._boundaries.release(before, history.end - delay, self._blank_frames())

    def finish(self) -> Sequence[Boundary]:
        """Return what is left at the end of the source."""
        self._advance(self._history.halves(), self._history.end)
        return self._boundaries.finish(self._history.end, self._blank_frames())

    def _blank_frames(self) -> int:
        return round(self._options.blank_s * self._history.fps)

    def _advance(self, halves: tuple[int, ...], until: int) -> None:
        """Judge frames up to `until`, all of whose neighbourhoods are complete."""
        history = self._history
        while self._measured < min(history.end, until + halves[-1]):
            history.measure(self._measured, halves)
            self._measured += 1
        while self._judged < until:
            self._judge_cut(self._judged)
            self._judge_transition(self._judged)
            self._judged += 1
        history.forget(self._judged - 2 * halves[-1] - 2 * MARGIN)

    def _judge_cut(self, index: int) -> None:
        gap = self._history.gap(index)
        if gap is None:
            return
        judge = load_judge("hard")
        features = hard.glance(gap)
        if judge.glance.probability(features) < judge.floor:
            return
        least = self._options.hard_threshold
        sure = judge.look(hard.closer(gap, features), least)
        if sure >= least:
            self._boundaries.add(Found(index, index, "hard", sure), self._blank_frames())

    def _judge_transition(self, centre: int) -> None:
        candidate = self._history.span(centre)
        if candidate is None:
            return
        offset, span = candidate
        judge = load_judge("gradual")
        found = gradual.ramp(span)
        features = gradual.glance(span, found)
        if judge.glance.probability(features) < judge.floor:
            return
        least = self._options.gradual_threshold
        sure = judge.look(gradual.closer(span, features), least)
        if sure < least:
            return
        reach = 3 * (span.last - span.first) // 4
        end = max(found.end_frame + offset, centre - reach)
        start = min(found.start_frame + offset, centre + reach)
        before, after = (contrast(self._history.frame(i).tiny_hw) < _BLANK_STD for i in (end - 1, start))
        if before and after:
            # Nothing to be seen turns into nothing.
            return
        if after:
            end = self._fade_from(end, -1, offset)
        elif before:
            start = self._fade_from(start - 1, 1, offset + len(span.frames) - 1) + 1
        kind = _kind(features, before or after)
        self._boundaries.add(Found(end, start, kind, sure, before, after), self._blank_frames())

    def _fade_from(self, index: int, step: int, last: int) -> int:
        """Follow a slow fade from frame `index` away from the blank, as long as the contrast grows."""
        here = contrast(self._history.frame(index).tiny_hw)
        while index != last:
            there = contrast(self._history.frame(index + step).tiny_hw)
            if there < here * _DIMMER:
                break
            index, here = index + step, there
        return index


def _kind(features: Floats, blank: bool) -> Transition:
    if blank:
        return "fade"
    return "wipe" if features[_STEPS] > _WIPE_STEPS and features[_ORDER] > _WIPE_ORDER else "dissolve"
