"""The stage `clip`: one encoder pass over a clip's samples, for its embedding and, with a head, its rating.

The samples of all clips of a call are encoded one after another in batches that cross clips. The embedding is
kept for whatever comes later (labels, near-duplicates), so no other stage needs the encoder.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from curate.records import Clip, Failure, Options, Outcome, Row, Stage
from filters.clip.encoder import Encoder, EncoderError, Precision
from filters.clip.head import Head, load_head
from filters.clip.weights import EncoderFiles, find_encoder
from filters.spread import spread
from shards.errors import ConfigError
from shards.schemas import column

__all__ = ["ClipFeatures", "ClipOptions", "unit_mean"]

_LOG = logging.getLogger(__name__)


class ClipOptions(Options):
    """Which encoder and head; how fast does not decide the results and is not in the fingerprint."""

    model: str = Field(
        "ViT-L-14-quickgelu",
        description="open_clip's name; or local-dir:FOLDER, hf-hub:REPOSITORY with config and weights",
    )
    pretrained: str | None = Field(
        None, description="tag of open_clip's or file of weights, for a built-in name; OpenAI's: quickgelu"
    )
    head: Path | None = Field(None, description="LAION linear head (.pth); null: no aesthetic")
    frames: int = Field(32, ge=1, description="samples of a clip at most, evenly spread")
    precision: Precision = Field("auto", description="auto: bfloat16 on a GPU, float32 on a CPU")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", exclude=True)
    batch: int | None = Field(None, ge=1, exclude=True, description="pictures a pass; null: 64 GPU, 1 CPU")
    threads: int = Field(
        min(8, os.cpu_count() or 1), ge=1, exclude=True, description="that prepare pictures for a GPU"
    )


class ClipFeatures(Stage):
    """CLIP embedding of a clip and its LAION aesthetic rating."""

    version: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset({"samples"})
    Options: ClassVar[type[Options]] = ClipOptions

    def __init__(self, options: ClipOptions) -> None:
        """Find the encoder's files and read the head; ConfigError where they are missing or do not fit."""
        super().__init__(options)
        self._files = find_encoder(options.model, options.pretrained)
        self._head = load_head(options.head.expanduser()) if options.head is not None else None
        if self._head is not None and self._head.width != self._files.width:
            raise ConfigError(
                f"clip: the head {options.head} takes embeddings {self._head.width} wide, and those of "
                f"{self._files.name} are {self._files.width} wide; name a head made for this encoder"
            )
        self.encoder: Encoder | None = None
        self._names: dict[str, str] = {}

    @property
    def provides(self) -> pa.Schema:
        """Columns written: the embedding as wide as the encoder's, the rating only with a head."""
        fields = [
            column(
                "embedding",
                pa.list_(pa.float16(), self._files.width),
                "1",
                "mean of the samples' unit CLIP vectors, at unit length",
            ),
            column("embedding_model", pa.string(), doc="encoder, and the beginning of its digest"),
        ]
        if self._head is not None:
            fields += [
                column("aesthetic", pa.float64(), "1", "mean LAION rating of the samples, about 1 to 10"),
                column("aesthetic_model", pa.string(), doc="what rated it: not comparable with another"),
            ]
        return pa.schema(fields)

    def digests(self) -> Mapping[str, str]:
        """Return the digests of the encoder's weights and architecture, and of the head's file."""
        digests = {"encoder": self._files.digest()}
        return digests if self._head is None else digests | {"head": self._head.digest}

    def setup(self) -> None:
        """Load the encoder onto its device."""
        self._names = _named(self._files, self._head)
        chosen = self.options
        threads = chosen.threads
        self.encoder = Encoder(self._files, chosen.device, chosen.precision, chosen.batch, threads)
        _LOG.info("%s on %s", self._names["embedding_model"], self.encoder.device)

    def process(self, clips: Sequence[Clip]) -> Sequence[Outcome]:
        """Return one row a clip; a clip with a sample that cannot be read fails."""
        if self.encoder is None:
            raise RuntimeError("ClipFeatures.process before setup")
        picked = [spread(clip.samples(), self.options.frames) for clip in clips]
        features = iter(self.encoder.encode([sample.jpeg for samples in picked for sample in samples]))
        return [self._outcome([next(features) for _ in samples]) for samples in picked]

    def close(self) -> None:
        """Let go of the encoder."""
        if self.encoder is not None:
            self.encoder.close()
            self.encoder = None

    def _outcome(self, features: list[npt.NDArray[np.float32] | EncoderError]) -> Row | Failure:
        vectors = []
        for item in features:
            if isinstance(item, EncoderError):
                return Failure.of(item)
            vectors.append(item)
        if not vectors:
            return Failure.of(EncoderError("the clip has no samples"))
        mean_E = np.mean(np.stack(vectors).astype(np.float64), axis=0)
        row: dict[str, object] = {**self._names, "embedding": unit_mean(mean_E)}
        if self._head is not None:
            # The head is linear: of the mean of unit vectors it gives the mean of their ratings.
            row["aesthetic"] = self._head.rating(mean_E)
        return row


def unit_mean(mean_E: npt.NDArray[np.float64]) -> list[float] | None:
    """Return a mean of unit vectors at unit length, rounded to float16; None of vectors that cancel out."""
    length = float(np.sqrt((mean_E * mean_E).sum()))
    if length < 1e-6:
        return None
    rounded: list[float] = (mean_E / length).astype(np.float16).tolist()
    return rounded


def _named(files: EncoderFiles, head: Head | None) -> dict[str, str]:
    encoder = files.full_name()
    if head is None:
        return {"embedding_model": encoder}
    return {"embedding_model": encoder, "aesthetic_model": f"laion-{head.name}@{head.digest[:8]} {encoder}"}
