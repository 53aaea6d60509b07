"""Tables, noise, velocity, timesteps and loss, against diffusers' schedulers and on numbers."""

from __future__ import annotations

import pytest
import torch
from diffusers import CogVideoXDDIMScheduler, CogVideoXDPMScheduler

from shards.errors import ConfigError
from train.diffusion import PRESETS, DiffusionConfig, Schedule, spaced, v_loss
from train.diffusion.config import Spacing
from train.diffusion.schedule import alpha_bars

CASES = [PRESETS["cogvideox-2b"], PRESETS["cogvideox-5b"], DiffusionConfig(50, 0.001, 0.03, 2.0, "dpm")]
PARITY = 1e-5


def reference(config: DiffusionConfig) -> CogVideoXDDIMScheduler | CogVideoXDPMScheduler:
    classes = {"ddim": CogVideoXDDIMScheduler, "dpm": CogVideoXDPMScheduler}
    return classes[config.sampler].from_config(config.to_diffusers())


def relative(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    assert ours.shape == theirs.shape
    return ((ours - theirs).norm() / theirs.norm()).item()


@pytest.mark.parametrize("config", CASES)
def test_tables_equal_diffusers(config: DiffusionConfig) -> None:
    ours, theirs = alpha_bars(config), reference(config).alphas_cumprod
    assert ours.dtype == theirs.dtype == torch.float64
    assert torch.allclose(ours, theirs, rtol=1e-12, atol=1e-15)
    assert ours[-1] == 0
    assert (ours.diff() < 0).all()


def test_the_shift_divides_the_signal_to_noise_ratio() -> None:
    # Before rescaling; undone on the first value, which rescaling keeps.
    (plain, *_), (shifted, *_) = (alpha_bars(PRESETS[name]) for name in ("cogvideox-5b", "cogvideox-2b"))
    assert plain.item() == pytest.approx(1 - 0.00085, abs=1e-12)
    assert (shifted / (1 - shifted)).item() == pytest.approx((plain / (1 - plain)).item() / 3)


@pytest.mark.parametrize("config", CASES)
def test_noise_and_velocity_equal_diffusers_at_every_timestep(config: DiffusionConfig) -> None:
    generator = torch.Generator().manual_seed(0)
    count = config.num_train_timesteps
    x0, noise = (torch.randn(count, 16, 3, 2, generator=generator) for _ in range(2))
    timesteps = torch.arange(count)
    schedule, theirs = Schedule.of(config), reference(config)
    ours_x, theirs_x = schedule.add_noise(x0, noise, timesteps), theirs.add_noise(x0, noise, timesteps)
    ours_v, theirs_v = schedule.velocity(x0, noise, timesteps), theirs.get_velocity(x0, noise, timesteps)
    for t in range(count):
        assert relative(ours_x[t], theirs_x[t]) < PARITY
        assert relative(ours_v[t], theirs_v[t]) < PARITY
    assert torch.equal(ours_x[-1], noise[-1])
    assert torch.equal(ours_v[-1], -x0[-1])


def test_the_velocity_gives_the_clean_sample_back() -> None:
    schedule = Schedule.of(PRESETS["cogvideox-2b"])
    generator = torch.Generator().manual_seed(0)
    x0, noise = (torch.randn(1000, 8, generator=generator) for _ in range(2))
    timesteps = torch.randperm(1000, generator=generator)
    x_t, v = schedule.add_noise(x0, noise, timesteps), schedule.velocity(x0, noise, timesteps)
    assert torch.allclose(schedule.clean(x_t, v, timesteps), x0, atol=1e-5)


def test_sixteen_bit_samples_are_computed_in_float32() -> None:
    schedule = Schedule.of(PRESETS["cogvideox-2b"])
    x0, noise = (torch.randn(4, 6).bfloat16() for _ in range(2))
    timesteps = torch.tensor([0, 1, 500, 999])
    x_t = schedule.add_noise(x0, noise, timesteps)
    assert x_t.dtype == torch.float32
    assert torch.equal(x_t, schedule.add_noise(x0.float(), noise.float(), timesteps))
    assert schedule.velocity(x0, noise, timesteps).dtype == torch.float32


def test_tokens_have_timesteps_of_their_own() -> None:
    schedule = Schedule.of(PRESETS["cogvideox-2b"])
    clips, noise = torch.randn(2, 3, 5), torch.randn(2, 3, 5)
    timesteps = torch.tensor([7, 800])
    by_clip = schedule.add_noise(clips, noise, timesteps)
    by_token = schedule.add_noise(clips.flatten(0, 1), noise.flatten(0, 1), timesteps.repeat_interleave(3))
    assert torch.equal(by_clip.flatten(0, 1), by_token)
    assert torch.equal(by_clip, schedule.add_noise(clips, noise, timesteps[:, None].expand(2, 3)))


def test_the_loss_is_that_of_the_clean_sample_weighted_by_the_noise() -> None:
    config = PRESETS["cogvideox-2b"]
    schedule = Schedule.of(config)
    timesteps = torch.tensor([0, 1, 250, 500, 998, 999])
    x0, noise, predicted = (torch.randn(6, 4, 5, dtype=torch.float64) for _ in range(3))
    abar = alpha_bars(config)[timesteps].view(-1, 1, 1)
    x_t = abar.sqrt() * x0 + (1 - abar).sqrt() * noise
    foreseen = abar.sqrt() * x_t - (1 - abar).sqrt() * predicted
    weighted = ((foreseen - x0) ** 2 / (1 - abar)).mean(dim=(1, 2))
    loss = v_loss(predicted, schedule.velocity(x0, noise, timesteps))
    assert loss.dtype == torch.float32
    assert torch.allclose(loss, weighted.float(), rtol=1e-5)


@pytest.mark.parametrize("spacing", ["trailing", "leading", "linspace"])
def test_timesteps_equal_diffusers(spacing: Spacing) -> None:
    theirs = CogVideoXDDIMScheduler.from_config(
        PRESETS["cogvideox-2b"].to_diffusers() | {"timestep_spacing": spacing}
    )
    longer = []
    for steps in range(1, 1001):
        theirs.set_timesteps(steps)
        ours, reference = spaced(1000, steps, spacing), theirs.timesteps.tolist()
        assert len(ours) == steps
        assert ours[:steps] == reference[:steps]
        if len(reference) > steps:
            longer.append(reference[-1])
    # For 62 numbers of steps, 61 the first, diffusers has one timestep too many: -1.
    assert longer == ([-1] * 62 if spacing == "trailing" else [])


def test_trailing_timesteps_begin_with_pure_noise() -> None:
    assert spaced(1000, 10) == [999, 899, 799, 699, 599, 499, 399, 299, 199, 99]
    assert spaced(1000, 50)[-1] == 19


@pytest.mark.parametrize("steps", [0, -3, 1001])
def test_a_number_of_steps_that_cannot_be_is_refused(steps: int) -> None:
    with pytest.raises(ConfigError, match=f"{steps} steps; a number from 1 to 1000"):
        spaced(1000, steps)
