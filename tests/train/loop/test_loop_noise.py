"""Noise is keyed by seed, step, clip and visit, and by nothing else."""

from __future__ import annotations

import itertools

import torch
from loop_parts import CONFIG, Memory, Numbers, deal

from train.data import LoadedClip
from train.diffusion import PRESETS, Schedule
from train.loop.noise import draw_latents, normals
from train.loop.packs import PackMaker, ReadyPack


def test_each_part_of_the_key_changes_the_noise() -> None:
    keys = itertools.product(("noise", "posterior"), (0, 1), (0, 1), ("a", "b"), (0, 1))
    drawn = [
        normals((64,), purpose, seed=seed, step=step, clip_id=clip_id, visit=visit)
        for purpose, seed, step, clip_id, visit in keys
    ]
    for one, other in itertools.combinations(drawn, 2):
        assert abs(float(torch.corrcoef(torch.stack([one, other]))[0, 1])) < 0.6
    again = normals((64,), "noise", seed=0, step=0, clip_id="a", visit=0)
    assert torch.equal(again, drawn[0])
    # Steps and visits that look alike when written one after another are different keys.
    assert not torch.equal(
        normals((64,), "noise", seed=1, step=11, clip_id="a", visit=1),
        normals((64,), "noise", seed=11, step=1, clip_id="a", visit=1),
    )


def test_noise_is_normal() -> None:
    found = normals((4, 13, 60, 90), "noise", seed=0, step=0, clip_id="a", visit=0)
    assert found.dtype == torch.float32
    assert abs(float(found.mean())) < 0.01
    assert abs(float(found.std()) - 1) < 0.01


def test_a_posterior_is_drawn_anew_each_visit_around_its_mean() -> None:
    mean, logvar = torch.full((4, 3, 8, 8), 2.0), torch.full((4, 3, 8, 8), 2 * torch.log(torch.tensor(0.1)))
    clip = LoadedClip("a", mean.bfloat16(), logvar, torch.zeros(1, 8))
    drawn = [draw_latents(clip, seed=0, step=3, visit=visit) for visit in (0, 1)]
    assert not torch.equal(*drawn)
    assert all(abs(float((x - 2).std()) - 0.1) < 0.01 for x in drawn)
    plain = draw_latents(LoadedClip("a", mean, None, torch.zeros(1, 8)), seed=0, step=3, visit=0)
    assert torch.equal(plain, mean)


def made(ranks: int, number: int = 0) -> dict[int, ReadyPack]:
    """Packs of a step by their first clip's place, made by so many ranks."""
    step = Numbers().step(number)
    maker = PackMaker(CONFIG, Schedule.of(PRESETS["tiny"]), seed=0, fixed=False)
    found = {}
    for share in deal(step, ranks):
        for ready in maker.make(step, share, Memory().load(step, share), 96, len(share)):
            found[ready.places[0]] = ready
    return found


def test_no_two_clips_of_a_step_have_the_same_noise_and_ranks_change_nothing() -> None:
    alone, spread = made(1), made(4)
    assert sorted(alone) == sorted(spread) == [0, 2, 4, 6]
    for place, ready in alone.items():
        other = spread[place]
        assert torch.equal(ready.pack.patches_VP, other.pack.patches_VP)
        assert torch.equal(ready.velocity_VP, other.velocity_VP)
        assert (ready.places, ready.clip_ids) == (other.places, other.clip_ids)
    patches = torch.cat([ready.velocity_VP for ready in spread.values()])
    assert len(patches.unique(dim=0)) == len(patches)
