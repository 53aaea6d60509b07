"""What a classifier is made of, and how it is trained: one checked record each, with a preset a size.

`nano` has the encoder that is shipped and a language model of its own, and reads signals beside the
pictures; `base` and `full` differ in numbers alone: an open_clip encoder and a causal language model, both by
path or hub name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from pydantic import Field, model_validator

from curate.config import override, validate
from curate.records import Options
from filters.labels.changes import CHANGES
from shards.errors import ConfigError

__all__ = ["LITE", "SIGNALS", "SIZES", "EncoderConfig", "LanguageConfig", "ModelConfig", "Recipe", "recipe"]

Size = Literal["nano", "base", "full"]
SIZES: Final[tuple[Size, ...]] = ("nano", "base", "full")

# Of the split pass's signals and the stages `text` and `faces`. No aesthetic: another pipeline's is another
# model's. No camera kind and no flags: they are made of the numbers that are here. What the trace tells of
# the picture's changes comes last.
SIGNALS: Final = (
    "motion_total", "motion_camera", "motion_object", "shake", "still_score", "frozen_share",
    "sharpness", "exposure", "contrast", "dark_clipped", "bright_clipped", "saturation", "colorfulness",
    "black_share", "letterbox_share", "pillarbox_share",
    "noise", "blockiness", "sharpness_native", "interlaced",
    "overlay_area", "subtitle_band",
    "text_area", "text_center_area", "text_count", "text_persistence",
    "face_area", "face_count", "face_largest", "face_persistence",
    *CHANGES,
)  # fmt: skip


LITE: Final = "efficientnet-lite0"
"""the encoder that is shipped"""


class EncoderConfig(Options):
    """The frozen image encoder."""

    model: str = Field(
        description="efficientnet-lite0, which is shipped; or as the stage `clip` has it: open_clip's name, "
        "local-dir:…, hf-hub:…"
    )
    pretrained: str | None = Field(None, description="as the stage `clip` has it")
    grid: int = Field(4, ge=1, description="tokens a side that a frame's patches are averaged to")
    looks: int = Field(
        0, ge=0, description="samples of which a piece is seen unscaled, too; efficientnet-lite0 alone"
    )

    @model_validator(mode="after")
    def _fits(self) -> EncoderConfig:
        if self.looks and self.model != LITE:
            raise ValueError(f"looks {self.looks}: {LITE} alone takes close looks")
        return self

    @property
    def cells(self) -> int:
        """Return how many tokens a frame has: the grid's and what is told of all of it."""
        return self.grid**2 + (2 if self.model == LITE else 1)


class LanguageConfig(Options):
    """The causal language model that answers."""

    model: str = Field(description="a folder, or a hub's name that is in the cache of this machine")
    lora_rank: int = Field(16, ge=0, description="of a label's adapter; 0: the model stays as it is")
    lora_alpha: int = Field(32, ge=1)


class ModelConfig(Options):
    """The classifier. `language` null: a small one of its own, trained with the rest."""

    size: Size
    frames: int = Field(8, ge=1, description="samples of a clip at most, evenly spread")
    width: int = Field(768, ge=8, description="of the video Q-Former")
    queries: int = Field(32, ge=1)
    layers: int = Field(2, ge=1)
    heads: int = Field(12, ge=1)
    encoder: EncoderConfig
    language: LanguageConfig | None = None
    signals: tuple[str, ...] = Field((), description="columns that become tokens beside the frames'")
    trees: int = Field(0, ge=0, description="boosted trees a label that judge the signals, too; 0: none")
    reader: int = Field(0, ge=0, description="width of the network that reads maps for the trees; 0: none")
    signal_bins: int = Field(8, ge=2, description="quantiles that a signal is told by")

    @model_validator(mode="after")
    def _fits(self) -> ModelConfig:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        if self.trees and not self.signals:
            raise ValueError(f"trees {self.trees}: there are no signals that they could judge")
        if self.trees and self.encoder.model != LITE:
            raise ValueError(f"trees {self.trees}: they read numbers of pictures that {LITE} alone gives")
        if self.reader and not self.trees:
            raise ValueError(f"reader {self.reader}: it reads for trees, and there are none")
        if self.encoder.looks > self.frames:
            raise ValueError(f"encoder.looks {self.encoder.looks}: at most `frames`, {self.frames}")
        if unknown := set(self.signals) - set(SIGNALS):
            raise ValueError(f"signals: {min(unknown)!r} is not a measurement of a clip")
        return self


class Recipe(Options):
    """How a classifier is trained."""

    model: ModelConfig
    epochs: int = Field(20, ge=1)
    signal_epochs: int = Field(40, ge=0, description="on signals alone, before the pictures come in")
    max_steps: int | None = Field(None, ge=1, description="updates at most")
    batch: int = Field(16, ge=1, description="clips an update, over all processes")
    learning_rate: float = Field(1e-3, gt=0, description="after warm-up; falls as a cosine")
    warmup: float = Field(0.05, ge=0, lt=1, description="share of the updates")
    weight_decay: float = Field(0.05, ge=0)
    patience: int = Field(5, ge=1, description="epochs without a better validation loss before it stops")
    drop_signal: float = Field(0.25, ge=0, lt=1, description="of each signal of a clip, at random")
    drop_signals: float = Field(0.1, ge=0, lt=1, description="of all signals of a clip, at random")
    drop_frame: float = Field(0.1, ge=0, lt=1, description="of each frame, at random; one always stays")
    drop_frames: float = Field(0.1, ge=0, lt=1, description="of all frames of a clip that keeps its signals")
    average: float = Field(0.995, ge=0, lt=1, description="of the moving average of the weights; 0: none")
    shortcut: float = Field(0.5, ge=0, description="weight of the losses that pass later parts by")
    cue: float = Field(0.1, ge=0, description="weight of a cue's loss; cues are the words of column `kind`")
    cue_clips: int = Field(8, ge=1, description="clips of the split `train` that have a cue, at least")
    reader_epochs: int = Field(16, ge=1, description="of what reads maps for the trees")
    more_trees: int = Field(
        0, ge=0, description="a label, beside those of the checkpoint that is learned on from; without one 0"
    )
    smoothing: float = Field(0.02, ge=0, lt=0.5, description="of the answers")
    seed: int = Field(0, ge=0, description="of weights, order, variation and split")
    threads: int = Field(1, ge=1, exclude=True, description="of torch on a CPU")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", exclude=True)


_NANO: Final[Mapping[str, Any]] = {
    "model": {
        "size": "nano", "frames": 5, "width": 96, "queries": 8, "layers": 2, "heads": 4,
        "encoder": {"model": LITE, "looks": 1}, "trees": 400, "reader": 48, "signals": list(SIGNALS),
    },
    "batch": 8, "learning_rate": 1.5e-3, "epochs": 6, "signal_epochs": 8,
}  # fmt: skip
_LARGE: Final[dict[str, Any]] = {"learning_rate": 1e-4, "epochs": 5, "patience": 2}
_PRESETS: Final[Mapping[str, Mapping[str, Any]]] = {
    "nano": _NANO,
    "base": _LARGE | {
        "model": {
            "size": "base", "frames": 8, "width": 384, "queries": 16, "heads": 6,
            "encoder": {"model": "ViT-B-32-quickgelu", "pretrained": "openai", "grid": 3},
            "language": {"model": "Qwen/Qwen2.5-0.5B", "lora_rank": 8, "lora_alpha": 16},
        },
    },
    "full": _LARGE | {
        "model": {
            "size": "full",
            "encoder": {"model": "ViT-L-14-quickgelu", "pretrained": "openai", "grid": 4},
            "language": {"model": "meta-llama/Llama-3.2-1B"},
        },
    },
}  # fmt: skip


_ONWARD: Final[Mapping[str, Mapping[str, Any]]] = {
    "nano": {"learning_rate": 5e-4, "epochs": 5, "signal_epochs": 0, "more_trees": 150},
    "base": {"learning_rate": 3e-5, "epochs": 3},
    "full": {"learning_rate": 3e-5, "epochs": 3},
}
"""what differs where one learns on from a checkpoint: less is forgotten"""


def recipe(
    size: str, assignments: Sequence[str] = (), start: ModelConfig | None = None, seed: int = 0
) -> Recipe:
    """Return the recipe of a size with each `a.b=c` applied (`model.encoder.model=local-dir:X`).

    With `start`, that of learning on from a checkpoint of that model and seed, so that what it was tested on
    is not learned from. Raises ConfigError for an unknown size, key or value, and for another model.
    """
    if size not in _PRESETS:
        raise ConfigError(f"--size {size}: expected one of {', '.join(SIZES)}")
    if start is None:
        return validate(Recipe, override(_PRESETS[size], assignments, lambda _, keys: keys), size)
    model = start.model_dump(mode="json", exclude_none=True)
    preset = {**_PRESETS[size], **_ONWARD[size], "model": model, "seed": seed}
    made = validate(Recipe, override(preset, assignments, lambda _, keys: keys), size)
    if made.model != start:
        raise ConfigError("--set model.…: with --start the model stays as the checkpoint has it")
    return made
