"""The camera's path on pictures that were moved by known amounts, with things before them."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pytest

from curate.frames import Plane
from filters.camera import Similarity, speed
from filters.camera_path import follow_camera

WIDTH, HEIGHT = 160, 90
REST = Similarity(0.0, 0.0, 0.0, 0.0)
MOVES = [
    Similarity(0.02, -0.01, 0.0, 0.0),
    Similarity(0.0, 0.0, 0.03, 0.0),
    Similarity(0.0, 0.0, 0.0, -0.03),
    Similarity(-0.008, 0.004, -0.02, 0.02),
]


def picture(seed: int) -> Plane:
    """A texture with detail at several scales, larger than the frame."""
    rng = np.random.default_rng(seed)
    mixed = np.full((240, 360), 128.0)
    for n in (4, 10, 25):
        mixed += 30 * cv2.resize(rng.normal(0, 1, (4 * n, 6 * n)), (360, 240), interpolation=cv2.INTER_CUBIC)
    plane: Plane = np.clip(mixed, 0, 255).astype(np.uint8)
    return plane


def moved(seed: int, move: Similarity, steps: int) -> list[Plane]:
    """The texture under a camera that does `move` from each frame to the next."""
    source = picture(seed)
    place = np.array([[1, 0, (WIDTH - 360) / 2], [0, 1, (HEIGHT - 240) / 2], [0, 0, 1]])
    once = np.vstack([move.matrix(WIDTH, HEIGHT), [0, 0, 1]])
    planes = []
    for _ in range(steps + 1):
        planes.append(cv2.warpAffine(source, place[:2], (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR))
        place = once @ place
    return planes


def far(found: Similarity, truth: Similarity) -> float:
    """How far the one takes the picture's points from where the other takes them, in diagonals."""
    apart = [getattr(found, name) - getattr(truth, name) for name in ("x", "y", "zoom", "roll")]
    return float(speed(np.array(apart)[:, None])[0])


def follow(planes: Sequence[Plane], guesses: Sequence[Similarity]) -> list[Similarity]:
    return follow_camera(planes, guesses, [0.25] * len(guesses))


@pytest.mark.parametrize("move", MOVES)
def test_a_move_is_found_from_a_guess_near_it(move: Similarity) -> None:
    near = Similarity(move.x * 1.15, move.y * 1.15, move.zoom * 0.8, move.roll * 0.8)
    for found in follow(moved(1, move, 4), [near] * 4):
        assert far(found, move) < 1e-3
        assert found.support > 0.5


@pytest.mark.parametrize("move", [REST, Similarity(0.003, 0.001, 0.0, 0.0)])
def test_the_camera_is_found_behind_what_fills_most_of_the_picture(move: Similarity) -> None:
    """Three fifths of the picture go elsewhere, together: no share of the flow would tell."""
    planes, things = moved(2, move, 6), moved(3, Similarity(0.025, 0.0, 0.0, 0.04), 6)
    for plane, thing in zip(planes, things, strict=True):
        plane[:, 64:] = thing[:, 64:]
    for found in follow(planes, [REST] * 6):
        assert far(found, move) < 1.5e-3


def test_a_step_that_found_it_hands_it_on() -> None:
    """One guess of eight is right; rest and the other guesses are too far off for the pixels to lead on."""
    move = Similarity(0.06, 0.0, 0.0, 0.0)
    astray = Similarity(0.0, 0.06, 0.0, 0.0)
    found = follow(moved(4, move, 8), [astray] * 3 + [move] + [astray] * 4)
    assert max(far(one, move) for one in found) < 1e-3


def test_without_a_right_guess_there_is_no_support() -> None:
    move = Similarity(0.06, 0.0, 0.0, 0.0)
    found = follow(moved(4, move, 8), [Similarity(0.0, 0.06, 0.0, 0.0)] * 8)
    assert max(one.support for one in found) < 0.4


def test_a_blank_picture_stays_where_it_is() -> None:
    blank = np.full((HEIGHT, WIDTH), 90, np.uint8)
    assert follow([blank] * 3, [REST] * 2) == [Similarity(0.0, 0.0, 0.0, 0.0, 0.0)] * 2


def test_noise_has_little_support() -> None:
    rng = np.random.default_rng(5)
    planes = [rng.integers(0, 256, (HEIGHT, WIDTH), np.uint8) for _ in range(5)]
    assert max(one.support for one in follow(planes, [REST] * 4)) < 0.1


def test_long_clips_are_followed_in_stretches() -> None:
    move = Similarity(0.002, 0.0, 0.0, 0.0)
    planes = moved(6, move, 20) + moved(6, move, 20)
    found = follow(planes, [move] * 41)
    assert len(found) == 41
    assert max(far(one, move) for one in found[:20] + found[21:]) < 1e-3


def test_a_turned_picture_has_a_turned_path() -> None:
    planes = moved(7, MOVES[0], 3)
    plain = follow(planes, [MOVES[0]] * 3)
    turned = follow([np.ascontiguousarray(plane.T) for plane in planes], [Similarity(-0.01, 0.02, 0, 0)] * 3)
    for one, other in zip(plain, turned, strict=True):
        assert (other.x, other.y) == pytest.approx((one.y, one.x), abs=3e-4)
