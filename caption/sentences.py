"""From measurements to English: what the signals engine says of a clip, as pure functions.

Only what was measured is said, and what is missing is not mentioned. The words stand for ranges of the
numbers; the ranges are in the tables below. Nothing names what a picture shows: no measurement knows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from caption.colors import ColorShare

__all__ = ["Measured", "describe", "describe_short", "enumerate_words", "seconds"]


@dataclass(frozen=True, slots=True)
class Measured:
    """What is known of a clip; None where it was not, or could not be, measured."""

    still: bool
    """one frame: a photograph, not a clip"""
    duration_s: float
    width: int
    """of the display, px"""
    height: int
    motion_total: float | None
    """diagonals a second"""
    frozen_share: float | None
    black_share: float | None
    bars_share: float
    """share of the picture in black bars"""
    exposure: float | None
    """mean luma between the bars, 0 to 1"""
    contrast: float | None
    """standard deviation of luma, 0 to 0.5"""
    gray: bool
    """black and white"""
    colors: tuple[ColorShare, ...]
    """largest share first"""


# Up to (exclusive) the number: the words. Luma 0 to 1, gamma-coded; what lies between is not remarkable.
_LIGHT = ((0.1, "very dark"), (0.25, "dark"), (0.36, "dim"), (0.62, ""), (0.78, "bright"))
_LIGHTEST = "very bright"
_CONTRAST = ((0.07, "low-contrast"), (0.3, ""))
_STRONGEST_CONTRAST = "high-contrast"
# Diagonals a second. 0.003 is the noise of measuring a tripod shot; at 0.05 a panning camera shows a wholly
# new picture every 17 seconds, at 0.4 every 2.
_MOTION = (
    (0.003, "stays still"),
    (0.015, "barely moves"),
    (0.05, "moves slowly"),
    (0.15, "moves at a moderate pace"),
    (0.4, "moves fast"),
)
_FASTEST = "moves very fast"
_FORMAT = ((0.9, "vertical"), (1.1, "square"))
# Shares of the picture. The eye finds a colour where it overlooks as much gray.
_MOSTLY, _SOME, _SOME_COLOR, _FEW = 0.5, 0.15, 0.08, 3
_ALL, _PART = 0.95, 0.1
_BARS = 0.03


def describe(measured: Measured) -> str:
    """Return one to three sentences: light, colours, motion and length; then what is unusual."""
    sentences = [describe_short(measured)]
    if not _all(measured.black_share):
        if measured.bars_share >= _BARS:
            sentences.append("Black bars frame the picture.")
        if not measured.still:
            sentences += _for_a_part(measured.frozen_share, "Nothing changes")
            sentences += _for_a_part(measured.black_share, "The screen is black")
    return " ".join(sentences)


def describe_short(measured: Measured) -> str:
    """Return one sentence: light, colours, motion and length."""
    if _all(measured.black_share):
        if measured.still:
            return "This is a black picture."
        return f"The screen stays black for {seconds(measured.duration_s)}."
    # Every adjective begins with a consonant: the article is always "a".
    adjectives = ", ".join(_adjectives(measured))
    space = " " if adjectives else ""
    colors = _colors(measured)
    if measured.still:
        return f"This is a {adjectives}{space}still picture{colors}."
    comma = "," if colors.startswith(",") else ""
    return f"A {adjectives}{space}scene{colors}{comma} {_verb(measured)} {seconds(measured.duration_s)}."


def seconds(duration_s: float) -> str:
    """Return the duration in words: tenths below ten seconds."""
    number = f"{duration_s:.1f}".removesuffix(".0") if duration_s < 9.95 else f"{duration_s:.0f}"
    if number == "0":
        return "less than 0.1 seconds"
    return "1 second" if number == "1" else f"{number} seconds"


def enumerate_words(words: Sequence[str]) -> str:
    """Return "a", "a and b" or "a, b and c"."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def _adjectives(measured: Measured) -> list[str]:
    shape = _word(measured.width / measured.height, _FORMAT, "")
    light = "" if measured.exposure is None else _word(measured.exposure, _LIGHT, _LIGHTEST)
    contrast = "" if measured.contrast is None else _word(measured.contrast, _CONTRAST, _STRONGEST_CONTRAST)
    gray = "black-and-white" if measured.gray else ""
    return [word for word in (light, contrast, gray, shape) if word]


def _colors(measured: Measured) -> str:
    """Return what follows the noun, if anything: ", mostly green with some gray", " in green and white"."""
    if measured.gray or not measured.colors:
        return ""
    seen = [color for color in measured.colors if color.share >= (_SOME if color.neutral else _SOME_COLOR)]
    names = [color.name for color in seen[:_FEW]]
    if not names:
        return " in a mix of many colors"
    if seen[0].share < _MOSTLY:
        return f" in {enumerate_words(names)}" if len(names) > 1 else f" with some {names[0]}"
    others = f" with some {enumerate_words(names[1:])}" if len(names) > 1 else ""
    return f", mostly {names[0]}{others}"


def _verb(measured: Measured) -> str:
    if _all(measured.frozen_share):
        return "stays frozen for"
    if measured.motion_total is None:
        return "lasts"
    return f"{_word(measured.motion_total, _MOTION, _FASTEST)} for"


def _for_a_part(share: float | None, what: str) -> list[str]:
    """Return a sentence on what holds for a part of the time that is neither small nor the whole."""
    if share is None or share < _PART or _all(share):
        return []
    return [f"{what} for about {round(share * 10) * 10} percent of the time."]


def _all(share: float | None) -> bool:
    return share is not None and share >= _ALL


def _word(value: float, words: Sequence[tuple[float, str]], beyond: str) -> str:
    return next((word for limit, word in words if value < limit), beyond)
