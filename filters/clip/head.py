"""The LAION aesthetic predictor's linear heads: a rating from a CLIP embedding.

A head is one row of weights and a bias, fitted by LAION (laion.ai/blog/laion-aesthetics, predictor "sa_0_4",
github.com/LAION-AI/aesthetic-predictor) to people's ratings of photographs and drawings, 1 to 10, over
unit-length embeddings of OpenAI's CLIP. With another encoder's embeddings it gives numbers that mean nothing,
even where the widths agree.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from filters.clip.weights import file_digest, installed
from shards.errors import ConfigError

__all__ = ["Head", "load_head"]


@dataclass(frozen=True, slots=True)
class Head:
    """Weights, bias, and where they are from."""

    weight_E: npt.NDArray[np.float64]
    bias: float
    name: str
    digest: str

    @property
    def width(self) -> int:
        """The width of the embeddings that it takes."""
        return int(self.weight_E.size)

    def rating(self, features_E: npt.NDArray[np.floating]) -> float:
        """Return the rating of an embedding of unit length, or the mean rating from the mean of several.

        About 1 (ugly) to 10; nothing keeps it in that range. Summed exactly: it does not depend on how a
        processor groups additions.
        """
        return math.fsum((self.weight_E * features_E.astype(np.float64)).tolist()) + self.bias


def load_head(path: Path) -> Head:
    """Return the head in a state dict with `weight` (1 x width) and `bias` (1).

    Raises ConfigError in one line for anything else. Nothing in the file is executed.
    """
    digest = file_digest(path)
    installed("torch")
    import torch

    wanted = f"clip: {path}: not a linear head (a state dict with weight 1 x width and bias 1 is wanted)"
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        weight, bias = (state[name].double().numpy() for name in ("weight", "bias"))
    except Exception as exc:  # whatever unpickling a stray file may raise
        raise ConfigError(f"{wanted}: {type(exc).__name__}") from exc
    if set(state) != {"weight", "bias"} or weight.ndim != 2 or weight.shape[0] != 1 or bias.shape != (1,):
        raise ConfigError(wanted)
    if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
        raise ConfigError(f"clip: {path}: the head has weights that are no numbers")
    return Head(weight[0], float(bias[0]), path.stem, digest)
