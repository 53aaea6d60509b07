"""Boosted trees from labelled clips, set beside a trained network."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from filters.labels.clips import filled
from filters.labels.config import ModelConfig, Recipe
from filters.labels.data import Indices, LabelledClips, cues_of, predict

if TYPE_CHECKING:
    import torch

    from filters.labels.forest import Examples, Size
    from filters.videollama import VideoLlama

__all__ = ["examples_of", "plant", "size_of"]

_BATCH = 16
"""clips whose tokens are in memory at a time"""


def plant(
    network: VideoLlama,
    data: LabelledClips,
    recipe: Recipe,
    device: torch.device,
    start: VideoLlama | None = None,
    on_step: Callable[[int, int], None] = lambda _done, _of: None,
) -> None:
    """Grow the trees that judge beside the network on the split `train`, where the model has any.

    With `start`, `recipe.more_trees` are added to its trees. Their share in what is said of a label is the
    best one on the split `val`.
    """
    if not recipe.model.trees:
        return
    import torch

    from filters.labels.forest import SignalForest, grow
    from filters.labels.mixing import share_of_trees

    before = start.forest if start else None
    assert before is None or isinstance(before, SignalForest)
    learn, val = data.of("train", recipe.seed), data.of("val", recipe.seed)
    forest = grow(
        examples_of(data, learn, recipe.model.encoder.looks, recipe.cue_clips),
        recipe.more_trees if before else recipe.model.trees,
        size_of(recipe.model, network.into_qformer.in_features),
        drop_signal=recipe.drop_signal,
        reader_epochs=recipe.reader_epochs,
        seed=recipe.seed,
        threads=recipe.threads,
        before=before,
        on_step=on_step,
    ).to(device)
    alone = predict(network, data, val, device)
    network.forest = forest
    forest.get_buffer("share").fill_(1.0)
    trees = predict(network, data, val, device)
    forest.get_buffer("share").copy_(torch.from_numpy(share_of_trees(data.yes_NL[val], alone, trees)))


def size_of(model: ModelConfig, feature_width: int) -> Size:
    """Return the sizes of what a model's trees read."""
    from filters.labels.forest import Size
    from filters.labels.lite_encoder import MAPS

    return Size(feature_width, model.encoder.looks, model.reader, MAPS[0])


def examples_of(data: LabelledClips, chosen: Indices, looks: int, cue_clips: int) -> Examples:
    """Return what trees learn from some clips.

    Memory: 0.22 MB a clip, most of it maps, and as much again while they are put together.
    """
    import torch

    from filters.labels.forest import Examples
    from filters.labels.probe import pooled
    from filters.labels.reader import Maps

    told, seen, maps, present = [], [], [], []
    for start in range(0, len(chosen), _BATCH):
        found = data.pack(chosen[start : start + _BATCH])
        tokens, there = torch.from_numpy(found.tokens_BTKE), torch.from_numpy(found.present_BT)
        told.append(pooled(tokens, there, looks))
        seen.append(found.sights_BV)
        maps += list(found.maps_BTCHW)
        present += list(found.present_BT[:, looks:])
    _, has_NQ = cues_of([data.kinds[int(n)] for n in chosen], cue_clips)
    return Examples(
        np.concatenate([data.signals_NS[chosen], np.concatenate(seen)], axis=1),
        torch.cat(told),
        Maps(torch.from_numpy(filled(maps)), torch.from_numpy(filled(present))),
        data.yes_NL[chosen],
        has_NQ,
        [data.sources[int(n)] for n in chosen],
    )
