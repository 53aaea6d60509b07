"""Keys of steps and of their mirrored pictures, and the first look at pairs."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from filters.crops import crop_matrix
from filters.crowds import NO_MORE
from filters.glance import promising
from filters.step_keys import CROPS, step_keys
from filters.trace import pack
from filters.traces import Traces
from filters.waves import HALVES, NO_KEY, window_keys

ASKED = {"min_agreement": 0.87, "min_crop_agreement": 0.65, "min_overlap": 0.5}


def moving(seed: int, steps: int) -> np.ndarray:
    """Return blocks (steps, 8, 8) of a smooth picture that turns into others."""
    draw = np.random.default_rng(seed)
    waves = np.cos(np.pi * np.outer(np.arange(4), np.arange(8) + 0.5) / 8)
    shown = waves.T @ draw.normal(0, 8, (steps // 8 + 2, 4, 4)) @ waves
    at = np.arange(steps) / 8
    share = (at % 1)[:, None, None]
    still = waves.T @ draw.normal(0, 20, (4, 4)) @ waves + draw.normal(0, 5, (8, 8))
    moved = shown[at.astype(int)] * (1 - share) + shown[at.astype(int) + 1] * share
    return np.clip(128 + still + moved, 0, 255)


def traces(shown: list[np.ndarray]) -> Traces:
    packed = [
        pack(
            blocks.reshape(-1, 64), np.rint(np.kron(blocks.mean(0), np.ones((4, 4)))).astype(np.uint8).ravel()
        )
        for blocks in shown
    ]
    return Traces(pa.chunked_array([pa.array(packed, pa.binary())]), np.arange(len(packed)))


def seen(laid: Traces, clip: int) -> np.ndarray:
    steps = np.arange(laid.steps[clip])
    return np.rint(laid.pictures(np.full(len(steps), clip), steps)).clip(0, 255).astype(np.uint8)


def test_keys_are_those_of_each_picture() -> None:
    laid = traces([moving(1, 30), moving(2, 47)])
    keys = step_keys(laid)
    every = np.concatenate([seen(laid, clip) for clip in (0, 1)])
    for window in HALVES:
        assert (keys.keys[window] == window_keys(every, window, bits=28)).all()
    assert keys.clip.tolist() == [0] * 30 + [1] * 47
    assert keys.step.tolist() == [*range(30), *range(47)]
    assert keys.looked_up.tolist() == [*range(0, 30, 4), *range(30, 77, 4)]
    for number, crop in enumerate(CROPS):
        window = np.rint(every[keys.looked_up] @ crop_matrix(crop, False, 8).T / 1024).astype(np.uint8)
        differ = keys.crop_keys[number] ^ window_keys(window, 6, bits=keys.whole_bits)
        # A wave near zero may fall to either side.
        assert np.bitwise_count(differ).mean() < 1.5
    assert (keys.more[:, 26:30] == NO_MORE).all()


@pytest.mark.parametrize("window", HALVES)
def test_the_mirrored_clip_is_looked_up_by_its_own_keys(window: int) -> None:
    of = moving(3, 40)
    keys, flipped = step_keys(traces([of])), step_keys(traces([of[:, :, ::-1]]))
    asked, own = keys.query(window, mirrored=True), flipped.query(window, mirrored=False)
    assert (asked.keys == own.keys).all()
    assert (asked.more == own.more).all()
    assert (asked.keys != NO_KEY).all()
    crops = [(left, top) for left in range(3) for top in range(3)]
    for number, (left, top) in enumerate(crops):
        # What is cut off the left side of a picture is cut off the right of the mirrored one.
        other = crops.index((2 - left, top))
        asked, own = keys.crop_query(number, mirrored=True), flipped.crop_query(other, mirrored=False)
        assert np.bitwise_count(asked.keys ^ own.keys).mean() < 1


def test_copies_are_promising_and_other_moments_mostly_not() -> None:
    shown = [moving(seed, 40 + seed) for seed in range(12)]
    copies = [blocks[9:] * 0.9 + 9 for blocks in shown]
    laid = traces([*shown, *copies, *(blocks[:, :, ::-1] for blocks in copies)])
    pairs = np.array([[a, b] for a in range(12) for b in range(12, 36)])
    for flipped in (False, True):
        found = promising(laid, pairs, flipped, **ASKED)
        true = pairs[:, 1] - pairs[:, 0] == (24 if flipped else 12)
        assert found[true].all()
        assert found[~true].mean() < 0.3
        again = promising(laid, pairs[::-1], flipped, **ASKED)
        assert (again[::-1] == found).all()
    assert not len(promising(laid, pairs[:0], False, **ASKED))
