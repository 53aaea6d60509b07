"""Boosted trees from labelled clips, set beside a trained network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from filters.labels.config import Recipe
from filters.labels.data import Indices, LabelledClips, predict

if TYPE_CHECKING:
    import torch

    from filters.labels.forest import Examples
    from filters.videollama import VideoLlama

__all__ = ["examples_of", "plant"]

_BATCH = 16
"""clips whose tokens are in memory at a time"""


def plant(network: VideoLlama, data: LabelledClips, recipe: Recipe, device: torch.device) -> None:
    """Grow the trees that judge beside the network on the split `train`, where the model has any.

    Their share in what is said is the best one on the split `val`.
    """
    if not recipe.model.trees:
        return
    from filters.labels.forest import grow, share_of_trees

    learn, val = data.of("train", recipe.seed), data.of("val", recipe.seed)
    forest = grow(
        examples_of(data, learn, recipe.model.encoder.looks),
        recipe.model.trees,
        drop_signal=recipe.drop_signal,
        seed=recipe.seed,
        width=network.into_qformer.in_features,
        looks=recipe.model.encoder.looks,
    ).to(device)
    alone = predict(network, data, val, device)
    network.forest = forest
    forest.get_buffer("share").fill_(1.0)
    trees = predict(network, data, val, device)
    forest.get_buffer("share").fill_(share_of_trees(data.yes_NL[val], alone, trees))


def examples_of(data: LabelledClips, chosen: Indices, looks: int) -> Examples:
    """Return what trees learn from some clips."""
    import torch

    from filters.labels.forest import Examples
    from filters.labels.probe import pooled

    told, seen = [], []
    for start in range(0, len(chosen), _BATCH):
        found = data.pack(chosen[start : start + _BATCH])
        tokens, present = torch.from_numpy(found.tokens_BTKE), torch.from_numpy(found.present_BT)
        told.append(pooled(tokens, present, looks))
        seen.append(found.sights_BV)
    return Examples(
        np.concatenate([data.signals_NS[chosen], np.concatenate(seen)], axis=1),
        torch.cat(told),
        data.yes_NL[chosen],
        [data.sources[int(n)] for n in chosen],
    )
