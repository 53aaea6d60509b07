"""Expert adaptive LayerNorm: one norm, scaled and shifted by the token's clip and its modality.

Section 2.3 of the paper: text and video share all weights of a block but those of the modulation. A pack
holds many clips, so a clip's timestep makes two rows of a table, 2n for its video and 2n + 1 for its text,
and an integer a token says which row it reads.

Legend: S tokens, D width, N clips, R rows of a table (2N), M numbers of a row, E width of the time embedding.
"""

from __future__ import annotations

from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["ExpertNorm", "FinalNorm", "gather_rows", "modulate"]


class _GatherRows(torch.autograd.Function):
    """`table[rows]`, whose gradient is one product of matrices.

    The gradient of plain indexing adds thousands of tokens to the same few rows one after another: in
    bfloat16 it was 15 % off (17,776 tokens, CPU), this one 0.2 %. A 0/1 matrix of R x S times the gradient
    is a sum in a fixed order, in the matrix units, with accumulation in float32.
    """

    @staticmethod
    def forward(table_RM: Tensor, rows_S: Tensor) -> Tensor:
        return table_RM[rows_S]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:  # noqa: ARG004
        table_RM, rows_S = inputs
        ctx.rows = table_RM.shape[0]
        ctx.save_for_backward(rows_S)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (rows_S,), (grad_SM,) = ctx.saved_tensors, grads
        of_row_RS = torch.arange(ctx.rows, device=rows_S.device)[:, None] == rows_S[None]
        return of_row_RS.to(grad_SM.dtype) @ grad_SM, None


def gather_rows(table_RM: Tensor, rows_S: Tensor) -> Tensor:
    """Return each token's row of the table: (S, M). `rows_S` are int64, from 0 to R - 1."""
    gathered: Tensor = _GatherRows.apply(table_RM, rows_S)
    return gathered


def modulate(x_SD: Tensor, table_RM: Tensor, rows_S: Tensor) -> Tensor:
    """Return x · (1 + scale) + shift, with each token's row of (shift, scale)."""
    shift_SD, scale_SD = gather_rows(table_RM, rows_S).chunk(2, dim=1)
    return x_SD * (1 + scale_SD) + shift_SD


class ExpertNorm(nn.Module):
    """LayerNorm whose shift, scale and gate depend on clip and modality.

    Names of parameters as in diffusers.
    """

    def __init__(self, width: int, time_dim: int, eps: float) -> None:
        super().__init__()
        self.linear = nn.Linear(time_dim, 6 * width)
        self.norm = nn.LayerNorm(width, eps)

    def forward(self, x_SD: Tensor, time_NE: Tensor, rows_S: Tensor) -> tuple[Tensor, Tensor]:
        """Return the modulated norm of x, and the gate of what will be made of it, both (S, D)."""
        # A row of the weights: shift, scale, gate of video, then the three of text.
        table_RM = rearrange(self.linear(functional.silu(time_NE)), "n (two m) -> (n two) m", two=2)
        width = x_SD.shape[1]
        # Two gathers and not one: the gate is read after attention, and would be kept until then.
        normed_SD = modulate(self.norm(x_SD), table_RM[:, : 2 * width], rows_S)
        return normed_SD, gather_rows(table_RM[:, 2 * width :], rows_S)


class FinalNorm(nn.Module):
    """LayerNorm of the video tokens before the last projection, with shift and scale by clip."""

    def __init__(self, width: int, time_dim: int, eps: float) -> None:
        super().__init__()
        self.linear = nn.Linear(time_dim, 2 * width)
        self.norm = nn.LayerNorm(width, eps)

    def forward(self, x_VD: Tensor, time_NE: Tensor, clips_V: Tensor) -> Tensor:
        """Return the modulated norm of x, (V, D)."""
        return modulate(self.norm(x_VD), self.linear(functional.silu(time_NE)), clips_V)
