"""An open_clip image encoder: JPEGs in, unit vectors out, in batches of one fixed size.

A matrix product may round differently when it has another number of rows, so every batch that the encoder
sees has the same shape (the last is filled up with black), and on a CPU it runs on one thread: what a picture
gives does not depend on which pictures it came with, nor on how many cores there are. It does depend on the
kind of processor, the precision and the size of the batches, in the last bits.

Cost: preparing a picture of 448 px takes 3 CPU ms; encoding it with ViT-L/14 in float32, two seconds of a
core. While a GPU computes a batch, threads prepare the next. Memory: the model, and two batches.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import numpy.typing as npt

from filters.clip.weights import EncoderFiles
from shards.errors import ClipError, ConfigError

if TYPE_CHECKING:
    import torch

__all__ = ["Encoder", "EncoderError", "Precision"]

Precision = Literal["auto", "float32", "bfloat16"]
_OPEN_CLIP_PRECISION: Final = {"float32": "fp32", "bfloat16": "bf16"}
# On a CPU a batch gains nothing (8: 2.3 s a picture of ViT-L/14, 1: 1.9 s).
_BATCH: Final = {"cpu": 1, "cuda": 64}


class EncoderError(ClipError):
    """A clip's samples cannot be encoded."""


class Encoder:
    """Holds the model on its device; `images` and `batches` count what it has encoded."""

    def __init__(
        self,
        files: EncoderFiles,
        device: Literal["auto", "cpu", "cuda"],
        precision: Precision,
        batch: int | None,
        threads: int,
    ) -> None:
        """Load the model; raises ConfigError where weights and architecture do not fit."""
        import torch
        from open_clip import create_model_from_pretrained

        self.device = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        if self.device == "cuda" and not torch.cuda.is_available():
            raise ConfigError("clip: device 'cuda' is asked for, and torch sees no GPU; use 'auto' or 'cpu'")
        if precision == "auto":
            precision = "bfloat16" if self.device == "cuda" else "float32"
        self.batch = batch or _BATCH[self.device]
        self.images = 0
        """pictures encoded since the start, without those that fill up a batch"""
        self.batches = 0
        self._closing = ExitStack()
        if self.device == "cpu":
            self._closing.callback(torch.set_num_threads, torch.get_num_threads())
            torch.set_num_threads(1)
        try:
            self._model, self._preprocess = create_model_from_pretrained(
                files.model,
                # A folder brings weights and preprocessing along.
                None if files.is_folder else str(files.weights),
                precision=_OPEN_CLIP_PRECISION[precision],
                device=self.device,
                **{} if files.is_folder else {f"image_{key}": how for key, how in files.preprocess.items()},
            )
        except Exception as exc:  # a wrong file shows in many ways, all of them the user's to mend
            self.close()
            reason = " ".join(str(exc).split())[:200]
            raise ConfigError(f"clip: {files.weights} does not fit {files.name}: {reason}") from exc
        self._model.eval()
        self._dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
        self._pool = self._closing.enter_context(ThreadPoolExecutor(threads)) if threads > 1 else None

    def close(self) -> None:
        """Let go of threads and give torch back its own."""
        self._closing.close()

    def encode(self, jpegs: Sequence[bytes]) -> list[npt.NDArray[np.float32] | EncoderError]:
        """Return for each JPEG its embedding, float32 of unit length, or why it has none."""
        import torch

        found: list[npt.NDArray[np.float32] | EncoderError] = []
        chunks = []
        with torch.inference_mode():
            for start in range(0, len(jpegs), self.batch):
                prepared = list(self._prepared(jpegs[start : start + self.batch]))
                good = [pixels for pixels in prepared if not isinstance(pixels, EncoderError)]
                found += [item if isinstance(item, EncoderError) else _NOTHING for item in prepared]
                if good:
                    chunks.append(self._pass(good))
        features = iter(torch.cat(chunks).float().cpu().numpy() if chunks else ())
        return [item if isinstance(item, EncoderError) else _unit(next(features)) for item in found]

    def _pass(self, pictures: list[torch.Tensor]) -> torch.Tensor:
        """Run the encoder once over at most one batch; the result stays on its device."""
        import torch

        pixels_NCHW = torch.stack(pictures)
        filled = self.batch - len(pictures)
        if filled:
            pixels_NCHW = torch.cat([pixels_NCHW, pixels_NCHW.new_zeros((filled, *pixels_NCHW.shape[1:]))])
        self.images += len(pictures)
        self.batches += 1
        features: torch.Tensor = self._model.encode_image(pixels_NCHW.to(self.device, self._dtype))
        return features[: len(pictures)]

    def _prepared(self, jpegs: Sequence[bytes]) -> Iterator[torch.Tensor | EncoderError]:
        if self._pool is None:
            return map(self._prepare, jpegs)
        return self._pool.map(self._prepare, jpegs)

    def _prepare(self, jpeg: bytes) -> Any:
        """Return open_clip's own preprocessing of a picture, float32 (C, H, W)."""
        from PIL import Image

        try:
            with Image.open(io.BytesIO(jpeg)) as picture:
                return self._preprocess(picture)
        except (OSError, ValueError, Image.DecompressionBombError) as exc:
            return EncoderError(f"a sample is not a readable JPEG: {exc}")


_NOTHING: Final = np.empty(0, np.float32)


def _unit(features_E: npt.NDArray[np.float32]) -> npt.NDArray[np.float32] | EncoderError:
    length = float(np.sqrt(np.square(features_E, dtype=np.float64).sum()))
    if not 0 < length < np.inf:
        return EncoderError("the encoder gave no direction for a sample; its weights are damaged")
    return (features_E / length).astype(np.float32)
