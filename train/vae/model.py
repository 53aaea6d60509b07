"""CogVideoX's 3D causal VAE (arXiv 2408.06072, section 2.1): 8 x 8 x 4 fewer points, 16 channels each.

The state dict has the keys and shapes of diffusers' AutoencoderKLCogVideoX: loading and saving need no
conversion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from shards.errors import ConfigError, InputError
from train.vae.chunks import RELEASED, Carry, ChunkRule, spans
from train.vae.config import VaeConfig
from train.vae.networks import Decoder, Encoder
from train.vae.posterior import Posterior
from train.vae.tiling import Tiling

__all__ = ["Vae"]


class Vae(nn.Module):
    """Encoder and decoder. Nothing here is random; parameters of any floating type."""

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)

    def encode(
        self, video_BCTHW: Tensor, *, rule: ChunkRule = RELEASED, tiling: Tiling | None = None
    ) -> Posterior:
        """Return the posterior (B, 16, (T-1)/4 + 1, H/8, W/8) of videos in -1 … 1, chunk by chunk.

        T is 4k+1 (1 is an image), H and W are multiples of 8. Frames of a later chunk change no latent of an
        earlier one. Raises InputError for other videos, ConfigError for a rule that this VAE cannot follow.
        """
        ratio = self.config.spatial_compression_ratio
        self._check_video(video_BCTHW)
        if rule.frames % self.config.temporal_compression_ratio:
            raise ConfigError(
                f"chunk rule: {rule.frames} frames are not a multiple of the temporal compression "
                f"{self.config.temporal_compression_ratio}"
            )

        def run(tile_BCTHW: Tensor) -> Tensor:
            # An odd number of frames begins every video, so the first is alone under any rule.
            return torch.cat(list(_chunks(self.encoder, tile_BCTHW, rule.frames, first_alone=True)), dim=2)

        return Posterior.of_moments(_tiled(run, video_BCTHW, tiling, ratio, 1))

    def decode(
        self, latents_BZthw: Tensor, *, rule: ChunkRule = RELEASED, tiling: Tiling | None = None
    ) -> Tensor:
        """Return videos (B, 3, 4(t-1) + 1, 8h, 8w), about -1 … 1, of latents; gradients pass.

        Latents are as `encode` gives them: those of a diffusion model are divided by `scaling_factor` first.
        With `tiling`, tiles are decoded one after the other, all chunks of each. Raises InputError for
        latents of another shape.
        """
        self._check_latents(latents_BZthw)

        def run(tile_BZthw: Tensor) -> Tensor:
            return torch.cat(list(self._decoded(tile_BZthw, rule)), dim=2)

        return _tiled(run, latents_BZthw, tiling, 1, self.config.spatial_compression_ratio)

    def decode_chunks(
        self, latents_BZthw: Tensor, *, rule: ChunkRule = RELEASED, tiling: Tiling | None = None
    ) -> Iterator[Tensor]:
        """Yield `decode`'s frames chunk by chunk, without gradients: memory does not grow with the length.

        With `tiling`, a chunk of every tile is decoded before the next chunk, and what all tiles carry over
        is held at once: 3.9 GB at 480 x 720 in 16 bits, where `decode` holds one tile's 0.7 GB, and 2.8 GB
        are carried without tiles.
        """
        self._check_latents(latents_BZthw)
        return self._without_gradients(latents_BZthw, rule, tiling)

    def _without_gradients(
        self, latents_BZthw: Tensor, rule: ChunkRule, tiling: Tiling | None
    ) -> Iterator[Tensor]:
        # A graph over all chunks would hold all of them. While the caller has the turn, its own mode is on.
        chunks = self._decoded_together(latents_BZthw, rule, tiling)
        while True:
            with torch.no_grad():
                chunk = next(chunks, None)
            if chunk is None:
                return
            yield chunk

    def _decoded_together(
        self, latents_BZthw: Tensor, rule: ChunkRule, tiling: Tiling | None
    ) -> Iterator[Tensor]:
        if tiling is None or not tiling.needed(*latents_BZthw.shape[-2:]):
            yield from self._decoded(latents_BZthw, rule)
            return
        rows = [[self._decoded(tile, rule) for tile in row] for row in tiling.cut(latents_BZthw, 1)]
        for _ in spans(latents_BZthw.shape[2], rule.latents):
            yield tiling.stitch(
                ([next(tile) for tile in row] for row in rows), self.config.spatial_compression_ratio
            )

    def _decoded(self, latents_BZthw: Tensor, rule: ChunkRule) -> Iterator[Tensor]:
        return _chunks(self.decoder, latents_BZthw, rule.latents, first_alone=rule.first_alone)

    def _check_video(self, video_BCTHW: Tensor) -> None:
        shape = tuple(video_BCTHW.shape)
        if len(shape) != 5 or shape[1] != self.config.in_channels or not video_BCTHW.is_floating_point():
            raise InputError(
                f"video of shape {shape} and {video_BCTHW.dtype}: wanted are floats of shape "
                f"(clips, {self.config.in_channels}, frames, height, width)"
            )
        self.config.latent_shape(*shape[2:])

    def _check_latents(self, latents_BZthw: Tensor) -> None:
        shape, channels = tuple(latents_BZthw.shape), self.config.latent_channels
        if len(shape) != 5 or shape[1] != channels or 0 in shape or not latents_BZthw.is_floating_point():
            raise InputError(
                f"latents of shape {shape} and {latents_BZthw.dtype}: wanted are floats of shape "
                f"(clips, {channels}, frames, height, width), at least one of each"
            )


def _chunks(network: nn.Module, x_BCTHW: Tensor, size: int, *, first_alone: bool) -> Iterator[Tensor]:
    """Yield what a network makes of each chunk of `size` frames or latents, in the type of its weights."""
    dtype: Any = next(network.parameters()).dtype
    carry: Carry | None = None
    for start, stop in spans(x_BCTHW.shape[2], size):
        alone = carry is None and (first_alone or (stop - start) % 2 == 1)
        carry = Carry(carry, alone=alone)
        yield network(x_BCTHW[:, :, start:stop].to(dtype), carry)


def _tiled(
    run: Callable[[Tensor], Tensor], x_BCTHW: Tensor, tiling: Tiling | None, scale: int, scale_out: int
) -> Tensor:
    """Return `run(x)`, tile by tile if there are several; scales: pixels a latent, before and after."""
    height, width = (side // scale for side in x_BCTHW.shape[-2:])
    if tiling is None or not tiling.needed(height, width):
        return run(x_BCTHW)
    rows = tiling.cut(x_BCTHW, scale)
    return tiling.stitch(((run(tile) for tile in row) for row in rows), scale_out)
