"""What every generator of synthetic labels hands on: frames at an even rate, and what they are.

A take is held in memory, so that one rendering serves all the variants made of it: 4 s of 480x270 at 25 fps
are 39 MB. Generators never write into the frames that they were given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from curate.footage.canvas import Size, View
from curate.footage.textures import Color, Image

__all__ = [
    "NO",
    "Answer",
    "Answers",
    "Made",
    "Random",
    "Take",
    "answers",
    "color_of",
    "drawn",
    "ease",
    "floats",
    "mapped",
    "merged",
    "muted",
    "px",
    "tones",
]

Random: TypeAlias = np.random.Generator
Answer: TypeAlias = Literal["yes", "no", "unsure"]
Answers: TypeAlias = Mapping[str, Answer]
"""label to answer; what is not named is `no`"""
NO: Final[Answers] = {}


@dataclass(frozen=True, slots=True)
class Take:
    """Frames, RGB uint8 (H, W, 3), of one size."""

    frames: Sequence[Image]
    fps: Fraction
    views: Sequence[View] = ()
    """where the camera was at each frame; empty where that is not known"""

    @property
    def size(self) -> Size:
        """Return width and height in px."""
        height, width = self.frames[0].shape[:2]
        return width, height

    @property
    def duration_s(self) -> float:
        """Return how long it lasts."""
        return float(len(self.frames) / self.fps)

    def times(self) -> Iterator[tuple[int, float]]:
        """Yield each frame's index and time in s."""
        for index in range(len(self.frames)):
            yield index, float(index / self.fps)

    def of(self, frames: Sequence[Image]) -> Take:
        """Return other frames at this rate, the camera's way unknown."""
        return Take(frames, self.fps)


@dataclass(frozen=True, slots=True)
class Made:
    """A take, the generator that made it and the answers it deserves."""

    take: Take
    kind: str
    answers: Answers
    plain: Take | None = None
    """the same film without the edit, frame by frame, where it is an edit in the picture"""

    def with_take(self, take: Take) -> Made:
        """Return the same with other frames."""
        return replace(self, take=take, plain=None)


def mapped(take: Take, change: Callable[[Image, int, float], Image]) -> Take:
    """Return the take with each frame's copy changed by `change(frame, index, seconds)`."""
    made = [change(take.frames[index].copy(), index, time_s) for index, time_s in take.times()]
    return replace(take, frames=made)


def drawn(take: Take, draw: Callable[[int, float], Image]) -> Take:
    """Return a take of the same length made by `draw(index, seconds)`."""
    return take.of([draw(index, time_s) for index, time_s in take.times()])


def answers(**named: Answer) -> Answers:
    """Return answers by label; labels that are left out are `no`."""
    return named


def merged(one: Answers, two: Answers) -> Answers:
    """Return the answers for a clip that has the cues of both: yes wins, then unsure."""
    rank = {"no": 0, "unsure": 1, "yes": 2}
    found: dict[str, Answer] = dict(one)
    for label, answer in two.items():
        if rank[answer] >= rank[found.get(label, "no")]:
            found[label] = answer
    return found


def ease(part: float) -> float:
    """Return a smooth step from 0 at `part` 0 to 1 at 1."""
    part = min(1.0, max(0.0, part))
    return part * part * (3 - 2 * part)


def floats(values: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Return `values` as 32-bit floats."""
    return np.asarray(values, np.float32)


def px(values: npt.ArrayLike) -> npt.NDArray[np.int32]:
    """Return `values` as whole pixels, cut off towards zero."""
    return np.asarray(values, np.float64).astype(np.int32)


def tones(color: npt.ArrayLike) -> Image:
    """Return a colour (0 to 1) in 8-bit steps, as an array."""
    return np.clip(np.asarray(color, np.float64) * 255, 0, 255).astype(np.uint8)


def muted(rng: Random, low: float, high: float) -> Color:
    """Return a colour as painted walls, wood and clothes have it: mostly near grey, now and then strong."""
    gray = rng.uniform(low, high)
    return color_of(np.clip(gray + rng.normal(0, 0.3 if rng.random() < 0.2 else 0.08, 3), 0.02, 1.0))


def color_of(values: npt.NDArray[Any]) -> Color:
    """Return an array (3,) as a colour."""
    red, green, blue = (float(v) for v in values)
    return red, green, blue
