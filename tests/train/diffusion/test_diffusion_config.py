"""diffusers' scheduler_config.json and back, every key accounted for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from diffusers import CogVideoXDDIMScheduler, CogVideoXDPMScheduler
from hypothesis import given
from hypothesis import strategies as st

from shards.errors import ConfigError
from train.diffusion import PRESETS, DiffusionConfig

RELEASED_2B = {
    "_class_name": "CogVideoXDDIMScheduler",
    "_diffusers_version": "0.30.0.dev0",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "clip_sample": False,
    "clip_sample_range": 1.0,
    "num_train_timesteps": 1000,
    "prediction_type": "v_prediction",
    "rescale_betas_zero_snr": True,
    "sample_max_value": 1.0,
    "set_alpha_to_one": True,
    "snr_shift_scale": 3.0,
    "steps_offset": 0,
    "timestep_spacing": "trailing",
    "trained_betas": None,
}


def test_the_presets_are_the_released_models() -> None:
    assert DiffusionConfig.from_diffusers(RELEASED_2B) == PRESETS["cogvideox-2b"]
    five = RELEASED_2B | {"_class_name": "CogVideoXDPMScheduler", "snr_shift_scale": 1.0}
    assert DiffusionConfig.from_diffusers(five) == PRESETS["cogvideox-5b"]


@pytest.mark.parametrize("kind", [CogVideoXDDIMScheduler, CogVideoXDPMScheduler])
def test_all_keys_of_diffusers_are_written(kind: type) -> None:
    sampler = "ddim" if kind is CogVideoXDDIMScheduler else "dpm"
    written = replace(PRESETS["cogvideox-2b"], sampler=sampler).to_diffusers()
    known = kind.from_config(written).config
    assert {key: known[key] for key in known if not key.startswith("_")} == {
        key: value for key, value in written.items() if key != "_class_name"
    }
    assert written["_class_name"] == kind.__name__


@given(
    config=st.builds(
        DiffusionConfig,
        num_train_timesteps=st.integers(2, 4000),
        beta_start=st.floats(1e-5, 0.01),
        beta_end=st.floats(0.011, 0.5),
        snr_shift_scale=st.floats(0.1, 10),
        sampler=st.sampled_from(["ddim", "dpm"]),
        timestep_spacing=st.sampled_from(["trailing", "leading", "linspace"]),
    )
)
def test_a_configuration_survives_diffusers_form(config: DiffusionConfig) -> None:
    assert DiffusionConfig.from_diffusers(config.to_diffusers()) == config


def test_a_missing_key_has_diffusers_default() -> None:
    # Theirs is 3.0, also for a 5B model: a file that leaves it out means that.
    short = {key: value for key, value in RELEASED_2B.items() if key not in ("snr_shift_scale", "beta_end")}
    assert DiffusionConfig.from_diffusers(short) == PRESETS["cogvideox-2b"]
    without = {key: value for key, value in RELEASED_2B.items() if key != "rescale_betas_zero_snr"}
    with pytest.raises(ConfigError, match="rescale_betas_zero_snr is False; only True"):
        DiffusionConfig.from_diffusers(without)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"_class_name": "DDIMScheduler"}, "_class_name is 'DDIMScheduler', not CogVideoXDDIMScheduler or"),
        ({"thresholding": False}, "unknown key 'thresholding'"),
        ({"prediction_type": "epsilon"}, "prediction_type is 'epsilon'; only 'v_prediction'"),
        ({"beta_schedule": "linear"}, "beta_schedule is 'linear'"),
        ({"trained_betas": [0.1]}, "trained_betas is"),
        ({"timestep_spacing": "even"}, "timestep_spacing: 'even' is none of trailing, leading, linspace"),
        ({"num_train_timesteps": 1}, "num_train_timesteps: 1"),
        ({"num_train_timesteps": None}, "num_train_timesteps: None"),
        ({"beta_start": 0.02}, "beta_end: 0.012 does not lie between"),
        ({"beta_start": "small"}, "beta_start: 'small' is not a positive number"),
        ({"snr_shift_scale": 0}, "snr_shift_scale: 0 is not"),
    ],
)
def test_what_is_not_such_a_schedule_is_refused(change: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        DiffusionConfig.from_diffusers(RELEASED_2B | change, "a/scheduler_config.json")
    assert str(caught.value).startswith("a/scheduler_config.json: ")
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2
