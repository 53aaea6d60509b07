"""Films that stand still to the eye, whatever was drawn in them."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
import pytest

from curate.footage.camera import Camera
from filters.labels.synthesis.base import Format, live
from filters.labels.synthesis.noticed import doubted, moving_share
from filters.labels.synthesis.quality import grain
from filters.labels.synthesis.takes import Made, Take, answers

FORM = Format((192, 108), Fraction(12), 36)


@pytest.fixture(scope="module")
def walk() -> Take:
    rng = np.random.default_rng(5)
    return live(rng, FORM, scenes=("street",), camera=Camera("pan", 0.05), lights=("noon",))


def _spot(take: Take, share: float) -> Take:
    """Return a still of a take in which a bright square of a share of the picture wanders."""
    frames = []
    for index in range(len(take.frames)):
        frame = take.frames[0].copy()
        side = round((share * frame.shape[0] * frame.shape[1]) ** 0.5)
        x = 10 + index * 3
        cv2.rectangle(frame, (x, 30), (x + side, 30 + side), (255, 255, 255), -1)
        frames.append(frame)
    return take.of(frames)


def test_what_moves_is_seen_and_what_stands_is_not(walk: Take) -> None:
    assert moving_share(walk) == 1
    assert moving_share(walk.of([walk.frames[0]] * 36)) == 0
    assert moving_share(walk.of([walk.frames[0]])) == 0


def test_half_of_it_standing_is_half(walk: Take) -> None:
    half = walk.of([*walk.frames[:16], *[walk.frames[16]] * 20])
    assert moving_share(half) == 0.5


def test_grain_alone_is_no_motion(walk: Take) -> None:
    still = cv2.resize(walk.frames[0], (480, 270), interpolation=cv2.INTER_CUBIC)
    assert moving_share(grain(walk.of([still] * 36), np.random.default_rng(6))) == 0


def test_a_spot_is_a_spot_until_it_grows(walk: Take) -> None:
    assert moving_share(_spot(walk, 0.002)) == 0
    assert moving_share(_spot(walk, 0.1)) == 1


def test_a_film_that_stands_is_no_sure_no(walk: Take) -> None:
    still = walk.of([walk.frames[0]] * 36)
    assert doubted(Made(still, "clean", answers(text="yes"))).answers == {"text": "yes", "static": "unsure"}
    assert doubted(Made(still, "static_held", answers(static="yes"))).answers == {"static": "yes"}
    assert doubted(Made(walk, "clean", answers())).answers == {}


def test_in_the_dark_nobody_sees_who_moves(walk: Take) -> None:
    black = walk.of([frame // 40 for frame in walk.frames])
    assert doubted(Made(black, "clean+dark", answers())).answers == {"static": "unsure"}
