"""Where a token is: coordinates a clip, rotary angles and sinusoids from them.

A pack carries only three numbers a token; angles are made from them on the device, so that clips of different
sizes lie side by side. Text tokens sit at (0, 0, 0), whose rotation is the identity: they need no case of
their own. Computed in the precision of diffusers (angles float32, sinusoids float64), so both round alike.

Legend: L tokens, 3 = (frame, row, column), K half a head's width, D width.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from train.dit.config import TransformerConfig

__all__ = ["Grid", "clip_coordinates", "crop_region", "rotary_tables", "sincos_embedding"]

Grid = tuple[int, int, int]
"""frames, rows and columns of patches"""

_THETA = 10000.0


def crop_region(grid: tuple[int, int], base: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return ((top, left), (bottom, right)) of a grid (rows, columns) scaled to fit centrally into `base`.

    So a clip of another size spans the positions of the trained size (CogVideoX 1.0, section 3.1 of the
    paper).
    """
    (rows, columns), (base_rows, base_columns) = grid, base
    if rows / columns > base_rows / base_columns:
        height, width = base_rows, round(base_rows / rows * columns)
    else:
        height, width = round(base_columns / columns * rows), base_columns
    top, left = round((base_rows - height) / 2), round((base_columns - width) / 2)
    return (top, left), (top + height, left + width)


@functools.lru_cache(maxsize=256)
def clip_coordinates(grid: Grid, config: TransformerConfig) -> Tensor:
    """Return the coordinates (L, 3), float32, of a clip's video tokens, in order of frame, row, column.

    Three forms: 1.0 with RoPE stretches the grid over the trained one, 1.5 counts patches, sincos counts in
    steps of 1/1.875. The tensor is shared between calls: do not write into it.
    """
    frames, rows, columns = grid
    axes = [torch.arange(count, dtype=torch.float32) for count in grid]
    if config.positions == "sincos":
        axes = [axes[0] / config.time_scale, axes[1] / config.space_scale, axes[2] / config.space_scale]
    elif config.patch_frames is None:
        base = (config.sample_height // config.patch, config.sample_width // config.patch)
        (top, left), (bottom, right) = crop_region((rows, columns), base)
        # The last step is left out: the grid's cells start at multiples of its pitch.
        axes[1] = torch.linspace(top, bottom * (rows - 1) / rows, rows)
        axes[2] = torch.linspace(left, right * (columns - 1) / columns, columns)
    return torch.cartesian_prod(*axes).reshape(frames * rows * columns, 3)


def rotary_tables(coordinates_L3: Tensor, head_dim: int) -> tuple[Tensor, Tensor]:
    """Return cosines and sines, (L, K) float32: 2/8 of a head's pairs by frame, 3/8 by row, 3/8 by column.

    Rotary embedding after Su et al. 2021 (arXiv 2104.09864), θ = 10,000, pairs of neighbouring numbers.
    """
    widths = (head_dim // 4, head_dim // 8 * 3, head_dim // 8 * 3)
    device = coordinates_L3.device
    angles = [
        torch.outer(
            coordinates_L3[:, axis],
            1.0 / (_THETA ** (torch.arange(0, width, 2, dtype=torch.float32, device=device) / width)),
        )
        for axis, width in enumerate(widths)
    ]
    angles_LK = torch.cat(angles, dim=1)
    return angles_LK.cos(), angles_LK.sin()


def sincos_embedding(coordinates_L3: Tensor, width: int) -> Tensor:
    """Return what is added to video tokens, (L, D) float64: 2/8 by frame, then 3/8 by column, 3/8 by row.

    Of each part, the sines before the cosines. Columns come before rows here, and after them in RoPE: so it
    was trained.
    """
    parts = []
    for axis, part in ((0, width // 4), (2, width // 8 * 3), (1, width // 8 * 3)):
        exponents = torch.arange(part // 2, dtype=torch.float64, device=coordinates_L3.device) / (part / 2.0)
        angles = torch.outer(coordinates_L3[:, axis].double(), 1.0 / _THETA**exponents)
        parts += [angles.sin(), angles.cos()]
    return torch.cat(parts, dim=1)
