"""Frame tokens from a frozen open_clip encoder: its pooled vector, and its patches averaged to a grid.

One pass of the encoder serves all labels. The pass `score` keeps a mean over samples alone, so this reads the
samples again. Cost: that of the encoder; 17 float16 vectors a sample for a grid of four.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np

from filters.clip.weights import find_encoder
from filters.labels.config import EncoderConfig
from filters.labels.encoders import Features
from filters.labels.pictures import PictureError
from shards.errors import ConfigError

__all__ = ["FrozenEncoder"]


class FrozenEncoder:
    """Holds the encoder on its device; open_clip's own preprocessing prepares the pictures."""

    def __init__(self, config: EncoderConfig, device: Any, batch: int | None = None) -> None:
        """Load the image tower. Raises ConfigError where it is not to be had or gives no patches."""
        import torch
        from open_clip import create_model_from_pretrained

        files = find_encoder(config.model, config.pretrained)
        self.name, self.digest = files.name, files.digest()
        self._device = device
        self._batch = batch or (64 if device.type == "cuda" else 1)
        self._grid = config.grid
        self._dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
        self._closing = ExitStack()
        if device.type == "cpu":
            self._closing.callback(torch.set_num_threads, torch.get_num_threads())
            torch.set_num_threads(1)
        try:
            model, self._prepare = create_model_from_pretrained(
                files.model,
                None if files.is_folder else str(files.weights),
                precision="bf16" if device.type == "cuda" else "fp32",
                device=device,
                **{} if files.is_folder else {f"image_{key}": how for key, how in files.preprocess.items()},
            )
        except Exception as exc:  # a wrong file shows in many ways, all of them the user's to mend
            self.close()
            reason = " ".join(str(exc).split())[:200]
            raise ConfigError(f"labels: {files.weights} does not fit {files.name}: {reason}") from exc
        self._tower: Any = model.visual.eval().requires_grad_(False)
        if not hasattr(self._tower, "forward_intermediates"):
            self.close()
            raise ConfigError(f"labels: the encoder {files.name} gives no patches; use a vision transformer")
        size = self._tower.image_size
        height, width = (size, size) if isinstance(size, int) else size
        with torch.inference_mode():
            blank = torch.zeros(self._batch, 3, height, width, device=device, dtype=self._dtype)
            self.width = self._tokens(blank).shape[-1]

    def close(self) -> None:
        """Let go of it."""
        self._tower = None
        self._closing.close()

    def encode(self, jpegs: Sequence[bytes]) -> Features:
        """Return the tokens of samples. Raises PictureError for what is no JPEG."""
        import io

        import torch
        from PIL import Image

        pictures = []
        for jpeg in jpegs:
            try:
                with Image.open(io.BytesIO(jpeg)) as picture:
                    pictures.append(self._prepare(picture))
            except (OSError, ValueError, Image.DecompressionBombError) as exc:
                raise PictureError(f"a sample is not a readable JPEG: {exc}") from exc
        chunks = []
        with torch.inference_mode():
            # Every batch has one shape: what a picture gives does not depend on its company.
            for start in range(0, len(pictures), self._batch):
                part = torch.stack(pictures[start : start + self._batch])
                filled = torch.cat([part, part.new_zeros((self._batch - len(part), *part.shape[1:]))])
                chunks.append(self._tokens(filled.to(self._device, self._dtype))[: len(part)])
        return Features(
            torch.cat(chunks).half().cpu().numpy(),
            np.empty(0, np.float32),
            np.empty((0, 0, 0, 0), np.float16),
        )

    def _tokens(self, pixels_NCHW: Any) -> Any:
        import torch
        from torch.nn import functional

        out = self._tower.forward_intermediates(
            pixels_NCHW, indices=1, normalize_intermediates=True, intermediates_only=False
        )
        patches_NEHW = out["image_intermediates"][-1]
        grid_NKE = functional.adaptive_avg_pool2d(patches_NEHW.float(), self._grid).flatten(2).transpose(1, 2)
        pooled_NE = functional.normalize(out["image_features"].float(), dim=-1)
        # The pooled vector is as narrow as the embedding, a patch as wide as the tower: filled up with zeros.
        width = max(grid_NKE.shape[-1], pooled_NE.shape[-1])
        grid_NKE = functional.pad(grid_NKE, (0, width - grid_NKE.shape[-1]))
        pooled_NE = functional.pad(pooled_NE, (0, width - pooled_NE.shape[-1]))
        return torch.cat([pooled_NE[:, None] * width**0.5, grid_NKE], dim=1)
