"""What the network is shown of a batch in training: frames and signals left out at random.

So that it leans on no one of them: each signal of a clip, all of them, each frame, and all frames but not the
signals, each with a probability of the recipe's.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from filters.labels.config import Recipe
from filters.labels.data import Indices, LabelledClips

__all__ = ["Seen", "seen", "signals_alone"]

Seen: TypeAlias = tuple[npt.NDArray[np.float16], npt.NDArray[np.bool_], npt.NDArray[np.float32] | None]
"""frames' tokens, which of them are there, signals"""


def signals_alone(data: LabelledClips, chosen: Indices, recipe: Recipe, rng: np.random.Generator) -> Seen:
    """Return a batch whose clips have no frames."""
    signals = data.signals_NS[chosen].copy()
    signals[rng.random(signals.shape) < recipe.drop_signal] = np.nan
    frame = data.cache.load(data.rows[int(chosen[0])]).tokens[:1]
    none = np.zeros((len(chosen), *frame.shape), np.float16)
    return none, np.zeros((len(chosen), 1), np.bool_), signals


def seen(data: LabelledClips, chosen: Indices, recipe: Recipe, rng: np.random.Generator) -> Seen:
    """Return what the network sees of a batch: some frames and signals left out."""
    found = data.pack(chosen)
    present = found.present_BT & (rng.random(found.present_BT.shape) >= recipe.drop_frame)
    none = ~present.any(axis=1)
    present[none] = found.present_BT[none]
    if not recipe.model.signals:
        return found.tokens_BTKE, present, None
    signals = data.signals_NS[chosen].copy()
    signals[rng.random(signals.shape) < recipe.drop_signal] = np.nan
    fate = rng.random(len(chosen))
    signals[fate < recipe.drop_signals] = np.nan
    present[fate > 1 - recipe.drop_frames] = False
    return found.tokens_BTKE, present, signals
