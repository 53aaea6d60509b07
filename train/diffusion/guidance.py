"""Classifier-free guidance (Ho and Salimans, arXiv 2207.12598): away from what no text would give."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor

from train.diffusion.samplers import Denoise

__all__ = ["Guidance", "constant", "dynamic", "guided"]

Guidance = Callable[[int], float]
"""timestep → scale; 1 is the text's prediction as it is"""


def constant(scale: float) -> Guidance:
    """Return the same scale for every timestep."""
    return lambda _timestep: scale


def dynamic(scale: float, steps: int) -> Guidance:
    """Return `use_dynamic_cfg` of diffusers' CogVideoX pipelines, for so many sampling steps.

    1 + scale (1 - cos(pi ((steps - t) / steps)⁵)) / 2 with the *timestep* t, 0 … 999. The authors' first code
    has the index of the step there, which rises smoothly from 1 to 1 + scale. As released in diffusers, the
    argument is -7.6e6 at t = 999 of 50 steps, and until t falls below `steps` the scale jumps about in
    [1, 1 + scale]. It is kept as it is: the same seed gives the same video.
    """

    def at(timestep: int) -> float:
        rise = math.pi * ((steps - timestep) / steps) ** 5.0
        return 1 + scale * (1 - math.cos(rise)) / 2

    return at


def guided(both: Callable[[Tensor, int], tuple[Tensor, Tensor]], guidance: Guidance) -> Denoise:
    """Return a denoiser that goes from the prediction without text towards, and past, that with it.

    `both(x, t)` returns (without, with) text: the model may compute the two in one go. Arithmetic in float32.
    """

    def denoise(x: Tensor, timestep: int) -> Tensor:
        without, text = (v.float() for v in both(x, timestep))
        return without + guidance(timestep) * (text - without)

    return denoise
