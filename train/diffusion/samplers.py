"""From noise to a sample: DDIM and SDE-DPM-Solver++(2M), over any function that predicts velocities.

Coefficients are float64 numbers, samples float32. Each step leads to the level at which the next begins, the
last to the clean sample. diffusers steps to t - N // steps instead: the same where the number of steps
divides N (10, 20, 25, 40, 50 of 1,000). Elsewhere its model is told another timestep than the sample is at,
and with 48 steps, trailing, it ends at timestep 0 and not at the clean sample.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import torch
from torch import Tensor

from shards.errors import ConfigError
from train.diffusion.config import DiffusionConfig, Spacing
from train.diffusion.schedule import Level, Schedule

__all__ = ["Denoise", "OnStep", "Step", "ddim", "dpm", "sample", "spaced"]

Denoise = Callable[[Tensor, int], Tensor]
"""(x, timestep) → the velocity of x, of its shape"""

_CLEAN: Final = Level(1.0, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """What a progress callback sees after each step."""

    done: int
    total: int
    timestep: int
    """that the step began at"""
    x: Tensor
    """where it led"""
    x0: Tensor
    """the clean sample as the model foresaw it: a preview"""


OnStep = Callable[[Step], None]
"""told of each step, outside of its `no_grad`"""


def spaced(count: int, steps: int, spacing: Spacing = "trailing") -> list[int]:
    """Return `steps` of `count` timesteps, falling (Lin et al., arXiv 2305.08891, table 2).

    "trailing" begins at the last, which is pure noise, as the models are used. "linspace" too, and ends at 0;
    "leading" ends at 0 and begins where it comes to. Halves are rounded to even. Raises ConfigError for less
    than one step or more than there are.
    """
    if not 1 <= steps <= count:
        raise ConfigError(f"sampling: {steps} steps; a number from 1 to {count} is wanted")
    match spacing:
        case "trailing":
            # numpy's own rounding decides halves as in diffusers; it may add a value, which is nearly 0.
            return [int(t) - 1 for t in np.arange(count, 0, -count / steps).round()[:steps]]
        case "leading":
            return [(steps - 1 - i) * (count // steps) for i in range(steps)]
        case "linspace":
            return [int(t) for t in np.linspace(0, count - 1, steps).round()[::-1]]


def sample(
    config: DiffusionConfig,
    denoise: Denoise,
    noise: Tensor,
    steps: int,
    generator: torch.Generator,
    on_step: OnStep | None = None,
) -> Tensor:
    """Return a sample, float32 of the shape of `noise`, by the configuration's sampler and spacing.

    `generator` gives the noise that the sampler "dpm" adds on its way; "ddim" adds none.
    """
    schedule = Schedule.of(config)
    timesteps = spaced(len(schedule), steps, config.timestep_spacing)
    if config.sampler == "ddim":
        return ddim(schedule, denoise, noise, timesteps, on_step)
    return dpm(schedule, denoise, noise, timesteps, generator, on_step)


def ddim(
    schedule: Schedule,
    denoise: Denoise,
    noise: Tensor,
    timesteps: Sequence[int],
    on_step: OnStep | None = None,
) -> Tensor:
    """Return the end of the deterministic path (Song et al., arXiv 2010.02502, eq. 12 with sigma = 0).

    Foreseen clean sample and foreseen noise are mixed anew at the next level. Raises ConfigError for
    timesteps that do not fall, or are not in the schedule.
    """

    def step(x: Tensor, x0: Tensor, here: Level, there: Level) -> Tensor:
        share = there.sigma / here.sigma
        return share * x + (there.alpha - here.alpha * share) * x0

    return _walk(schedule, denoise, noise, timesteps, step, on_step)


def dpm(
    schedule: Schedule,
    denoise: Denoise,
    noise: Tensor,
    timesteps: Sequence[int],
    generator: torch.Generator,
    on_step: OnStep | None = None,
) -> Tensor:
    """Return the end of a path with noise: SDE-DPM-Solver++(2M) (Lu et al., arXiv 2211.01095, section 5).

    The foreseen clean sample is extrapolated from the last two, linearly in ln(alpha / sigma); first and last
    step have first order. Noise comes from `generator`, on its device. diffusers draws twice in each step of
    second order and uses the second: so does this, and a seed gives the video of the released pipeline.
    Raises ConfigError for timesteps that do not fall, or are not in the schedule.
    """
    step = _Multistep(generator)
    return _walk(schedule, denoise, noise, timesteps, step, on_step)


class _Multistep:
    """A step of SDE-DPM-Solver++(2M), which knows the step before."""

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator
        self.before: tuple[Tensor, Level] | None = None

    def __call__(self, x: Tensor, x0: Tensor, here: Level, there: Level) -> Tensor:
        # exp(-h), h the step in ln(alpha / sigma): 0 from pure noise and to the clean sample, where h is inf
        decay = here.alpha * there.sigma / (here.sigma * there.alpha)
        target = x0
        fresh = self._draw(x)
        if self.before is not None and there.sigma:
            fresh = self._draw(x)
            x0_before, level_before = self.before
            h, h_before = there.log_snr - here.log_snr, here.log_snr - level_before.log_snr
            target = x0 + (h / (2 * h_before)) * (x0 - x0_before)
        self.before = x0, here
        return (
            (there.sigma / here.sigma * decay) * x
            + (there.alpha * (1 - decay**2)) * target
            + (there.sigma * (1 - decay**2) ** 0.5) * fresh
        )

    def _draw(self, like: Tensor) -> Tensor:
        device = self.generator.device
        noise: Tensor = torch.randn(
            like.shape, generator=self.generator, device=device, dtype=torch.float32
        ).to(like.device)
        return noise


def _walk(
    schedule: Schedule,
    denoise: Denoise,
    noise: Tensor,
    timesteps: Sequence[int],
    step: Callable[[Tensor, Tensor, Level, Level], Tensor],
    on_step: OnStep | None,
) -> Tensor:
    """Return where steps from each timestep's level to the next one's lead, beginning with `noise`."""
    within = bool(timesteps) and timesteps[0] < len(schedule) and timesteps[-1] >= 0
    if not within or any(later >= earlier for earlier, later in pairwise(timesteps)):
        raise ConfigError(
            f"sampling: timesteps {list(timesteps)!r} do not fall within {len(schedule) - 1} to 0"
        )
    levels = [*map(schedule.level, timesteps), _CLEAN]
    x = noise.float()
    for done, (timestep, (here, there)) in enumerate(zip(timesteps, pairwise(levels), strict=True), start=1):
        with torch.no_grad():
            x0 = here.alpha * x - here.sigma * denoise(x, timestep).float()
            x = step(x, x0, here, there)
        if on_step is not None:
            on_step(Step(done, len(timesteps), timestep, x, x0))
    return x
