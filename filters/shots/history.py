"""The last few seconds of a source, and the candidates in it.

Frames are addressed by their index in the source; what lies too far back is dropped. Computed for every
frame: distances to its predecessor, and straightness over windows of several lengths about it.
"""

from __future__ import annotations

from math import inf

from filters.shots.gradual import Span, half_frames, straightness
from filters.shots.hard import Gap, reach_frames, stands_out
from filters.shots.planes import Step, TinyFrame, tiny_distance

__all__ = ["MARGIN", "History"]

MARGIN = 8
"""frames that a transition's surroundings reach beyond twice its half window"""
_MOST_HALF = 52
"""frames: the longest half window, so that memory and delay stay bounded at any frame rate"""
_LEAST_STRAIGHT = 12.0
"""gray levels: straight net change below which no transition is looked for"""
_FORGET_FRAMES = 64
_ROUNDING = 1e-6
"""gray levels: far above what sums of distances lose"""


class History:
    """Frames [`start`, `end`) of the source."""

    def __init__(self) -> None:
        self.start = 0
        self._frames: list[TinyFrame] = []
        self._gaps: list[float] = []
        self._tiny_gaps: list[float] = []
        self._path: list[float] = []
        self._straight: list[tuple[float, int]] = []
        self._net_less_path: dict[int, float] = {}
        self.end = 0
        """one past the newest frame"""
        self.fps = 25.0
        """frames a second, by the clock, of what is kept; 25 where that is a single frame"""

    def append(self, frame: TinyFrame, step: Step) -> None:
        """Take the next frame, and its distances to the one before."""
        self._frames.append(frame)
        self._gaps.append(step.small)
        self._tiny_gaps.append(step.tiny)
        self._path.append(self._path[-1] + step.tiny if self._path else 0.0)
        self.end += 1
        self._clock()

    def forget(self, before: int) -> None:
        """Drop frames before index `before`, now and then."""
        surplus = before - self.start
        if surplus < _FORGET_FRAMES:
            return
        del self._frames[:surplus]
        del self._gaps[:surplus]
        del self._tiny_gaps[:surplus]
        del self._path[:surplus]
        del self._straight[:surplus]
        self.start = before
        self._clock()

    def _clock(self) -> None:
        frames = self._frames
        if len(frames) > 1:
            self.fps = (len(frames) - 1) / max(1e-6, frames[-1].time_s - frames[0].time_s)

    def frame(self, index: int) -> TinyFrame:
        """Return the frame `index`, or the nearest that is kept."""
        return self._frames[min(max(0, index - self.start), len(self._frames) - 1)]

    def halves(self) -> tuple[int, ...]:
        """Return the half windows, in frames, at the present frame rate."""
        return half_frames(float(round(self.fps)), _MOST_HALF)

    def gap(self, index: int) -> Gap | None:
        """Return the gap before frame `index` if it stands out of its neighbours."""
        at = index - self.start
        if not stands_out(self._gaps, at):
            return None
        reach = reach_frames(self.fps)
        # The first gap of a source has no frame before it.
        first = max(1 if self.start == 0 else 0, at - reach)
        return Gap(
            self._frames[max(0, at - 1 - reach) : at][::-1],
            self._frames[at : at + 1 + reach],
            self._gaps[first:at][::-1],
            self._gaps[at + 1 : at + 1 + reach],
        )

    def measure(self, centre: int, halves: tuple[int, ...]) -> None:
        """Compute the straightness about frame `centre`; call for every frame in turn.

        Below what a transition needs it counts as 0. Most windows are dismissed by what their net change can
        be at most: that of an earlier window, and what has come in at either end since (triangle inequality).
        """
        i, best = centre - self.start, (0.0, 0)
        paths, earlier = self._path, self._net_less_path
        for half in halves:
            a, b = i - half, i + half
            if a < 0 or b >= len(paths):
                break
            path = paths[b] - paths[a]
            least = max(_LEAST_STRAIGHT, best[0])
            net_most = min(path, earlier.get(half, inf) + paths[a] + paths[b] + _ROUNDING)
            if net_most < least or straightness(net_most, path, 0.0) < least:
                continue
            peak = max(self._tiny_gaps[a + 1 : b + 1])
            if straightness(path, path, peak) < least:
                continue
            net = tiny_distance(self._frames[a], self._frames[b])
            earlier[half] = net - paths[a] - paths[b]
            value = straightness(net, path, peak)
            if value >= _LEAST_STRAIGHT and value > best[0]:
                best = (value, half)
        self._straight.append(best)

    def span(self, centre: int) -> tuple[int, Span] | None:
        """Return the span about `centre` and the index of its window's first frame, if it is a peak."""
        i = centre - self.start
        value, half = self._straight[i]
        if value < _LEAST_STRAIGHT:
            return None
        left = max((s[0] for s in self._straight[max(0, i - half) : i]), default=0.0)
        right = max((s[0] for s in self._straight[i + 1 : i + half + 1]), default=0.0)
        if value <= left or value < right:
            return None
        first = max(0, i - 2 * half - MARGIN)
        end = i + 2 * half + MARGIN + 1
        frames = self._frames[first:end]
        gaps = self._tiny_gaps[first + 1 : end]
        return first + self.start, Span(frames, gaps, i - half - first, i + half - first, self.fps)
