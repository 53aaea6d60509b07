"""How well texts fit embeddings of the stage `clip`: the text tower of the same encoder, with its weights.

A caption may be longer than the encoder's context (77 tokens of CLIP's, about 55 words), and what is beyond
would not be seen. So it is divided between sentences into pieces that fit, and stands for the mean of their
vectors, as a clip does for that of its samples. A sentence that is too long by itself is cut off.

As with pictures, every batch has the same shape, and a CPU works on one thread (torch in the whole process,
while the aligner is loaded): what a text gives does not depend on its company.

Cost: of ViT-L/14 in float32, 0.2 s of a core a piece. Memory: the text tower alone stays loaded.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, ClassVar, Final, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from curate.records import Options
from filters.clip.encoder import Precision
from filters.clip.weights import find_encoder
from shards.errors import ConfigError

__all__ = ["TextAligner", "TextOptions", "cosine", "pieces"]

_BATCH: Final = {"cpu": 1, "cuda": 256}
_SENTENCE: Final = re.compile(r"(?<=[.!?。！？])\s+")


class TextOptions(Options):
    """Which encoder: the one that made the embeddings."""

    model: str = Field(description="as the stage `clip` has it")
    pretrained: str | None = Field(None, description="as the stage `clip` has it")
    precision: Precision = Field("auto", description="auto: bfloat16 on a GPU, float32 on a CPU")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", exclude=True)
    batch: int | None = Field(None, ge=1, exclude=True, description="pieces a pass; null: 256 GPU, 1 CPU")


class TextAligner:
    """Cosines of captions and clips."""

    version: ClassVar[int] = 1
    Options: ClassVar[type[Options]] = TextOptions

    def __init__(self, options: TextOptions) -> None:
        """Find the encoder's files; ConfigError where they are missing."""
        self.options = options
        self._files = find_encoder(options.model, options.pretrained)
        self._name = ""
        self._closing = ExitStack()
        self._model: Any = None

    def digests(self) -> Mapping[str, str]:
        """Return the digest of the encoder's weights and architecture."""
        return {"encoder": self._files.digest()}

    def setup(self) -> None:
        """Load the text tower; ConfigError where weights, architecture or tokenizer are not to be had."""
        import torch
        from open_clip import create_model_from_pretrained, get_tokenizer

        chosen, files = self.options, self._files
        self._name = files.full_name()
        device = chosen.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        if device == "cuda" and not torch.cuda.is_available():
            raise ConfigError(
                "aligner: device 'cuda' is asked for, and torch sees no GPU; use 'auto' or 'cpu'"
            )
        precision = chosen.precision
        if precision == "auto":
            precision = "bfloat16" if device == "cuda" else "float32"
        if device == "cpu":
            self._closing.callback(torch.set_num_threads, torch.get_num_threads())
            torch.set_num_threads(1)
        try:
            self._model, _ = create_model_from_pretrained(
                files.model,
                None if files.is_folder else str(files.weights),
                precision={"float32": "fp32", "bfloat16": "bf16"}[precision],
                device=device,
            )
            self._tokenize = get_tokenizer(files.model)
        except Exception as exc:  # a wrong file shows in many ways, all of them the user's to mend
            self.close()
            reason = " ".join(str(exc).split())[:200]
            raise ConfigError(f"aligner: {files.weights} does not fit {files.name}: {reason}") from exc
        self._model.eval()
        self._model.visual = None
        self._device, self._batch = device, chosen.batch or _BATCH[device]

    def similarity(
        self, texts: Sequence[str], embeddings: Sequence[Sequence[float] | None], models: Sequence[str | None]
    ) -> list[float | None]:
        """Return the cosine of each text and embedding, -1 to 1.

        None where there are no words, no embedding, or either has no direction. Raises ConfigError where an
        embedding is another encoder's: `models` are the column `embedding_model`.
        """
        if self._model is None:
            raise RuntimeError("TextAligner.similarity before setup")
        for model in models:
            if model is not None and model != self._name:
                raise ConfigError(
                    f"aligner: the clips' embeddings are of {model}, and the texts' would be of "
                    f"{self._name}; name the encoder that the stage 'clip' has"
                )
        divided = [
            pieces(text, self._fits) if embedding is not None else []
            for text, embedding in zip(texts, embeddings, strict=True)
        ]
        vectors = iter(self._encode([piece for piece_list in divided for piece in piece_list]))
        found: list[float | None] = []
        for piece_list, embedding in zip(divided, embeddings, strict=True):
            units = [next(vectors) for _ in piece_list]
            if embedding is None or not units:
                found.append(None)
            else:
                found.append(cosine(np.mean(units, axis=0), np.asarray(embedding, np.float64)))
        return found

    def close(self) -> None:
        """Let go of the model, and give torch its threads back."""
        self._model = None
        self._closing.close()

    def _fits(self, text: str) -> bool:
        """Say whether the encoder sees the whole text: then one more word makes a difference."""
        import torch

        return not torch.equal(*self._tokenize([text, f"{text} x"]))

    def _encode(self, texts: Sequence[str]) -> list[npt.NDArray[np.float64]]:
        """Return unit vectors, float64."""
        import torch

        rows: list[npt.NDArray[np.float64]] = []
        with torch.inference_mode():
            for start in range(0, len(texts), self._batch):
                chunk = list(texts[start : start + self._batch])
                filled = chunk + [""] * (self._batch - len(chunk))
                features = self._model.encode_text(self._tokenize(filled).to(self._device))
                rows += list(features[: len(chunk)].float().cpu().numpy().astype(np.float64))
        return [row / max(_length(row), 1e-12) for row in rows]


def pieces(text: str, fits: Callable[[str], bool]) -> list[str]:
    """Return the text's sentences joined to as few pieces as `fits` (text → bool) allows, in order.

    A sentence that does not fit is a piece of its own; without a letter or a digit there are none.
    """
    joined: list[str] = []
    for sentence in _SENTENCE.split(" ".join(text.split())):
        if not any(character.isalnum() for character in sentence):
            continue
        if joined and fits(f"{joined[-1]} {sentence}"):
            joined[-1] = f"{joined[-1]} {sentence}"
        else:
            joined.append(sentence)
    return joined


def cosine(one_E: npt.NDArray[np.float64], other_E: npt.NDArray[np.float64]) -> float | None:
    """Return the cosine of two vectors, -1 to 1; None where one has no length.

    Summed exactly: it does not depend on how a processor groups additions.
    """
    lengths = _length(one_E) * _length(other_E)
    if not 0 < lengths < math.inf:
        return None
    return min(1.0, max(-1.0, math.fsum((one_E * other_E).tolist()) / lengths))


def _length(vector_E: npt.NDArray[np.float64]) -> float:
    return math.sqrt(math.fsum(np.square(vector_E).tolist()))
