"""Keys of every step of every trace, through all windows and crops at once: a step is unpacked once.

What is seen in the mirrored clip follows from the same keys (`filters.waves`).

Cost: 0.1 ms a clip of five seconds. Memory: 55 bytes a step.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from filters.crops import Crop, crop_matrix
from filters.crowds import MORE_BITS, NO_MORE, Keys, going_on, key_bits, runs
from filters.traces import Traces
from filters.waves import (
    BLOCKS,
    HALVES,
    NO_KEY,
    WHOLE_WINDOW,
    WINDOWS,
    basis,
    mirrored_mask,
    mirrored_window,
    packed_signs,
    plain,
    window_rows,
)

__all__ = ["CROPS", "StepKeys", "step_keys"]

Levels = npt.NDArray[np.float32]

CROPS: Final = tuple(
    Crop(left, 0.08 - left, top, 0.08 - top) for left in (0, 0.04, 0.08) for top in (0, 0.04, 0.08)
)
_HALF_BITS: Final = 28
_WHOLE_BITS: Final = 24
_EVERY: Final = 4
"""one step of so many is looked up among all"""
_LARGEST: Final = 1000
"""of a crop's waves: 64 products with bytes stay below 2**24"""


@dataclass(frozen=True, slots=True)
class StepKeys:
    """Keys of the steps of a run's traces, in order of clips, and how each goes on."""

    clip: npt.NDArray[np.int32]
    step: npt.NDArray[np.int16]
    keys: npt.NDArray[np.uint32]
    """(windows, steps)"""
    more: npt.NDArray[np.uint8]
    """(windows, steps)"""
    looked_up: npt.NDArray[np.int64]
    """the steps that are looked up among all"""
    crop_keys: npt.NDArray[np.uint32]
    """(crops, steps looked up)"""
    crop_more: npt.NDArray[np.uint8]
    """(crops, steps looked up)"""
    whole_bits: int

    def base(self, window: int) -> Keys:
        """Return the keys of all steps through a window; a run of equal ones in a clip once."""
        return runs(Keys(self.keys[window], self.more[window], self.clip, self.step))

    def query(self, window: int, mirrored: bool) -> Keys:
        """Return the keys of the steps looked up through a window of the picture, or of the mirrored one."""
        seen = mirrored_window(window) if mirrored else window
        keys, more = (of[seen][self.looked_up] for of in (self.keys, self.more))
        return self._seen(keys, more, seen, _HALF_BITS, mirrored)

    def crop_query(self, crop: int, mirrored: bool) -> Keys:
        """Return the keys of the steps looked up through a crop of the picture, mirrored or not."""
        return self._seen(self.crop_keys[crop], self.crop_more[crop], WHOLE_WINDOW, self.whole_bits, mirrored)

    def _seen(
        self,
        keys: npt.NDArray[np.uint32],
        more: npt.NDArray[np.uint8],
        window: int,
        bits: int,
        mirrored: bool,
    ) -> Keys:
        if mirrored:
            keys = np.where(keys == NO_KEY, NO_KEY, keys ^ np.uint32(mirrored_mask(window, bits)))
            more = np.where(more == NO_MORE, more, more ^ np.uint8(mirrored_mask(window, MORE_BITS)))
        return runs(Keys(keys, more, self.clip[self.looked_up], self.step[self.looked_up]))


def step_keys(traces: Traces) -> StepKeys:
    """Return the keys of all steps."""
    steps = int(traces.steps.sum())
    looked_up = int((-(-traces.steps.astype(np.int64) // _EVERY)).sum())
    whole_bits = key_bits(_WHOLE_BITS, len(traces))
    found = StepKeys(
        np.empty(steps, np.int32),
        np.empty(steps, np.int16),
        np.empty((len(WINDOWS), steps), np.uint32),
        np.empty((len(WINDOWS), steps), np.uint8),
        np.empty(looked_up, np.int64),
        np.empty((len(CROPS), looked_up), np.uint32),
        np.empty((len(CROPS), looked_up), np.uint8),
        whole_bits,
    )
    halves = np.concatenate([basis(window, _HALF_BITS) for window in HALVES], axis=1)
    whole = basis(WHOLE_WINDOW, whole_bits)
    crops = np.concatenate([_crop_basis(crop, whole_bits) for crop in CROPS], axis=1)
    low = low_looked_up = 0
    for clip, step in traces.every(1):
        blocks = _bytes(traces.pictures(clip.astype(np.int64), step.astype(np.int64)))
        shown = blocks.astype(np.float32)
        here = slice(low, low + len(clip))
        found.clip[here], found.step[here] = clip, step
        waves = (shown @ halves).reshape(len(clip), -1, _HALF_BITS)
        found.keys[:WHOLE_WINDOW, here] = packed_signs(waves, _HALF_BITS).T
        found.more[:WHOLE_WINDOW, here] = going_on(waves, clip, _EVERY).T
        waves = (shown @ whole)[:, None]
        found.keys[WHOLE_WINDOW, here] = packed_signs(waves, whole_bits)[:, 0]
        found.more[WHOLE_WINDOW, here] = going_on(waves, clip, _EVERY)[:, 0]
        for window in range(len(WINDOWS)):
            found.keys[window, here][plain(window_rows(blocks, window))] = NO_KEY

        every = np.flatnonzero(step % _EVERY == 0)
        there = slice(low_looked_up, low_looked_up + len(every))
        found.looked_up[there] = low + every
        waves = (shown[every] @ crops).reshape(len(every), -1, whole_bits)
        keys = packed_signs(waves, whole_bits)
        # A crop of so little is plain where the whole is.
        keys[found.keys[WHOLE_WINDOW, here][every] == NO_KEY] = NO_KEY
        found.crop_keys[:, there] = keys.T
        found.crop_more[:, there] = going_on(waves, clip[every], 1).T
        low, low_looked_up = here.stop, there.stop
    return found


@cache
def _crop_basis(crop: Crop, bits: int) -> Levels:
    """Return (64, bits) the lowest waves of a crop of a picture, in whole numbers."""
    seen = crop_matrix(crop, False, BLOCKS).astype(np.float64).T @ basis(WHOLE_WINDOW, bits)
    waves: Levels = np.rint(seen * (_LARGEST / np.abs(seen).max())).astype(np.float32)
    return waves


def _bytes(levels_N64: Levels) -> npt.NDArray[np.uint8]:
    whole = np.rint(levels_N64)
    return np.clip(whole, 0, 255, out=whole).astype(np.uint8)
