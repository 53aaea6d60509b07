"""What the signals engine says: golden sentences, and grammar for any measurement."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caption.colors import NAMES, ColorShare
from caption.sentences import Measured, describe, describe_short, enumerate_words, seconds

PLAIN = Measured(
    still=False,
    duration_s=6.2,
    width=1280,
    height=720,
    motion_total=0.03,
    frozen_share=0.0,
    black_share=0.0,
    bars_share=0.0,
    exposure=0.5,
    contrast=0.2,
    gray=False,
    colors=(ColorShare("green", 0.6), ColorShare("brown", 0.25), ColorShare("gray", 0.1)),
)
THREE = (ColorShare("blue", 0.4), ColorShare("beige", 0.3), ColorShare("white", 0.2), ColorShare("red", 0.09))

GOLDEN = [
    (PLAIN, "A scene, mostly green with some brown, moves slowly for 6.2 seconds."),
    (
        replace(PLAIN, exposure=0.2, colors=THREE, motion_total=0.001, duration_s=12.04),
        "A dark scene in blue, beige and white stays still for 12 seconds.",
    ),
    (
        replace(PLAIN, exposure=0.7, contrast=0.31, width=720, height=1280, motion_total=0.5, duration_s=1.0),
        "A bright, high-contrast, vertical scene, mostly green with some brown, moves very fast "
        "for 1 second.",
    ),
    (
        replace(PLAIN, gray=True, bars_share=0.25, motion_total=0.1),
        "A black-and-white scene moves at a moderate pace for 6.2 seconds. Black bars frame the picture.",
    ),
    (
        replace(PLAIN, motion_total=None, exposure=None, contrast=None, colors=()),
        "A scene lasts 6.2 seconds.",
    ),
    (
        replace(PLAIN, frozen_share=0.42, black_share=0.2, colors=(ColorShare("red", 0.3),)),
        "A scene with some red moves slowly for 6.2 seconds. Nothing changes for about 40 percent of the "
        "time. The screen is black for about 20 percent of the time.",
    ),
    (
        replace(PLAIN, frozen_share=1.0, motion_total=0.0),
        "A scene, mostly green with some brown, stays frozen for 6.2 seconds.",
    ),
    (
        replace(PLAIN, black_share=1.0, exposure=0.01, bars_share=0.3),
        "The screen stays black for 6.2 seconds.",
    ),
    (
        replace(PLAIN, colors=tuple(ColorShare(name, 0.05) for name in ("red", "blue", "green"))),
        "A scene in a mix of many colors moves slowly for 6.2 seconds.",
    ),
    (
        replace(PLAIN, still=True, motion_total=None, frozen_share=None, exposure=0.9, width=500, height=500),
        "This is a very bright, square still picture, mostly green with some brown.",
    ),
    (
        replace(PLAIN, still=True, motion_total=None, exposure=None, contrast=None, colors=THREE),
        "This is a still picture in blue, beige and white.",
    ),
    (replace(PLAIN, still=True, black_share=1.0), "This is a black picture."),
]


@pytest.mark.parametrize(("measured", "text"), GOLDEN)
def test_golden(measured: Measured, text: str) -> None:
    assert describe(measured) == text


def test_short_is_the_first_sentence() -> None:
    measured = replace(PLAIN, bars_share=0.2, frozen_share=0.5)
    assert describe_short(measured) == describe(PLAIN)
    assert describe(measured).startswith(describe_short(measured))


@pytest.mark.parametrize(
    ("duration_s", "text"),
    [
        (0.0, "less than 0.1 seconds"),
        (0.06, "0.1 seconds"),
        (0.98, "1 second"),
        (1.04, "1 second"),
        (2.0, "2 seconds"),
        (9.94, "9.9 seconds"),
        (9.97, "10 seconds"),
        (10.4, "10 seconds"),
        (75.2, "75 seconds"),
    ],
)
def test_seconds(duration_s: float, text: str) -> None:
    assert seconds(duration_s) == text


def test_enumeration() -> None:
    assert enumerate_words(["a"]) == "a"
    assert enumerate_words(["a", "b"]) == "a and b"
    assert enumerate_words(["a", "b", "c"]) == "a, b and c"


shares = st.none() | st.floats(0, 1)
colors = st.lists(
    st.builds(ColorShare, st.sampled_from(NAMES), st.floats(0, 1)),
    max_size=6,
    unique_by=lambda color: color.name,
).map(lambda found: tuple(sorted(found, key=lambda color: -color.share)))
measurements = st.builds(
    Measured,
    still=st.booleans(),
    duration_s=st.floats(0, 7200),
    width=st.integers(1, 8192),
    height=st.integers(1, 8192),
    motion_total=st.none() | st.floats(0, 5),
    frozen_share=shares,
    black_share=shares,
    bars_share=st.floats(0, 1),
    exposure=shares,
    contrast=st.none() | st.floats(0, 0.5),
    gray=st.booleans(),
    colors=colors,
)


@given(measurements)
def test_grammar_holds_for_any_measurement(measured: Measured) -> None:
    text = describe(measured)
    assert re.fullmatch(r"[A-Z][^.]*(\.\d[^.]*)*\.( [A-Z][^.]*\.)*", text), text
    assert "  " not in text
    assert not re.search(r" [,.]|,,|\bNone\b|\bnan\b|\binf\b|[{}%]", text)
    assert not re.search(r"\b[Aa] [aeiou]", text)
    assert not re.search(r"(?<!\.)\b[01] seconds", text)
    assert not re.search(r"video|shows|image", text, re.IGNORECASE)
    assert len(text.split()) <= 100
    assert describe(measured) == text
