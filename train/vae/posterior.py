"""What encoding gives: a Gaussian for each latent, and a draw from it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Posterior", "draw"]


@dataclass(frozen=True, slots=True, eq=False)
class Posterior:
    """Independent Gaussians: mean and natural logarithm of the variance, both float32 (B, Z, t, h, w).

    As the encoder gives them: not yet multiplied by the configuration's `scaling_factor`.
    """

    mean: Tensor
    logvar: Tensor

    @classmethod
    def of_moments(cls, moments: Tensor) -> Posterior:
        """Return the posterior of an encoder's output (B, 2Z, t, h, w); log-variances end at -30 and 20."""
        mean, logvar = moments.float().chunk(2, dim=1)
        return cls(mean, logvar.clamp(-30.0, 20.0))


def draw(posterior: Posterior, generator: torch.Generator) -> Tensor:
    """Return mean + standard deviation * noise, float32 (B, Z, t, h, w).

    The noise is drawn on the generator's device: with one of the CPU, a seed means the same on every machine.
    """
    mean = posterior.mean
    noise = torch.randn(mean.shape, generator=generator, device=generator.device, dtype=torch.float32)
    return mean + torch.exp(0.5 * posterior.logvar) * noise.to(mean.device)
