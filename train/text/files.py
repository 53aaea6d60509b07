"""The text encoder of a pipeline's folder: T5 in `text_encoder` and `tokenizer`, or the word encoder."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from shards.errors import InputError
from train.checkpoints import read_config
from train.text.base import TextEncoder
from train.text.t5 import T5Encoder
from train.text.words import WordEncoder

__all__ = ["load_text_encoder", "save_text_encoder"]

_FOLDER, _TOKENIZER = "text_encoder", "tokenizer"


def load_text_encoder(
    pipeline: Path,
    length: int,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> TextEncoder:
    """Return the text encoder of a pipeline, for texts of so many tokens. Raises InputError, ConfigError."""
    folder = pipeline / _FOLDER
    config = read_config(folder)
    if config.get("_class_name") != WordEncoder.__name__:
        tokenizer = pipeline / _TOKENIZER
        return T5Encoder.load(
            folder,
            tokenizer=tokenizer if tokenizer.is_dir() else None,
            length=length,
            device=device,
            dtype=dtype,
        )
    said = {key: value for key, value in config.items() if key != "_class_name"}
    if said.keys() != {"length", "width", "seed"}:
        raise InputError(f"{folder}/config.json: keys {sorted(said)}; wanted are length, seed, width")
    encoder = WordEncoder(**said)  # type: ignore[arg-type]  # it checks each
    if encoder.length != length:
        raise InputError(
            f"{folder}: texts of {encoder.length} words; the transformer reads {length} text tokens"
        )
    return encoder


def save_text_encoder(encoder: TextEncoder, pipeline: Path) -> None:
    """Write a text encoder into a pipeline's folder."""
    folder = pipeline / _FOLDER
    if isinstance(encoder, T5Encoder):
        encoder.model.save_pretrained(folder)
        encoder.tokenizer.save_pretrained(pipeline / _TOKENIZER)
        return
    if not isinstance(encoder, WordEncoder):
        raise TypeError(f"{type(encoder).__name__} cannot be saved")
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(encoder.to_record(), indent=2) + "\n", encoding="utf-8")
