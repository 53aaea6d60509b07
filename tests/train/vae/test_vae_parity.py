"""The VAE equals diffusers' AutoencoderKLCogVideoX: values, keys, files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKLCogVideoX
from safetensors.torch import load_file, save_file
from vae_pair import CONFIGS, PARITY, latents, pair, randomize, relative, video

from train.vae import PRESETS, ChunkRule, Tiling, Vae, VaeConfig, draw

AS_DIFFUSERS = ChunkRule(first_alone=False)


@pytest.mark.parametrize(
    ("name", "frames", "height", "width"),
    [
        *[("tiny", frames, 32, 48) for frames in (1, 5, 9, 13, 17, 21, 29, 33)],
        *[("odd", frames, 12, 20) for frames in (1, 3, 7, 9, 11, 15, 19)],
        *[("full-width", frames, 16, 24) for frames in (1, 5, 13, 17)],
    ],
)
def test_encoding_equals_diffusers(name: str, frames: int, height: int, width: int) -> None:
    ours, theirs = pair(name)
    x = video(ours.config, frames, height, width)
    posterior, reference = ours.encode(x), theirs.encode(x).latent_dist
    assert posterior.mean.std() > 0.1
    assert relative(posterior.mean, reference.mean) < PARITY
    assert relative(posterior.logvar, reference.logvar) < PARITY


@pytest.mark.parametrize(
    ("name", "count", "rule"),
    [
        *[("tiny", count, ChunkRule()) for count in (1, 3, 5, 9)],
        *[("tiny", count, AS_DIFFUSERS) for count in (1, 2, 3, 4, 8)],
        *[("odd", count, ChunkRule()) for count in (1, 3, 5)],
        *[("full-width", count, ChunkRule()) for count in (1, 3, 5)],
        ("full-width", 4, AS_DIFFUSERS),
    ],
)
def test_decoding_equals_diffusers(name: str, count: int, rule: ChunkRule) -> None:
    ours, theirs = pair(name)
    z = latents(ours.config, count, 2, 3)
    decoded, reference = ours.decode(z, rule=rule), theirs.decode(z).sample
    assert decoded.std() > 0.1
    assert relative(decoded, reference) < PARITY


@pytest.mark.parametrize("rule", [ChunkRule(16, 4), ChunkRule(4, 2, first_alone=False), ChunkRule(48, 12)])
def test_other_chunks_equal_diffusers_with_the_same(rule: ChunkRule) -> None:
    ours = pair("tiny")[0]
    theirs = AutoencoderKLCogVideoX.from_config(ours.config.to_diffusers())
    theirs.load_state_dict(ours.state_dict())
    theirs.num_sample_frames_batch_size, theirs.num_latent_frames_batch_size = rule.frames, rule.latents
    x, z = video(ours.config, 33, 16, 24), latents(ours.config, 9, 2, 3)
    with torch.no_grad():
        assert relative(ours.encode(x, rule=rule).mean, theirs.encode(x).latent_dist.mean) < PARITY
        assert relative(ours.decode(z, rule=rule), theirs.decode(z).sample) < PARITY


# In latents; tiles of 6 x 5 with one latent shared. A tile at the end may be a single latent wide.
@pytest.mark.parametrize(
    ("count", "height", "width"), [(1, 6, 6), (1, 12, 10), (1, 3, 14), (3, 7, 9), (5, 7, 5)]
)
def test_tiles_equal_diffusers(count: int, height: int, width: int) -> None:
    ours = pair("tiny")[0]
    theirs = AutoencoderKLCogVideoX.from_config(ours.config.to_diffusers())
    theirs.load_state_dict(ours.state_dict())
    theirs.enable_tiling(48, 40, 1 / 6, 1 / 5)
    tiling = Tiling(6, 5, 1, 1)
    x = video(ours.config, 4 * count - 3, 8 * height, 8 * width)
    z = latents(ours.config, count, height, width)
    with torch.no_grad():
        encoded, reference = ours.encode(x, tiling=tiling), theirs.encode(x).latent_dist
        assert relative(encoded.mean, reference.mean) < PARITY
        assert relative(encoded.logvar, reference.logvar) < PARITY
        decoded = ours.decode(z, tiling=tiling)
        assert relative(decoded, theirs.decode(z).sample) < PARITY
        assert relative(decoded, ours.decode(z)) > 0.01


def test_tiles_of_full_width_equal_diffusers() -> None:
    ours, _ = pair("full-width")
    assert Tiling.released(ours.config) == Tiling(30, 45, 5, 9)
    theirs = AutoencoderKLCogVideoX.from_config(ours.config.to_diffusers())
    theirs.load_state_dict(ours.state_dict())
    theirs.enable_tiling(16, 24, 0.5, 1 / 3)
    x, z = video(ours.config, 5, 24, 32), latents(ours.config, 1, 3, 4)
    with torch.no_grad():
        encoded = ours.encode(x, tiling=Tiling(2, 3, 1, 1)).mean
        assert relative(encoded, theirs.encode(x).latent_dist.mean) < PARITY
        decoded = ours.decode(z, tiling=Tiling(2, 3, 1, 1))
        assert relative(decoded, theirs.decode(z).sample) < PARITY


def test_a_frame_that_fits_one_tile_is_not_tiled() -> None:
    ours = pair("tiny")[0]
    z = latents(ours.config, 3, 4, 6)
    assert torch.equal(ours.decode(z, tiling=Tiling(4, 6, 1, 2)), ours.decode(z))


def test_a_batch_is_its_clips() -> None:
    ours = pair("tiny")[0]
    two = torch.cat([video(ours.config, 13, 16, 24, seed) for seed in (5, 6)])
    both = ours.encode(two)
    for i in range(2):
        assert relative(both.mean[i], ours.encode(two[i : i + 1]).mean[0]) < PARITY


def test_a_draw_equals_diffusers_with_the_same_seed() -> None:
    ours, theirs = pair("tiny")
    x = video(ours.config, 9, 16, 24)
    drawn = draw(ours.encode(x), torch.Generator().manual_seed(7))
    reference = theirs.encode(x).latent_dist.sample(torch.Generator().manual_seed(7))
    assert relative(drawn, reference) < PARITY
    assert relative(drawn, ours.encode(x).mean) > 0.1


def test_log_variances_end_where_those_of_diffusers_do() -> None:
    ours = Vae(CONFIGS["tiny"]).requires_grad_(False)
    randomize(ours)
    ours.encoder.conv_out.conv.bias += torch.linspace(-100, 100, 32)
    theirs = AutoencoderKLCogVideoX.from_config(ours.config.to_diffusers()).requires_grad_(False)
    theirs.load_state_dict(ours.state_dict())
    x = video(ours.config, 5, 8, 16)
    posterior = ours.encode(x)
    assert posterior.logvar.min() >= -30
    assert posterior.logvar.max() == 20
    assert relative(posterior.logvar, theirs.encode(x).latent_dist.logvar) < PARITY


@pytest.mark.parametrize("name", PRESETS)
def test_keys_and_shapes_equal_diffusers_at_full_size(name: str) -> None:
    config = PRESETS[name]
    with torch.device("meta"):
        ours = Vae(config)
        theirs = AutoencoderKLCogVideoX.from_config(config.to_diffusers())
    shapes = {key: value.shape for key, value in ours.state_dict().items()}
    assert shapes == {key: value.shape for key, value in theirs.state_dict().items()}
    count = sum(value.numel() for value in ours.parameters())
    assert count == (2_088_883 if name == "tiny" else 215_583_907)


@pytest.mark.parametrize("name", ["tiny", "odd"])
def test_a_folder_of_diffusers_is_read(name: str, tmp_path: Path) -> None:
    _, theirs = pair(name)
    theirs.save_pretrained(tmp_path)
    config = VaeConfig.from_diffusers(json.loads((tmp_path / "config.json").read_text()))
    assert config == CONFIGS[name]
    ours = Vae(config).requires_grad_(False)
    ours.load_state_dict(load_file(tmp_path / "diffusion_pytorch_model.safetensors"))
    z = latents(config, 3, 2, 3)
    assert relative(ours.decode(z), theirs.decode(z).sample) < PARITY


@pytest.mark.parametrize("name", ["tiny", "odd"])
def test_diffusers_reads_a_folder_of_ours(name: str, tmp_path: Path) -> None:
    ours, _ = pair(name)
    (tmp_path / "config.json").write_text(json.dumps(ours.config.to_diffusers()))
    save_file(ours.state_dict(), tmp_path / "diffusion_pytorch_model.safetensors", {"format": "pt"})
    theirs = AutoencoderKLCogVideoX.from_pretrained(tmp_path)
    x = video(ours.config, 9, 16, 24)
    with torch.no_grad():
        assert relative(ours.encode(x).mean, theirs.encode(x).latent_dist.mean) < PARITY


@pytest.mark.slow
def test_the_released_size_equals_diffusers() -> None:
    config = PRESETS["cogvideox-5b"]
    ours = Vae(config).requires_grad_(False)
    randomize(ours)
    with torch.device("meta"):
        theirs = AutoencoderKLCogVideoX.from_config(config.to_diffusers()).requires_grad_(False)
    theirs.load_state_dict(ours.state_dict(), assign=True)
    x = video(config, 13, 16, 16)
    posterior = ours.encode(x)
    assert relative(posterior.mean, theirs.encode(x).latent_dist.mean) < PARITY
    z = posterior.mean[:, :, :3]
    assert relative(ours.decode(z), theirs.decode(z).sample) < PARITY


def test_sixteen_bit_weights_give_float32_posteriors_near_those_of_float32() -> None:
    ours = pair("tiny")[0]
    half = Vae(ours.config).requires_grad_(False)
    half.load_state_dict(ours.state_dict())
    half.bfloat16()
    x = video(ours.config, 9, 16, 24)
    posterior = half.encode(x)
    assert posterior.mean.dtype == posterior.logvar.dtype == torch.float32
    assert relative(posterior.mean, ours.encode(x).mean) < 0.05
    assert half.decode(posterior.mean).dtype == torch.bfloat16
