"""Layers of the 3D causal VAE: convolutions that see no later frame, spatial norms, and steps in resolution.

Shape letters: B clips, C channels, T frames and H x W sides at a layer; Z latent channels, and t, h, w the
latents' frames and sides. Modules are named as in diffusers' AutoencoderKLCogVideoX, so that state dicts have
the same keys. A module takes a `Carry`, which holds the frames of the chunk before.

Convolutions alone look across chunks. Norms take their statistics over a chunk, all frames of it, as the
released code does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch
from einops import rearrange, reduce, repeat
from torch import Tensor, nn
from torch.nn import functional

from train.vae.chunks import Carry

__all__ = [
    "CausalConv3d",
    "Downsample",
    "ResnetBlock",
    "SpatialNorm",
    "Upsample",
    "convolve",
    "double_time",
    "halve_time",
    "in_time",
]

_MOST_ELEMENTS: Final = 1 << 30
"""of a convolution's input: cuDNN counts them in 32 bits; 256 channels of a chunk at 768 x 1360 have 2.9e9"""


def convolve(conv: nn.Conv3d, x_BCTHW: Tensor, most: int = _MOST_ELEMENTS) -> Tensor:
    """Return `conv(x)`, in parts along time where `x` has more than `most` elements; the same values."""
    reach = conv.kernel_size[0] - 1
    frames = x_BCTHW.shape[2] - reach
    part = max(1, most // x_BCTHW[:, :, 0].numel() - reach)
    if x_BCTHW.numel() <= most or frames <= part:
        whole: Tensor = conv(x_BCTHW)
        return whole
    starts = range(0, frames, part)
    return torch.cat([conv(x_BCTHW[:, :, i : min(i + part, frames) + reach]) for i in starts], dim=2)


class CausalConv3d(nn.Module):
    """A 3D convolution over a frame and those before it; before the first frame lie repetitions of it.

    Sides are padded with zeros, time with the last frames of the chunk before. A 1x1x1 convolution looks at
    no other frame and leaves nothing.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv3d(inputs, outputs, kernel, padding=(0, kernel // 2, kernel // 2))
        self.reach = kernel - 1

    def forward(self, x_BCTHW: Tensor, carry: Carry) -> Tensor:
        """Return (B, C', T, H, W)."""
        if self.reach:
            past = carry.past(self)
            if past is None:
                past = x_BCTHW[:, :, :1].expand(-1, -1, self.reach, -1, -1)
            x_BCTHW = torch.cat([past, x_BCTHW], dim=2)
            # A copy: a view would keep the whole chunk alive until the next one.
            carry.leave(self, x_BCTHW[:, :, -self.reach :].clone())
        return convolve(self.conv, x_BCTHW)


def halve_time(x_BCTHW: Tensor, *, alone: bool) -> Tensor:
    """Return means of pairs of frames; a first frame that is `alone` stays as it is."""
    first, rest = _parted(x_BCTHW, alone)
    if rest.shape[2]:
        rest = reduce(rest, "b c (t pair) h w -> b c t h w", "mean", pair=2)
    return torch.cat([first, rest], dim=2) if alone else rest


def double_time(x_BCTHW: Tensor, *, alone: bool) -> Tensor:
    """Return every frame twice; a first frame that is `alone` once."""
    return in_time(x_BCTHW, 2 * x_BCTHW.shape[2] - alone, alone=alone)


def in_time(x_BCTHW: Tensor, frames: int, *, alone: bool) -> Tensor:
    """Return `frames` frames: every one equally often; a first frame that is `alone` once."""
    first, rest = _parted(x_BCTHW, alone)
    if rest.shape[2]:
        times = (frames - alone) // rest.shape[2]
        rest = repeat(rest, "b c t h w -> b c (t times) h w", times=times)
    return torch.cat([first, rest], dim=2) if alone else rest


def _parted(x_BCTHW: Tensor, alone: bool) -> tuple[Tensor, Tensor]:
    at = int(alone)
    return x_BCTHW[:, :, :at], x_BCTHW[:, :, at:]


class SpatialNorm(nn.Module):
    """Group normalization whose scale and shift are read off the latents (MoVQ, arXiv 2209.09002, eq. 3).

    GN(f) * y(z) + b(z), y and b 1x1x1 convolutions of latents brought to the size of f by repetition. They
    are taken before the repetition, which is the same and 64 times less work at the finest level, and
    repeated in space by broadcasting: neither of two tensors as large as f is ever made.
    """

    def __init__(self, channels: int, latent_channels: int, groups: int) -> None:
        super().__init__()
        self.norm_layer = nn.GroupNorm(groups, channels, eps=1e-6)
        self.conv_y = CausalConv3d(latent_channels, channels, 1)
        self.conv_b = CausalConv3d(latent_channels, channels, 1)

    def forward(self, f_BCTHW: Tensor, z_BZthw: Tensor, carry: Carry) -> Tensor:
        """Return (B, C, T, H, W)."""
        y, b = (
            rearrange(
                in_time(conv(z_BZthw, carry), f_BCTHW.shape[2], alone=carry.alone),
                "b c t h w -> b c t h 1 w 1",
            )
            for conv in (self.conv_y, self.conv_b)
        )
        side = f_BCTHW.shape[-1] // z_BZthw.shape[-1]
        normed = rearrange(self.norm_layer(f_BCTHW), "b c t (h p) (w q) -> b c t h p w q", p=side, q=side)
        return rearrange(torch.addcmul(b, normed, y), "b c t h p w q -> b c t (h p) (w q)")


class ResnetBlock(nn.Module):
    """Two causal convolutions, each after norm and SiLU, and a short cut (He et al. 2016).

    `norm` makes a norm of so many channels: nn.GroupNorm in the encoder, SpatialNorm in the decoder.
    """

    def __init__(self, inputs: int, outputs: int, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.norm1, self.norm2 = norm(inputs), norm(outputs)
        self.conv1 = CausalConv3d(inputs, outputs, 3)
        self.conv2 = CausalConv3d(outputs, outputs, 3)
        if inputs != outputs:
            self.conv_shortcut = nn.Conv3d(inputs, outputs, 1)

    def forward(self, x_BCTHW: Tensor, carry: Carry, z_BZthw: Tensor | None = None) -> Tensor:
        """Return (B, C', T, H, W); `z` are the latents that spatial norms read."""
        hidden = self.conv1(functional.silu(_normed(self.norm1, x_BCTHW, z_BZthw, carry)), carry)
        hidden = self.conv2(functional.silu(_normed(self.norm2, hidden, z_BZthw, carry)), carry)
        if hidden.shape[1] != x_BCTHW.shape[1]:
            x_BCTHW = convolve(self.conv_shortcut, x_BCTHW)
        out: Tensor = x_BCTHW + hidden
        return out


def _normed(norm: nn.Module, x_BCTHW: Tensor, z_BZthw: Tensor | None, carry: Carry) -> Tensor:
    out: Tensor = norm(x_BCTHW) if z_BZthw is None else norm(x_BCTHW, z_BZthw, carry)
    return out


class Downsample(nn.Module):
    """Half the sides by a strided convolution of single frames; half the frames, where asked, by means."""

    def __init__(self, channels: int, *, compress_time: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)
        self.compress_time = compress_time

    def forward(self, x_BCTHW: Tensor, carry: Carry) -> Tensor:
        """Return (B, C, T or fewer, H/2, W/2)."""
        if self.compress_time:
            x_BCTHW = halve_time(x_BCTHW, alone=carry.alone)
        # Zeros below and to the right alone: the sides halve exactly.
        frames = functional.pad(rearrange(x_BCTHW, "b c t h w -> (b t) c h w"), (0, 1, 0, 1))
        return rearrange(self.conv(frames), "(b t) c h w -> b c t h w", b=x_BCTHW.shape[0])


class Upsample(nn.Module):
    """Twice the sides, where asked twice the frames, by repetition; then a convolution of single frames."""

    def __init__(self, channels: int, *, expand_time: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.expand_time = expand_time

    def forward(self, x_BCTHW: Tensor, carry: Carry) -> Tensor:
        """Return (B, C, T or more, 2H, 2W)."""
        if self.expand_time:
            x_BCTHW = double_time(x_BCTHW, alone=carry.alone)
        frames = repeat(x_BCTHW, "b c t h w -> (b t) c (h p) (w q)", p=2, q=2)
        return rearrange(self.conv(frames), "(b t) c h w -> b c t h w", b=x_BCTHW.shape[0])
