"""Clips whose answers are known, to be asked about among the real ones: does the model see at all?

A canary is one to four shapes of one of five colours that drift over a gray ground. A captioner that gets no
pictures, or another clip's, or has gone blind, does not name colour and number; one that sees does, whatever
else it says. Pictures are drawn in whole pixels from the seed, and come out as the same bytes with the same
OpenCV.

Cost: 1 ms a picture.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import cv2
import numpy as np
import numpy.typing as npt

from caption.engine import Picture

__all__ = ["COLORS", "Canary", "Shape", "judge", "make"]

Shape = Literal["circle", "square", "triangle"]

# RGB, and what else people call it. None is said of two.
COLORS: Final = {
    "red": ((220, 30, 30), ("red", "crimson", "scarlet", "reddish")),
    "green": ((20, 160, 50), ("green", "greenish", "emerald")),
    "blue": ((30, 60, 220), ("blue", "bluish", "cobalt")),
    "yellow": ((245, 220, 30), ("yellow", "yellowish")),
    "white": ((250, 250, 250), ("white", "whitish")),
}
_SHAPES: Final[tuple[Shape, ...]] = ("circle", "square", "triangle")
_NUMBERS: Final = {
    1: ("one", "single", "lone", "solitary", "1"),
    2: ("two", "pair", "couple", "both", "duo", "2"),
    3: ("three", "trio", "3"),
    4: ("four", "quartet", "4"),
}
# More than there ever are, so that a wrong number is seen for one.
_MORE: Final = (
    "five", "six", "seven", "eight", "nine", "ten", "several", "many", "dozen", "numerous", "multiple",
    "5", "6", "7", "8", "9", "10",
)  # fmt: skip
_ONE_NAME: Final = (
    r"(?:circle|dot|disc|disk|ball|sphere|orb|spot|square|rectangle|box|cube|block|tile|triangle|pyramid|cone"
    r"|arrowhead|shape|object|figure)"
)
_NAME: Final = rf"(?:{_ONE_NAME}s|boxes|things|elements|forms|items|{_ONE_NAME})"
# What may stand between a number and the name that it is of: adjectives, so none of these.
_NO_ADJECTIVE: Final = "|".join(
    [*(name for names in _NUMBERS.values() for name in names), *_MORE, "the", "an?", "and", "with", "in",
     "on", "at", "for", "over", "across", "as", "while", "to", "from", "into", "is", "are", "by", "of",
     "that", "seconds?", "frames?", "times?"]
)  # fmt: skip
_BETWEEN: Final = rf"(?: of)?(?: (?!(?:{_NO_ADJECTIVE})\b)[a-z]+){{0,4}}? {_NAME}\b"
_WIDTH_PX: Final = 512
_HEIGHT_PX: Final = 288
_RADIUS_PX: Final = 34
_GROUND: Final = (128, 128, 128)
_QUALITY: Final = 92
_SECONDS: Final = (0.5, 2.5, 4.5)
_CELLS: Final = ((0.25, 0.3), (0.75, 0.3), (0.25, 0.7), (0.75, 0.7))


@dataclass(frozen=True, slots=True)
class Canary:
    """A clip, and what is to be said of it."""

    id: str
    """in place of a clip's; no clip's id begins like it"""
    pictures: tuple[Picture, ...]
    duration_s: float
    color: str
    count: int
    shape: Shape


def make(seed: int, number: int) -> list[Canary]:
    """Return `number` canaries, the same ones for the same seed; colours and counts go round.

    Raises ValueError for a negative number.
    """
    if number < 0:
        raise ValueError(f"{number} canaries cannot be made")
    rng = random.Random(f"canaries {seed}")
    kinds: list[tuple[str, int]] = []
    while len(kinds) < number:
        every = [(color, count) for color in COLORS for count in _NUMBERS]
        rng.shuffle(every)
        kinds += every
    made = []
    for index, (color, count) in enumerate(kinds[:number]):
        shape = _SHAPES[rng.randrange(len(_SHAPES))]
        pictures = tuple(_pictures(rng, color, count, shape))
        made.append(Canary(f"canary-{seed}-{index}", pictures, _SECONDS[-1] + 0.5, color, count, shape))
    return made


def judge(canary: Canary, text: str) -> bool:
    """Return whether an answer names colour and number of the shapes, and no other number or colour of them.

    The number is a word or a numeral before a name of the shapes ("three red circles", "a pair of dots"), or
    after it ("circles: 3"); "a red circle" is one. The shape itself may be called anything. An answer that
    also gives another number or colour is wrong: who guesses names them all.
    """
    words = re.sub(r"[^a-z0-9 ]", " ", text.casefold()).split()
    return _colors(words) == {canary.color} and _numbers(" ".join(words)) == {canary.count}


def _colors(words: Sequence[str]) -> set[str]:
    return {color for color, (_, names) in COLORS.items() if any(name in words for name in names)}


def _numbers(text: str) -> set[int]:
    """Return the numbers that are said of shapes; 0 stands for one that no canary has."""
    found = set()
    for number, names in _NUMBERS.items():
        said = rf"\b(?:{'|'.join(names)})\b"
        if re.search(said + _BETWEEN, text) or re.search(rf"\b{_NAME} {said}", text):
            found.add(number)
    if re.search(rf"\b(?:{'|'.join(_MORE)})\b{_BETWEEN}", text):
        found.add(0)
    if not found and re.search(rf"\b(?:an?|the)(?: [a-z]+){{0,4}}? {_ONE_NAME}\b", text):
        found.add(1)
    return found


def _pictures(rng: random.Random, color: str, count: int, shape: Shape) -> list[Picture]:
    """Return JPEGs of the shapes as they drift, apart from each other."""
    cells = rng.sample(_CELLS, count)
    steps = [(rng.choice((-1, 1)) * rng.randrange(6, 19), rng.randrange(-8, 9)) for _ in cells]
    pictures = []
    for number, time_s in enumerate(_SECONDS):
        canvas_HWC = np.full((_HEIGHT_PX, _WIDTH_PX, 3), _GROUND, np.uint8)
        for (x, y), (dx, dy) in zip(cells, steps, strict=True):
            center = (round(x * _WIDTH_PX) + number * dx, round(y * _HEIGHT_PX) + number * dy)
            _draw(canvas_HWC, shape, center, COLORS[color][0])
        pictures.append(Picture(time_s, _encoded(canvas_HWC)))
    return pictures


def _draw(
    canvas_HWC: npt.NDArray[np.uint8], shape: Shape, center: tuple[int, int], rgb: tuple[int, ...]
) -> None:
    (x, y), r = center, _RADIUS_PX
    if shape == "circle":
        cv2.circle(canvas_HWC, center, r, rgb, cv2.FILLED)
    elif shape == "square":
        cv2.rectangle(canvas_HWC, (x - r, y - r), (x + r, y + r), rgb, cv2.FILLED)
    else:
        corners = np.array([[x, y - r], [x - r, y + r], [x + r, y + r]], np.int32)
        cv2.fillPoly(canvas_HWC, [corners], rgb)


def _encoded(canvas_HWC: npt.NDArray[np.uint8]) -> bytes:
    done, jpeg = cv2.imencode(
        ".jpg", cv2.cvtColor(canvas_HWC, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    )
    if not done:
        raise RuntimeError("OpenCV writes no JPEG")
    return bytes(jpeg)
