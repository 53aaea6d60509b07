"""How many tokens a clip of so many frames and pixels is to a transformer, and back.

Legend: a grid is frames, rows and columns of patches.
"""

from __future__ import annotations

import dataclasses
from typing import Final

from shards.errors import ConfigError
from train.dit.config import TransformerConfig, preset
from train.dit.positions import Grid
from train.recipe import Recipe
from train.recipe_file import nearest

__all__ = ["SIDE_PX", "frames_of", "grid_of_view", "patch_frames", "transformer_config"]

SIDE_PX: Final = 16
"""of a patch: 8 px a latent, 2 latents a patch"""
_FRAMES: Final = 4
"""of pixels a latent frame, after the first"""


def transformer_config(recipe: Recipe) -> TransformerConfig:
    """Return the recipe's transformer.

    Raises ConfigError for an unknown preset or field, and where it reads a first frame and the recipe does
    not say how it is shown, or the other way round.
    """
    config = preset(recipe.model)
    known = {field.name for field in dataclasses.fields(config)}
    for name in recipe.model_changes:
        if name not in known:
            raise ConfigError(f"model_changes.{name}: unknown; {nearest(name, known)}")
    config = dataclasses.replace(config, **recipe.model_changes)
    read, predicted = config.in_channels + config.extra_channels, config.out_channels
    if read not in (predicted, 2 * predicted):
        raise ConfigError(
            f"model {recipe.model}: reads {read} channels and predicts {predicted}; what is trained reads as "
            f"many, or {2 * predicted} with those of a first frame"
        )
    if read == predicted and recipe.first_frame is not None:
        raise ConfigError(f"first_frame: model {recipe.model} reads none; see model_changes.extra_channels")
    if read > predicted and recipe.first_frame is None:
        raise ConfigError(f"model {recipe.model} reads a first frame: say how it is shown, in `first_frame`")
    return config


def patch_frames(frames: int, config: TransformerConfig) -> int:
    """Return how many frames of patches 4k+1 frames of pixels make; a last one may be in part padding."""
    latents = (frames - 1) // _FRAMES + 1
    return -(-latents // config.patch_depth)


def frames_of(patches: int, config: TransformerConfig) -> int:
    """Return the most frames of pixels, 4k+1, that so many frames of patches hold."""
    return _FRAMES * (patches * config.patch_depth - 1) + 1


def grid_of_view(frames: int, height: int, width: int, config: TransformerConfig) -> Grid:
    """Return the grid of patches of a view in pixels."""
    return patch_frames(frames, config), height // SIDE_PX, width // SIDE_PX
