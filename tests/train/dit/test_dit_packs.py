"""A pack gives what its clips give one by one, forwards and backwards, and nothing leaks between them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pytest
import torch
from dit_reference import distance, pair, small, some_clip
from torch import Tensor

from shards.errors import ConfigError
from train.dit import PRESETS, Clip, Transformer, TransformerConfig, pack_clips

# Frames, rows, columns, timestep, text tokens: lengths, sizes, aspects, timesteps and texts all differ.
MIXED = [(4, 12, 16, 999, 7), (2, 6, 20, 0, 1), (2, 20, 6, 431, 5), (6, 4, 4, 77, 7)]
FREE = [name for name in PRESETS if name != "cogvideox-5b-i2v"]


def mixed(config: TransformerConfig) -> list[Clip]:
    clips = [some_clip(config, *size, text=text, seed=seed) for seed, (*size, text) in enumerate(MIXED)]
    if config.positions == "rope+learned":
        # Its positions are for one size.
        clips = [some_clip(config, t, 12, 16, 100 * t, text=t, seed=t) for t in (3, 1, 2)]
    return clips


def loss_of(outputs: Sequence[Tensor]) -> Tensor:
    """A weighted sum, other weights for each number."""
    return torch.stack(
        [(out * torch.linspace(-1, 2, out.numel()).reshape(out.shape)).sum() for out in outputs]
    ).sum()


def gradients(model: Transformer, loss: Tensor) -> dict[str, Tensor]:
    model.zero_grad(set_to_none=True)
    loss.backward()
    return {name: x.grad for name, x in model.named_parameters()}


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("kernel", ["sdpa", "cudnn"])
@pytest.mark.parametrize("name", PRESETS)
def test_a_pack_equals_its_clips_one_by_one(name: str, kernel: str, padded: bool) -> None:
    config = small(name)
    model, _ = pair(config)
    model.attention = kernel
    clips = mixed(config)
    pack = pack_clips(clips, config, tokens=700 if padded else None, slots=6 if padded else None)
    together = pack.latents(model(pack))
    alone = [one.latents(model(one))[0] for one in (pack_clips([clip], config) for clip in clips)]
    for out, expected, clip in zip(together, alone, clips, strict=True):
        assert out.shape == (16, *clip.latents_CTHW.shape[1:])
        assert distance(out, expected) < 1e-5
    packed, separate = gradients(model, loss_of(together)), gradients(model, loss_of(alone))
    assert packed.keys() == separate.keys()
    for key, gradient in packed.items():
        if name == "cogvideox-2b" and key.endswith("norm_k.bias"):
            # Without rotation, it adds the same to all of a query's scores: its gradient is rounding alone.
            assert float(gradient.norm()) < 1e-4
            continue
        assert distance(gradient, separate[key]) < 1e-5, key


@pytest.mark.parametrize("kernel", ["sdpa", "cudnn"])
@pytest.mark.parametrize("name", FREE)
def test_changing_one_clip_changes_no_other_by_a_bit(name: str, kernel: str) -> None:
    config = small(name)
    model, _ = pair(config)
    model.attention = kernel
    clips = mixed(config)
    before = pack_clips(clips, config, tokens=700)
    with torch.no_grad():
        outs = before.latents(model(before))
        for changed in range(len(clips)):
            other = dataclasses.replace(
                clips[changed],
                latents_CTHW=-3 * clips[changed].latents_CTHW,
                text_UE=clips[changed].text_UE + 5,
                timestep=500,
            )
            after = pack_clips([*clips[:changed], other, *clips[changed + 1 :]], config, tokens=700)
            for number, (x, y) in enumerate(zip(outs, after.latents(model(after)), strict=True)):
                assert torch.equal(x, y) == (number != changed)


def test_no_gradient_crosses_clips() -> None:
    config = small("cogvideox-5b")
    model, _ = pair(config)
    pack = pack_clips(mixed(config), config, tokens=700)
    patches = pack.patches_VP.requires_grad_()
    model(pack)[slice(*pack.patch_spans[1])].square().sum().backward()
    for number, span in enumerate(pack.patch_spans):
        assert bool(patches.grad[slice(*span)].any()) == (number == 1)


def test_the_same_shapes_for_every_pack_of_a_budget() -> None:
    config = small("cogvideox-1.5-5b-i2v")
    clips = mixed(config)
    shapes = set()
    for chosen in (clips, clips[:1], clips[2:]):
        pack = pack_clips(chosen, config, tokens=512, slots=5)
        assert pack.segments.tokens == 512
        assert pack.ofs_N is not None
        shapes.add((pack.rows_S.shape, pack.coordinates_S3.shape, pack.timesteps_N.shape, pack.ofs_N.shape))
    assert shapes == {((512,), (512, 3), (5,), (5,))}


def changed(**fields: object) -> Clip:
    return dataclasses.replace(some_clip(small("cogvideox-5b"), 3, 12, 16, 5, 0), **fields)


@pytest.mark.parametrize(
    ("clip", "said"),
    [
        (
            changed(latents_CTHW=torch.zeros(16, 3, 11, 16)),
            r"clip 0 of the pack: latents of 11 x 16.* multiples of 16 px",
        ),
        (changed(latents_CTHW=torch.zeros(16, 0, 12, 16)), "0 x 12 x 16 are empty"),
        (changed(latents_CTHW=torch.zeros(3, 12, 16)), r"\(3, 12, 16\), not \(C, T, H, W\)"),
        (
            changed(latents_CTHW=torch.zeros(15, 3, 12, 16)),
            "15 channels with the extra ones; the model reads 16",
        ),
        (changed(extra_CTHW=torch.zeros(16, 3, 12, 16)), "32 channels"),
        (changed(extra_CTHW=torch.zeros(16, 2, 12, 16)), r"extra channels are \(2, 12, 16\)"),
        (changed(text_UE=torch.zeros(4, 25)), r"\(4, 25\), not \(tokens, 24\)"),
        (changed(text_UE=torch.zeros(8, 24)), "8 text tokens; the model reads 1 to 7"),
        (changed(text_UE=torch.zeros(0, 24)), "0 text tokens"),
        (changed(ofs=2.0), "the model has none"),
    ],
)
def test_a_clip_that_does_not_fit_is_refused(clip: Clip, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        pack_clips([clip], small("cogvideox-5b"))


def test_frames_that_do_not_fit_the_patches_of_15_are_refused_and_can_be_evened() -> None:
    from train.dit import even_frames

    config = small("cogvideox-1.5-5b")
    odd = some_clip(config, 3, 12, 16, 5, 0)
    with pytest.raises(ConfigError, match="3 latent frames do not divide into patches of 2: see even_frames"):
        pack_clips([odd], config)
    latents, added = even_frames(odd.latents_CTHW, config)
    assert added == 1
    assert torch.equal(latents[:, 0], odd.latents_CTHW[:, 0])
    assert torch.equal(latents[:, added:], odd.latents_CTHW)
    pack = pack_clips([dataclasses.replace(odd, latents_CTHW=latents)], config)
    assert pack.grids == ((2, 6, 8),)
    assert even_frames(latents, config)[1] == 0
    with pytest.raises(ConfigError, match="needs ofs"):
        pack_clips(
            [some_clip(config, 2, 12, 16, 5, 0)] * 2, dataclasses.replace(config, ofs_dim=config.time_dim)
        )


def test_packs_that_do_not_fit_are_refused() -> None:
    config = small("cogvideox-5b")
    clip = some_clip(config, 3, 12, 16, 5, 0)
    with pytest.raises(ConfigError, match=r"\[151\] tokens, 151 together, do not fit a pack of 150"):
        pack_clips([clip], config, tokens=150)
    with pytest.raises(ConfigError, match="a pack of 2 clips has 1 slots"):
        pack_clips([clip, clip], config, slots=1)
    with pytest.raises(ConfigError, match="no clips"):
        pack_clips([], config)
    learned = small("cogvideox-5b-i2v")
    with pytest.raises(ConfigError, match="learned positions are for up to 3 x 6 x 8"):
        pack_clips([some_clip(learned, 2, 16, 12, 5, 0)], learned)
    model, _ = pair(config)
    with pytest.raises(ConfigError, match="another transformer's configuration"):
        model(pack_clips([some_clip(learned, 3, 12, 16, 5, 0)], learned))
