"""The stage `labels`: calibrated probabilities of the six labels, from a clip's samples and signals.

A clip is judged by itself: neither its company nor the size of a batch changes what is said of it. On a CPU
it runs on one thread. A probability takes yes and no for equally likely beforehand (filters/labels/
calibration.py). Cost of the shipped `nano`: `curate bench filters RUN` measures it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from curate.records import Clip, Failure, Options, Outcome, Stage
from filters.labels.asking import ask
from filters.labels.building import open_encoder, pick_device, require_torch
from filters.labels.calibration import probabilities
from filters.labels.checkpoint import SHIPPED, Checkpoint, load_model, read_checkpoint
from filters.labels.clips import columns_of, features_of, pack, signals_of
from filters.labels.encoders import Encoder, Features
from filters.labels.pictures import PictureError
from filters.labels.questions import LABELS, QUESTIONS, column_name
from shards.schemas import column

if TYPE_CHECKING:
    from filters.videollama import VideoLlama

__all__ = ["LabelOptions", "Labels"]

_LOG = logging.getLogger(__name__)


class LabelOptions(Options):
    """Which classifier; how fast does not decide the results and is not in the fingerprint."""

    model: Path | None = Field(
        None, description="folder that `curate filters train` wrote; null: the nano that is shipped"
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", exclude=True)
    encoder_batch: int | None = Field(
        None, ge=1, exclude=True, description="pictures a pass of an open_clip encoder; null: 64 GPU, 1 CPU"
    )


class Labels(Stage):
    """Probabilities of the six negative labels."""

    version: ClassVar[int] = 3
    Options: ClassVar[type[Options]] = LabelOptions
    provides: ClassVar[pa.Schema] = pa.schema(
        [
            *(column(column_name(label), pa.float64(), "1", QUESTIONS[label]) for label in LABELS),
            column("label_model", pa.string(), doc="what judged: size, and the beginning of its digest"),
        ]
    )

    def __init__(self, options: LabelOptions) -> None:
        """Read the checkpoint's configuration; ConfigError where it does not fit."""
        super().__init__(options)
        folder = SHIPPED if options.model is None else options.model.expanduser()
        self._checkpoint: Checkpoint = read_checkpoint(folder)
        require_torch()
        self._network: VideoLlama | None = None
        self._encoder: Encoder | None = None
        self._device: Any = None
        self._closing = ExitStack()

    @property
    def needs(self) -> frozenset[str]:  # type: ignore[override]
        """Samples, the signals that this classifier was trained with, and whether it is an image."""
        return frozenset({"samples", "frames", *columns_of(self._checkpoint.model.signals)})

    def digests(self) -> Mapping[str, str]:
        """Return the digests of the trained weights, of what they are for, and of the frozen parts."""
        said = self._checkpoint
        about = repr((said.model.model_dump_json(), said.temperatures))
        return {"weights": said.weights_sha256, "about": about, **said.digests}

    def setup(self) -> None:
        """Load network and encoder onto their device."""
        import torch

        self._device = pick_device(self.options.device)
        if self._device.type == "cpu":
            self._closing.callback(torch.set_num_threads, torch.get_num_threads())
            torch.set_num_threads(1)
        try:
            self._network = load_model(self._checkpoint, self._device)
            self._encoder = open_encoder(
                self._checkpoint.model.encoder, self._device, self.options.encoder_batch
            )
        except BaseException:
            self.close()
            raise
        _LOG.info("%s on %s", self._checkpoint.name, self._device)

    def close(self) -> None:
        """Let go of everything, and give torch back its threads."""
        if self._encoder is not None:
            self._encoder.close()
        self._network = self._encoder = None
        self._closing.close()

    def process(self, clips: Sequence[Clip]) -> Sequence[Outcome]:
        """Return one row a clip: a failure for a sample that is no JPEG.

        Null are all probabilities without samples, and that of `static` of an image, which cannot move.
        """
        return [self._judged(clip) for clip in clips]

    def _judged(self, clip: Clip) -> Outcome:
        if self._encoder is None:
            raise RuntimeError("Labels.process before setup")
        row: dict[str, object] = {"label_model": self._checkpoint.name}
        try:
            features = features_of(clip.samples(), self._checkpoint.model, self._encoder)
        except PictureError as exc:
            return Failure.of(exc)
        if features is None:
            return row
        odds_NL = self._odds(clip, features)
        values = probabilities(odds_NL, self._checkpoint.temperatures)[0]
        row |= {column_name(label): float(p) for label, p in zip(LABELS, values, strict=True)}
        if clip.row["frames"] == 1:
            row[column_name("static")] = None
        return row

    def _odds(self, clip: Clip, features: Features) -> npt.NDArray[np.float64]:
        if self._network is None:
            raise RuntimeError("Labels.process before setup")
        signals_BS = signals_of([clip.row], self._checkpoint.model.signals)
        return ask(self._network, pack([features]), signals_BS, self._device)
