"""Explicit uniform sampling (section 2.5 of CogVideoX's paper): a step's timesteps cover 0 to 999 evenly.

The paper gives each rank an interval and draws within it. Here the step's clips share the intervals, so it
is right for any number of ranks and of clips, and the last timestep is reached.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from train.plan.keyed import key_of, uniforms

__all__ = ["TIMESTEPS", "stratified"]

TIMESTEPS = 1000


def stratified(clips: int, step: int, seed: int) -> npt.NDArray[np.int64]:
    """Return a timestep a clip, 0 to 999: t = ⌊1000 (i + u) / n⌋ of i = 0 to n - 1, in a keyed order.

    Each clip's timestep alone is uniform; together they hit each n-th of the range once.
    """
    key = key_of("timesteps", seed)
    numbers_N2 = uniforms(key, np.arange(clips, dtype=np.uint64), np.full(clips, step, np.int64), 2)
    places_N = np.argsort(numbers_N2[:, 0], kind="stable")
    times_N = np.floor(TIMESTEPS * (places_N + numbers_N2[:, 1]) / clips).astype(np.int64)
    # (i + u) / n may round to 1
    return np.minimum(times_N, TIMESTEPS - 1)
