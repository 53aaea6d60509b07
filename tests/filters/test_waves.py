from __future__ import annotations

import numpy as np

from filters.waves import (
    HALVES,
    KEY_BITS,
    NO_KEY,
    WINDOWS,
    basis,
    mirrored_mask,
    mirrored_window,
    packed_signs,
    window_keys,
)


def pictures(count: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.integers(20, 236, (count, 64), np.uint8)


def test_the_lowest_bit_is_the_first_wave() -> None:
    waves = np.array([[[3.0, -1, 2], [0, 5, -7]]], np.float32)
    assert packed_signs(waves, 3).tolist() == [[0b101, 0b010]]
    assert packed_signs(waves, 2).tolist() == [[0b01, 0b10]]


def test_waves_lie_in_their_window_and_know_no_brightness() -> None:
    for window, (top, bottom, left, right) in enumerate(WINDOWS):
        shown = basis(window, 28 if window in HALVES else KEY_BITS).T.reshape(-1, 8, 8)
        assert not np.delete(shown, np.s_[top:bottom], 1).any()
        assert not np.delete(shown, np.s_[left:right], 2).any()
        assert np.abs(shown.sum((1, 2))).max() <= 8
        assert len(np.unique(shown, axis=0)) == len(shown)


def test_keys_of_the_mirrored_picture() -> None:
    blocks = pictures(50)
    flipped = np.ascontiguousarray(blocks.reshape(-1, 8, 8)[:, :, ::-1]).reshape(-1, 64)
    for window in range(len(WINDOWS)):
        keys = window_keys(flipped, window)
        assert (keys == window_keys(blocks, window, mirrored=True)).all()
        assert (keys == window_keys(blocks, mirrored_window(window)) ^ mirrored_mask(window, KEY_BITS)).all()
        assert (keys != window_keys(blocks, window)).all()


def test_a_logo_leaves_the_keys_of_the_other_half() -> None:
    blocks = pictures(50)
    marked = blocks.reshape(-1, 8, 8).copy()
    marked[:, :2, 6:] = 250
    same = [window_keys(blocks, n) == window_keys(marked.reshape(-1, 64), n) for n in HALVES]
    assert same[0].all()  # left
    assert same[3].all()  # bottom
    assert same[1].mean() < 0.5  # right


def test_a_plain_window_has_no_key() -> None:
    blocks = pictures(1)
    blocks.reshape(8, 8)[:4] = 90
    assert window_keys(blocks, 2).tolist() == [NO_KEY]
    assert window_keys(blocks, 3)[0] < 2**KEY_BITS
