"""A checkpoint → a folder that `curate train sample` and diffusers read.

With VAE and text encoder a whole pipeline; without them its `transformer` and `scheduler`. Of a LoRA the
merged model, and beside it `lora`, the file alone.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from shards.errors import ConfigError, InputError
from train.diffusion import PRESETS, DiffusionConfig
from train.dit import merge_lora, save_lora, save_transformer
from train.loop.saving import read_record
from train.loop.weights import model_of_checkpoint
from train.sampling import Pipeline, save_pipeline
from train.text import CachedText, TextEncoder
from train.vae import AnyVae

__all__ = ["export"]


def export(
    checkpoint: Path,
    folder: Path,
    *,
    average: bool | None = None,
    vae: AnyVae | None = None,
    text: TextEncoder | None = None,
    replace: bool = False,
) -> Path:
    """Write a new folder, and return it. `average`: averaged parameters; None: where there are any.

    `replace`: a folder that is there gives way once the new one is whole.
    Raises InputError for a folder that exists, ConfigError and IntegrityError as reading the checkpoint does.
    """
    if folder.exists() and not replace:
        raise InputError(f"{folder}: exists already; name a new folder")
    if (vae is None) != (text is None):
        raise ConfigError("a pipeline needs both a VAE and a text encoder: give both, or neither")
    record = read_record(checkpoint)
    diffusion = diffusion_of(str(record.recipe["diffusion"]))
    averaged = record.average_updates is not None if average is None else average
    model = model_of_checkpoint(checkpoint, record, average=averaged)
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    lora = int(record.recipe["lora_rank"])
    if lora:
        merge_lora(model)
    if vae is not None and text is not None:
        plain = text.encoder if isinstance(text, CachedText) else text
        save_pipeline(Pipeline(model, vae, diffusion, plain), partial)
    else:
        save_transformer(model, partial / "transformer")
        scheduler = partial / "scheduler"
        scheduler.mkdir()
        said = json.dumps(diffusion.to_diffusers(), indent=2) + "\n"
        (scheduler / "scheduler_config.json").write_text(said, encoding="utf-8")
    if lora:
        # Read once more: merging took it away.
        save_lora(model_of_checkpoint(checkpoint, record, average=averaged), partial / "lora")
    if folder.exists():
        shutil.rmtree(folder)
    partial.rename(folder)
    return folder


def diffusion_of(name: str) -> DiffusionConfig:
    """Return a noise schedule by name. Raises ConfigError, naming those there are."""
    if name not in PRESETS:
        raise ConfigError(f"no noise schedule {name!r}: there are {', '.join(PRESETS)}")
    return PRESETS[name]
