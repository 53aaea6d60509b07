"""Configurations: those of diffusers in and out, every key accounted for, and numbers that don't agree
refused.
"""

from __future__ import annotations

import dataclasses
import inspect

import pytest
from diffusers import CogVideoXTransformer3DModel

from shards.errors import ConfigError
from train.dit import PRESETS, TransformerConfig, preset

# As on the hub: what 2B's config.json says, which is older than some of the keys.
RELEASED_2B = {
    "_class_name": "CogVideoXTransformer3DModel",
    "_diffusers_version": "0.30.0.dev0",
    "activation_fn": "gelu-approximate",
    "attention_bias": True,
    "attention_head_dim": 64,
    "dropout": 0.0,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "in_channels": 16,
    "max_text_seq_length": 226,
    "norm_elementwise_affine": True,
    "norm_eps": 1e-05,
    "num_attention_heads": 30,
    "num_layers": 30,
    "out_channels": 16,
    "patch_size": 2,
    "sample_frames": 49,
    "sample_height": 60,
    "sample_width": 90,
    "spatial_interpolation_scale": 1.875,
    "temporal_compression_ratio": 4,
    "temporal_interpolation_scale": 1.0,
    "text_embed_dim": 4096,
    "time_embed_dim": 512,
    "timestep_activation_fn": "silu",
    "use_rotary_positional_embeddings": False,
}


@pytest.mark.parametrize("name", PRESETS)
def test_presets_go_to_diffusers_and_back(name: str) -> None:
    config = preset(name).to_diffusers()
    assert TransformerConfig.from_diffusers(config) == preset(name)
    parameters = set(inspect.signature(CogVideoXTransformer3DModel.__init__).parameters) - {"self"}
    assert config.keys() == parameters | {"_class_name"}


def test_an_old_config_means_what_diffusers_class_says_by_default() -> None:
    assert TransformerConfig.from_diffusers(RELEASED_2B) == preset("cogvideox-2b")
    defaults = {"_class_name": "CogVideoXTransformer3DModel"}
    assert TransformerConfig.from_diffusers(defaults) == TransformerConfig() == preset("cogvideox-2b")
    signature = inspect.signature(CogVideoXTransformer3DModel.__init__).parameters
    ours = TransformerConfig().to_diffusers()
    assert {key: ours[key] for key in ours if key != "_class_name"} == {
        key: parameter.default for key, parameter in signature.items() if key != "self"
    }


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"_class_name": "WanTransformer3DModel"},
            "_class_name is 'WanTransformer3DModel'.* another model's folder",
        ),
        ({"_class_name": None}, "_class_name is None"),
        ({"num_layer": 3}, "unknown key 'num_layer'.*nearest known one is 'num_layers'"),
        ({"quantization_config": {}}, "unknown key 'quantization_config'"),
        ({"activation_fn": "geglu"}, "activation_fn is 'geglu'; only 'gelu-approximate' is supported"),
        ({"dropout": 0.1}, r"dropout is 0\.1"),
        ({"use_learned_positional_embeddings": True}, "no released model is so"),
        ({"use_rotary_positional_embeddings": "yes"}, "'yes'"),
        ({"patch_bias": False}, "patch_bias is false without patch_size_t"),
        ({"num_layers": 0}, "layers is 0, want a whole number from 1"),
        ({"num_layers": "3"}, "layers is '3'"),
        ({"norm_eps": float("nan")}, "norm_eps is nan"),
        ({"attention_head_dim": 24}, "head_dim 24 is no multiple of 16"),
        ({"patch_size_t": 2}, "go with rope, not with sincos"),
        ({"ofs_embed_dim": 256}, "ofs_dim 256 is added to time_dim 512"),
    ],
)
def test_what_is_not_supported_is_refused_in_one_line(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        TransformerConfig.from_diffusers({**RELEASED_2B, **changes})
    assert "\n" not in str(caught.value)


def test_numbers_that_do_not_agree_are_refused() -> None:
    with pytest.raises(ConfigError, match="extra_channels is -1, want a whole number from 0"):
        dataclasses.replace(preset("tiny"), extra_channels=-1)
    with pytest.raises(ConfigError, match="positions 'alibi'"):
        TransformerConfig(positions="alibi")
    with pytest.raises(ConfigError, match="61 x 90 latents does not divide"):
        dataclasses.replace(preset("cogvideox-5b-i2v"), sample_height=61)
    with pytest.raises(ConfigError, match="no preset 'cogvideox-3b': there are tiny, cogvideox-2b,"):
        preset("cogvideox-3b")


def test_extra_channels_are_merged_in_diffusers_config() -> None:
    config = dataclasses.replace(preset("cogvideox-5b"), extra_channels=17)
    assert config.to_diffusers()["in_channels"] == 33
