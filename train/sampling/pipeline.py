"""A whole model's folder, laid out as diffusers' CogVideoX pipelines are: four parts and a table of contents.

`transformer/`, `vae/`, `scheduler/`, `text_encoder/` (with `tokenizer/`), `model_index.json`. What is written
here diffusers loads, and the other way round; of a word encoder or a linear codec, which diffusers doesn't
know, its table says that there is none.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from shards.errors import ConfigError, InputError
from train.diffusion import DiffusionConfig
from train.dit import Transformer, load_transformer, save_transformer
from train.text import T5Encoder, TextEncoder, load_text_encoder, save_text_encoder
from train.vae import AnyVae, LinearVae, load_vae, save_vae

__all__ = ["Pipeline", "load_pipeline", "save_pipeline"]

_PARTS: Final = ("transformer", "vae", "scheduler", "text_encoder")
_SCHEDULER: Final = "scheduler_config.json"


@dataclass(frozen=True, slots=True, eq=False)
class Pipeline:
    """What a sample is made with. Raises ConfigError where the parts don't agree."""

    transformer: Transformer
    vae: AnyVae
    diffusion: DiffusionConfig
    text: TextEncoder

    def __post_init__(self) -> None:
        model, latents = self.transformer.config, self.vae.config.latent_channels
        if self.text.width != model.text_dim:
            raise ConfigError(
                f"the text encoder gives {self.text.width} numbers a token, "
                f"the transformer reads {model.text_dim}"
            )
        if self.text.length > model.text_length:
            raise ConfigError(
                f"texts of {self.text.length} tokens; the transformer reads at most {model.text_length}"
            )
        if model.out_channels != latents or self.channels not in (latents, 2 * latents):
            raise ConfigError(
                f"the transformer reads {self.channels} channels and predicts {model.out_channels}; "
                f"the VAE's latents have {latents}"
            )

    @property
    def channels(self) -> int:
        """What the transformer reads: the latents', and as many of an image if it takes one."""
        return self.transformer.config.in_channels + self.transformer.config.extra_channels

    @property
    def takes_image(self) -> bool:
        """Whether it makes videos from an image."""
        return self.channels == 2 * self.vae.config.latent_channels


def load_pipeline(
    folder: Path, *, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> Pipeline:
    """Return the model of a folder.

    Raises InputError for a folder that is no pipeline's or lacks a part, and as the parts' loaders do.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    missing = [part for part in _PARTS if not (folder / part).is_dir()]
    if missing:
        raise InputError(
            f"{folder}: has no {', '.join(missing)}; a folder with {', '.join(_PARTS)} is wanted"
        )
    transformer = load_transformer(folder / "transformer", device=device, dtype=dtype).eval()
    try:
        said = json.loads((folder / "scheduler" / _SCHEDULER).read_text(encoding="utf-8"))
        diffusion = DiffusionConfig.from_diffusers(said, f"{folder}/scheduler/{_SCHEDULER}")
    except (OSError, ValueError) as exc:
        raise InputError(f"{folder}/scheduler/{_SCHEDULER}: {exc}") from None
    vae = load_vae(folder / "vae", device=device, dtype=dtype)
    text = load_text_encoder(folder, transformer.config.text_length, device=device, dtype=dtype)
    return Pipeline(transformer.requires_grad_(False), vae, diffusion, text)


def save_pipeline(pipeline: Pipeline, folder: Path) -> None:
    """Write a new folder that diffusers reads."""
    folder.mkdir(parents=True)
    save_transformer(pipeline.transformer, folder / "transformer")
    save_vae(pipeline.vae, folder / "vae")
    scheduler = folder / "scheduler"
    scheduler.mkdir()
    said = pipeline.diffusion.to_diffusers()
    (scheduler / _SCHEDULER).write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")
    save_text_encoder(pipeline.text, folder)
    contents = json.dumps(_contents(pipeline, str(said["_class_name"])), indent=2)
    (folder / "model_index.json").write_text(contents + "\n", encoding="utf-8")


def _contents(pipeline: Pipeline, scheduler: str) -> dict[str, Any]:
    kind = "CogVideoXImageToVideoPipeline" if pipeline.takes_image else "CogVideoXPipeline"
    text: list[str | None] = [None, None]
    words: list[str | None] = [None, None]
    if isinstance(pipeline.text, T5Encoder):
        text = ["transformers", "T5EncoderModel"]
        words = ["transformers", type(pipeline.text.tokenizer).__name__]
    linear = isinstance(pipeline.vae, LinearVae)
    return {
        "_class_name": kind,
        "scheduler": ["diffusers", scheduler],
        "text_encoder": text,
        "tokenizer": words,
        "transformer": ["diffusers", "CogVideoXTransformer3DModel"],
        "vae": [None, None] if linear else ["diffusers", "AutoencoderKLCogVideoX"],
    }
