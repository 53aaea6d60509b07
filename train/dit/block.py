"""A block of the expert transformer: text and video in one sequence, attention in 3D over all of a clip.

Nothing in it depends on the data but `attend`: it compiles to one graph, and every pack of the same number of
tokens and slots runs through the same one. Parameters are named as in diffusers, whose containers some of the
modules mirror.

Legend: S tokens of a pack, D width, H heads, K numbers of a head, N clips, E width of the time embedding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from shards.errors import ConfigError
from train.dit.attention import attend
from train.dit.config import TransformerConfig
from train.dit.modulation import ExpertNorm
from train.dit.segments import Segments

__all__ = ["Block", "Context", "check_float32", "rotate"]

_QK_EPS: Final = 1e-6
"""of the norms of queries and keys, whatever the blocks' own is"""


@dataclass(frozen=True, slots=True, eq=False)
class Context:
    """What all blocks read of a pack. Angles stay in float32: see `check_float32`."""

    rows_S: Tensor
    """each token's row of the modulation table: twice its clip, and 1 more where it is text"""
    cosines_SK: Tensor | None
    """(S, K/2) float32, with the sines: rotary angles; None where positions are added to the input instead"""
    sines_SK: Tensor | None
    segments: Segments


def check_float32(*tensors: Tensor | None) -> None:
    """Raise ConfigError where positions or timesteps have been cast, which moves them: 999 in bfloat16 is
    1,000.

    FSDP2's mixed precision casts all inputs of a module, inside of dataclasses, too, unless told not to.
    """
    if any(x is not None and x.dtype != torch.float32 for x in tensors):
        raise ConfigError(
            "positions or timesteps of a pack are not in float32: shard with cast_forward_inputs=False, "
            "and move packs by Pack.to"
        )


def rotate(x_SHK: Tensor, cosines_SK: Tensor, sines_SK: Tensor) -> Tensor:
    """Turn each pair of neighbouring numbers by its token's angle; computed in float32, as precise as x."""
    even, odd = x_SHK.float().unflatten(-1, (-1, 2)).unbind(-1)
    cosine, sine = cosines_SK[:, None], sines_SK[:, None]
    turned = torch.stack([even * cosine - odd * sine, odd * cosine + even * sine], dim=-1)
    return turned.flatten(-2).to(x_SHK.dtype)


class Attention(nn.Module):
    """Queries and keys normalized a head (QK-norm) and rotated; attention within the clips; a projection."""

    def __init__(self, heads: int, head_dim: int) -> None:
        super().__init__()
        width = heads * head_dim
        self.heads = heads
        self.norm_q = nn.LayerNorm(head_dim, _QK_EPS)
        self.norm_k = nn.LayerNorm(head_dim, _QK_EPS)
        self.to_q = nn.Linear(width, width)
        self.to_k = nn.Linear(width, width)
        self.to_v = nn.Linear(width, width)
        self.to_out = nn.ModuleList([nn.Linear(width, width)])

    def forward(self, x_SD: Tensor, context: Context) -> Tensor:
        """Return (S, D)."""
        q, k, v = (
            rearrange(project(x_SD), "s (h k) -> s h k", h=self.heads)
            for project in (self.to_q, self.to_k, self.to_v)
        )
        q, k = self.norm_q(q), self.norm_k(k)
        if context.cosines_SK is not None:
            q, k = (rotate(x, context.cosines_SK, context.sines_SK) for x in (q, k))
        # Under autocast the norms give float32, and the values are in half precision.
        out_SHK = attend(q.to(v.dtype), k.to(v.dtype), v, context.segments)
        out: Tensor = self.to_out[0](out_SHK.flatten(1))
        return out


class _Gelu(nn.Module):
    """A projection and GELU by its tanh approximation."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.proj = nn.Linear(width, inner)

    def forward(self, x_SD: Tensor) -> Tensor:
        return functional.gelu(self.proj(x_SD), approximate="tanh")


class FeedForward(nn.Module):
    """Four times as wide inside; the second of three is where diffusers has its dropout of 0."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.net = nn.Sequential(_Gelu(width, 4 * width), nn.Identity(), nn.Linear(4 * width, width))

    def forward(self, x_SD: Tensor) -> Tensor:
        """Return (S, D)."""
        out: Tensor = self.net(x_SD)
        return out


class Block(nn.Module):
    """Attention, then feed-forward, each behind an expert norm and added through a gate."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.norm1 = ExpertNorm(config.width, config.time_dim, config.norm_eps)
        self.attn1 = Attention(config.heads, config.head_dim)
        self.norm2 = ExpertNorm(config.width, config.time_dim, config.norm_eps)
        self.ff = FeedForward(config.width)

    def forward(self, x_SD: Tensor, time_NE: Tensor, context: Context) -> Tensor:
        """Return (S, D)."""
        check_float32(context.cosines_SK, context.sines_SK)
        normed_SD, gate_SD = self.norm1(x_SD, time_NE, context.rows_S)
        x_SD = x_SD + gate_SD * self.attn1(normed_SD, context)
        normed_SD, gate_SD = self.norm2(x_SD, time_NE, context.rows_S)
        out: Tensor = x_SD + gate_SD * self.ff(normed_SD)
        return out
