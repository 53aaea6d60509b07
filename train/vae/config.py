"""Size and scale of CogVideoX's 3D causal VAE, and the `config.json` of diffusers' AutoencoderKLCogVideoX.

Fields have the names that they have there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final

from shards.errors import ConfigError, InputError
from train.diffusers_config import read_config, truth, whole

__all__ = ["PRESETS", "VaeConfig", "latent_shape"]

_CLASS: Final = "AutoencoderKLCogVideoX"
_DOWN, _UP = "CogVideoXDownBlock3D", "CogVideoXUpBlock3D"
_FIXED: Final[Mapping[str, Any]] = {
    "act_fn": "silu",
    "shift_factor": None,
    "latents_mean": None,
    "latents_std": None,
    "use_quant_conv": False,
    "use_post_quant_conv": False,
}
_UNREAD: Final[Mapping[str, Any]] = {"force_upcast": True}


@dataclass(frozen=True, slots=True)
class VaeConfig:
    """What a VAE is built from; the defaults are CogVideoX-2B's.

    `block_out_channels`: channels of each level, fine to coarse; each level but the last halves the sides,
    and the first log2(`temporal_compression_ratio`) halve time too. `layers_per_block`: residual blocks of an
    encoder level; a decoder level has one more. `norm_eps` is of the norms in the encoder's blocks; all
    others have 1e-6, as in diffusers. `sample_height` and `sample_width` (px): tiles are half as large.
    `scaling_factor`: the diffusion model sees latents times this; its inverse where it is an image's and
    `invert_scale_latents` is set (`image_scaling_factor`). Raises ConfigError for what cannot be built.
    """

    in_channels: int = 3
    out_channels: int = 3
    block_out_channels: tuple[int, ...] = (128, 256, 256, 512)
    latent_channels: int = 16
    layers_per_block: int = 3
    norm_eps: float = 1e-6
    norm_num_groups: int = 32
    temporal_compression_ratio: int = 4
    sample_height: int = 480
    sample_width: int = 720
    scaling_factor: float = 1.15258426
    invert_scale_latents: bool = False

    def __post_init__(self) -> None:
        for name in ("in_channels", "out_channels", "latent_channels", "layers_per_block", "norm_num_groups"):
            whole(name, getattr(self, name), 1)
        if not isinstance(self.block_out_channels, tuple) or not self.block_out_channels:
            raise ConfigError(
                f"block_out_channels: {self.block_out_channels!r}; one number a level is wanted"
            )
        for channels in self.block_out_channels:
            if whole("block_out_channels", channels, 1) % self.norm_num_groups:
                raise ConfigError(
                    f"block_out_channels: {channels} is not a multiple of norm_num_groups "
                    f"{self.norm_num_groups}"
                )
        ratio = whole("temporal_compression_ratio", self.temporal_compression_ratio, 1)
        if ratio & (ratio - 1) or ratio > self.spatial_compression_ratio:
            raise ConfigError(
                f"temporal_compression_ratio: {ratio} is not a power of two of at most "
                f"{self.spatial_compression_ratio}, which {len(self.block_out_channels)} levels can halve to"
            )
        for name in ("sample_height", "sample_width"):
            whole(name, getattr(self, name), 2 * self.spatial_compression_ratio)
        truth("invert_scale_latents", self.invert_scale_latents)
        for name in ("norm_eps", "scaling_factor"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 < value < math.inf:
                raise ConfigError(f"{name}: {value!r} is not a positive number")

    @property
    def spatial_compression_ratio(self) -> int:
        """Pixels a side of a latent: 8 for four levels."""
        return 1 << (len(self.block_out_channels) - 1)

    @property
    def image_scaling_factor(self) -> float:
        """What latents of a conditioning image are multiplied by: the 1.5 models were trained with 1/0.7."""
        return 1 / self.scaling_factor if self.invert_scale_latents else self.scaling_factor

    def latent_shape(self, frames: int, height: int, width: int) -> tuple[int, int, int]:
        """Return frames and sides of the latents of a video: 13, 60, 90 for 49 frames of 480 x 720 px.

        Raises InputError unless there are 4k+1 frames, and sides are multiples of 8.
        """
        compression = self.temporal_compression_ratio, self.spatial_compression_ratio
        return latent_shape(compression, frames, height, width)

    @classmethod
    def from_diffusers(cls, given: Mapping[str, Any], where: str = "config.json") -> VaeConfig:
        """Return the configuration of an AutoencoderKLCogVideoX.

        Raises ConfigError in one line that begins with `where`: another class, an unknown key, a value that
        no released model has and that is not built here.
        """
        values = read_config(
            given,
            where,
            class_names={_CLASS},
            defaults={**_FIXED, **_UNREAD, **_block_types(4), **asdict(cls())},
            fixed=_FIXED,
            unread=_UNREAD,
        )
        types = {key: values.pop(key) for key in _block_types(0)}
        channels, ratio = values["block_out_channels"], values["temporal_compression_ratio"]
        values["block_out_channels"] = tuple(channels) if isinstance(channels, list) else channels
        if isinstance(ratio, float) and ratio.is_integer():  # diffusers declares a float
            values["temporal_compression_ratio"] = int(ratio)
        try:
            config = cls(**values)
        except ConfigError as exc:
            raise ConfigError(f"{where}: {exc}") from exc
        for key, wanted in _block_types(len(config.block_out_channels)).items():
            if types[key] not in (wanted, tuple(wanted)):
                raise ConfigError(f"{where}: {key} is {types[key]!r}; only {wanted!r} is supported")
        return config

    def to_diffusers(self) -> dict[str, Any]:
        """Return the `config.json` that diffusers' class is built from: all of its keys."""
        levels = len(self.block_out_channels)
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        values["block_out_channels"] = list(self.block_out_channels)
        return {"_class_name": _CLASS, **values, **_block_types(levels), **_FIXED, **_UNREAD}


def latent_shape(compression: tuple[int, int], frames: int, height: int, width: int) -> tuple[int, int, int]:
    """Return frames and sides of the latents of a video; `compression`: of time and of the sides.

    Raises InputError unless there are 4k+1 frames (of a compression of 4), and sides are multiples.
    """
    time, side = compression
    if frames < 1 or (frames - 1) % time:
        less = max(0, frames - 1) // time * time + 1
        raise InputError(
            f"video of {frames} frames: the VAE takes {time}k+1 of them; next to it are "
            f"{less} and {less + time}"
        )
    if min(height, width) < side or height % side or width % side:
        raise InputError(f"video of {height} x {width} px: sides must be multiples of {side}")
    return (frames - 1) // time + 1, height // side, width // side


def _block_types(levels: int) -> dict[str, list[str]]:
    return {"down_block_types": [_DOWN] * levels, "up_block_types": [_UP] * levels}


_2B: Final = VaeConfig()
_5B: Final = replace(_2B, scaling_factor=0.7)
_15: Final = replace(_5B, invert_scale_latents=True)

PRESETS: Final[Mapping[str, VaeConfig]] = {
    # 2.1 M parameters: for tests and laptops, to be trained; its latents are as they come
    "tiny": VaeConfig(
        block_out_channels=(16, 32, 32, 64),
        layers_per_block=1,
        norm_num_groups=8,
        sample_height=96,
        sample_width=160,
        scaling_factor=1.0,
    ),
    "cogvideox-2b": _2B,
    "cogvideox-5b": _5B,
    "cogvideox-5b-i2v": _5B,
    "cogvideox-1.5-5b": _15,
    "cogvideox-1.5-5b-i2v": _15,
}
"""by the names of the released models: 1.15258426 for 2B, 0.7 for 5B, 0.7 inverted for images in 1.5"""
