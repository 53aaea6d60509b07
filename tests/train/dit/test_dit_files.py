"""A checkpoint written by either loads in the other; what cannot be loaded is said in one line."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from diffusers import CogVideoXTransformer3DModel
from dit_reference import distance, pair, run_reference, small, some_clip

from shards.errors import ConfigError, InputError
from train.dit import PRESETS, build_transformer, load_transformer, pack_clips, save_transformer
from train.dit.initial import initialise


@pytest.mark.parametrize("name", PRESETS)
def test_what_is_written_here_loads_in_diffusers(name: str, tmp_path: Path) -> None:
    config = small(name)
    model, _ = pair(config)
    save_transformer(model, tmp_path / "transformer", max_shard_bytes=200_000)
    assert len(list(tmp_path.glob("transformer/*.safetensors"))) > 2
    reference = CogVideoXTransformer3DModel.from_pretrained(tmp_path / "transformer").eval()
    clip = some_clip(config, 2 if name.startswith("cogvideox-1.5") else 3, 12, 16, 321, 0)
    with torch.no_grad():
        pack = pack_clips([clip], config)
        out = pack.latents(model(pack))[0]
        assert distance(out, run_reference(reference, [clip], config)[0]) < 1e-5


@pytest.mark.parametrize("variant", [None, "fp16"])
@pytest.mark.parametrize("shard", ["200KB", "10GB"])
@pytest.mark.parametrize("name", PRESETS)
def test_what_diffusers_writes_loads_here(name: str, shard: str, variant: str | None, tmp_path: Path) -> None:
    config = small(name)
    model, reference = pair(config)
    reference.save_pretrained(tmp_path, max_shard_size=shard, variant=variant)
    read = load_transformer(tmp_path, variant=variant)
    assert read.config == config
    state = read.state_dict()
    assert all(torch.equal(state[key], tensor) for key, tensor in model.state_dict().items())


def test_precision_on_the_way_in_and_out(tmp_path: Path) -> None:
    model, _ = pair(small("tiny"))
    save_transformer(model, tmp_path / "half", dtype=torch.bfloat16)
    read = load_transformer(tmp_path / "half", dtype=torch.float16)
    assert {x.dtype for x in read.parameters()} == {torch.float16}
    assert torch.equal(read.proj_out.weight, model.proj_out.weight.bfloat16().half())


def test_the_folder_of_another_model_is_refused(tmp_path: Path) -> None:
    reference = pair(small("tiny"))[1]
    reference.save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "_class_name": "AutoencoderKLCogVideoX"}))
    with pytest.raises(ConfigError, match="_class_name is 'AutoencoderKLCogVideoX'") as caught:
        load_transformer(tmp_path)
    assert str(caught.value).startswith(str(tmp_path))
    path.write_text(json.dumps({**config, "num_layers": 4}))
    with pytest.raises(InputError, match=r"missing keys: transformer_blocks\.3\.attn1"):
        load_transformer(tmp_path)
    path.write_text(json.dumps({**config, "in_channels": 32}))
    with pytest.raises(InputError, match=r"1 tensors of another size: patch_embed\.proj\.weight"):
        load_transformer(tmp_path)


def test_too_little_memory_for_a_preset_is_said_first(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"transformer in torch\.float32 needs 22\.3 GB on cpu, where 8\.0 GB"
    ):
        build_transformer(PRESETS["cogvideox-5b"], seed=0, free=lambda _: 8 * 10**9)
    with pytest.raises(ConfigError, match=r"transformer in torch\.bfloat16 needs 11\.1 GB"):
        build_transformer(PRESETS["cogvideox-5b"], seed=0, dtype=torch.bfloat16, free=lambda _: 8 * 10**9)
    pair(small("tiny"))[1].save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match=r"needs .* GB on cpu"):
        load_transformer(tmp_path, free=lambda _: 1000)


def test_an_untrained_model_is_the_same_for_the_same_seed() -> None:
    config = small("cogvideox-1.5-5b-i2v", extra_channels=3)
    first, second, other = (build_transformer(config, seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not torch.equal(first["patch_embed.text_proj.weight"], other["patch_embed.text_proj.weight"])
    assert not first["patch_embed.extra.weight"].any()


@pytest.mark.parametrize("name", PRESETS)
def test_an_untrained_model_predicts_0_and_its_blocks_change_nothing(name: str) -> None:
    config = small(name)
    model, reference = pair(config)
    # Whatever was there before is overwritten.
    initialise(model, torch.Generator().manual_seed(0))
    assert all(bool(x.isfinite().all()) for x in model.state_dict().values())
    clip = some_clip(config, 2, 12, 16, 500, 0)
    pack = pack_clips([clip], config)
    out = model(pack)
    assert not out.any()
    (out - 1).square().sum().backward()
    assert bool(model.proj_out.weight.grad.any())
    x = torch.randn(pack.segments.tokens, config.width)
    block = model.transformer_blocks[0]
    segments = pack.segments.ready("sdpa", torch.device("cpu"), torch.float32)
    context = dataclasses.replace(model._context(pack), segments=segments)
    assert torch.equal(block(x, model._time(pack), context), x)
    if config.positions == "rope+learned":
        fresh = CogVideoXTransformer3DModel.from_config(reference.config)
        ours, theirs = model.patch_embed.pos_embedding, fresh.patch_embed.pos_embedding
        torch.testing.assert_close(ours, theirs.float(), atol=1e-6, rtol=0)
