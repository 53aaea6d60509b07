"""`curate train cache` makes what training reads, and `curate bench train` measures it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from numbered_clips import FILMS, cut, render, write_manifest
from typer.testing import CliRunner

from curate.cli import app
from shards.errors import ConfigError, InputError
from train.data import LatentEncoder
from train.vae import Vae, VaeConfig, save_vae

SMALL = [
    "--set", "model_changes={layers: 1, heads: 1, text_length: 24}", "--set", "stages.0.short_side=32",
    "--set", "stages.0.tokens=256", "--set", "stages.0.max_tokens=128", "--set", "stages.0.packs=2",
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of ten clips, and a small VAE."""
    folder = tmp_path_factory.mktemp("cached")
    film = render(folder, FILMS[0])
    write_manifest(folder / "shards", [cut(film, first, first + 40) for first in range(0, 50, 5)])
    torch.manual_seed(0)
    config = VaeConfig(
        block_out_channels=(8, 8, 8, 8),
        layers_per_block=1,
        norm_num_groups=4,
        sample_height=32,
        sample_width=32,
    )
    save_vae(Vae(config), folder / "vae")
    return folder


def run(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, [str(one) for one in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0
    return result.output


def given(folder: Path, cache: Path) -> list[str | Path]:
    return ["--data", folder / "shards/manifest.parquet", "--vae", folder / "vae", "--cache", cache, *SMALL]


def test_training_reads_what_was_made(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = [*given(folder, tmp_path / "cache"), "--set", "stages.0.steps=5", "--workers", "2"]
    made = [
        int(run("train", "cache", *options, "--rank", rank, "--ranks", "2").split("views: ")[1].split()[0])
        for rank in "01"
    ]
    assert min(made) >= 5
    assert f"views: 0 made, {sum(made)} there already, 0 unreadable" in run("train", "cache", *options)

    def refuse(*_: object) -> None:
        raise AssertionError("not in the cache")

    monkeypatch.setattr(LatentEncoder, "encode", refuse)
    # Two steps are counted, after three that are not.
    options = [*given(folder, tmp_path / "cache"), "--workers", "2"]
    run("bench", "train", *options, "--steps", "2", "--height", "32", "--width", "64", "--decoder", "av",
        "--output", tmp_path / "bench.json")  # fmt: skip
    figures = json.loads((tmp_path / "bench.json").read_text())
    assert figures["wait"]["steps"] == 2
    assert figures["wait"]["views_made_before"] == 0
    assert 0 <= figures["wait"]["data_wait_share"] < 1
    rows = figures["loading"]
    assert [(row["by"], row["workers"]) for row in rows] == [
        ("ours, av", 1), ("ours, av", 2), ("webdataset, decord", 1)
    ]  # fmt: skip
    assert {(row["clips"], row["failed"]) for row in rows} == {(10, 0)}
    assert len({row["frames"] for row in rows}) == 1
    assert all(row["cpu_seconds_a_clip"] > 0 for row in rows)


def test_what_is_wrong_is_said(folder: Path, tmp_path: Path) -> None:
    options = given(folder, tmp_path / "cache")
    with pytest.raises(ConfigError, match="--rank 2 of 2"):
        run("train", "cache", *options, "--rank", "2", "--ranks", "2")
    with pytest.raises(ConfigError, match="decoder 'opencv'"):
        run("train", "cache", *options, "--decoder", "opencv", "--steps", "1")
    with pytest.raises(InputError, match="no manifest at"):
        run("train", "cache", *options, "--data", tmp_path / "none.parquet")
    with pytest.raises(ConfigError, match="no such folder"):
        run("bench", "train", *options, "--output", tmp_path / "none/figures.json")
