"""Latents ↔ patches: the numbers of a 2x2 (1.0) or 2x2x2 (1.5) box of latents as one row.

Channels are slowest in a row, so that the channels of an adapter are the row's end, and a convolution's
weight read row by row is the linear map of the same patches.

Legend: C channels, T latent frames, H, W latent rows and columns, V patches, P numbers of a patch.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor

from shards.errors import ConfigError
from train.dit.config import TransformerConfig
from train.dit.positions import Grid

__all__ = ["even_frames", "grid_of", "patchify", "unpatchify"]


def grid_of(shape: tuple[int, int, int], config: TransformerConfig) -> Grid:
    """Return the patches of latents of (frames, rows, columns). Raises ConfigError where they don't fit."""
    frames, rows, columns = shape
    if min(shape) < 1:
        raise ConfigError(f"latents of {frames} x {rows} x {columns} are empty")
    if rows % config.patch or columns % config.patch:
        raise ConfigError(
            f"latents of {rows} x {columns} do not divide into patches of {config.patch}: "
            f"choose sides that are multiples of {8 * config.patch} px"
        )
    if frames % config.patch_depth:
        raise ConfigError(
            f"{frames} latent frames do not divide into patches of {config.patch_depth}: see even_frames"
        )
    return frames // config.patch_depth, rows // config.patch, columns // config.patch


def patchify(latents_CTHW: Tensor, config: TransformerConfig) -> Tensor:
    """Return (V, P), patches in order of frame, row, column. Raises ConfigError where they don't fit."""
    grid_of(tuple(latents_CTHW.shape[1:]), config)
    return rearrange(
        latents_CTHW,
        "c (t o) (h p) (w q) -> (t h w) (c o p q)",
        o=config.patch_depth, p=config.patch, q=config.patch,
    )  # fmt: skip


def unpatchify(patches_VP: Tensor, grid: Grid, config: TransformerConfig) -> Tensor:
    """Return the latents (C, T, H, W) of patches; the inverse of `patchify`."""
    frames, rows, columns = grid
    return rearrange(
        patches_VP,
        "(t h w) (c o p q) -> c (t o) (h p) (w q)",
        t=frames, h=rows, w=columns, o=config.patch_depth, p=config.patch, q=config.patch,
    )  # fmt: skip


def even_frames(latents_CTHW: Tensor, config: TransformerConfig) -> tuple[Tensor, int]:
    """Return latents whose frames fill whole patches, and how many were put before them: to be dropped later.

    1.5 was trained with the first frame repeated before an odd count. In training, do it before noise is
    added.
    """
    added = -latents_CTHW.shape[1] % config.patch_depth
    return torch.cat([latents_CTHW[:, :1]] * added + [latents_CTHW], dim=1), added
