"""The shot detector: looks for candidates as frames come, judges them when their neighbourhood is complete.

A frame is judged about two seconds after it came: as a cut by its jump from the frame before, and as the
centre of a gradual transition. What was accepted then waits for its neighbours: overlapping transitions are
one, a fade-out and the fade-in that follows are one, and a cut and a transition at the same place are
whichever is surer. Delay at most four seconds (at frame rates of 10 and more) and 256 frames; memory a few
megabytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from pydantic import Field

from curate.frames import Boundary, SmallFrame, Transition
from curate.records import Options
from filters.shots import gradual, hard
from filters.shots.history import History
from filters.shots.planes import TinyFrame, shrink
from filters.shots.trees import load_forest

__all__ = ["ShotDetector", "ShotOptions"]

_LEAST_SCORE = 12.0
"""gray levels: straight net change below which no transition is looked for"""
_BLANK_STD = 6.0
"""gray levels: a frame with less contrast shows nothing"""
_MARGIN = 8
_STEP, _ORDER = (gradual.FEATURES.index(name) for name in ("pixel_steps", "step_order"))


class ShotOptions(Options):
    """How sure the detector must be. Lower finds more and errs more."""

    hard_threshold: float = Field(default=0.5, gt=0, lt=1)
    """probability from which a jump is a cut"""
    gradual_threshold: float = Field(default=0.5, gt=0, lt=1)
    """probability from which a ramp is a dissolve, fade or wipe"""
    blank_s: float = Field(default=0.5, ge=0, le=1)
    """a fade-out and the next fade-in are one transition when the blank between is at most this long;
    blank frames at most this long at either end of a source belong to its first fade-in or last fade-out"""


@dataclass(frozen=True, slots=True)
class _Found:
    """A boundary that was accepted but may still change."""

    end: int
    start: int
    kind: Transition
    probability: float
    blank_before: bool = False
    blank_after: bool = False


class ShotDetector:
    """Finds hard cuts, dissolves, fades and wipes; implements `curate.frames.Detector`."""

    version: ClassVar[int] = 1
    Options: ClassVar[type[ShotOptions]] = ShotOptions

    def __init__(self, options: ShotOptions) -> None:
        self._options = options
        self._history = History()
        self._like: TinyFrame | None = None
        self._scored = 0
        self._judged = 1
        self._found: list[_Found] = []
        self._settled = 0
        self._all_blank = True

    @property
    def settled(self) -> int:
        """No boundary that is still to come ends before this frame index."""
        return self._settled

    def push(self, frame: SmallFrame) -> Sequence[Boundary]:
        """Take the next frame; return the boundaries that have become certain, in order."""
        tiny = shrink(frame, self._like)
        self._like = self._like or tiny
        self._history.append(tiny)
        halves = self._history.halves()
        self._advance(halves, self._history.end - 2 * halves[-1] - _MARGIN)
        return self._release(self._judged - 3 * halves[-1] // 2 - 1)

    def finish(self) -> Sequence[Boundary]:
        """Return what is left at the end of the source."""
        self._advance(self._history.halves(), self._history.end)
        return self._release(self._history.end + 1, ended=True)

    def _advance(self, halves: tuple[int, ...], until: int) -> None:
        """Judge frames up to `until`, all of whose neighbourhoods are complete."""
        history = self._history
        while self._scored < min(history.end, until + halves[-1]):
            history.score(self._scored, halves)
            self._scored += 1
        while self._judged < until:
            self._judge_cut(self._judged)
            self._judge_transition(self._judged)
            self._judged += 1
        history.forget(self._judged - 2 * halves[-1] - 2 * _MARGIN)

    def _judge_cut(self, index: int) -> None:
        history = self._history
        if not history.cut_candidate(index):
            return
        reach = round(min(32.0, max(6.0, 0.5 * history.fps)))
        before, after = history.slice(index - 1 - reach, index), history.slice(index, index + 1 + reach)
        sure = load_forest("hard").probability(hard.gap_features(before, after, reach))
        if sure < self._options.hard_threshold:
            return
        last = self._found[-1] if self._found else None
        if last is not None and last.kind == "hard" and index - last.end <= 2:
            # One cut seen twice, because the frame at it is a mixture.
            if sure <= last.probability:
                return
            self._found.pop()
        self._add(_Found(index, index, "hard", sure))

    def _judge_transition(self, centre: int) -> None:
        history, fps = self._history, self._history.fps
        half = history.transition_candidate(centre, _LEAST_SCORE)
        if half is None:
            return
        offset = max(history.start, centre - 2 * half - _MARGIN)
        frames = history.slice(offset, centre + 2 * half + _MARGIN + 1)
        first, last = centre - half - offset, centre + half - offset
        found = gradual.ramp(frames, first, last)
        features = gradual.transition_features(frames, first, last, fps, found)
        sure = load_forest("gradual").probability(features)
        if sure < self._options.gradual_threshold:
            return
        reach = 3 * half // 2
        end = max(found.end_frame + offset, centre - reach)
        start = min(found.start_frame + offset, centre + reach)
        before, after = (
            _is_blank(frames[max(0, end - 1 - offset)]),
            _is_blank(frames[min(len(frames) - 1, start - offset)]),
        )
        kind: Transition = "dissolve"
        if before or after:
            kind = "fade"
        elif features[_STEP] > 0.5 and features[_ORDER] > 0.15:
            kind = "wipe"
        self._add(_Found(end, start, kind, sure, before, after))

    def _add(self, new: _Found) -> None:
        """Fit `new` among what was found before it."""
        found = self._found
        while found and (merged := self._merged(found[-1], new)) is not None:
            found.pop()
            new = merged
        place = len(found)
        while place and found[place - 1].end > new.end:
            place -= 1
        found.insert(place, new)

    def _merged(self, old: _Found, new: _Found) -> _Found | None:
        """Return one boundary in place of both, or None where both stand."""
        if "hard" in (old.kind, new.kind):
            if old.kind == new.kind or old.start < new.end or new.start < old.end:
                return None
            return max(old, new, key=lambda f: f.probability)
        near = self._options.blank_s * self._history.fps
        joined = old.blank_after and new.blank_before and new.end - old.start <= near
        if not joined and new.end > old.start:
            return None
        surer = max(old, new, key=lambda f: f.probability)
        kind: Transition = "fade" if joined else surer.kind
        return _Found(min(old.end, new.end), max(old.start, new.start), kind, surer.probability,
                      old.blank_before, new.blank_after)  # fmt: skip

    def _release(self, before: int, *, ended: bool = False) -> list[Boundary]:
        """Give out what nothing that is still to come can change: it starts before frame `before`."""
        near = round(self._options.blank_s * self._history.fps)
        out: list[Boundary] = []
        while self._found:
            first = self._found[0]
            if not ended and first.start + (near if first.blank_after else 0) >= before:
                break
            out.append(self._bounded(self._found.pop(0), near, ended))
        limit = min(before, self._found[0].end) if self._found else before
        # The first fade-in may yet reach back to frame 0.
        if limit <= 2 * near and not ended:
            limit = 0
        self._settled = max(self._settled, limit)
        return out

    def _bounded(self, found: _Found, near: int, ended: bool) -> Boundary:
        end, start = found.end, found.start
        if found.kind == "fade":
            if found.blank_before and end <= near and self._settled == 0:
                end = 0
            if ended and found.blank_after and self._history.end - start <= near:
                start = self._history.end
        return Boundary(end, start, found.kind)


def _is_blank(frame: TinyFrame) -> bool:
    return float(frame.tiny_hw.std()) < _BLANK_STD
