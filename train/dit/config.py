"""What makes one of CogVideoX's transformers differ from another; the released ones by name; diffusers' JSON.

Only what differs is a field. What all released checkpoints share (GELU, biases, no dropout) is fixed: a
`config.json` that says otherwise is refused instead of being computed wrongly.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from shards.errors import ConfigError
from train.diffusers_config import read_config

__all__ = ["DIFFUSERS_CLASS", "PRESETS", "Positions", "TransformerConfig", "preset"]

Positions = Literal["sincos", "rope", "rope+learned"]

DIFFUSERS_CLASS: Final = "CogVideoXTransformer3DModel"

_PLAIN: Final = {
    "num_attention_heads": "heads",
    "attention_head_dim": "head_dim",
    "num_layers": "layers",
    "in_channels": "in_channels",
    "out_channels": "out_channels",
    "text_embed_dim": "text_dim",
    "max_text_seq_length": "text_length",
    "time_embed_dim": "time_dim",
    "ofs_embed_dim": "ofs_dim",
    "patch_size": "patch",
    "patch_size_t": "patch_frames",
    "sample_frames": "sample_frames",
    "sample_height": "sample_height",
    "sample_width": "sample_width",
    "temporal_compression_ratio": "frame_compression",
    "spatial_interpolation_scale": "space_scale",
    "temporal_interpolation_scale": "time_scale",
    "norm_eps": "norm_eps",
}
"""diffusers' name → ours, value unchanged"""

_FIXED: Final[Mapping[str, object]] = {
    "activation_fn": "gelu-approximate",
    "attention_bias": True,
    "dropout": 0.0,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "norm_elementwise_affine": True,
    "timestep_activation_fn": "silu",
}
_ROPE, _LEARNED, _PATCH_BIAS = (
    "use_rotary_positional_embeddings",
    "use_learned_positional_embeddings",
    "patch_bias",
)
_RATIONAL: Final = frozenset({"space_scale", "time_scale", "norm_eps"})
_OPTIONAL: Final = frozenset({"ofs_dim", "patch_frames"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformerConfig:
    """One transformer. Sizes are latents', not pixels'. Raises ConfigError where the numbers don't agree.

    The defaults are those of diffusers' class, which leaves them out of old files.
    """

    heads: int = 30
    head_dim: int = 64
    layers: int = 30
    in_channels: int = 16
    """what the parent's patch projection reads: 16 of the video; in image-to-video 16 more of an image"""
    extra_channels: int = 0
    """read by a second projection beside the parent's (`train.dit.adapters`); merged into it on export"""
    out_channels: int = 16
    text_dim: int = 4096
    text_length: int = 226
    """most text tokens a clip; shorter texts are allowed"""
    time_dim: int = 512
    ofs_dim: int | None = None
    """width of the `ofs` embedding; None: the model has none"""
    patch: int = 2
    patch_frames: int | None = None
    """None: the form of 1.0, a 2D convolution a frame; a number: the form of 1.5, a linear map of boxes"""
    positions: Positions = "sincos"
    sample_frames: int = 49
    """frames of pixels at the size that it was trained at"""
    sample_height: int = 60
    sample_width: int = 90
    frame_compression: int = 4
    space_scale: float = 1.875
    """sincos: a step of one patch is 1/1.875"""
    time_scale: float = 1.0
    norm_eps: float = 1e-5

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            self._check_number(field.name)
        if self.head_dim % 16:
            raise ConfigError(
                f"transformer: head_dim {self.head_dim} is no multiple of 16, as 3D RoPE needs it"
            )
        if self.positions not in ("sincos", "rope", "rope+learned"):
            raise ConfigError(f"transformer: positions {self.positions!r}, not sincos, rope or rope+learned")
        if self.patch_frames is not None and self.positions != "rope":
            raise ConfigError(
                f"transformer: patches over frames (1.5) go with rope, not with {self.positions}"
            )
        if self.positions == "rope+learned" and (
            self.sample_height % self.patch or self.sample_width % self.patch
        ):
            raise ConfigError(
                f"transformer: a learned grid of {self.sample_height} x {self.sample_width} latents does not "
                f"divide into patches of {self.patch}"
            )
        if self.ofs_dim not in (None, self.time_dim):
            raise ConfigError(
                f"transformer: ofs_dim {self.ofs_dim} is added to time_dim {self.time_dim}: make them equal"
            )

    def _check_number(self, name: str) -> None:
        value = getattr(self, name)
        if name == "positions" or (value is None and name in _OPTIONAL):
            return
        kinds, bound = ((int,), 1) if name not in _RATIONAL else ((int, float), 0)
        if name == "extra_channels":
            bound = 0
        if not isinstance(value, kinds) or isinstance(value, bool) or not value >= bound:
            kind = "whole number" if kinds == (int,) else "number"
            raise ConfigError(f"transformer: {name} is {value!r}, want a {kind} from {bound}")

    @property
    def width(self) -> int:
        """Width of a token: heads times their width."""
        return self.heads * self.head_dim

    @property
    def patch_depth(self) -> int:
        """Latent frames in a patch."""
        return self.patch_frames or 1

    @property
    def patch_values(self) -> int:
        """Latent positions in a patch: 4 (1.0) or 8 (1.5); times the channels, its numbers."""
        return self.patch_depth * self.patch**2

    @property
    def learned_grid(self) -> tuple[int, int, int]:
        """Frames, rows and columns of patches in the learned positional buffer."""
        frames = (self.sample_frames - 1) // self.frame_compression + 1
        return frames, self.sample_height // self.patch, self.sample_width // self.patch

    @classmethod
    def from_diffusers(cls, config: Mapping[str, object]) -> TransformerConfig:
        """Return what a `config.json` of diffusers' CogVideoXTransformer3DModel says.

        Raises ConfigError for another class, an unknown key, and values that no released checkpoint has.
        """
        values = read_config(
            config,
            "config.json",
            class_names={DIFFUSERS_CLASS},
            defaults=_DEFAULTS,
            fixed=_FIXED,
            unread=(),
        )
        fields = {ours: values[key] for key, ours in _PLAIN.items()}
        fields["positions"] = _positions(values)
        if fields["patch_frames"] is None and values[_PATCH_BIAS] is not True:
            raise ConfigError(
                "config.json: patch_bias is false without patch_size_t; no released model is so"
            )
        return cls(**fields)

    def to_diffusers(self) -> dict[str, object]:
        """Return the same model's `config.json` in diffusers: every key written, extra channels merged."""
        config: dict[str, object] = {"_class_name": DIFFUSERS_CLASS, **_FIXED}
        config |= {key: getattr(self, ours) for key, ours in _PLAIN.items()}
        config["in_channels"] = self.in_channels + self.extra_channels
        config[_ROPE] = self.positions != "sincos"
        config[_LEARNED] = self.positions == "rope+learned"
        # The linear form has a bias whatever this says; the released 1.5 says false.
        config[_PATCH_BIAS] = self.patch_frames is None
        return config


_DEFAULTS: Final[Mapping[str, Any]] = {
    **_FIXED,
    **{key: getattr(TransformerConfig(), ours) for key, ours in _PLAIN.items()},
    _ROPE: False,
    _LEARNED: False,
    _PATCH_BIAS: True,
}


def _positions(config: Mapping[str, Any]) -> Positions:
    rope, learned = config[_ROPE], config[_LEARNED]
    if not isinstance(rope, bool) or not isinstance(learned, bool) or (learned and not rope):
        raise ConfigError(
            f"config.json: {_ROPE} {rope!r} with {_LEARNED} {learned!r}; no released model is so"
        )
    if learned:
        return "rope+learned"
    return "rope" if rope else "sincos"


_5B: Final = TransformerConfig(heads=48, layers=42, positions="rope")
# 300 x 300 as in the released files: a bound of their sliced positions, not a size that was trained at.
_15: Final = dataclasses.replace(_5B, patch_frames=2, sample_frames=81, sample_height=300, sample_width=300)

PRESETS: Final[Mapping[str, TransformerConfig]] = {
    # For videos of 17 x 64 x 64 pixels and a text of words: ours, there is no such release.
    "tiny": TransformerConfig(
        heads=4, layers=4, text_dim=128, text_length=64, time_dim=128, positions="rope",
        sample_frames=17, sample_height=8, sample_width=8,
    ),
    "cogvideox-2b": TransformerConfig(),
    "cogvideox-5b": _5B,
    "cogvideox-5b-i2v": dataclasses.replace(_5B, in_channels=32, positions="rope+learned"),
    "cogvideox-1.5-5b": _15,
    "cogvideox-1.5-5b-i2v": dataclasses.replace(_15, in_channels=32, ofs_dim=512),
}  # fmt: skip
"""The released transformers, as their `config.json` on the hub has them, and `tiny`."""


def preset(name: str) -> TransformerConfig:
    """Return a preset's configuration.

    Raises ConfigError, naming the presets, where there is none of that name.
    """
    if name not in PRESETS:
        raise ConfigError(f"no preset {name!r}: there are {', '.join(PRESETS)}")
    return PRESETS[name]
