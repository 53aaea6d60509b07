"""diffusers' config.json and back, every key accounted for."""

from __future__ import annotations

import pytest
import torch
from diffusers import AutoencoderKLCogVideoX
from hypothesis import given
from hypothesis import strategies as st

from shards.errors import ConfigError
from train.vae import PRESETS, VaeConfig

RELEASED_2B = {
    "_class_name": "AutoencoderKLCogVideoX",
    "_diffusers_version": "0.30.0.dev0",
    "act_fn": "silu",
    "block_out_channels": [128, 256, 256, 512],
    "down_block_types": ["CogVideoXDownBlock3D"] * 4,
    "force_upcast": True,
    "in_channels": 3,
    "latent_channels": 16,
    "latents_mean": None,
    "latents_std": None,
    "layers_per_block": 3,
    "norm_eps": 1e-06,
    "norm_num_groups": 32,
    "out_channels": 3,
    "sample_height": 480,
    "sample_width": 720,
    "scaling_factor": 1.15258426,
    "shift_factor": None,
    "temporal_compression_ratio": 4,
    "up_block_types": ["CogVideoXUpBlock3D"] * 4,
    "use_post_quant_conv": False,
    "use_quant_conv": False,
}
"""as released: the key `invert_scale_latents` is younger"""


def test_the_presets_are_the_released_models() -> None:
    assert VaeConfig.from_diffusers(RELEASED_2B) == PRESETS["cogvideox-2b"]
    assert VaeConfig.from_diffusers(RELEASED_2B | {"scaling_factor": 0.7}) == PRESETS["cogvideox-5b-i2v"]
    assert VaeConfig.from_diffusers(RELEASED_2B | {"temporal_compression_ratio": 4.0}) == VaeConfig()
    younger = RELEASED_2B | {"scaling_factor": 0.7, "invert_scale_latents": True}
    assert VaeConfig.from_diffusers(younger) == PRESETS["cogvideox-1.5-5b-i2v"]
    factors = [
        (PRESETS[name].scaling_factor, PRESETS[name].image_scaling_factor)
        for name in ("cogvideox-2b", "cogvideox-5b", "cogvideox-1.5-5b")
    ]
    assert factors == [(1.15258426, 1.15258426), (0.7, 0.7), (0.7, 1 / 0.7)]


def test_all_keys_of_diffusers_are_written() -> None:
    written = PRESETS["cogvideox-1.5-5b"].to_diffusers()
    with torch.device("meta"):
        known = AutoencoderKLCogVideoX.from_config(written).config
    assert {key: known[key] for key in known if not key.startswith("_")} == {
        key: value for key, value in written.items() if key != "_class_name"
    }
    assert written["_class_name"] == "AutoencoderKLCogVideoX"


@given(
    levels=st.lists(st.sampled_from([8, 16, 40]), min_size=3, max_size=5),
    factor=st.floats(0.01, 10),
    inverted=st.booleans(),
    eps=st.sampled_from([1e-6, 1e-5]),
)
def test_a_configuration_survives_diffusers_form(
    levels: list[int], factor: float, inverted: bool, eps: float
) -> None:
    config = VaeConfig(
        block_out_channels=tuple(levels),
        norm_num_groups=8,
        norm_eps=eps,
        scaling_factor=factor,
        invert_scale_latents=inverted,
    )
    assert VaeConfig.from_diffusers(config.to_diffusers()) == config


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"_class_name": "AutoencoderKLWan"},
            "_class_name is 'AutoencoderKLWan', not AutoencoderKLCogVideoX",
        ),
        ({"_class_name": None}, "_class_name is None"),
        ({"z_dim": 16}, "unknown key 'z_dim'"),
        ({"act_fn": "gelu"}, "act_fn is 'gelu'; only 'silu'"),
        ({"use_quant_conv": True}, "use_quant_conv is True"),
        ({"shift_factor": 0.1}, r"shift_factor is 0\.1"),
        ({"down_block_types": ["CogVideoXDownBlock3D"] * 3}, "down_block_types is"),
        ({"up_block_types": ["UpDecoderBlock2D"] * 4}, "up_block_types is"),
        ({"up_block_types": None}, "up_block_types is None"),
        ({"block_out_channels": [100, 256, 256, 512]}, "100 is not a multiple of norm_num_groups 32"),
        ({"block_out_channels": []}, r"block_out_channels: \(\); one number a level"),
        ({"block_out_channels": 128}, "block_out_channels: 128"),
        ({"block_out_channels": ["wide"] * 4}, "'wide' is not a whole number"),
        ({"latent_channels": 0}, "latent_channels: 0"),
        ({"latent_channels": True}, "latent_channels: True"),
        ({"temporal_compression_ratio": 3}, "3 is not a power of two"),
        ({"temporal_compression_ratio": 16}, "16 is not a power of two of at most 8"),
        ({"temporal_compression_ratio": float("inf")}, "temporal_compression_ratio: inf"),
        ({"latent_channels": 16.0}, r"latent_channels: 16\.0"),
        ({"temporal_compression_ratio": "4"}, "temporal_compression_ratio: '4'"),
        ({"scaling_factor": 0}, "scaling_factor: 0 is not a positive number"),
        ({"scaling_factor": float("nan")}, "scaling_factor: nan"),
        ({"norm_eps": None}, "norm_eps: None"),
        ({"sample_height": 8}, "sample_height: 8"),
        ({"invert_scale_latents": "no"}, "invert_scale_latents: 'no'"),
    ],
)
def test_what_is_not_such_a_vae_is_refused(change: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        VaeConfig.from_diffusers(RELEASED_2B | change, "some/vae/config.json")
    assert str(caught.value).startswith("some/vae/config.json: ")
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2
