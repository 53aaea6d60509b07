"""The last few seconds of a source, and the candidates in it.

Frames are addressed by their index in the source; what lies too far back is dropped. One thing is computed
for every frame: distances to its predecessor, and straightness over windows of several lengths about it.
"""

from __future__ import annotations

from collections.abc import Sequence

from filters.shots.gradual import half_frames, straightness
from filters.shots.hard import stands_out
from filters.shots.planes import TinyFrame, chroma_distance, luma_distance, tiny_distance

__all__ = ["History"]

MOST_HALF = 56
"""frames: the longest half window, so that memory and delay stay bounded at any frame rate"""
_MARGIN = 8


class History:
    """Frames [`start`, `end`) of the source."""

    def __init__(self) -> None:
        self.start = 0
        self._frames: list[TinyFrame] = []
        self._gaps: list[float] = []
        self._tiny_gaps: list[float] = []
        self._path: list[float] = []
        self._scores: list[tuple[float, int]] = []

    @property
    def end(self) -> int:
        """One past the newest frame."""
        return self.start + len(self._frames)

    @property
    def fps(self) -> float:
        """Frames a second, by the clock, of what is kept; 25 where that is a single frame."""
        if len(self._frames) < 2:
            return 25.0
        return (len(self._frames) - 1) / max(1e-6, self._frames[-1].time_s - self._frames[0].time_s)

    def append(self, frame: TinyFrame) -> None:
        """Take the next frame."""
        gap = tiny = 0.0
        if self._frames:
            last = self._frames[-1]
            chroma = chroma_distance(last, frame)
            gap = luma_distance(last, frame) + chroma
            tiny = tiny_distance(last, frame, chroma)
        self._frames.append(frame)
        self._gaps.append(gap)
        self._tiny_gaps.append(tiny)
        self._path.append(tiny + (self._path[-1] if self._path else 0.0))

    def forget(self, before: int) -> None:
        """Drop frames before index `before`, now and then."""
        surplus = before - self.start
        if surplus < 64:
            return
        for kept in (self._frames, self._gaps, self._tiny_gaps, self._path):
            del kept[:surplus]
        del self._scores[:surplus]
        self.start = before

    def slice(self, first: int, end: int) -> Sequence[TinyFrame]:
        """Return the frames of [first, end) that are kept."""
        return self._frames[max(0, first - self.start) : max(0, end - self.start)]

    def cut_candidate(self, index: int) -> bool:
        """Return whether the gap before frame `index` stands out of its neighbours."""
        return stands_out(self._gaps, index - self.start)

    def halves(self) -> tuple[int, ...]:
        """Return the half windows, in frames, at the present frame rate."""
        return half_frames(self.fps, MOST_HALF)

    def score(self, centre: int, halves: tuple[int, ...]) -> None:
        """Compute the straightness about frame `centre`; call for every frame in turn."""
        i, best = centre - self.start, (0.0, 0)
        for half in halves:
            a, b = i - half, i + half
            if a < 0 or b >= len(self._frames):
                break
            path = self._path[b] - self._path[a]
            if path < 5.0:
                continue
            net = tiny_distance(self._frames[a], self._frames[b])
            value = straightness(net, path, max(self._tiny_gaps[a + 1 : b + 1]))
            if value > best[0]:
                best = (value, half)
        while len(self._scores) <= i:
            self._scores.append((0.0, 0))
        self._scores[i] = best

    def transition_candidate(self, centre: int, least: float) -> int | None:
        """Return the half window about `centre` where straightness has its peak there, else None."""
        i = centre - self.start
        value, half = self._scores[i] if i < len(self._scores) else (0.0, 0)
        if value < least:
            return None
        left = [s[0] for s in self._scores[max(0, i - half) : i]]
        right = [s[0] for s in self._scores[i + 1 : i + half + 1]]
        return half if value > max(left, default=0.0) and value >= max(right, default=0.0) else None
