"""`curate train sample`, as it is called."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import torch
from running import curate
from small_pipelines import pipeline

from shards.errors import ConfigError, InputError
from train.commands.sample import Settings, run
from train.dit import add_lora, save_lora
from train.sampling import save_pipeline


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    for form in ("cogvideox-2b", "cogvideox-5b-i2v"):
        save_pipeline(pipeline(form), root / form)
    adapted = pipeline("cogvideox-2b").transformer
    add_lora(adapted, 2, torch.Generator().manual_seed(0))
    with torch.no_grad():
        for name, value in adapted.named_parameters():
            if "lora_B" in name:
                value.normal_(generator=torch.Generator().manual_seed(1))
    save_lora(adapted, root / "lora")
    cv2.imwrite(str(root / "image.png"), np.random.default_rng(0).integers(0, 256, (90, 90, 3), np.uint8))
    return {path.stem: path for path in root.iterdir()}


def decoded(path: Path) -> np.ndarray:
    with av.open(path) as container:
        assert float(container.streams.video[0].average_rate) == 8
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def test_videos_a_sheet_and_what_they_were_made_by(folders: dict[str, Path], tmp_path: Path) -> None:
    given = ("train", "sample", folders["cogvideox-2b"], "--steps", "2", "--prompt", "A red ball!")
    done = curate(*given, "--prompt", "two", "--seed", "7", "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [
        str(tmp_path / "out" / name) for name in ("000-a-red-ball.mp4", "001-two.mp4", "sheet.png")
    ]
    shown = [decoded(tmp_path / "out" / name) for name in ("000-a-red-ball.mp4", "001-two.mp4")]
    assert {one.shape for one in shown} == {(9, 32, 48, 3)}
    assert (shown[0] != shown[1]).any()
    assert cv2.imread(str(tmp_path / "out/sheet.png")).shape == (2 * 186, 8 * 244, 3)
    said = json.loads((tmp_path / "out/samples.json").read_text())
    assert [one["seed"] for one in said["videos"]] == [7, 8]
    assert (said["frames"], said["height"], said["width"], said["dynamic"]) == (9, 32, 48, False)
    cache = ("--text-cache", tmp_path / "texts")
    again = curate(*given, "--seed", "7", *cache, "--output", tmp_path / "again")
    assert again.returncode == 0, again.stderr
    assert len(list((tmp_path / "texts").rglob("*.safetensors"))) == 2
    assert (decoded(tmp_path / "again/000-a-red-ball.mp4") == shown[0]).all()
    adapted = curate(*given, "--seed", "7", "--lora", folders["lora"], "--output", tmp_path / "adapted")
    assert adapted.returncode == 0, adapted.stderr
    assert (decoded(tmp_path / "adapted/000-a-red-ball.mp4") != shown[0]).any()


def test_an_image_is_begun_from(folders: dict[str, Path], tmp_path: Path) -> None:
    given = ("train", "sample", folders["cogvideox-5b-i2v"], "--prompt", "go", "--steps", "2")
    done = curate(*given, "--image", folders["image"], "--frames", "5", "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert decoded(tmp_path / "out/000-go.mp4").shape == (5, 32, 48, 3)
    assert json.loads((tmp_path / "out/samples.json").read_text())["dynamic"] is True


@pytest.mark.parametrize(
    ("model", "image", "lora", "settings", "words"),
    [
        ("cogvideox-2b", "image", None, {}, "takes no --image"),
        ("cogvideox-5b-i2v", None, None, {}, "give --image"),
        ("cogvideox-2b", None, None, {"frames": 8}, "4k\\+1"),
        ("cogvideox-2b", None, None, {"dtype": "float8"}, "--dtype float8"),
        ("cogvideox-2b", None, "image", {}, "no such file"),
        ("lora", None, None, {}, "has no transformer, vae, scheduler, text_encoder"),
        ("cogvideox-5b-i2v", "cogvideox-2b", None, {}, "directory"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    folders: dict[str, Path],
    tmp_path: Path,
    model: str,
    image: str | None,
    lora: str | None,
    settings: dict[str, Any],
    words: str,
) -> None:
    given = {"image": image and folders[image], "lora": lora and folders[lora]}
    with pytest.raises((ConfigError, InputError), match=words) as caught:
        run(folders[model], ["x"], tmp_path / "out", Settings(**settings), **given)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_it_is_one_line_on_the_command_line(folders: dict[str, Path], tmp_path: Path) -> None:
    given = ("train", "sample", folders["cogvideox-5b-i2v"], "--prompt", "x", "--output", tmp_path / "out")
    done = curate(*given)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "give --image" in line
