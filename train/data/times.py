"""Which frames a view shows: by time stamps, never by counting.

A stride of whole frames turns 30 frames a second into 10 that are labelled 8. Here a frame is shown from its
own time until that of the next one, at any rate, even or not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

from shards.errors import SourceError
from train.plan import View

__all__ = ["CLOCK_S", "asked_times", "shown"]

CLOCK_S: Final = 6e-4
"""how far a time stamp may be off: containers round to a millisecond; NTSC's frame 30 is at 1.001 s"""
T = TypeVar("T")


def asked_times(view: View) -> list[float]:
    """Return when the view looks, in seconds from the clip's first frame, rising."""
    return [view.start_s + number / view.fps for number in range(view.frames)]


def shown(frames: Iterable[tuple[float, float, T]], asked_s: list[float]) -> Iterator[tuple[int, T]]:
    """Yield (how many of the asked times it is shown at, frame) of the frames that are shown at any.

    `frames`: (time, seconds that it is shown, frame) in order. Of the seconds only the last frame's count;
    where they are 0 it is shown as long as the one before. No more frames are taken than are needed.
    Raises SourceError where the frames end before the last asked time, or begin after the first.
    """
    at, before_s = 0, 0.0
    held: tuple[float, float, T] | None = None
    for time_s, lasts_s, frame in frames:
        if held is None:
            if time_s > asked_s[0] + CLOCK_S:
                raise SourceError(f"it begins at {time_s:.3f} s, and is looked at from {asked_s[0]:.3f} s on")
        else:
            count = _before(asked_s, at, time_s - CLOCK_S)
            if count:
                yield count, held[2]
                at += count
                if at == len(asked_s):
                    return
            before_s = time_s - held[0]
        held = (time_s, lasts_s, frame)
    if held is None:
        raise SourceError("no frame of it decodes")
    end_s = held[0] + (held[1] or before_s)
    left = asked_s[at:]
    # A single frame is shown at its own time, whatever is known of how long it lasts.
    if left[-1] > max(end_s - CLOCK_S, held[0] + CLOCK_S):
        raise SourceError(f"it ends at {end_s:.3f} s, and is looked at until {left[-1]:.3f} s")
    yield len(left), held[2]


def _before(asked_s: list[float], start: int, time_s: float) -> int:
    count = 0
    while start + count < len(asked_s) and asked_s[start + count] < time_s:
        count += 1
    return count
