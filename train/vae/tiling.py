"""Frames in overlapping tiles, each encoded or decoded by itself, blended where they overlap.

It bounds memory by the tile, not by the frame. Each tile's norms have their own statistics, so the result is
not that without tiles; it is diffusers' `enable_tiling`, tile for tile.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from shards.errors import ConfigError
from train.diffusers_config import whole
from train.vae.config import VaeConfig

__all__ = ["Tiling", "blend"]


@dataclass(frozen=True, slots=True)
class Tiling:
    """Sides of a tile and how far it overlaps with its neighbours, all in latents (8 px each).

    In latents, because in pixels a size or overlap that is no multiple of 8 shifts tiles against each other.
    """

    height: int
    width: int
    overlap_height: int
    overlap_width: int

    def __post_init__(self) -> None:
        for side, overlap in (("height", self.overlap_height), ("width", self.overlap_width)):
            whole(f"tiling: {side}", getattr(self, side), 1)
            if whole(f"tiling: overlap_{side}", overlap, 0) >= getattr(self, side):
                raise ConfigError(
                    f"tiling: overlap_{side} {overlap} leaves nothing of {side} {getattr(self, side)}"
                )

    @classmethod
    def released(cls, config: VaeConfig) -> Tiling:
        """Return diffusers' default: tiles of half the sample, overlapping by a sixth and a fifth.

        30 x 45 latents, 5 and 9 of them shared, for every released model.
        """
        height = config.sample_height // 2 // config.spatial_compression_ratio
        width = config.sample_width // 2 // config.spatial_compression_ratio
        return cls(height, width, height // 6, width // 5)

    def needed(self, height: int, width: int) -> bool:
        """Return whether latents of these sides are more than a tile."""
        return height > self.height or width > self.width

    def cut(self, x_BCTHW: Tensor, scale: int) -> list[list[Tensor]]:
        """Return rows of tiles (views); `scale`: pixels of `x` a latent, 1 for latents themselves."""
        height, width = x_BCTHW.shape[-2:]
        step_y, step_x = self._steps(scale)
        return [
            [
                x_BCTHW[..., top : top + self.height * scale, left : left + self.width * scale]
                for left in range(0, width, step_x)
            ]
            for top in range(0, height, step_y)
        ]

    def stitch(self, rows: Iterable[Iterable[Tensor]], scale: int) -> Tensor:
        """Return the whole of rows of tiles, in order; a tile blends from those above and to the left."""
        step_y, step_x = self._steps(scale)
        above: Sequence[Tensor] = ()
        bands = []
        for row in rows:
            done: list[Tensor] = []
            for column, raw in enumerate(row):
                tile = raw
                if above:
                    tile = blend(above[column], tile, self.overlap_height * scale, dim=3)
                if done:
                    tile = blend(done[-1], tile, self.overlap_width * scale, dim=4)
                done.append(tile)
            bands.append(torch.cat([tile[..., :step_y, :step_x] for tile in done], dim=4))
            above = done
        return torch.cat(bands, dim=3)

    def _steps(self, scale: int) -> tuple[int, int]:
        return (self.height - self.overlap_height) * scale, (self.width - self.overlap_width) * scale


def blend(before: Tensor, after: Tensor, extent: int, dim: int) -> Tensor:
    """Return `after`, its first `extent` entries along `dim` faded in over the last ones of `before`.

    Its weight is i/extent for i = 0 … extent-1: it begins at nothing. Fewer where either is smaller.
    """
    extent = min(before.shape[dim], after.shape[dim], extent)
    if extent == 0:
        return after
    weight = torch.arange(extent, dtype=torch.float32, device=after.device) / extent
    weight = weight.view(-1, *[1] * (after.ndim - dim - 1))
    old = before.narrow(dim, before.shape[dim] - extent, extent)
    seam = old * (1 - weight) + after.narrow(dim, 0, extent) * weight
    rest = after.narrow(dim, extent, after.shape[dim] - extent)
    return torch.cat([seam.to(after.dtype), rest], dim=dim)
