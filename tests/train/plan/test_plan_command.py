import contextlib
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from plan_manifests import recipe, simulated, stage, write_manifest
from typer.testing import CliRunner

from shards.errors import ConfigError
from train.cli import app
from train.dit import Clip, Transformer, TransformerConfig, pack_clips
from train.plan import Planner
from train.plan.estimate import estimate_stages
from train.plan.memory import check_memory, training_memory
from train.recipe import Threshold


def test_estimates_of_some_steps_are_near_those_of_all() -> None:
    ramp = Threshold(column="aesthetic", bound="min", kind="ramp", points=((0, 4.0), (1500, 6.0)))
    made = recipe(
        stage(name="long", steps=1500, packs=4, thresholds=(ramp,)),
        stage(name="short", steps=40),
        text_dropout=0.0,
    )
    manifest = simulated(2000)
    planner = Planner(made, manifest)
    long, short = estimate_stages(planner, 2)
    assert (long.planned_steps, short.planned_steps) == (1000, 40)
    planner = Planner(made, manifest)
    steps = [planner.step(number) for number in range(1540)]
    clips = [clip for step in steps[:1500] for clip in step.clips]
    assert long.tokens == pytest.approx(sum(clip.tokens for clip in clips), rel=0.01)
    assert long.clips == pytest.approx(len(clips), rel=0.02)
    assert long.epochs == pytest.approx(sum(planner.take_blocks()[-4].end) / 2000, rel=0.1)
    assert long.fill == pytest.approx(
        np.mean([pack.tokens / 600 for s in steps[:1500] for pack in s.packs]), abs=0.01
    )
    views = {(clip.row, clip.view) for step in steps[1500:] for clip in step.clips}
    values = sum(32 * (v.frames // 4 + 1) * v.height * v.width // 64 for _, v in views)
    assert short.latent_bytes == pytest.approx(2 * values, rel=0.1)
    assert sum(long.first.values()) == sum(long.last.values()) == 2000
    assert long.first["kept"] > 3 * long.last["kept"]


@pytest.mark.parametrize("positions", ["rope", "sincos"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_memory_is_what_a_step_keeps(positions: str, precision: str) -> None:
    config = TransformerConfig(
        heads=4, head_dim=64, layers=3, text_dim=64, text_length=16, time_dim=64, positions=positions,  # type: ignore[arg-type]
        sample_frames=17, sample_height=16, sample_width=16,
    )  # fmt: skip
    dtype = getattr(torch, precision)
    model = Transformer(config).to(dtype)
    pack = pack_clips([Clip(torch.randn(16, 16, 16, 16), torch.randn(16, 64), 500.0)], config).to(
        "cpu", dtype
    )
    parameters = {value.untyped_storage().data_ptr() for value in model.parameters()}
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(value: torch.Tensor) -> torch.Tensor:
        storage = value.untyped_storage()
        if storage.data_ptr() not in parameters:
            kept[storage.data_ptr()] = storage
        return value

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value), contextlib.nullcontext():
        model(pack)
    found = sum(storage.nbytes() for storage in kept.values())
    made = recipe(precision=precision)
    needed = training_memory(made, config, 1, pack.segments.tokens)
    assert needed.activations == pytest.approx(found, rel=0.05)
    numbers = sum(value.numel() for value in model.parameters())
    assert needed.states == 20 * numbers
    shared = training_memory(recipe(parallel="fsdp"), config, 4, 100)
    assert shared.states == 5 * numbers
    lora = training_memory(recipe(lora_rank=2), config, 1, 100)
    assert lora.states == 4 * numbers + 20 * (3 * 4 * 2 * 2 * 256)


def test_too_little_memory_says_what_helps() -> None:
    made = recipe(stage(tokens=20000, name="wide"))
    config = Planner(made, simulated(50)).config
    needed = training_memory(made, config, 1, 20000).total
    check_memory(made, config, 1, needed)
    with pytest.raises(
        ConfigError, match=r"stage wide takes about 2\.\d+ GiB .* activation_checkpointing=true"
    ):
        check_memory(made, config, 1, needed - 1)


def test_the_plan_is_printed(tmp_path: Path) -> None:
    path = write_manifest(tmp_path / "m.parquet", 60, aesthetic=[float(number) for number in range(60)])
    runner = CliRunner()
    threshold = (
        "stages.0.thresholds=[{column: aesthetic, bound: min, kind: ramp, points: [[0, 10], [48, 40]]}]"
    )
    short = ["plan", "--data", f"{path}@0.5", "--recipe", "tiny", "--set", "stages.0.steps=50"]
    result = runner.invoke(
        app, [*short, "--set", threshold, "--set", "held_out=0", "--ranks", "2", "--device-tflops", "1"]
    )
    assert result.exit_code == 0, result.output
    lines = dict(re.split(r"  +", line.strip(), maxsplit=1) for line in result.output.splitlines()[2:-1])
    assert lines["clips admitted"] == "50 → 20"
    assert lines["dropped: aesthetic too low"] == "10 → 40"
    assert lines["thresholds"] == "aesthetic ≥ 10 → 40"
    assert lines["steps"] == "50"
    assert float(lines["hours"]) == pytest.approx(
        float(lines["PFLOP"]) * 1e15 / (2 * 1e12 * 0.4) / 3600, rel=0.01
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--set", "stages.0.thresholds=[{column: motoin, bound: min, value: 1}]"], "did you mean 'motion'"),
        (["--set", "stages.0.thresholds=[{column: motion, bound: min, value: 2}]"], "motion too low"),
        (["--ranks", "3"], "4 packs a step cannot be shared equally by 3 ranks"),
        (["--device-memory", "0.01"], "too little memory"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(tmp_path: Path, options: list[str], message: str) -> None:
    path = write_manifest(tmp_path / "m.parquet", 60, motion=1.0)
    result = CliRunner().invoke(app, ["plan", "--data", path, *options])
    assert isinstance(result.exception, ConfigError)
    assert message in str(result.exception)
    if "memory" in message:
        assert result.output.startswith("too little memory")
        assert "clips admitted" in result.output
