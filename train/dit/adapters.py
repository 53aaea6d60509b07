"""More input channels for a trained transformer: an image's latents, masks, control signals.

A second projection beside the parent's reads them. It starts at 0, so step 0 is the parent exactly, and the
parent can be frozen or have a learning rate of its own. On export both are one projection of all channels,
which is what diffusers' image-to-video models have.
"""

from __future__ import annotations

import dataclasses

from torch import nn

from shards.errors import ConfigError
from train.checkpoints import Joined
from train.dit.config import TransformerConfig
from train.dit.model import Transformer, patch_projection

__all__ = ["add_channels", "merge_rules"]


def add_channels(model: Transformer, channels: int) -> None:
    """Let a transformer read `channels` more, in place; its configuration says so from then on.

    Raises ConfigError where it reads extra channels already: export it first, which merges them.
    """
    if model.config.extra_channels:
        raise ConfigError(
            f"the transformer reads {model.config.extra_channels} extra channels already: export it first"
        )
    config = dataclasses.replace(model.config, extra_channels=channels)
    weight = model.patch_embed.proj.weight
    extra = patch_projection(config, channels, bias=False).to(weight.device, weight.dtype)
    nn.init.zeros_(extra.weight)
    model.patch_embed.extra = extra
    model.config = config


def merge_rules(config: TransformerConfig) -> tuple[Joined, ...]:
    """Return how the projections are one in a file: input channels one after another, in both patch forms."""
    if not config.extra_channels:
        return ()
    name = "patch_embed.proj.weight"
    return (Joined((name, "patch_embed.extra.weight"), (name,), axis=1),)
