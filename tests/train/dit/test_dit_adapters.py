"""Extra channels start as the parent, learn, and are one projection in diffusers."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from diffusers import CogVideoXTransformer3DModel
from dit_reference import distance, pair, run_reference, small, some_clip

from shards.errors import ConfigError
from train.checkpoints import load_weights
from train.dit import Transformer, add_channels, merge_rules, pack_clips, save_transformer


@pytest.mark.parametrize("name", ["cogvideox-2b", "cogvideox-5b", "cogvideox-1.5-5b"])
@pytest.mark.parametrize("channels", [1, 17])
def test_step_0_is_the_parent_and_the_export_is_what_was_learned(
    name: str, channels: int, tmp_path: Path
) -> None:
    config = small(name)
    parent, _ = pair(config)
    model, _ = pair(config)
    add_channels(model, channels)
    assert model.config == dataclasses.replace(config, extra_channels=channels)
    clip = some_clip(model.config, 2, 12, 16, 321, 0)
    pack = pack_clips([clip], model.config)
    with torch.no_grad():
        before = parent(pack_clips([dataclasses.replace(clip, extra_CTHW=None)], config))
    out = model(pack)
    assert torch.equal(out, before)
    out.square().sum().backward()
    assert bool(model.patch_embed.extra.weight.grad.any())

    with torch.no_grad():
        model.patch_embed.extra.weight.normal_(0, 0.2)
        out = pack.latents(model(pack))[0]
    assert distance(out, pack.latents(before)[0]) > 0.05
    save_transformer(model, tmp_path / "transformer")
    reference = CogVideoXTransformer3DModel.from_pretrained(tmp_path / "transformer").eval()
    assert reference.config.in_channels == 16 + channels
    with torch.no_grad():
        assert distance(out, run_reference(reference, [clip], config)[0]) < 1e-5

    # And back into both projections.
    again = Transformer(model.config)
    load_weights(again, tmp_path / "transformer", rules=merge_rules(model.config))
    assert torch.equal(again.patch_embed.extra.weight, model.patch_embed.extra.weight)


def test_channels_are_added_once() -> None:
    model, _ = pair(small("tiny"))
    add_channels(model, 4)
    with pytest.raises(ConfigError, match="reads 4 extra channels already"):
        add_channels(model, 4)
    with pytest.raises(ConfigError, match="16 channels with the extra ones; the model reads 20"):
        pack_clips([some_clip(small("tiny"), 2, 8, 8, 5, 0)], model.config)
