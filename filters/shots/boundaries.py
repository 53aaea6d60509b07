"""What was found and may still change: neighbours that are one boundary become one.

Overlapping transitions are one; a fade-out and the fade-in that follows are one; a cut seen twice, because
the frame at it is a mixture, is one; of a cut in the middle of a transition and the transition, the surer
stays. What nothing still to come can change is released, in order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from curate.frames import Boundary, Transition

__all__ = ["Boundaries", "Found"]

_SAME_CUT_FRAMES = 2
_LEAST_FRAMES = 3
"""of a gradual transition"""


@dataclass(frozen=True, slots=True)
class Found:
    """An accepted boundary, how sure it is, and whether it comes from or goes to a blank picture."""

    end: int
    start: int
    kind: Transition
    probability: float
    blank_before: bool = False
    blank_after: bool = False


class Boundaries:
    """Boundaries in order of their place; none overlaps another."""

    def __init__(self) -> None:
        self._found: list[Found] = []
        self.settled = 0
        """no boundary that is still to come ends before this frame index"""

    def add(self, new: Found, blank_frames: int) -> None:
        """Fit `new` among what was found; a blank of up to `blank_frames` belongs to the fades beside it."""
        leader = new.blank_before and new.end <= blank_frames
        # What was released before its time cannot be merged with any more.
        new = replace(new, end=max(0 if leader else new.end, self.settled))
        if new.start < new.end + (0 if new.kind == "hard" else _LEAST_FRAMES):
            return
        others = list(self._found)
        place = 0
        while place < len(others):
            old = others[place]
            old_left, new_left = _settle(old, new, blank_frames)
            if new_left is None:
                # The new one lost, and changes nothing that came before.
                return
            if (old_left, new_left) == (old, new):
                place += 1
                continue
            # What has grown may meet those that it has passed.
            others[place : place + 1] = [] if old_left is None else [old_left]
            new, place = new_left, 0
        self._found = sorted([*others, new], key=lambda f: (f.end, f.start))

    def release(self, before: int, overdue: int, blank_frames: int) -> list[Boundary]:
        """Return what nothing that is still to come, from frame `before` on, can change.

        What ends before frame `overdue` is returned in any case, so that the delay is bounded.
        """
        out: list[Boundary] = []
        while self._found:
            first = self._found[0]
            room = blank_frames if first.blank_after else _SAME_CUT_FRAMES
            if first.start + room >= before and first.end >= overdue:
                break
            out.append(_boundary(self._found.pop(0)))
            self.settled = max(self.settled, first.start)
        limit = min(before, self._found[0].end) if self._found else before
        # The first fade-in may yet reach back to frame 0.
        self.settled = max(self.settled, limit if limit > 2 * blank_frames else 0, overdue)
        return out

    def finish(self, frames: int, blank_frames: int) -> list[Boundary]:
        """Return all that is left at the end of a source of so many frames."""
        out = [_boundary(found) for found in self._found]
        if self._found:
            last = self._found[-1]
            rest = blank_frames if last.blank_after else _SAME_CUT_FRAMES
            if last.kind != "hard" and frames - last.start <= rest:
                out[-1] = Boundary(out[-1].end_frame, frames, last.kind)
        self._found = []
        self.settled = frames
        return out


def _boundary(found: Found) -> Boundary:
    return Boundary(found.end, found.start, found.kind)


def _settle(old: Found, new: Found, blank_frames: int) -> tuple[Found | None, Found | None]:
    """Return what becomes of both; None for what is dropped."""
    surer = new if new.probability > old.probability else old
    stays = (None, new) if surer is new else (old, None)
    match old.kind == "hard", new.kind == "hard":
        case True, True:
            return stays if abs(new.end - old.end) <= _SAME_CUT_FRAMES else (old, new)
        case True, False:
            kept = _beside(new, old)
            return (old, kept) if kept is not None else stays
        case False, True:
            kept = _beside(old, new)
            return (kept, new) if kept is not None else stays
    first, second = (old, new) if old.end <= new.end else (new, old)
    joined = first.blank_after and second.blank_before and second.end - first.start <= blank_frames
    if not joined and second.end > first.start:
        return old, new
    return None, Found(
        first.end,
        max(first.start, second.start),
        "fade" if joined else surer.kind,
        surer.probability,
        first.blank_before,
        second.blank_after,
    )


def _beside(gradual: Found, cut: Found) -> Found | None:
    """Return the transition less its part beyond the cut, or None where the cut lies in its middle half."""
    quarter = (gradual.start - gradual.end) // 4
    if cut.end <= gradual.end + quarter:
        return replace(gradual, end=max(gradual.end, cut.end))
    if cut.end >= gradual.start - quarter:
        return replace(gradual, start=min(gradual.start, cut.end))
    return None
