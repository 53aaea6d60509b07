"""Fine-tuning by the command: what it saves can be loaded, it continues, and refuses what makes no sense.

That a captioner learns by it, `make learn` shows (benchmarks/learn_shapes.py).
"""

from __future__ import annotations

import io
import json
import subprocess
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from running import curate

pytest.importorskip("trl", reason="needs the extra finetune")

PAIRS = 12


def finetune(data: Path, model: Path | str, output: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return curate("caption", "finetune", data, "--model", model, "--output", output, *options)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs of two pictures and the name of their colour."""
    folder = tmp_path_factory.mktemp("pairs")
    (folder / "images").mkdir()
    (folder / "dense").mkdir()
    for split, count in (("train", PAIRS), ("val", 4)):
        out = io.StringIO()
        for n in range(count):
            color, name = (((220, 20, 20), "red"), ((20, 30, 220), "blue"))[n % 2]
            for k in range(2):
                picture = np.full((56, 56, 3), color[::-1], np.uint8)
                cv2.imwrite(str(folder / "images" / f"{split}{n}-{k}.jpg"), picture)
            messages = [
                {"role": "system", "content": "Name it."},
                {"role": "user", "content": "What color?"},
                {"role": "assistant", "content": f"It is {name}."},
            ]
            images = [f"images/{split}{n}-{k}.jpg" for k in range(2)]
            out.write(json.dumps({"messages": messages, "images": images}) + "\n")
        (folder / "dense" / f"{split}.jsonl").write_text(out.getvalue())
    (folder / "manifest.json").write_text("{}")
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from shape_model import make_shape_model

    return make_shape_model(tmp_path_factory.mktemp("base"))


def losses(output: Path) -> list[dict[str, Any]]:
    report: dict[str, Any] = json.loads((output / "report.json").read_text())
    assert report["parameters"] > 500_000
    assert report["val_loss"] > 0
    found: list[dict[str, Any]] = report["losses"]
    return found


@pytest.mark.slow
def test_whole_weights_change_load_again_and_training_continues(
    data: Path, base: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file
    from transformers import AutoProcessor, Qwen2_5_VLForConditionalGeneration

    options = ("--method", "full", "--batch", "2", "--accumulate", "1", "--save-steps", "4", "--lr", "0.002")
    done = finetune(data, base, tmp_path / "out", *options, "--max-steps", "8")
    assert done.returncode == 0, done.stderr
    whole = losses(tmp_path / "out")
    before, after = (load_file(f / "model.safetensors") for f in (base, tmp_path / "out" / "model"))
    assert before.keys() == after.keys()
    assert {name: tensor.dtype for name, tensor in before.items()} == {n: t.dtype for n, t in after.items()}
    assert sum(not before[name].equal(after[name]) for name in before) > 0.9 * len(before)
    Qwen2_5_VLForConditionalGeneration.from_pretrained(tmp_path / "out" / "model")
    processor = AutoProcessor.from_pretrained(tmp_path / "out" / "model")
    assert "im_start" in processor.chat_template
    # As if killed after the first checkpoint: it goes on from there, to the same losses.
    (tmp_path / "out" / "report.json").unlink()
    for checkpoint in (tmp_path / "out" / "checkpoints").glob("checkpoint-8"):
        subprocess.run(["rm", "-r", checkpoint], check=True)
    again = finetune(data, base, tmp_path / "out", *options, "--max-steps", "8")
    assert again.returncode == 0, again.stderr
    assert losses(tmp_path / "out")[-1]["eval_loss"] == pytest.approx(whole[-1]["eval_loss"], rel=1e-4)
    other = finetune(data, base, tmp_path / "out", *options, "--max-steps", "9")
    assert other.returncode == 2
    assert "begun with other options" in other.stderr


@pytest.mark.slow
def test_lora_is_merged_and_kept(data: Path, base: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    done = finetune(
        data, base, tmp_path / "out", "--batch", "2", "--accumulate", "1", "--max-steps", "4", "--lr", "0.01"
    )
    assert done.returncode == 0, done.stderr
    adapter = load_file(tmp_path / "out" / "adapter" / "adapter_model.safetensors")
    assert all("lora_" in name for name in adapter)
    before, after = (load_file(f / "model.safetensors") for f in (base, tmp_path / "out" / "model"))
    assert before.keys() == after.keys()
    changed = {name for name in before if not before[name].equal(after[name])}
    assert any("self_attn" in name for name in changed)
    assert not any("embed" in name or "norm" in name for name in changed)


def test_what_makes_no_sense_is_one_line(data: Path, tmp_path: Path) -> None:
    missing = finetune(tmp_path, "nowhere", tmp_path / "a")
    assert missing.returncode == 2
    assert "dense/train.jsonl: not there" in missing.stderr
    nowhere = finetune(data, tmp_path / "nowhere", tmp_path / "b")
    assert nowhere.returncode == 2
    assert "cannot be loaded" in nowhere.stderr
    assert len(nowhere.stderr.strip().splitlines()) == 1
