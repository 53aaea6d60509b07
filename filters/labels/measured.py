"""Scales of what a network reads, taken from the clips that it learns from first: they stay ever after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from filters.labels.data import Indices, LabelledClips
from filters.spread import spread

if TYPE_CHECKING:
    from filters.videollama import VideoLlama

__all__ = ["measure", "quantile_edges"]

_MEASURED: Final = 256
"""clips"""
_SOME: Final = 1e-3
"""spread of a number over all frames, below which it says nothing"""


def measure(network: VideoLlama, data: LabelledClips, learn: Indices, bins: int) -> None:
    """Note quantiles of the signals, and mean and spread of each number of a frame's tokens.

    The latter over some of the clips learned from.
    """
    import torch

    if network.signal_tokens is not None:
        edges = quantile_edges(data.signals_NS[learn], bins)
        network.signal_tokens.get_buffer("edges").copy_(torch.from_numpy(edges))
    frames = np.concatenate([data.cache.load(data.rows[n]).tokens for n in spread(learn.tolist(), _MEASURED)])
    told_NKE = torch.from_numpy(frames).double()
    spread_KE = told_NKE.std(0, unbiased=False)
    network.get_buffer("token_mean").copy_(told_NKE.mean(0))
    network.get_buffer("token_scale").copy_(torch.where(spread_KE > _SOME, 1 / spread_KE, 0.0))


def quantile_edges(signals_NS: npt.NDArray[np.float32], bins: int) -> npt.NDArray[np.float32]:
    """Return the quantiles of each signal (S, bins + 1) over the clips that have it; zeros where none has."""
    edges = np.zeros((signals_NS.shape[1], bins + 1), np.float32)
    for number, values in enumerate(signals_NS.T):
        known = values[~np.isnan(values)]
        if len(known):
            edges[number] = np.quantile(known.astype(np.float64), np.linspace(0, 1, bins + 1))
    return edges
