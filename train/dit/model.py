"""CogVideoX's expert transformer over packs of clips.

Equal to diffusers' CogVideoXTransformer3DModel in its parameters, their names and its numbers; two things
differ. It takes a pack, so its clips need not be alike. And of a learned positional buffer (5B image-to-
video) a shorter clip reads the first frames, where diffusers puts sinusoids in the buffer's place.

Legend: S tokens of a pack, V video tokens, U text tokens, N clips; D width, E width of the time embedding
or of a text token, P numbers of a patch.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from shards.errors import ConfigError
from train.dit.block import Block, Context, check_float32
from train.dit.config import TransformerConfig
from train.dit.modulation import FinalNorm
from train.dit.packs import Pack
from train.dit.positions import rotary_tables, sincos_embedding
from train.dit.segments import Kernel

__all__ = ["Transformer", "patch_projection", "sinusoids"]


def sinusoids(values_N: Tensor, width: int) -> Tensor:
    """Return cosines, then sines, of values at frequencies from 1 down to 1/10,000: (N, width) float32.

    After Vaswani et al. 2017; here cosines come first.
    """
    steps = torch.arange(width // 2, dtype=torch.float32, device=values_N.device)
    angles = values_N[:, None].float() * torch.exp(-math.log(10000.0) * steps / (width // 2))[None]
    return torch.cat([angles.cos(), angles.sin()], dim=1)


def patch_projection(config: TransformerConfig, channels: int, bias: bool) -> nn.Module:
    """Return the holder of a patch projection's weight, in the shape that diffusers stores it in."""
    if config.patch_frames is None:
        return nn.Conv2d(channels, config.width, config.patch, config.patch, bias=bias)
    return nn.Linear(channels * config.patch_values, config.width, bias=bias)


class _Embedding(nn.Module):
    """Two linear maps with SiLU between them."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(inputs, width)
        self.linear_2 = nn.Linear(width, width)

    def forward(self, x_NE: Tensor) -> Tensor:
        out: Tensor = self.linear_2(functional.silu(self.linear_1(x_NE)))
        return out


class PatchEmbed(nn.Module):
    """Patches and texts → tokens. `extra`, where there is one, reads the channels of an adapter."""

    pos_embedding: Tensor

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.proj = patch_projection(config, config.in_channels, bias=True)
        self.text_proj = nn.Linear(config.text_dim, config.width)
        if config.extra_channels:
            self.extra = patch_projection(config, config.extra_channels, bias=False)
        if config.positions == "rope+learned":
            tokens = config.text_length + math.prod(config.learned_grid)
            self.register_buffer("pos_embedding", torch.zeros(1, tokens, config.width))

    def forward(self, patches_VP: Tensor) -> Tensor:
        """Return video tokens (V, D)."""
        # A convolution whose stride is its kernel is a linear map of patches.
        weight_DP = self.proj.weight.flatten(1)
        inputs = weight_DP.shape[1]
        tokens_VD = functional.linear(patches_VP[:, :inputs], weight_DP, self.proj.bias)
        if patches_VP.shape[1] > inputs:
            tokens_VD = tokens_VD + functional.linear(patches_VP[:, inputs:], self.extra.weight.flatten(1))
        return tokens_VD


class Transformer(nn.Module):
    """The expert transformer. `attention`: the kernel, or `auto` (`Segments.ready`)."""

    def __init__(self, config: TransformerConfig, attention: Kernel | Literal["auto"] = "auto") -> None:
        super().__init__()
        self.config = config
        self.attention = attention
        self.patch_embed = PatchEmbed(config)
        self.time_embedding = _Embedding(config.width, config.time_dim)
        if config.ofs_dim is not None:
            self.ofs_embedding = _Embedding(config.ofs_dim, config.ofs_dim)
        self.transformer_blocks = nn.ModuleList([Block(config) for _ in range(config.layers)])
        self.norm_final = nn.LayerNorm(config.width, config.norm_eps)
        self.norm_out = FinalNorm(config.width, config.time_dim, config.norm_eps)
        self.proj_out = nn.Linear(config.width, config.out_channels * config.patch_values)

    def forward(self, pack: Pack) -> Tensor:
        """Return the prediction for each patch, (V, P) with P of the output channels; see `Pack.latents`.

        Computes in the pack's precision, or in autocast's. Raises ConfigError for a pack of another
        configuration.
        """
        if pack.config != self.config:
            raise ConfigError("the pack was made for another transformer's configuration")
        check_float32(pack.timesteps_N, pack.coordinates_S3, pack.ofs_N)
        time_NE = self._time(pack)
        x_SD, context = self._tokens(pack), self._context(pack)
        for block in self.transformer_blocks:
            x_SD = block(x_SD, time_NE, context)
        video = [slice(start, end) for start, end in pack.video_spans]
        x_VD = self.norm_final(torch.cat([x_SD[span] for span in video]))
        clips_V = torch.cat([pack.rows_S[span] for span in video]) // 2
        out: Tensor = self.proj_out(self.norm_out(x_VD, time_NE, clips_V))
        return out

    def _time(self, pack: Pack) -> Tensor:
        dtype = pack.patches_VP.dtype
        time_NE: Tensor = self.time_embedding(sinusoids(pack.timesteps_N, self.config.width).to(dtype))
        if self.config.ofs_dim is not None and pack.ofs_N is not None:
            time_NE = time_NE + self.ofs_embedding(sinusoids(pack.ofs_N, self.config.ofs_dim).to(dtype))
        return time_NE

    def _tokens(self, pack: Pack) -> Tensor:
        """Return all tokens in their order, (S, D), with the positions that are added rather than rotated."""
        video_VD, text_UD = self.patch_embed(pack.patches_VP), self.patch_embed.text_proj(pack.text_UE)
        if self.config.positions == "sincos":
            coordinates_V3 = torch.cat([pack.coordinates_S3[start:end] for start, end in pack.video_spans])
            video_VD = video_VD + sincos_embedding(coordinates_V3, self.config.width).to(video_VD.dtype)
        texts = text_UD.split(pack.text_lengths)
        videos = [video_VD[start:end] for start, end in pack.patch_spans]
        tokens = [token for clip in zip(texts, videos, strict=True) for token in clip]
        if self.config.positions == "rope+learned":
            learned_LD = self.patch_embed.pos_embedding[0].to(video_VD.dtype)
            # Video begins after the most text that there can be, however long this text is.
            starts = [start for _ in texts for start in (0, self.config.text_length)]
            tokens = [x + learned_LD[start : start + len(x)] for x, start in zip(tokens, starts, strict=True)]
        padding = video_VD.new_zeros(pack.segments.padding, self.config.width)
        return torch.cat([*tokens, padding])

    def _context(self, pack: Pack) -> Context:
        device = pack.patches_VP.device
        cast = torch.amp.is_autocast_available(device.type) and torch.is_autocast_enabled(device.type)
        dtype = torch.get_autocast_dtype(device.type) if cast else pack.patches_VP.dtype
        segments = pack.segments.ready(self.attention, device, dtype)
        if self.config.positions == "sincos":
            return Context(pack.rows_S, None, None, segments)
        return Context(pack.rows_S, *rotary_tables(pack.coordinates_S3, self.config.head_dim), segments)
