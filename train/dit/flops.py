"""Floating-point operations of the transformer, counted from its configuration and the clips' tokens.

Products of matrices alone, two operations a multiplication, as torch's counter does; the tests hold both
equal.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from train.dit.config import TransformerConfig
from train.dit.positions import Grid

__all__ = ["attention_flops", "forward_flops", "training_flops"]


def attention_flops(config: TransformerConfig, clips: Iterable[tuple[int, Grid]]) -> int:
    """Return the operations of attention in a forward pass: 4·L·S²·D, summed over (text, patch grid)."""
    return sum(4 * config.layers * (text + math.prod(grid)) ** 2 * config.width for text, grid in clips)


def forward_flops(config: TransformerConfig, clips: Iterable[tuple[int, Grid]]) -> int:
    """Return the operations of a forward pass over clips of (text tokens, patch grid)."""
    clips = list(clips)
    width, time = config.width, config.time_dim
    inputs = (config.in_channels + config.extra_channels) * config.patch_values
    outputs = config.out_channels * config.patch_values
    total = attention_flops(config, clips)
    for text, grid in clips:
        video = math.prod(grid)
        # Queries, keys, values, output (4·D²) and feed-forward (8·D²); two modulations of 6·D rows a clip.
        total += config.layers * (24 * (text + video) * width**2 + 24 * time * width)
        total += 2 * text * config.text_dim * width + 2 * video * inputs * width
        total += 2 * (width * time + time**2) + 4 * time * width + 2 * video * width * outputs
        if config.ofs_dim is not None:
            total += 4 * config.ofs_dim**2
    return total


def training_flops(config: TransformerConfig, clips: Iterable[tuple[int, Grid]]) -> int:
    """Return a training step's operations: the backward pass costs twice the forward one.

    The convention of MFU (Chowdhery et al. 2022, PaLM, appendix B): what is computed twice to save memory
    does not count. It counts gradients of the inputs too, which are not computed: 0.002 % at 49 x 480 x 720.
    """
    return 3 * forward_flops(config, clips)
