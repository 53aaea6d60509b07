"""The noise schedule and sampler of a CogVideoX model, and diffusers' `scheduler_config.json`.

Fields that diffusers has too have its names.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, get_args

from shards.errors import ConfigError
from train.diffusers_config import read_config, whole

__all__ = ["PRESETS", "DiffusionConfig", "Sampler", "Spacing"]

Sampler = Literal["ddim", "dpm"]
Spacing = Literal["trailing", "leading", "linspace"]

_CLASSES: Final[Mapping[str, Sampler]] = {"CogVideoXDDIMScheduler": "ddim", "CogVideoXDPMScheduler": "dpm"}
_DEFAULTS: Final[Mapping[str, Any]] = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "snr_shift_scale": 3.0,
    "timestep_spacing": "leading",
    "beta_schedule": "scaled_linear",
    "trained_betas": None,
    "set_alpha_to_one": True,
    "steps_offset": 0,
    "prediction_type": "epsilon",
    "rescale_betas_zero_snr": False,
}
"""of diffusers' classes; no released model has their prediction type, rescaling and spacing"""
_FIXED: Final[Mapping[str, Any]] = {
    "beta_schedule": "scaled_linear",
    "trained_betas": None,
    "set_alpha_to_one": True,
    "steps_offset": 0,
    "prediction_type": "v_prediction",
    "rescale_betas_zero_snr": True,
}
_UNREAD: Final[Mapping[str, Any]] = {"clip_sample": False, "clip_sample_range": 1.0, "sample_max_value": 1.0}


@dataclass(frozen=True, slots=True)
class DiffusionConfig:
    """Scaled-linear betas, shifted, rescaled to zero terminal SNR; v-prediction. Defaults are CogVideoX-2B's.

    `snr_shift_scale` s divides every signal-to-noise ratio by s: 3.0 for 2B, 1.0 for all of the 5B models.
    `sampler` and `timestep_spacing` concern sampling alone. Raises ConfigError for values without meaning.
    """

    num_train_timesteps: int = 1000
    beta_start: float = 0.00085
    beta_end: float = 0.012
    snr_shift_scale: float = 3.0
    sampler: Sampler = "ddim"
    timestep_spacing: Spacing = "trailing"

    def __post_init__(self) -> None:
        whole("num_train_timesteps", self.num_train_timesteps, 2)
        for name in ("beta_start", "beta_end", "snr_shift_scale"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 < value < math.inf:
                raise ConfigError(f"{name}: {value!r} is not a positive number")
        if not self.beta_start <= self.beta_end < 1:
            raise ConfigError(
                f"beta_end: {self.beta_end} does not lie between beta_start {self.beta_start} and 1"
            )
        for name, known in (("sampler", get_args(Sampler)), ("timestep_spacing", get_args(Spacing))):
            if getattr(self, name) not in known:
                raise ConfigError(f"{name}: {getattr(self, name)!r} is none of {', '.join(known)}")

    @classmethod
    def from_diffusers(
        cls, given: Mapping[str, Any], where: str = "scheduler_config.json"
    ) -> DiffusionConfig:
        """Return the configuration of a CogVideoXDDIMScheduler or CogVideoXDPMScheduler.

        Raises ConfigError in one line that begins with `where`: another class, an unknown key, another
        prediction or schedule than the released models'.
        """
        values = read_config(
            given,
            where,
            class_names=_CLASSES.keys(),
            defaults={**_DEFAULTS, **_UNREAD},
            fixed=_FIXED,
            unread=_UNREAD,
        )
        try:
            return cls(**values, sampler=_CLASSES[given["_class_name"]])
        except ConfigError as exc:
            raise ConfigError(f"{where}: {exc}") from exc

    def to_diffusers(self) -> dict[str, Any]:
        """Return the `scheduler_config.json` that diffusers' class is built from: all of its keys."""
        (name,) = (name for name, sampler in _CLASSES.items() if sampler == self.sampler)
        kept = {key: getattr(self, key) for key in _DEFAULTS if key not in _FIXED}
        return {"_class_name": name, **kept, **_FIXED, **_UNREAD}


_2B: Final = DiffusionConfig()
_5B: Final = replace(_2B, snr_shift_scale=1.0, sampler="dpm")

PRESETS: Final[Mapping[str, DiffusionConfig]] = {
    "tiny": _2B,
    "cogvideox-2b": _2B,
    "cogvideox-5b": _5B,
    "cogvideox-5b-i2v": _5B,
    "cogvideox-1.5-5b": _5B,
    "cogvideox-1.5-5b-i2v": _5B,
}
"""by the names of the released models, with the samplers that their authors recommend"""
