"""The transformer gives diffusers' numbers: small configurations, and full widths of two layers."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from diffusers import CogVideoXTransformer3DModel
from dit_reference import distance, pair, run_reference, small, some_clip

from train.dit import PRESETS, Transformer, TransformerConfig, pack_clips

RELEASED = [name for name in PRESETS if name != "tiny"]
# Latent frames, rows, columns: the trained size, a taller and a wider one, one frame.
SIZES = [(3, 12, 16), (2, 20, 6), (4, 4, 18), (1, 6, 6)]

COUNTS = {
    "cogvideox-2b": 1_693_783_872,
    "cogvideox-5b": 5_570_283_072,
    "cogvideox-5b-i2v": 5_570_479_680,
    "cogvideox-1.5-5b": 5_570_676_352,
    "cogvideox-1.5-5b-i2v": 5_571_594_880,
}


def parity(config: TransformerConfig, size: tuple[int, int, int]) -> float:
    model, reference = pair(config)
    clips = [some_clip(config, *size, timestep, seed) for seed, timestep in enumerate((999, 0))]
    pack = pack_clips(clips, config)
    with torch.no_grad():
        out = torch.stack(pack.latents(model(pack)))
        expected = run_reference(reference, clips, config)
    assert float(expected.std()) > 0.1
    return distance(out, expected)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", [*RELEASED, "tiny"])
def test_a_small_model_gives_the_numbers_of_diffusers(name: str, size: tuple[int, int, int]) -> None:
    config = small(name)
    if config.positions == "rope+learned":
        # diffusers knows the learned positions at the trained size alone.
        size = (3, 12, 16)
    frames, *sides = size
    assert parity(config, (frames + frames % config.patch_depth, sides[0], sides[1])) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("name", RELEASED)
def test_two_layers_of_the_full_width_give_the_numbers_of_diffusers(name: str) -> None:
    config = dataclasses.replace(PRESETS[name], layers=2)
    if config.positions == "rope+learned":
        config = dataclasses.replace(config, sample_frames=5, sample_height=12, sample_width=16)
    assert parity(config, (2, 12, 16)) < 1e-5


@pytest.mark.parametrize("name", PRESETS)
def test_keys_shapes_and_counts_are_those_of_diffusers(name: str) -> None:
    config = PRESETS[name]
    with torch.device("meta"):
        ours, theirs = Transformer(config), CogVideoXTransformer3DModel.from_config(config.to_diffusers())
    shapes = [{key: tuple(x.shape) for key, x in model.state_dict().items()} for model in (ours, theirs)]
    assert shapes[0] == shapes[1]
    assert {key for key, _ in ours.named_parameters()} == {key for key, _ in theirs.named_parameters()}
    if name == "cogvideox-5b-i2v":
        assert shapes[0]["patch_embed.pos_embedding"] == (1, 226 + 17_550, 3072)
    count = sum(x.numel() for x in ours.parameters())
    assert count == COUNTS.get(name, count)
    if name == "tiny":
        assert 4.5e6 < count < 5.5e6


def test_of_learned_positions_a_shorter_clip_reads_the_first_frames() -> None:
    config = small("cogvideox-5b-i2v")
    model, _ = pair(config)
    changed, _ = pair(config)
    per_frame = 6 * 8
    with torch.no_grad():
        changed.patch_embed.pos_embedding[:, config.text_length + 2 * per_frame :] += 1
        short, full = (pack_clips([some_clip(config, frames, 12, 16, 500, 0)], config) for frames in (2, 3))
        assert torch.equal(model(short), changed(short))
        assert not torch.equal(model(full), changed(full))
        model.patch_embed.pos_embedding[:, config.text_length + 2 * per_frame - 1] += 1
        assert not torch.equal(model(short), changed(short))


@pytest.mark.parametrize("way", ["bfloat16", "autocast"])
@pytest.mark.parametrize("name", ["cogvideox-2b", "cogvideox-5b"])
def test_in_half_precision_it_is_as_near_as_diffusers(name: str, way: str) -> None:
    """Rotation and norms stay in float32: against float32, no more error than the reference has in
    bfloat16.
    """
    config = small(name)
    model, reference = pair(config)
    clip = some_clip(config, 3, 12, 16, 500, 0)
    pack = pack_clips([clip], config)
    with torch.no_grad():
        exact = pack.latents(model(pack))[0]
        half = dataclasses.replace(
            clip, latents_CTHW=clip.latents_CTHW.bfloat16(), text_UE=clip.text_UE.bfloat16()
        )
        allowed = distance(run_reference(reference.bfloat16(), [half], config)[0].float(), exact)
        if way == "autocast":
            with torch.autocast("cpu", torch.bfloat16):
                out = pack.latents(pair(config)[0](pack))[0]
        else:
            moved = pack.to("cpu", torch.bfloat16)
            out = moved.latents(model.bfloat16()(moved))[0]
    assert out.dtype == torch.bfloat16
    assert distance(out.float(), exact) < 1.2 * allowed < 0.05
