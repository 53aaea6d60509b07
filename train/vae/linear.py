"""A video codec without a network: each block of pixels is projected on 16 principal components, and back.

It has the interface and the latent shapes of the 3D causal VAE (8 x 8 x 4 fewer points, 16 channels, the
first frame by itself), is fitted in seconds by `train.vae.fitting` and decodes at once. So a diffusion model
can be trained and sampled on a laptop. Its cost: blocks are independent, so their edges show, and what 16
numbers cannot say of 768 is lost. Fine texture is; flat shapes come through.

Legend: B clips, C colours, T, H, W frames and sides in pixels; Z latent channels, t, h, w latent frames and
sides; D numbers of a block.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import torch
from einops import rearrange
from torch import Tensor, nn

from shards.errors import ConfigError, InputError
from train.diffusers_config import whole
from train.vae.chunks import RELEASED, ChunkRule, spans
from train.vae.config import latent_shape
from train.vae.posterior import Posterior
from train.vae.tiling import Tiling

__all__ = ["LinearConfig", "LinearVae", "Projection"]

_CLASS: Final = "LinearVae"
_COLORS: Final = 3
_LOGVAR: Final = -30.0
"""the posterior is a point; this is the least that a posterior says"""


@dataclass(frozen=True, slots=True)
class LinearConfig:
    """Sizes of a linear codec, by the names that they have in `VaeConfig`.

    `scaling_factor`: latents of variance 1 times this are what diffusion sees. Below 1, as much noise hides
    what many latents say together, such as where a shape is, at more than a few timesteps. Raises ConfigError
    for what cannot be.
    """

    latent_channels: int = 16
    temporal_compression_ratio: int = 4
    spatial_compression_ratio: int = 8
    scaling_factor: float = 0.6

    def __post_init__(self) -> None:
        for name in ("latent_channels", "temporal_compression_ratio", "spatial_compression_ratio"):
            whole(name, getattr(self, name), 1)
        if self.latent_channels > _COLORS * self.spatial_compression_ratio**2:
            raise ConfigError(
                f"latent_channels: {self.latent_channels}; a block of one frame has no more than "
                f"{_COLORS * self.spatial_compression_ratio**2} components"
            )
        if not isinstance(self.scaling_factor, int | float) or not 0 < self.scaling_factor < math.inf:
            raise ConfigError(f"scaling_factor: {self.scaling_factor!r} is not a positive number")

    @property
    def in_channels(self) -> int:
        """Colours."""
        return _COLORS

    @property
    def image_scaling_factor(self) -> float:
        """As of `VaeConfig`; the same for images."""
        return self.scaling_factor

    def latent_shape(self, frames: int, height: int, width: int) -> tuple[int, int, int]:
        """Return frames and sides of the latents of a video, and refuse others, as `VaeConfig` does."""
        compression = self.temporal_compression_ratio, self.spatial_compression_ratio
        return latent_shape(compression, frames, height, width)

    @classmethod
    def from_record(cls, record: Mapping[str, Any], where: str = "config.json") -> LinearConfig:
        """Return what `to_record` wrote; ConfigError in one line that begins with `where`."""
        said = {key: value for key, value in record.items() if key != "_class_name"}
        if record.get("_class_name") != _CLASS or said.keys() != set(cls.__dataclass_fields__):
            raise ConfigError(
                f"{where}: class {record.get('_class_name')!r} with the keys {sorted(said)}; wanted are "
                f"{_CLASS} and {sorted(cls.__dataclass_fields__)}"
            )
        try:
            return cls(**said)
        except ConfigError as exc:
            raise ConfigError(f"{where}: {exc}") from exc

    def to_record(self) -> dict[str, Any]:
        """Return its `config.json`."""
        return {"_class_name": _CLASS, **asdict(self)}


class Projection(nn.Module):
    """Blocks ↔ their components: z = basis (x - mean) / scale, x' = mean + basisᵀ z scale.

    A scale a channel, so that each has the same variance. With one for all, most of a diffusion model's loss
    is about the ground's brightness, and little about what moves (docs/decisions/0021).
    """

    mean_D: nn.Parameter
    basis_ZD: nn.Parameter
    scale_Z: nn.Parameter

    def __init__(self, numbers: int, channels: int) -> None:
        super().__init__()
        self.mean_D = nn.Parameter(torch.zeros(numbers), requires_grad=False)
        self.basis_ZD = nn.Parameter(torch.zeros(channels, numbers), requires_grad=False)
        self.scale_Z = nn.Parameter(torch.ones(channels), requires_grad=False)

    def encode(self, blocks_ND: Tensor) -> Tensor:
        """Return (…, Z) of (…, D)."""
        return (blocks_ND - self.mean_D) @ self.basis_ZD.T / self.scale_Z

    def decode(self, z_NZ: Tensor) -> Tensor:
        """Return (…, D) of (…, Z)."""
        return self.mean_D + (z_NZ * self.scale_Z) @ self.basis_ZD


class LinearVae(nn.Module):
    """Two projections: of the first frame's blocks, and of blocks of four frames. Stands in for `Vae`.

    Blocks know nothing of each other: chunk rules and tiles, which the interface has, change no number.
    """

    def __init__(self, config: LinearConfig) -> None:
        super().__init__()
        self.config = config
        side = _COLORS * config.spatial_compression_ratio**2
        self.first = Projection(side, config.latent_channels)
        self.rest = Projection(side * config.temporal_compression_ratio, config.latent_channels)

    def encode(
        self,
        video_BCTHW: Tensor,
        *,
        rule: ChunkRule = RELEASED,  # noqa: ARG002
        tiling: Tiling | None = None,  # noqa: ARG002
    ) -> Posterior:
        """Return the posterior of videos in -1 … 1, a point; shapes and errors as of `Vae.encode`."""
        shape = tuple(video_BCTHW.shape)
        if len(shape) != 5 or shape[1] != _COLORS or not video_BCTHW.is_floating_point():
            raise InputError(
                f"video of shape {shape} and {video_BCTHW.dtype}: wanted are floats of shape "
                f"(clips, {_COLORS}, frames, height, width)"
            )
        self.config.latent_shape(*shape[2:])
        first, rest = self.blocks(video_BCTHW.to(self.first.mean_D.dtype))
        latents = torch.cat([self.first.encode(first), self.rest.encode(rest)], dim=1)
        mean = rearrange(latents, "b t h w z -> b z t h w").float()
        return Posterior(mean, torch.full_like(mean, _LOGVAR))

    def decode(
        self,
        latents_BZthw: Tensor,
        *,
        rule: ChunkRule = RELEASED,  # noqa: ARG002
        tiling: Tiling | None = None,  # noqa: ARG002
    ) -> Tensor:
        """Return videos (B, 3, 4(t-1) + 1, 8h, 8w), about -1 … 1; errors as of `Vae.decode`."""
        self._check(latents_BZthw)
        z = rearrange(latents_BZthw.to(self.first.mean_D.dtype), "b z t h w -> b t h w z")
        return torch.cat([self._pixels(z[:, :1], 0), self._pixels(z[:, 1:], 1)], dim=2)

    def decode_chunks(
        self,
        latents_BZthw: Tensor,
        *,
        rule: ChunkRule = RELEASED,
        tiling: Tiling | None = None,  # noqa: ARG002
    ) -> Iterator[Tensor]:
        """Yield `decode`'s frames, those of `rule.latents` latents at a time, without gradients."""
        self._check(latents_BZthw)
        return self._decoded(latents_BZthw, rule)

    def _decoded(self, latents_BZthw: Tensor, rule: ChunkRule) -> Iterator[Tensor]:
        z = rearrange(latents_BZthw.to(self.first.mean_D.dtype), "b z t h w -> b t h w z")
        for start, stop in spans(z.shape[1], rule.latents):
            with torch.no_grad():
                parts = [self._pixels(z[:, :1], 0)] if start == 0 else []
                parts.append(self._pixels(z[:, max(start, 1) : stop], 1))
                chunk = torch.cat(parts, dim=2)
            yield chunk

    def blocks(self, video_BCTHW: Tensor) -> tuple[Tensor, Tensor]:
        """Return blocks of the first frame (B, 1, h, w, D), and of the groups of four (B, t-1, h, w, D)."""
        side, depth = self.config.spatial_compression_ratio, self.config.temporal_compression_ratio
        cut = "b c (t p) (h q) (w r) -> b t h w (c p q r)"
        first = rearrange(video_BCTHW[:, :, :1], cut, p=1, q=side, r=side)
        return first, rearrange(video_BCTHW[:, :, 1:], cut, p=depth, q=side, r=side)

    def _pixels(self, z_BthwZ: Tensor, part: int) -> Tensor:
        side, depth = self.config.spatial_compression_ratio, self.config.temporal_compression_ratio
        projection, frames = (self.rest, depth) if part else (self.first, 1)
        join = "b t h w (c p q r) -> b c (t p) (h q) (w r)"
        return rearrange(projection.decode(z_BthwZ), join, c=_COLORS, p=frames, q=side, r=side)

    def _check(self, latents_BZthw: Tensor) -> None:
        shape, channels = tuple(latents_BZthw.shape), self.config.latent_channels
        if len(shape) != 5 or shape[1] != channels or 0 in shape or not latents_BZthw.is_floating_point():
            raise InputError(
                f"latents of shape {shape} and {latents_BZthw.dtype}: wanted are floats of shape "
                f"(clips, {channels}, frames, height, width), at least one of each"
            )
