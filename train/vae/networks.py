"""Encoder and decoder of the 3D causal VAE, one chunk at a time.

Shape letters as in `train.vae.layers`. Names of modules are diffusers'.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional

from train.vae.chunks import Carry
from train.vae.config import VaeConfig
from train.vae.layers import CausalConv3d, Downsample, ResnetBlock, SpatialNorm, Upsample

__all__ = ["Decoder", "Encoder"]

_MID_BLOCKS = 2


class _Level(nn.Module):
    """Residual blocks of one resolution; `after`, where there is one, goes to the next."""

    def __init__(self, inputs: int, outputs: int, blocks: int, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.resnets = nn.ModuleList(
            ResnetBlock(inputs if i == 0 else outputs, outputs, norm) for i in range(blocks)
        )

    def forward(self, x_BCTHW: Tensor, carry: Carry, z_BZthw: Tensor | None = None) -> Tensor:
        for resnet in self.resnets:
            x_BCTHW = resnet(x_BCTHW, carry, z_BZthw)
        for step in (*getattr(self, "downsamplers", ()), *getattr(self, "upsamplers", ())):
            x_BCTHW = step(x_BCTHW, carry)
        return x_BCTHW


class Encoder(nn.Module):
    """A chunk of a video → means and log-variances of its latents, one after the other in the channels."""

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        widths = config.block_out_channels
        norm = functools.partial(_group_norm, config.norm_num_groups, config.norm_eps)
        self.conv_in = CausalConv3d(config.in_channels, widths[0], 3)
        self.down_blocks = nn.ModuleList()
        for level, (inputs, outputs) in enumerate(zip((widths[0], *widths), widths, strict=False)):
            block = _Level(inputs, outputs, config.layers_per_block, norm)
            if level < len(widths) - 1:
                halves = level < math.log2(config.temporal_compression_ratio)
                block.downsamplers = nn.ModuleList([Downsample(outputs, compress_time=halves)])
            self.down_blocks.append(block)
        self.mid_block = _Level(widths[-1], widths[-1], _MID_BLOCKS, norm)
        self.norm_out = nn.GroupNorm(config.norm_num_groups, widths[-1], eps=1e-6)
        self.conv_out = CausalConv3d(widths[-1], 2 * config.latent_channels, 3)

    def forward(self, video_BCTHW: Tensor, carry: Carry) -> Tensor:
        """Return (B, 2Z, t, h, w)."""
        x_BCTHW = self.conv_in(video_BCTHW, carry)
        for block in self.down_blocks:
            x_BCTHW = block(x_BCTHW, carry)
        x_BCTHW = self.mid_block(x_BCTHW, carry)
        out: Tensor = self.conv_out(functional.silu(self.norm_out(x_BCTHW)), carry)
        return out


class Decoder(nn.Module):
    """A chunk of latents → its frames. Every norm reads the latents."""

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        widths = config.block_out_channels[::-1]
        norm = functools.partial(
            SpatialNorm, latent_channels=config.latent_channels, groups=config.norm_num_groups
        )
        self.conv_in = CausalConv3d(config.latent_channels, widths[0], 3)
        self.mid_block = _Level(widths[0], widths[0], _MID_BLOCKS, norm)
        self.up_blocks = nn.ModuleList()
        for level, (inputs, outputs) in enumerate(zip((widths[0], *widths), widths, strict=False)):
            block = _Level(inputs, outputs, config.layers_per_block + 1, norm)
            if level < len(widths) - 1:
                doubles = level < math.log2(config.temporal_compression_ratio)
                block.upsamplers = nn.ModuleList([Upsample(outputs, expand_time=doubles)])
            self.up_blocks.append(block)
        self.norm_out = norm(widths[-1])
        self.conv_out = CausalConv3d(widths[-1], config.out_channels, 3)

    def forward(self, z_BZthw: Tensor, carry: Carry) -> Tensor:
        """Return (B, 3, T, H, W)."""
        x_BCTHW = self.mid_block(self.conv_in(z_BZthw, carry), carry, z_BZthw)
        for block in self.up_blocks:
            x_BCTHW = block(x_BCTHW, carry, z_BZthw)
        out: Tensor = self.conv_out(functional.silu(self.norm_out(x_BCTHW, z_BZthw, carry)), carry)
        return out


def _group_norm(groups: int, eps: float, channels: int) -> nn.Module:
    return nn.GroupNorm(groups, channels, eps=eps)
