"""Whole trajectories against diffusers' schedulers and its pipeline; guidance; progress."""

from __future__ import annotations

import functools
import math
from dataclasses import replace

import pytest
import torch
from diffusers import (
    CogVideoXDDIMScheduler,
    CogVideoXDPMScheduler,
    CogVideoXPipeline,
    CogVideoXTransformer3DModel,
)
from torch import Tensor

from shards.errors import ConfigError
from train.diffusion import (
    PRESETS,
    Denoise,
    DiffusionConfig,
    Schedule,
    Step,
    constant,
    ddim,
    dpm,
    dynamic,
    guided,
    sample,
    spaced,
)

PARITY = 1e-5
DDIM, DPM = PRESETS["cogvideox-2b"], PRESETS["cogvideox-5b"]


@functools.cache
def transformer() -> CogVideoXTransformer3DModel:
    torch.manual_seed(0)
    model = CogVideoXTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        in_channels=4,
        out_channels=4,
        time_embed_dim=8,
        text_embed_dim=8,
        num_layers=1,
        sample_width=4,
        sample_height=4,
        sample_frames=5,
        max_text_seq_length=6,
    )
    with torch.no_grad():
        for value in model.parameters():
            value.add_(0.1 * torch.randn_like(value))
    return model.eval().requires_grad_(False)


def pipeline(config: DiffusionConfig) -> CogVideoXPipeline:
    classes = {"ddim": CogVideoXDDIMScheduler, "dpm": CogVideoXDPMScheduler}
    scheduler = classes[config.sampler].from_config(config.to_diffusers())
    pipe = CogVideoXPipeline(
        tokenizer=None, text_encoder=None, vae=None, transformer=transformer(), scheduler=scheduler
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def embeddings() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    without, text = (torch.randn(1, 6, 8, generator=generator) for _ in range(2))
    return without, text, torch.randn(1, 2, 4, 4, 4, generator=generator)


def both(x: Tensor, timestep: int) -> tuple[Tensor, Tensor]:
    without, text, _ = embeddings()
    v = transformer()(
        hidden_states=torch.cat([x, x]),
        encoder_hidden_states=torch.cat([without, text]),
        timestep=torch.tensor([timestep, timestep]),
    ).sample
    return v[:1], v[1:]


def relative(ours: Tensor, theirs: Tensor) -> float:
    assert ours.shape == theirs.shape
    return ((ours - theirs).norm() / theirs.norm()).item()


@pytest.mark.parametrize("config", [DDIM, DPM, replace(DDIM, sampler="dpm"), replace(DPM, sampler="ddim")])
@pytest.mark.parametrize("steps", [1, 2, 10, 25])
@pytest.mark.parametrize("changing", [False, True])
def test_samples_equal_those_of_diffusers_pipeline(
    config: DiffusionConfig, steps: int, changing: bool
) -> None:
    without, text, noise = embeddings()
    theirs = pipeline(config)(
        prompt_embeds=text,
        negative_prompt_embeds=without,
        latents=noise,
        height=32,
        width=32,
        num_frames=5,
        num_inference_steps=steps,
        guidance_scale=6.0,
        use_dynamic_cfg=changing,
        generator=torch.Generator().manual_seed(3),
        output_type="latent",
    ).frames
    denoise = guided(both, dynamic(6.0, steps) if changing else constant(6.0))
    ours = sample(config, denoise, noise, steps, torch.Generator().manual_seed(3))
    assert relative(ours, theirs) < PARITY
    other = sample(config, guided(both, constant(5.0)), noise, steps, torch.Generator().manual_seed(3))
    assert relative(other, theirs) > 1e-3


@pytest.mark.parametrize("name", ["cogvideox-2b", "cogvideox-5b"])
def test_every_step_of_dpm_equals_diffusers(name: str) -> None:
    config = replace(PRESETS[name], sampler="dpm")
    theirs = CogVideoXDPMScheduler.from_config(config.to_diffusers())
    theirs.set_timesteps(10)
    x = embeddings()[2]
    seen: list[Step] = []
    dpm(Schedule.of(config), fixed_model, x, spaced(1000, 10), torch.Generator().manual_seed(5), seen.append)
    generator, before = torch.Generator().manual_seed(5), None
    for i, t in enumerate(theirs.timesteps):
        back = theirs.timesteps[i - 1] if i else None
        x, before = theirs.step(fixed_model(x, int(t)), before, t, back, x, generator=generator)
        assert relative(seen[i].x, x) < PARITY
        assert relative(seen[i].x0, before) < PARITY


def fixed_model(x: Tensor, timestep: int) -> Tensor:
    """A nonlinear function of both."""
    return torch.sin(1.3 * x + timestep / 300) - 0.4 * x.roll(1, dims=-1)


def gaussian(schedule: Schedule, mean: float, deviation: float) -> Denoise:
    """Return the exact velocity where all data are drawn from one Gaussian: E[v | x_t], in closed form."""

    def denoise(x: Tensor, timestep: int) -> Tensor:
        level = schedule.level(timestep)
        alpha, sigma = level.alpha, level.sigma
        variance = alpha**2 * deviation**2 + sigma**2
        x0 = mean + alpha * deviation**2 / variance * (x - alpha * mean)
        noise = sigma / variance * (x - alpha * mean)
        return alpha * noise - sigma * x0

    return denoise


@pytest.mark.parametrize(("steps", "error"), [(48, 0.07), (300, 0.015)])
def test_with_the_exact_model_samples_have_the_datas_mean_and_deviation(steps: int, error: float) -> None:
    # Neither divides 1,000. DDIM narrows by the size of its steps: a deviation of 0.435 with 48 of them.
    noise = torch.randn(20_000, generator=torch.Generator().manual_seed(0))
    for config in (DDIM, DPM):
        denoise = gaussian(Schedule.of(config), 2.0, 0.5)
        found = sample(config, denoise, noise, steps, torch.Generator().manual_seed(1))
        assert found.mean().item() == pytest.approx(2.0, abs=0.02)
        assert found.std().item() == pytest.approx(0.5, abs=error)


def test_a_seed_decides_dpm_and_nothing_else_does() -> None:
    noise = embeddings()[2]
    runs = [sample(DPM, fixed_model, noise, 10, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])
    ends = [sample(DDIM, fixed_model, noise, 10, torch.Generator().manual_seed(seed)) for seed in (1, 2)]
    assert torch.equal(*ends)


def test_progress_is_reported_after_each_step() -> None:
    seen: list[Step] = []
    noise = embeddings()[2].bfloat16()
    found = sample(DDIM, fixed_model, noise, 5, torch.Generator(), seen.append)
    assert [(step.done, step.total, step.timestep) for step in seen] == [
        (1, 5, 999),
        (2, 5, 799),
        (3, 5, 599),
        (4, 5, 399),
        (5, 5, 199),
    ]
    assert torch.equal(seen[-1].x, found)
    # The last step leads to what the model then foresees.
    assert torch.equal(seen[-1].x0, found)
    assert found.dtype == torch.float32


def test_no_graph_is_kept_and_the_callback_has_the_callers_mode() -> None:
    weight = torch.ones((), requires_grad=True)
    modes: list[bool] = []
    found = sample(
        DDIM,
        lambda x, _t: weight * x,
        embeddings()[2],
        3,
        torch.Generator(),
        lambda _step: modes.append(torch.is_grad_enabled()),
    )
    assert not found.requires_grad
    assert modes == [True] * 3


@pytest.mark.parametrize("timesteps", [[], [5, 5], [3, 7], [1000, 3], [4, -1]])
def test_timesteps_that_do_not_fall_are_refused(timesteps: list[int]) -> None:
    with pytest.raises(ConfigError, match="do not fall within 999 to 0"):
        ddim(Schedule.of(DDIM), fixed_model, embeddings()[2], timesteps)


def test_guidance_of_one_is_the_text_and_of_nothing_what_lies_without() -> None:
    def pair(x: Tensor, _timestep: int) -> tuple[Tensor, Tensor]:
        return x, 3 * x

    x = torch.ones(2).bfloat16()
    assert guided(pair, constant(1.0))(x, 0).tolist() == [3, 3]
    assert guided(pair, constant(0.0))(x, 0).tolist() == [1, 1]
    assert guided(pair, constant(6.0))(x, 0).tolist() == [13, 13]
    assert guided(pair, constant(6.0))(x, 0).dtype == torch.float32


def test_dynamic_guidance_is_that_of_the_released_pipeline() -> None:
    scale = dynamic(6.0, 50)
    assert scale(0) == pytest.approx(7.0)
    assert scale(50) == 1.0
    assert scale(25) == pytest.approx(1 + 3 * (1 - math.cos(math.pi / 32)))
    assert all(1 <= scale(t) <= 7 for t in range(1000))
