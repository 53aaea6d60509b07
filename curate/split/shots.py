"""Boundaries to shots: a small state machine over frame indices, without a look at a picture.

A boundary ends the open shot and opens the next. A shot that is known to be longer than `max_s` + `min_s`
is cut at `max_s`, as soon as that is known, so that no more than that is ever held of one. The result
depends on the boundaries and the frames' times alone, not on when each became known.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

from curate.frames import Boundary

__all__ = ["Clock", "Shot", "ShotBuilder"]


@dataclass(frozen=True, slots=True)
class Shot:
    """Frames [start_frame, end_frame) between two transitions."""

    shot: int
    start_frame: int
    end_frame: int
    transition_in: str
    transition_out: str


class Clock:
    """PTS and times of the frames that are still of interest, by frame index."""

    def __init__(self) -> None:
        self.base = 0
        self._pts: list[int] = []
        self._times_s: list[float] = []
        self._gaps: dict[int, tuple[int, float]] = {}

    def push(self, pts: int, time_s: float) -> None:
        """Take the next frame's."""
        self._pts.append(pts)
        self._times_s.append(time_s)

    def gap(self, pts: int, time_s: float) -> None:
        """Take note that the last frame ended at `pts`, long before the next one begins."""
        self._gaps[self.base + len(self._pts)] = (pts, time_s)

    def pts(self, frame: int) -> int:
        """Return the PTS of `frame`."""
        return self._pts[frame - self.base]

    def time_s(self, frame: int) -> float:
        """Return the time of `frame`."""
        return self._times_s[frame - self.base]

    def end_pts(self, frame: int) -> int:
        """Return the PTS at which the frames before `frame` end."""
        return self._gaps[frame][0] if frame in self._gaps else self.pts(frame)

    def end_s(self, frame: int) -> float:
        """Return the time at which the frames before `frame` end."""
        return self._gaps[frame][1] if frame in self._gaps else self.time_s(frame)

    def frame_at(self, time_s: float) -> int:
        """Return the first frame at or after `time_s`."""
        return self.base + bisect_left(self._times_s, time_s)

    def forget(self, before_frame: int) -> None:
        """Drop the frames before `before_frame`."""
        drop = before_frame - self.base
        # A list shifts all that it keeps: do it seldom.
        if drop > 4096 or (drop > 0 and drop * 2 > len(self._pts)):
            del self._pts[:drop], self._times_s[:drop]
            self.base = before_frame
            self._gaps = {frame: end for frame, end in self._gaps.items() if frame >= before_frame}


class ShotBuilder:
    """Turns boundaries, as they become certain, into shots."""

    def __init__(self, clock: Clock, *, max_s: float, longest_s: float) -> None:
        self._clock = clock
        self._max_s = max_s
        self._longest_s = longest_s
        self._count = 0
        self._transition_in = "start"
        self.open_start = 0
        """first frame of the shot that is still open"""

    def boundary(self, boundary: Boundary) -> Iterator[Shot]:
        """Close the open shot at `boundary`."""
        yield from self.settle(boundary.end_frame)
        yield from self._close(boundary.end_frame, boundary.kind)
        self.open_start, self._transition_in = max(boundary.start_frame, self.open_start), boundary.kind

    def settle(self, frame: int) -> Iterator[Shot]:
        """Take note that no boundary ends before `frame`: cut what is certain to be too long."""
        while frame > self.open_start + 1:
            start_s = self._clock.time_s(self.open_start)
            if self._clock.time_s(frame - 1) - start_s <= self._longest_s:
                return
            at = self._clock.frame_at(start_s + self._max_s)
            yield from self._close(at, "split")
            self.open_start, self._transition_in = at, "split"

    def finish(self, frames: int) -> Iterator[Shot]:
        """Close the last shot at the end of the source."""
        yield from self.settle(frames)
        yield from self._close(frames, "end")
        self.open_start = frames

    def _close(self, end_frame: int, transition: str) -> Iterator[Shot]:
        if end_frame > self.open_start:
            yield Shot(self._count, self.open_start, end_frame, self._transition_in, transition)
            self._count += 1
