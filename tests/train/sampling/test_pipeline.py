"""Folders of whole models: written, read, and refused in one line."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import torch
from small_pipelines import LENGTH, WIDTH, pipeline, t5

from shards.errors import ConfigError, InputError
from train.sampling import load_pipeline, save_pipeline
from train.text import T5Encoder, WordEncoder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pipelines") / "model"
    save_pipeline(pipeline("cogvideox-5b"), path)
    return path


def test_what_was_written_is_read(folder: Path) -> None:
    ours, read = pipeline("cogvideox-5b"), load_pipeline(folder)
    assert read.diffusion == ours.diffusion
    assert read.text.digest == ours.text.digest
    for one, two in ((ours.transformer, read.transformer), (ours.vae, read.vae)):
        assert one.config == two.config
        assert all(torch.equal(value, two.state_dict()[name]) for name, value in one.state_dict().items())
    half = load_pipeline(folder, dtype=torch.bfloat16)
    assert (
        half.transformer.proj_out.weight.dtype == half.vae.decoder.conv_in.conv.weight.dtype == torch.bfloat16
    )


def test_t5_comes_with_its_tokenizer(tmp_path: Path) -> None:
    save_pipeline(pipeline("cogvideox-2b", t5()), tmp_path / "model")
    read = load_pipeline(tmp_path / "model").text
    assert isinstance(read, T5Encoder)
    assert read.digest == t5().digest
    assert torch.equal(read.encode(["a ball"]), t5().encode(["a ball"]))


def refused(folder: Path, words: str) -> None:
    with pytest.raises((InputError, ConfigError), match=words) as caught:
        load_pipeline(folder)
    assert "\n" not in str(caught.value)


def test_folders_that_are_none(folder: Path, tmp_path: Path) -> None:
    refused(tmp_path / "nothing", "no such folder")
    refused(folder / "transformer", "has no transformer, vae, scheduler, text_encoder")
    for part in ("transformer", "vae", "scheduler", "text_encoder"):
        copy = tmp_path / f"without {part}"
        shutil.copytree(folder, copy)
        for file in (copy / part).iterdir():
            file.unlink()
        refused(copy, part)
        shutil.rmtree(copy / part)
        refused(copy, f"has no {part};")


@pytest.mark.parametrize(
    ("file", "change", "words"),
    [
        ("transformer/config.json", {"num_layers": 3}, "missing keys: transformer_blocks.2"),
        ("transformer/config.json", {"_class_name": "LTXVideo"}, "another model's folder"),
        ("vae/config.json", {"norm_num_groups": 3}, "norm_num_groups"),
        ("scheduler/scheduler_config.json", {"prediction_type": "epsilon"}, "v_prediction"),
        ("text_encoder/config.json", {"width": WIDTH + 2}, "text encoder gives 34 numbers"),
        ("text_encoder/config.json", {"length": 7}, f"texts of 7 words; the transformer reads {LENGTH}"),
        ("text_encoder/config.json", {"size": 7}, "keys"),
    ],
)
def test_parts_that_do_not_agree(
    folder: Path, tmp_path: Path, file: str, change: dict[str, object], words: str
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    said = json.loads((copy / file).read_text())
    (copy / file).write_text(json.dumps(said | change))
    refused(copy, words)


def test_models_that_do_not_go_together() -> None:
    ours = pipeline("cogvideox-5b")
    with pytest.raises(ConfigError, match="at most 12"):
        dataclasses.replace(ours, text=WordEncoder(LENGTH + 1, WIDTH))
    other = pipeline("cogvideox-5b").transformer
    other.config = dataclasses.replace(other.config, in_channels=6)
    with pytest.raises(ConfigError, match="predicts 4; the VAE's latents have 4"):
        dataclasses.replace(ours, transformer=other)
