"""Presets, what options say of a model, and digests of folders."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from caption.checkpoint import digest_checkpoint
from caption.models import ModelOptions, describe_model, find_model, load_presets
from caption.vllm_engine import VllmOptions
from shards.errors import ConfigError


def checkpoint(folder: Path, weights: dict[str, bytes], config: str = "{}") -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(config)
    header, at = {}, 0
    for name, data in weights.items():
        header[name] = {"dtype": "U8", "shape": [len(data)], "data_offsets": [at, at + len(data)]}
        at += len(data)
    raw = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(raw)) + raw + b"".join(weights.values()))
    return folder


def test_shipped_presets_are_right() -> None:
    presets = load_presets()
    assert {"qwen2.5-vl-7b", "qwen3-vl-8b", "glm-4v-9b", "cogvlm2-caption", "llama3.1-8b"} <= set(presets)
    for name, preset in presets.items():
        assert preset.model.count("/") == 1, name
        assert preset.sees is not None, name
        assert preset.max_model_len, name


def test_options_go_before_the_preset() -> None:
    found = find_model(ModelOptions(model="qwen2.5-vl-7b", image_px=448), "vllm")
    assert (found.model, found.image_px, found.sees) == ("Qwen/Qwen2.5-VL-7B-Instruct", 448, "video")
    assert found.max_model_len == load_presets()["qwen2.5-vl-7b"].max_model_len


def test_a_model_of_ones_own_is_a_few_lines(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("my-eye: {model: me/eye, sees: pictures, image_px: 560, extra: {quantization: fp8}}\n")
    found = find_model(ModelOptions(model="my-eye", models=mine), "vllm")
    assert (found.model, found.sees, found.extra) == ("me/eye", "pictures", {"quantization": "fp8"})
    assert find_model(ModelOptions(model="qwen3-8b", models=mine), "vllm").chat == {"enable_thinking": False}
    mine.write_text("my-eye: {model: me/eye, sights: pictures}\n")
    other = tmp_path / "other.yaml"
    other.write_text(mine.read_text())
    with pytest.raises(ConfigError, match=r"other\.yaml: my-eye\.sights: unknown key 'sights'"):
        find_model(ModelOptions(model="my-eye", models=other), "vllm")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("qwen2.5-vl-8b", "no preset; .*qwen2.5-vl-"),
        ("/no/such/folder", "'/no/such/folder' is no folder"),
        ("./models/mine", "is no folder"),
        ("cogvlm2-caption", "needs the engine openai"),
    ],
)
def test_what_is_no_model_is_refused(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        find_model(ModelOptions(model=name), "vllm")


def test_what_only_decides_speed_is_not_dumped() -> None:
    slow = VllmOptions(model="qwen3-vl-8b")
    fast = VllmOptions(
        model="qwen3-vl-8b", tensor_parallel_size=4, max_num_seqs=512, gpu_memory_utilization=0.5
    )
    assert slow.model_dump() == fast.model_dump()
    assert slow.model_dump() != VllmOptions(model="qwen3-vl-8b", image_px=448).model_dump()


def test_a_preset_that_changes_changes_the_digests(tmp_path: Path) -> None:
    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    one.write_text("eye: {model: me/eye, image_px: 448}\n")
    two.write_text("eye: {model: me/eye, image_px: 560}\n")
    digests = [
        describe_model(find_model(ModelOptions(model="eye", models=path), "vllm")) for path in (one, two)
    ]
    assert digests[0][0] == digests[1][0] == "me/eye"
    assert digests[0][1] != digests[1][1]


def test_a_folder_is_told_by_config_shapes_and_every_tensor(tmp_path: Path) -> None:
    weights = {"a": bytes(5000), "b": bytes(range(200)), "c": b"x" * 3}
    digest = digest_checkpoint(checkpoint(tmp_path / "base", weights))
    assert digest_checkpoint(checkpoint(tmp_path / "copy", weights)) == digest
    others = [
        checkpoint(tmp_path / "config", weights, '{"a": 1}'),
        checkpoint(tmp_path / "tuned-a", weights | {"a": b"\1" * 5000}),
        checkpoint(tmp_path / "tuned-c", weights | {"c": b"y" * 3}),
        checkpoint(
            tmp_path / "renamed", {"d" if name == "c" else name: data for name, data in weights.items()}
        ),
    ]
    digests = {digest, *map(digest_checkpoint, others)}
    assert len(digests) == 5
    (tmp_path / "base" / "README.md").write_text("says nothing")
    assert digest_checkpoint(tmp_path / "base") == digest
    name, told = describe_model(find_model(ModelOptions(model=str(tmp_path / "base")), "vllm"))
    assert name == f"base@{digest[:8]}"
    assert told["weights"] == digest


def test_a_damaged_file_still_has_a_digest(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "m", {"a": b"abc"})
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", 10) + b"not json at all")
    assert len(digest_checkpoint(folder)) == 64
