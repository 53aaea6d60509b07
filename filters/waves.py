"""Keys of small pictures: the signs of the lowest waves in a window of their 8 x 8 blocks.

A picture is seen through windows: overlapping halves, so that a logo in one corner leaves the keys of the
other half as they were, and the whole. A key is the signs of the lowest frequencies of a window's DCT. The
mirrored picture needs no products of its own: only what is odd from left to right changes its sign.

No training, no random numbers: waves are whole numbers, their products with bytes exact in float32, and the
keys the same on every machine.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = [
    "BLOCKS",
    "HALVES",
    "KEY_BITS",
    "NO_KEY",
    "WHOLE_WINDOW",
    "WINDOWS",
    "basis",
    "mirrored_mask",
    "mirrored_window",
    "packed_signs",
    "plain",
    "wave_numbers",
    "window_keys",
    "window_rows",
]

Bytes = npt.NDArray[np.uint8]
Levels = npt.NDArray[np.float32]
Keys = npt.NDArray[np.uint32]

BLOCKS: Final = 8
KEY_BITS: Final = 24
NO_KEY: Final = np.uint32(0xFFFFFFFF)
_AT_ONCE: Final = 1 << 19

WINDOWS: Final = (
    (0, 8, 0, 4),
    (0, 8, 4, 8),
    (0, 4, 0, 8),
    (4, 8, 0, 8),
    (2, 6, 0, 8),
    (0, 8, 2, 6),
    (0, 8, 0, 8),
)
"""first and last row, first and last column, in blocks; the last is the whole picture"""
WHOLE_WINDOW: Final = len(WINDOWS) - 1
HALVES: Final = range(WHOLE_WINDOW)
_LARGEST: Final = 126
"""of a wave: even, so that its half is whole and mirrored waves are rounded alike"""
_PLAIN: Final = 3
"""mean deviation of a window, in levels, below which its signs are noise"""


@cache
def wave_numbers(window: int, bits: int) -> tuple[tuple[int, int], ...]:
    """Return how often each of the lowest waves but the mean turns from top to bottom and left to right."""
    top, bottom, left, right = WINDOWS[window]
    rows, columns = bottom - top, right - left
    order = sorted(
        (u * u / rows**2 + v * v / columns**2, u, v) for u in range(rows) for v in range(columns) if u + v
    )
    return tuple((u, v) for _, u, v in order[:bits])


@cache
def basis(window: int, bits: int) -> Levels:
    """Return (64, bits) the lowest waves of a window of a picture: whole numbers up to 126, 0 outside it."""
    top, bottom, left, right = WINDOWS[window]
    rows, columns = bottom - top, right - left
    y, x = (np.arange(rows) + 0.5) / rows, (np.arange(columns) + 0.5) / columns
    shown = np.zeros((bits, BLOCKS, BLOCKS), np.float32)
    for wave, (u, v) in zip(shown, wave_numbers(window, bits), strict=False):
        wave[top:bottom, left:right] = np.rint(
            _LARGEST * np.outer(np.cos(np.pi * u * y), np.cos(np.pi * v * x))
        )
    return np.ascontiguousarray(shown.reshape(bits, -1).T)


@cache
def mirrored_mask(window: int, bits: int) -> int:
    """Return which bits of a window's key differ in the same window of the mirrored picture."""
    return sum(1 << bit for bit, (_, v) in enumerate(wave_numbers(window, bits)) if v % 2)


def mirrored_window(window: int) -> int:
    """Return which window of a picture is seen through that window of the mirrored one."""
    top, bottom, left, right = WINDOWS[window]
    return WINDOWS.index((top, bottom, BLOCKS - right, BLOCKS - left))


def packed_signs(waves_NKB: Levels, bits: int) -> Keys:
    """Return (N, K) numbers: their lowest bits, at most 32, say which of as many waves are above 0."""
    signs = np.zeros((*waves_NKB.shape[:2], 32), bool)
    np.greater(waves_NKB[..., :bits], 0, out=signs[..., :bits])
    packed: Keys = np.packbits(signs, axis=2, bitorder="little").view("<u4")[..., 0]
    return packed


def window_rows(blocks_N64: Bytes, window: int) -> Bytes:
    """Return the blocks (N, blocks) of a window of the pictures."""
    top, bottom, left, right = WINDOWS[window]
    return blocks_N64.reshape(-1, BLOCKS, BLOCKS)[:, top:bottom, left:right].reshape(len(blocks_N64), -1)


def plain(blocks_NB: Bytes) -> npt.NDArray[np.bool_]:
    """Return which pictures of at most 64 blocks lie within three levels of their mean, on average."""
    blocks = blocks_NB.shape[1]
    rest = blocks_NB.astype(np.int16)
    rest *= np.int16(blocks)
    rest -= blocks_NB.sum(1, keepdims=True, dtype=np.int16)
    near: npt.NDArray[np.bool_] = np.abs(rest).sum(1, dtype=np.int32) < _PLAIN * blocks**2
    return near


def window_keys(blocks_N64: Bytes, window: int, *, mirrored: bool = False, bits: int = KEY_BITS) -> Keys:
    """Return a key of so many bits, at most 31, of each picture's window; `NO_KEY` where it is plain."""
    seen = mirrored_window(window) if mirrored else window
    keys: Keys = np.empty(len(blocks_N64), np.uint32)
    for start in range(0, len(keys), _AT_ONCE):
        blocks = blocks_N64[start : start + _AT_ONCE]
        waves = blocks.astype(np.float32) @ basis(seen, bits)
        found = packed_signs(waves[:, None], bits)[:, 0]
        if mirrored:
            found ^= np.uint32(mirrored_mask(seen, bits))
        found[plain(window_rows(blocks, seen))] = NO_KEY
        keys[start : start + len(blocks)] = found
    return keys
