"""Canaries are what they say, and are judged as a person would."""

from __future__ import annotations

import hashlib
from collections import Counter

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caption.canaries import COLORS, Canary, judge, make
from caption.checks import Checker, CheckOptions
from shards.ids import clip_id


def canary(color: str, count: int) -> Canary:
    return Canary("canary-0-0", (), 5.0, color, count, "circle")


# -- what is drawn ----------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bytes() -> None:
    one, other = make(3, 8), make(3, 8)
    assert one == other
    assert make(3, 20)[:8] == one
    assert make(4, 8) != one
    with pytest.raises(ValueError, match="-1 canaries"):
        make(0, -1)
    assert make(0, 0) == []


def test_every_colour_and_count_comes_once_a_round() -> None:
    kinds = Counter((item.color, item.count) for item in make(0, 40))
    assert len(kinds) == len(COLORS) * 4
    assert set(kinds.values()) == {2}
    assert {item.shape for item in make(0, 40)} == {"circle", "square", "triangle"}


def test_ids_are_unlike_each_other_and_no_clips() -> None:
    made = make(0, 30)
    assert len({item.id for item in made}) == 30
    assert all(item.id.startswith("canary-") and not set("./") & set(item.id) for item in made)
    assert not clip_id("0" * 32, 0, 0, 1).startswith("canary-")


@pytest.mark.parametrize("seed", range(3))
def test_pictures_show_that_many_shapes_of_that_colour(seed: int) -> None:
    for item in make(seed, 20):
        assert [picture.time_s for picture in item.pictures] == sorted(
            {picture.time_s for picture in item.pictures}
        )
        assert item.pictures[-1].time_s < item.duration_s
        assert len({hashlib.sha256(picture.jpeg).digest() for picture in item.pictures}) > 1  # it moves
        for picture in item.pictures:
            pixels = cv2.imdecode(np.frombuffer(picture.jpeg, np.uint8), cv2.IMREAD_COLOR_RGB)
            colored = np.abs(pixels.astype(int) - 128).max(axis=2) > 60
            number, _, stats, _ = cv2.connectedComponentsWithStats(colored.astype(np.uint8))
            areas = stats[1:number, cv2.CC_STAT_AREA]
            assert (areas > 1000).sum() == item.count
            mean = pixels[colored].mean(axis=0)
            assert np.abs(mean - COLORS[item.color][0]).max() < 15
            edge = np.concatenate([colored[[0, -1]].ravel(), colored[:, [0, -1]].ravel()])
            assert not edge.any()  # whole within the picture


# -- how answers are judged -------------------------------------------------------------------------------

RIGHT = [
    ("red", 3, "Three red circles drift slowly across a gray background."),
    ("red", 3, "3 bright red dots on gray."),
    ("red", 3, "A trio of red balls moves to the right."),
    ("red", 3, "THREE RED CIRCLES."),
    ("red", 3, "Red circles: three. The ground is gray."),
    ("red", 3, "One of the three red circles moves faster than the others."),
    ("blue", 1, "A blue square moves across a gray background for 4 seconds."),
    ("blue", 1, "A single, deep blue disc glides left."),
    ("blue", 1, "The blue triangle drifts upward. No other objects are visible."),
    ("blue", 1, "One blue shape on a plain background."),
    ("green", 2, "A pair of green triangles drift apart."),
    ("green", 2, "Two small, dark green squares are seen; both squares move down."),
    ("green", 2, "Against gray, 2 green boxes slide."),
    ("yellow", 4, "Four yellow triangles float, lasting 3 seconds."),
    ("yellow", 4, "In a uniform gray space, four large yellow shapes shift position."),
    ("white", 4, "Four white objects. They move in different directions."),
]
WRONG = [
    ("red", 3, "Two red circles drift across a gray background."),
    ("red", 3, "Three blue circles drift across a gray background."),
    ("red", 3, "Red circles drift across a gray background."),
    ("red", 3, "Three circles drift across a gray background."),
    ("red", 3, "A red circle drifts for three seconds."),
    ("red", 3, "Three red and blue circles."),
    ("red", 3, "One, two, three or four circles, red, green, blue or yellow."),
    ("red", 3, "Several red circles drift."),
    ("red", 3, "A group of red circles drifts."),
    ("blue", 1, "Five blue squares."),
    ("blue", 1, "Blue squares move."),
    ("blue", 1, "A woman in a blue dress walks along a beach."),
    ("green", 2, "The picture is gray."),
    ("green", 2, ""),
    ("green", 2, "I'm sorry, I can't see any pictures."),
    ("yellow", 4, "A yellow car passes four people."),
    ("white", 1, "A white ball and a red ball."),
]


@pytest.mark.parametrize(("color", "count", "text"), RIGHT)
def test_right(color: str, count: int, text: str) -> None:
    assert judge(canary(color, count), text)


@pytest.mark.parametrize(("color", "count", "text"), WRONG)
def test_wrong(color: str, count: int, text: str) -> None:
    assert not judge(canary(color, count), text)


WORDS = ("", "one", "two", "three", "four")


@given(
    st.sampled_from(sorted(COLORS)), st.integers(1, 4), st.sampled_from(sorted(COLORS)), st.integers(1, 4),
    st.sampled_from(["circle", "square", "triangle"]), st.booleans(),
)  # fmt: skip
def test_an_answer_is_right_for_its_own_canary_alone(
    color: str, count: int, other_color: str, other_count: int, shape: str, numeral: bool
) -> None:
    number = str(count) if numeral else WORDS[count]
    text = f"{number} {color} {shape}{'s' if count > 1 else ''} drift on gray.".capitalize()
    same = (color, count) == (other_color, other_count)
    assert judge(canary(other_color, other_count), text) is same


def test_a_right_answer_passes_the_checks() -> None:
    pytest.importorskip("py3langid")
    checker = Checker(CheckOptions(language=None))
    for _, _, text in RIGHT:
        assert checker.check(text, "ok").problems == (), text
