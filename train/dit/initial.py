"""Initial weights: each block begins as the identity, and the model's first prediction is 0.

As in DiT (Peebles and Xie 2023, arXiv 2212.09748, section 3.2, adaLN-Zero): matrices keep the variance of
what goes through them both ways, biases are 0, and so are all modulations and the last projection.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import nn

from train.dit.model import Transformer
from train.dit.modulation import ExpertNorm, FinalNorm
from train.dit.positions import clip_coordinates, sincos_embedding

__all__ = ["initialise"]


@torch.no_grad()  # type: ignore[untyped-decorator]  # torch's types are skipped
def initialise(model: Transformer, generator: torch.Generator) -> None:
    """Fill all parameters and buffers where they lie, whatever they held. `generator` is of their device."""
    for module in model.modules():
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            nn.init.xavier_uniform_(module.weight.flatten(1), generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.LayerNorm):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
    zeroed = [x.linear for x in model.modules() if isinstance(x, (ExpertNorm, FinalNorm))]
    for module in [*zeroed, model.proj_out]:
        nn.init.zeros_(module.weight)
    config = model.config
    if config.extra_channels:
        nn.init.zeros_(model.patch_embed.extra.weight)
    if config.positions == "rope+learned":
        # Learned positions begin as the sinusoids, and those of text as 0.
        coordinates = clip_coordinates(config.learned_grid, dataclasses.replace(config, positions="sincos"))
        learned = model.patch_embed.pos_embedding
        learned.zero_()
        learned[0, config.text_length :] = sincos_embedding(coordinates, config.width).to(learned)
