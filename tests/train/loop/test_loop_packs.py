"""Packs that the loop makes: targets that fit the noise, 1.5's even frames, fillers, one shape."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from loop_parts import CONFIG, Memory, Numbers

from train.data import LoadedClip, LoadedPack
from train.diffusion import PRESETS, Schedule
from train.dit import build_transformer, unpatchify
from train.loop.packs import PackMaker
from train.plan import PlannedClip, PlannedPack, PlannedStep, View

SCHEDULE = Schedule.of(PRESETS["tiny"])


def one_clip(frames: int, timestep: int) -> tuple[PlannedStep, LoadedPack, torch.Tensor]:
    view = View(0.0, 8.0, frames, 32, 48)
    clip = PlannedClip(0, 0, view, 0, 50, 1.0, timestep)
    mean = torch.randn(4, (frames - 1) // 4 + 1, 4, 6, generator=torch.Generator().manual_seed(1))
    loaded = LoadedClip("clip", mean, None, torch.zeros(6, 8))
    pack = PlannedPack((clip,))
    return PlannedStep(0, 0, (pack,)), LoadedPack(pack, (loaded,)), mean


@pytest.mark.parametrize("timestep", [0, 500, 999])
def test_what_is_noisy_and_what_is_asked_for_make_the_clip(timestep: int) -> None:
    step, loaded, mean = one_clip(9, timestep)
    (ready,) = PackMaker(CONFIG, SCHEDULE, 0, fixed=False).make(step, [0], [loaded], 96, 1)
    noisy, velocity = (
        unpatchify(x, ready.pack.grids[0], CONFIG) for x in (ready.pack.patches_VP, ready.velocity_VP)
    )
    found = SCHEDULE.clean(noisy[None], velocity[None], torch.tensor([timestep]))[0]
    assert torch.allclose(found, mean, atol=1e-5)
    assert ready.pack.timesteps_N.tolist() == [timestep]


def test_even_frames_have_noise_of_their_own() -> None:
    """1.5 reads two latent frames at once: an odd count has its first one repeated, before noise."""
    config = dataclasses.replace(CONFIG, patch_frames=2)
    step, loaded, mean = one_clip(9, 700)
    (ready,) = PackMaker(config, SCHEDULE, 0, fixed=False).make(step, [0], [loaded], 96, 1)
    assert ready.pack.grids == ((2, 2, 3),)
    noisy, velocity = (unpatchify(x, (2, 2, 3), config) for x in (ready.pack.patches_VP, ready.velocity_VP))
    clean = SCHEDULE.clean(noisy[None], velocity[None], torch.tensor([700]))[0]
    assert torch.allclose(clean, torch.cat([mean[:, :1], mean], dim=1), atol=1e-5)
    assert not torch.allclose(noisy[:, 0], noisy[:, 1], atol=0.1)


def test_fixed_packs_have_one_shape() -> None:
    maker = PackMaker(CONFIG, SCHEDULE, 0, fixed=True)
    numbers = Numbers()
    shapes = set()
    lost = frozenset({(1, 0, 0), (1, 0, 1), (1, 1, 0)})
    for number in range(3):
        step = numbers.step(number)
        for ready in maker.make(step, [0, 1], Memory(lost).load(step, [0, 1]), 96, 3):
            pack = ready.pack
            shapes.add((tuple(pack.rows_S.shape), tuple(pack.timesteps_N.shape)))
    assert shapes == {((96,), (4,))}


def test_a_filler_gives_every_parameter_a_gradient_of_nothing() -> None:
    for config in (CONFIG, dataclasses.replace(CONFIG, positions="rope+learned")):
        maker = PackMaker(config, SCHEDULE, 0, fixed=False)
        (ready,) = maker.make(PlannedStep(0, 0, ()), [], [], 96, 1)
        model = build_transformer(config, seed=0)
        (model(ready.pack).sum() * 0.0).backward()
        assert all(value.grad is not None and not value.grad.any() for value in model.parameters())
        assert (ready.places, ready.weights) == ((), ())
