"""What a training run is: its model, its optimizer and its stages; the YAML of `curate train dit`.

Every field is read somewhere; an unknown key is refused by the parser, naming the nearest known one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["FirstFrame", "ManifestSource", "Optimizer", "Recipe", "Saving", "Stage", "Threshold"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestSource:
    """One manifest to train on."""

    path: str
    """path or URI of a `manifest.parquet`"""
    weight: float = 1.0
    """how often its clips are drawn, against those of a manifest of weight 1"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """A bound on a column, which may move with the step.

    `kind`: `constant` (value), `step` (values at steps: `points`), `ramp` (straight lines between `points`),
    `quantile` (value is a share: 0.8 keeps the best fifth; becomes a number at the start, and is logged).
    """

    column: str
    bound: Literal["min", "max"]
    kind: Literal["constant", "step", "ramp", "quantile"] = "constant"
    value: float | None = None
    points: tuple[tuple[int, float], ...] = ()
    """(step counted from the stage's first, value), rising in step"""
    nulls: Literal["drop", "keep"] = "drop"
    """what becomes of clips that have no value there (images have no motion)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """So many steps at one size, after one row of the paper's Table 5."""

    name: str
    steps: int
    tokens: int
    """token budget of a pack, text among them"""
    packs: int
    """packs a step, over all ranks"""
    short_side: int
    """in px, a multiple of 16; the aspect is kept, sides rounded to multiples of 16, never enlarged past
    `max_tokens` of a clip"""
    max_seconds: float
    max_tokens: int | None = None
    """most tokens a clip; default: the budget"""
    fps: tuple[float, ...] = (8.0, 16.0)
    min_frames: int = 9
    """clips that would show fewer are not drawn; images show one"""
    where: str = "true"
    thresholds: tuple[Threshold, ...] = ()
    learning_rate: float | None = None
    """default: the optimizer's"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimizer:
    """AdamW and what goes with it."""

    learning_rate: float = 1e-4
    warmup_steps: int = 100
    final_share: float = 0.1
    """of the learning rate, where the cosine ends"""
    betas: tuple[float, float] = (0.9, 0.95)
    eps: float = 1e-8
    weight_decay: float = 1e-4
    clip_norm: float = 1.0
    spike_ratio: float = 10.0
    """a step whose gradient norm is so many times the running median is skipped"""
    ema: float | None = 0.9999
    """decay a step; None: no average is kept"""


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstFrame:
    """How an image-to-video model is shown a clip's first frame.

    Noise is added to its pixels (-1 to 1), of a deviation whose logarithm is normal: a user's image is no
    frame of a video. After Blattmann et al. 2023 (arXiv 2311.15127), with the numbers of CogVideoX's code.
    """

    noise_mean: float = -3.0
    noise_deviation: float = 0.5
    dropout: float = 0.05
    """share of the clips that are drawn without it"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    """When a checkpoint is saved, samples are made and the held-out clips are looked at, in steps."""

    every: int = 500
    keep: int = 3
    validate_every: int = 500
    sample_every: int = 0
    """0: never"""
    prompts: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    """image-to-video: the path of a first frame for each prompt"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A whole training run, but for where its data lies and where it is written."""

    name: str
    model: str
    """preset of the transformer (`train.dit.PRESETS`)"""
    diffusion: str
    """preset of the noise schedule (`train.diffusion.PRESETS`)"""
    stages: tuple[Stage, ...]
    vae: Literal["given", "linear"] = "given"
    """`linear`: where no folder is given, the linear codec is fitted to the clips that are drawn first"""
    text: Literal["given", "words"] = "given"
    """`words`: where no folder is given, a text is its words, each a random vector"""
    model_changes: Mapping[str, Any] = field(default_factory=dict)
    """fields of TransformerConfig that differ from the preset's"""
    seed: int = 0
    text_dropout: float = 0.1
    first_frame: FirstFrame | None = None
    """of image-to-video models, and of those alone"""
    loss_weight: Literal["clip", "tokens"] = "clip"
    precision: Literal["float32", "bfloat16"] = "float32"
    """of the arithmetic; parameters, their average and the optimizer are float32"""
    parallel: Literal["ddp", "fsdp"] = "ddp"
    activation_checkpointing: bool = False
    compile: bool = False
    attention: str = "auto"
    lora_rank: int = 0
    """0: all parameters learn"""
    block_steps: int = 16
    """steps whose clips are drawn under the same thresholds"""
    held_out: float = 0.02
    """share of the sources whose clips are never trained on, but validated with"""
    optimizer: Optimizer = field(default_factory=Optimizer)
    saving: Saving = field(default_factory=Saving)
