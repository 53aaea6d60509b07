"""The T5 encoder that CogVideoX reads text through (arXiv 2408.06072, section 2.2), as it was released.

Texts are padded to 226 tokens and no mask is given, so the embeddings of pad tokens are part of what the
models were trained on. A caption is 1.85 MB in bfloat16: it is encoded once and cached.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from shards.errors import ConfigError, InputError

__all__ = ["LENGTH", "T5Encoder"]

LENGTH: Final = 226
_UNREAD: Final = frozenset({"_name_or_path", "architectures", "dtype", "torch_dtype", "transformers_version"})
"""of a configuration: what says nothing about the numbers"""


class T5Encoder:
    """`TextEncoder` of a T5 encoder and its tokenizer, both transformers'."""

    def __init__(self, model: Any, tokenizer: Any, length: int = LENGTH) -> None:
        if length < 1:
            raise ConfigError(f"T5: texts of {length} tokens; 1 or more are wanted")
        self.model, self.tokenizer = model.eval().requires_grad_(False), tokenizer
        self.length, self.width = length, int(model.config.d_model)
        self._digest = ""

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        tokenizer: str | Path | None = None,
        length: int = LENGTH,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> T5Encoder:
        """Return the encoder of a folder or a name on the hub; its tokenizer lies there too, or elsewhere.

        Raises ConfigError without transformers, InputError for what cannot be loaded.
        """
        try:
            from transformers import AutoTokenizer, T5EncoderModel
        except ImportError as exc:
            raise ConfigError("T5 needs transformers: pip install 'cogcurate[train]'") from exc
        try:
            words = AutoTokenizer.from_pretrained(str(tokenizer or folder))
            model = T5EncoderModel.from_pretrained(str(folder), dtype=dtype)
        except (OSError, ValueError) as exc:
            (line, *_) = str(exc).splitlines() or [type(exc).__name__]
            raise InputError(
                f"text encoder {folder}: {line}; name a folder that holds T5's config.json, weights and "
                "tokenizer, or download one: huggingface-cli download google/t5-v1_1-xxl"
            ) from None
        return cls(model.to(device), words, length)

    @property
    def digest(self) -> str:
        """Hash of the encoder's configuration, dtype and weights, and of how it is read."""
        if not self._digest:
            made = hashlib.sha256(f"t5-1 {self.length} {self.model.dtype}".encode())
            said = {key: value for key, value in self.model.config.to_dict().items() if key not in _UNREAD}
            made.update(json.dumps(said, sort_keys=True, default=str).encode())
            made.update(self.tokenizer.__class__.__name__.encode() + str(len(self.tokenizer)).encode())
            for name, tensor in sorted(self.model.state_dict().items()):
                made.update(name.encode())
                made.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy())
            self._digest = made.hexdigest()[:16]
        return self._digest

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Return the embeddings (texts, length, width), in the model's dtype and on its device."""
        read = self.tokenizer(
            list(texts), padding="max_length", max_length=self.length, truncation=True,
            add_special_tokens=True, return_tensors="pt",
        )  # fmt: skip
        # One by one: beside others a text's last bits may differ.
        with torch.no_grad():
            rows = [row[None].to(self.model.device) for row in read.input_ids]
            return torch.cat([self.model(row).last_hidden_state for row in rows])
