"""A classifier's modules and its frozen encoder from its configuration."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING

from filters.clip.weights import find_encoder
from filters.labels.config import LITE, EncoderConfig, ModelConfig
from filters.labels.questions import LABELS
from shards.errors import ConfigError

if TYPE_CHECKING:
    import torch

    from filters.labels.encoders import Encoder
    from filters.videollama import VideoLlama

__all__ = ["build", "encoder_digest", "open_encoder", "pick_device", "require_torch"]


def require_torch() -> None:
    """Raise ConfigError where torch or safetensors is missing; importing them takes seconds."""
    for package in ("torch", "safetensors"):
        if find_spec(package) is None:
            raise ConfigError(f"labels: {package} is not installed; install cogcurate[labels]")


def pick_device(device: str) -> torch.device:
    """Return the device meant; ConfigError where a GPU is asked for and there is none."""
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("labels: device 'cuda' is asked for, and torch sees no GPU; use 'auto' or 'cpu'")
    if device == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


def build(
    config: ModelConfig, feature_width: int, dtype: torch.dtype | None = None, *, cues: int = 0
) -> VideoLlama:
    """Return a model with fresh weights (of torch's seed), on the CPU.

    `feature_width` is that of the frozen encoder's tokens; `dtype` that of a frozen language model, float32
    unless said; `cues` are what training asks for beside the labels.
    """
    import torch
    from torch import nn

    from filters.labels import nano_parts
    from filters.videollama import VideoLlama

    language: nn.Module
    if config.language is None:
        language = nano_parts.SmallLanguage(config.width, 2, config.heads, config.queries)
        language_width = config.width
    else:
        from filters.labels.hub_language import HubLanguage

        language = HubLanguage(config.language, dtype or torch.float32)
        language_width = language.width
    signals = len(config.signals)
    return VideoLlama(
        language=language,
        language_width=language_width,
        labels=len(LABELS),
        frames=config.encoder.looks + config.frames,
        cells=config.encoder.cells,
        feature_width=feature_width,
        width=config.width,
        heads=config.heads,
        layers=config.layers,
        queries=config.queries,
        cues=cues,
        signal_tokens=nano_parts.SignalTokens(signals, config.signal_bins, config.width) if signals else None,
    )


def open_encoder(config: EncoderConfig, device: torch.device, batch: int | None = None) -> Encoder:
    """Load an encoder onto `device`, `batch` pictures a pass. Raises ConfigError where it is not there."""
    if config.model == LITE:
        from filters.labels.lite_encoder import LiteEncoder

        return LiteEncoder(config, device)
    from filters.labels.frozen_encoder import FrozenEncoder

    return FrozenEncoder(config, device, batch)


def encoder_digest(config: EncoderConfig) -> str:
    """Return what tells an encoder's weights from others; ConfigError where it is not on this machine."""
    if config.model == LITE:
        from filters.labels.lite_encoder import lite_digest

        return lite_digest()
    return find_encoder(config.model, config.pretrained).digest()
