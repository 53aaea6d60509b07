"""The training objective: mean squared error of the velocity."""

from __future__ import annotations

from torch import Tensor

__all__ = ["v_loss"]


def v_loss(predicted: Tensor, velocity: Tensor) -> Tensor:
    """Return the mean of (predicted - velocity)² over each sample, float32 (B,), of two (B, …).

    The authors' code weights the error of x_0 by 1 / (1 - abar_t). That is this. A prediction v' stands for
    x_0' = alpha x_t - sigma v', and x_0 = alpha x_t - sigma v, so x_0' - x_0 = -sigma (v' - v), and
    |x_0' - x_0|² / sigma² = |v' - v|² with sigma² = 1 - abar_t. Unlike the former it divides by nothing.
    """
    error = (predicted.float() - velocity.float()).square()
    mean: Tensor = error.flatten(1).mean(dim=1)
    return mean
