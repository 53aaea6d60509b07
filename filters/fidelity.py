"""What shrinking hides: noise, blocks, softness and combing, at the decoder's full size.

One frame about every three seconds, and of that six tiles of 96 px and 64 columns. So that a pattern of
frames (telecine's five) can't hide from the grid of times, the interval is no whole number of seconds.

Cost: 0.7 ms a frame measured, 2 % of a bare decode (1 % at 1280 x 720, 4 % at 640 x 360).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa
from pydantic import Field

from curate.frames import SmallFrame
from curate.records import Options, Row
from filters.blockiness import Steps, blockiness, grid_steps
from filters.combing import combing, is_combed
from filters.noise import noise_sigma
from filters.quality import sharpness
from filters.tiles import Tiles, lively_tiles
from filters.track import Cadence, Track, mean
from shards.schemas import column

__all__ = ["FidelitySignal", "native_sharpness"]

_SHARP_TILES = 2
# Levels of 255: below this contrast, a tile shows the steps of rounding rather than a picture.
_FLAT = 4.0


def native_sharpness(tiles: Tiles) -> float | None:
    """Return the sharpness of the two tiles with most contrast, 0 to 1; None where both are flat.

    As `filters.quality.sharpness` (Crété-Roffet et al. 2007), at full size: a ratio, so limited range needs
    no stretch. A background out of focus has little contrast, and is no fault. Footage that was scaled up is
    soft here and sharp at 320 px; noise and blocks pass for sharpness.
    """
    by_contrast = sorted(range(len(tiles.contrasts)), key=lambda n: -tiles.contrasts[n])
    chosen = [n for n in by_contrast[:_SHARP_TILES] if tiles.contrasts[n] >= _FLAT]
    values = [sharpness(tiles.samples_NHW[n]) for n in chosen]
    return mean([value for value in values if value is not None])


class FidelityOptions(Options):
    """When fidelity is measured."""

    every_s: float = Field(2.9, gt=0, description="one frame about every so often")


@dataclass(frozen=True, slots=True)
class _Measured:
    noise: float | None
    sharpness: float | None
    steps: Steps | None
    combed: float | None


class FidelitySignal:
    """Noise, blocks, softness and combing of clips while their source is decoded."""

    version: ClassVar[int] = 1
    native: ClassVar[bool] = True
    Options: ClassVar[type[Options]] = FidelityOptions
    provides: ClassVar[pa.Schema] = pa.schema(
        [
            column("noise", pa.float64(), "", "standard deviation of the luma's noise, levels of 255, to 30"),
            column("blockiness", pa.float64(), "1", "excess of steps on a coding grid; 0 none, 1 twice"),
            column("sharpness_native", pa.float64(), "1", "1 - blur effect at full size"),
            column("interlaced", pa.float64(), "1", "share of the frames measured that are combed"),
        ]
    )

    def __init__(self, options: FidelityOptions) -> None:
        self._cadence = Cadence(options.every_s)
        self._frames: Track[_Measured] = Track()

    def push(self, frames: Sequence[SmallFrame]) -> None:
        """Take the next frames; only one every `every_s` is measured."""
        for frame in self._cadence.among(frames):
            self._measure(frame)

    def _measure(self, frame: SmallFrame) -> None:
        native = frame.native_luma()
        if native is None:
            return
        tiles = lively_tiles(native)
        noise = noise_sigma(tiles)
        # Of a picture that shows nothing, nothing is said.
        combed = None if noise is None else combing(native, noise)
        measured = _Measured(noise, native_sharpness(tiles), grid_steps(tiles), combed)
        self._frames.add(frame.index, frame.index, measured)

    def summary(self, start_frame: int, end_frame: int) -> Row:
        """Return the means over the frames measured; null where none was, or none showed anything."""
        frames = self._frames.within(start_frame, end_frame)
        return {
            "noise": mean(_known([frame.noise for frame in frames])),
            "blockiness": blockiness([frame.steps for frame in frames if frame.steps is not None]),
            "sharpness_native": mean(_known([frame.sharpness for frame in frames])),
            "interlaced": mean([float(is_combed(share)) for share in _known([f.combed for f in frames])]),
        }

    def forget(self, before_frame: int) -> None:
        """Drop earlier frames."""
        self._frames.forget(before_frame)


def _known(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None]
