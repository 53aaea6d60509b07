from __future__ import annotations

import numpy as np
import pyarrow as pa

from filters.framings import near_framings
from filters.moments import near_moments
from filters.trace import pack
from filters.traces import Traces
from filters.votes import voted

BOUNDS = {"min_like": 0.7, "min_overlap": 0.5, "bucket": 64}


def smooth(random: np.random.Generator, count: int, side: int) -> np.ndarray:
    """Return pictures (count, side, side) of low frequencies, about 128."""
    at = np.arange(side)
    waves = np.cos(np.pi * np.outer(np.arange(6), at + 0.5) / side)
    shown = waves.T @ random.normal(0, 1, (count, 6, 6)) @ waves
    return 128 + 25 * shown / shown.std((1, 2), keepdims=True)


def moving(random: np.random.Generator, set_8: np.ndarray, steps: int) -> np.ndarray:
    """Return blocks (steps, 64) of something that moves before a set (8, 8)."""
    ways = smooth(random, 6, 8) - 128
    at = np.linspace(0, 5, steps)
    share = np.maximum(0, 1 - np.abs(at[:, None] - np.arange(6)))
    return np.clip(set_8.ravel() + 0.4 * share @ ways.reshape(6, 64), 0, 255)


def traces(shown: list[np.ndarray], portraits: list[np.ndarray]) -> Traces:
    packed = [
        pack(blocks, np.clip(portrait, 0, 255).astype(np.uint8).ravel())
        for blocks, portrait in zip(shown, portraits, strict=True)
    ]
    return Traces(pa.chunked_array([pa.array(packed, pa.binary())]), np.arange(len(packed)))


def blocks_of(portrait: np.ndarray) -> np.ndarray:
    return portrait.reshape(8, 4, 8, 4).mean((1, 3))


def test_the_offset_of_most_collisions_wins() -> None:
    random = np.random.default_rng(0)
    portrait = smooth(random, 1, 32)[0]
    laid = traces([moving(random, blocks_of(portrait), n) for n in (40, 30, 40)], [portrait] * 3)
    one = np.zeros(7, np.int64), np.array([5, 9, 14, 3, 8, 0, 20])
    two = np.array([1, 1, 1, 1, 1, 2, 2]), np.array([2, 6, 11, 3, 8, 39, 19])
    met = voted(laid, one, two, 0.5)
    found = list(zip(met.two.tolist(), met.offset.tolist(), met.step.tolist(), strict=True))
    # Three speak for -3, two for 0; of the third clip, one offset leaves too little in common.
    assert found == [(1, -3, 5), (1, 0, 3), (2, -1, 20)]


def test_a_trimmed_copy_is_met_and_another_moment_of_the_set_is_not() -> None:
    random = np.random.default_rng(1)
    portraits = smooth(random, 12, 32)
    shown = [moving(random, blocks_of(portrait), 48) for portrait in portraits for _ in range(2)]
    pictures = [portrait for portrait in portraits for _ in range(2)]
    copies = [blocks[11:] * 0.9 + 9 for blocks in shown]
    laid = traces([*shown, *copies], [*pictures, *(picture * 0.9 + 9 for picture in pictures)])
    true = {(number, number + len(shown)) for number in range(len(shown))}

    def met(min_hint: float) -> set[tuple[int, int]]:
        codes, _ = near_moments(laid, min_hint=min_hint, **BOUNDS)  # type: ignore[arg-type]
        return set(zip(*(side.tolist() for side in np.divmod(codes, len(laid))), strict=True))

    assert true <= met(0.45)
    assert len(met(0.45)) < 1.5 * len(true)
    # Without the look at what changes, every shot of a set meets every other.
    assert len(met(0.0)) > 2 * len(true)


def test_portraits_that_are_alike_as_they_are_give_no_crops() -> None:
    random = np.random.default_rng(2)
    portrait = smooth(random, 1, 32)[0]
    whole = [np.clip(portrait + random.normal(0, 1, portrait.shape), 0, 255) for _ in range(8)]
    window = np.kron(portrait, np.ones((8, 8)))[13:-13, 13:-13]
    cropped = window[: 230 // 32 * 32, : 230 // 32 * 32].reshape(32, 7, 32, 7).mean((1, 3))
    shown = [moving(random, blocks_of(picture), 24) for picture in (*whole, cropped)]
    laid = traces(shown, [*whole, cropped])
    codes, _ = near_framings(laid, min_framed=0.9, bucket=64)
    pairs = set(zip(*(side.tolist() for side in np.divmod(codes, len(laid))), strict=True))
    assert pairs == {(number, 8) for number in range(8)}
