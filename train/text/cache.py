"""Embeddings of texts on disk, by encoder and text: encoded once, whoever asks.

A T5 embedding of one caption is 1.85 MB and takes longer to make than to read. A file holds one; it appears
when it is whole, so processes may share a folder. Another encoder, length or dtype has another digest, and so
a folder of its own.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from train.text.base import TextEncoder

__all__ = ["CachedText"]

_NAME: Final = "text_LE"
_LOG = logging.getLogger(__name__)


class CachedText:
    """`TextEncoder` that keeps what another one gives. Embeddings come on the CPU, in its dtype."""

    def __init__(self, encoder: TextEncoder, folder: Path) -> None:
        self.encoder, self.folder = encoder, folder
        self.length, self.width = encoder.length, encoder.width

    @property
    def digest(self) -> str:
        """That of the encoder."""
        return self.encoder.digest

    def path(self, text: str) -> Path:
        """Return where a text's embedding is kept."""
        key = hashlib.sha256(text.encode()).hexdigest()
        return self.folder / self.digest / key[:2] / f"{key}.safetensors"

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Return the embeddings (texts, length, width); those that are not kept yet are made together."""
        found = {text: self._read(text) for text in dict.fromkeys(texts)}
        missing = [text for text, kept in found.items() if kept is None]
        if missing:
            made = self.encoder.encode(missing).cpu()
            for text, made_LE in zip(missing, made, strict=True):
                self._write(text, made_LE)
                found[text] = made_LE
        return torch.stack([kept for text in texts if (kept := found[text]) is not None])

    def _read(self, text: str) -> Tensor | None:
        path = self.path(text)
        if not path.is_file():
            return None
        try:
            kept = load_file(path).get(_NAME)
        except SafetensorError:
            kept = None
        if kept is None or tuple(kept.shape) != (self.length, self.width):
            _LOG.warning("%s: broken; it is made anew", path)
            return None
        return kept

    def _write(self, text: str, made_LE: Tensor) -> None:
        path = self.path(text)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.stem}.{os.getpid()}.partial")
        save_file({_NAME: made_LE.contiguous()}, partial)
        partial.replace(path)
