"""`curate train dit` from manifests and video files to a model that samples; info and export beside it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from loop_parts import one_thread
from PIL import Image
from running import environment

from shards.errors import ConfigError, InputError
from shards.tar import TarWriter
from train.commands import export, info
from train.commands.dit import Options, run
from train.loop.assemble import Sources
from train.recipe import ManifestSource
from train.recipe_file import load_recipe
from train.sampling import Request, generate, load_pipeline
from train.vae import Vae, VaeConfig, save_vae

BROKEN = 5
"""a clip whose bytes are not a video"""
RECIPE: dict[str, Any] = {
    "model": "tiny",
    "diffusion": "tiny",
    "model_changes": {
        "heads": 2, "head_dim": 16, "layers": 1, "in_channels": 4, "out_channels": 4, "text_dim": 8,
        "text_length": 8, "time_dim": 16, "sample_frames": 9, "sample_height": 4, "sample_width": 4,
    },
    "held_out": 0.1,
    "stages": [
        {"name": "first", "steps": 4, "packs": 2, "tokens": 48, "short_side": 32, "max_seconds": 1.1,
         "fps": [8], "min_frames": 5},
    ],
    "optimizer": {"learning_rate": 1e-3, "warmup_steps": 2, "ema": 0.9},
    "saving": {"every": 2, "keep": 5, "validate_every": 4, "sample_every": 4, "prompts": ["a red ball"]},
}  # fmt: skip


def movie(path: Path, seed: int) -> bytes:
    random = np.random.default_rng(seed)
    with av.open(str(path), "w", format="mp4") as output:
        stream = output.add_stream("libx264", rate=8, options={"threads": "1", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for _ in range(12):
            picture = random.integers(0, 256, (32, 32, 3), np.uint8)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        output.mux(stream.encode())
    return path.read_bytes()


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of 24 clips of 24 sources, one of them broken, a VAE, and a recipe."""
    root = tmp_path_factory.mktemp("given")
    tar, rows = TarWriter(root / "00000.tar"), []
    for number in range(24):
        data = b"no video" * 100 if number == BROKEN else movie(root / "one.mp4", number)
        rows.append(
            {
                "clip_id": f"clip{number:03d}", "source_id": f"source{number:03d}", "shard": "00000.tar",
                "offset": tar.add(f"clip{number:03d}.mp4", data), "bytes": len(data), "duration_s": 1.5,
                "frames": 12, "fps": 8.0, "width": 32, "height": 32,
                "captions": [{"caption": f"clip {number}", "caption_ok": True}],
            }
        )  # fmt: skip
    tar.close()
    pq.write_table(pa.Table.from_pylist(rows), root / "manifest.parquet")
    torch.manual_seed(0)
    config = VaeConfig(
        block_out_channels=(8, 8, 8, 8), layers_per_block=1, norm_num_groups=4, latent_channels=4,
        sample_height=32, sample_width=32,
    )  # fmt: skip
    save_vae(Vae(config), root / "vae")
    (root / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    return root


def sources(given: Path, **changes: Any) -> Sources:
    values = {
        "manifests": (ManifestSource(path=str(given / "manifest.parquet")),),
        "vae": given / "vae", "text": "words", "cache": given / "cache",
    }  # fmt: skip
    return Sources(**{**values, **changes})


def other_recipe(path: Path, **changes: Any) -> Path:
    path.write_text(yaml.safe_dump(RECIPE | changes))
    return path


def records(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]


def trained(given: Path, output: Path, *changes: str, **options: Any) -> None:
    with one_thread():
        made = Options(output=output, device="cpu", hang_s=0, **options)
        run(load_recipe(str(given / "recipe.yaml"), changes), sources(given), made)


def test_each_stage_looks_at_held_out_clips_in_its_own_views(given: Path, tmp_path: Path) -> None:
    (first,) = RECIPE["stages"]
    stages = [first | {"steps": 2}, first | {"name": "second", "steps": 2, "short_side": 16}]
    saving = RECIPE["saving"] | {"validate_every": 1, "sample_every": 0}
    still = other_recipe(
        tmp_path / "recipe.yaml", stages=stages, saving=saving, optimizer={"learning_rate": 0.0, "ema": None}
    )
    with one_thread():
        run(load_recipe(str(still)), sources(given), Options(output=tmp_path / "run", device="cpu", hang_s=0))
    losses = [record["held_out"]["loss"] for record in records(tmp_path / "run")]
    assert losses[0] == losses[1] != losses[2] == losses[3]


def test_from_a_manifest_to_samples(given: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    trained(given, output)
    made = records(output)
    assert [record["step"] for record in made] == [0, 1, 2, 3]
    # Every clip that was drawn was read, but for the broken one.
    rows = pq.read_table(output / "losses").to_pylist()
    assert sum(record["clips"] - record["unread_clips"] for record in made) == len(rows)
    assert f"clip{BROKEN:03d}" not in {row["clip_id"] for row in rows}
    assert set(made[-1]["held_out"]) == {"loss", "loss_average"}
    assert sorted(path.name for path in (output / "samples/step-00000004").iterdir()) == [
        "000.mp4", "sheet.png",
    ]  # fmt: skip
    said = info.run(output)
    assert (said["step"], said["steps"], said["stage"], said["ranks"]) == (4, 4, "first", 1)
    pipeline = load_pipeline(output / "model")
    assert said["parameters"] == sum(value.numel() for value in pipeline.transformer.parameters())
    (frames,) = generate(pipeline, Request("a red ball", 1, 32, 32, steps=1))
    assert frames.shape == (1, 32, 32, 3)
    last = export.run(output, tmp_path / "last", average=False, vae=given / "vae")
    other = load_pipeline(last).transformer.state_dict()
    ours = pipeline.transformer.state_dict()
    assert any(not torch.equal(value, other[name]) for name, value in ours.items())
    plain = export.run(output / "checkpoints/step-00000002", tmp_path / "plain")
    assert sorted(path.name for path in plain.iterdir()) == ["scheduler", "transformer"]
    with pytest.raises(InputError, match="give --resume"):
        trained(given, output)


def test_loader_and_plan_go_on_where_they_were(given: Path, tmp_path: Path) -> None:
    changes = ("saving.sample_every=0", "stages.0.steps=5")
    trained(given, tmp_path / "run", *changes, export=False)
    before = [record["loss"] for record in records(tmp_path / "run")]
    for name in ("step-00000004", "step-00000005"):
        shutil.rmtree(tmp_path / "run/checkpoints" / name)
    trained(given, tmp_path / "run", *changes, export=False, resume=True)
    assert [record["loss"] for record in records(tmp_path / "run")] == before
    assert not (tmp_path / "run/model").exists()


def test_begun_from_a_model(given: Path, tmp_path: Path) -> None:
    trained(given, tmp_path / "parent", "saving.sample_every=0")
    options = Options(output=tmp_path / "lora", device="cpu", hang_s=0)
    changes = ("lora_rank=2", "stages.0.steps=2")
    begun = sources(given, init=tmp_path / "parent/model")
    run(load_recipe(str(given / "recipe.yaml"), changes), begun, options)
    ours, theirs = (load_pipeline(tmp_path / name / "model").transformer for name in ("lora", "parent"))
    same = {
        name for name, value in ours.state_dict().items() if torch.equal(value, theirs.state_dict()[name])
    }
    assert not any(f"attn1.to_{part}.weight" in name for name in same for part in "qkv")
    assert "proj_out.weight" in same
    with pytest.raises(ConfigError, match="layers 1, not 2"):
        run(
            load_recipe(str(given / "recipe.yaml"), ["model_changes.layers=2"]),
            begun,
            Options(output=tmp_path / "no"),
        )
    with pytest.raises(ConfigError, match="give --init"):
        run(load_recipe(str(given / "recipe.yaml"), changes), sources(given), Options(output=tmp_path / "no"))


def test_image_to_video_begins_as_its_parent(given: Path, tmp_path: Path) -> None:
    saving = RECIPE["saving"] | {"validate_every": 1, "sample_every": 0}
    optimizer = RECIPE["optimizer"] | {"ema": None}
    parent = other_recipe(tmp_path / "parent.yaml", saving=saving, optimizer=optimizer)
    Image.fromarray(np.full((40, 40, 3), 90, np.uint8)).save(tmp_path / "first.png")
    saving |= {"sample_every": 4, "images": [str(tmp_path / "first.png")]}
    changes = RECIPE["model_changes"] | {"extra_channels": 4}
    child = other_recipe(
        tmp_path / "child.yaml", model_changes=changes, first_frame={"dropout": 0.0}, saving=saving,
        optimizer=optimizer | {"learning_rate": 0.0},
    )  # fmt: skip
    with one_thread():
        for recipe, begun in ((parent, {}), (child, {"init": tmp_path / "parent/model"})):
            options = Options(output=tmp_path / recipe.stem, device="cpu", hang_s=0)
            run(load_recipe(str(recipe)), sources(given, cache=tmp_path / "cache", **begun), options)
    before, after = (records(tmp_path / name) for name in ("parent", "child"))
    assert {record["held_out"]["loss"] for record in after} == {before[-1]["held_out"]["loss"]}
    # Latents and images lie in spaces of their own.
    assert len(list((tmp_path / "cache/latents").iterdir())) == 2
    assert (tmp_path / "child/samples/step-00000004/000.mp4").is_file()
    pipeline = load_pipeline(tmp_path / "child/model")
    assert pipeline.takes_image
    assert json.loads((tmp_path / "child/model/model_index.json").read_text())["_class_name"] == (
        "CogVideoXImageToVideoPipeline"
    )
    image = np.full((32, 32, 3), 90, np.uint8)
    (frames,) = generate(pipeline, Request("a red ball", 1, 32, 32, steps=1, image_HW3=image))
    assert frames.shape == (1, 32, 32, 3)


def test_what_is_wrong_is_a_line(given: Path, tmp_path: Path) -> None:
    for name, words in (("tini", "no recipe 'tini'"), (str(given / "recipe.yaml"), "no such folder")):
        options = Options(output=tmp_path / "out", device="cpu")
        with pytest.raises((ConfigError, InputError), match=words) as caught:
            run(load_recipe(name), sources(given, vae=given / "none"), options)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match="is it a checkpoint"):
        info.run(given)


@pytest.mark.slow
def test_under_torchrun(given: Path, tmp_path: Path) -> None:
    changes = ("saving.sample_every=0", "stages.0.steps=3")
    trained(given, tmp_path / "alone", *changes)
    command = [sys.executable, "-m", "torch.distributed.run", "--no-python", "--nproc-per-node", "2"]
    command += ["--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0"]
    command += [str(Path(sys.executable).with_name("curate")), "train", "dit", "--device", "cpu"]
    command += ["--data", str(given / "manifest.parquet"), "--vae", str(given / "vae"), "--text", "words"]
    command += ["--cache", str(given / "cache"), "--preset", str(given / "recipe.yaml")]
    command += ["--output", str(tmp_path / "two")]
    command += [word for change in (*changes, "parallel=fsdp") for word in ("--set", change)]
    done = subprocess.run(
        command, env={**environment(), "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    told = [[record["loss"] for record in records(tmp_path / name)] for name in ("alone", "two")]
    assert told[1] == pytest.approx(told[0], rel=1e-6)
    assert info.run(tmp_path / "two")["ranks"] == 2
    assert load_pipeline(tmp_path / "two/model").transformer.config.layers == 1
