"""The loop in one process: what it learns, logs, skips, and leaves behind."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import duckdb
import pytest
import torch
from loop_parts import Memory, Numbers, one_thread, recipe, run, tensors

from shards.errors import StageError
from train.loop import latest, read_record


def logged(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, torch.Tensor]]:
    """Ten steps without disturbance, validated twice."""
    output = tmp_path_factory.mktemp("plain")
    with one_thread():
        model, outcome = run(output, recipe(saving={"validate_every": 5}), held_out=True)
    assert (outcome.steps, outcome.stopped, outcome.checkpoint) == (10, False, latest(output))
    return output, tensors(model)


def test_every_step_is_logged_with_what_it_was_made_of(plain: tuple[Path, Any]) -> None:
    records = logged(plain[0])
    assert [record["step"] for record in records] == list(range(10))
    numbers = Numbers()
    for record in records:
        clips = numbers.step(record["step"]).clips
        tenths = {f"{t // 100 * 100:03d}-{t // 100 * 100 + 99:03d}" for t in (c.timestep for c in clips)}
        assert set(record["loss_by_timestep"]) == tenths
        assert record["tokens"] == sum(clip.tokens for clip in clips)
        assert record["fill"] == record["tokens"] / (4 * 96)
        assert record["tokens_a_s"] > 0
        assert 0 < record["mfu"] < 1
        assert 0 <= record["data_wait_share"] < 1
    assert records[3]["admitted_share"] == 0.75
    assert [record.get("blocks") for record in records[3:6]] == [None, [{"ended": 5}], None]
    # The model begins by saying 0, so its loss is the mean square of the velocity.
    assert 0.8 < records[0]["loss"] < 1.3
    assert [set(record.get("held_out", ())) for record in records] == [
        {"loss", "loss_average"} if step in (4, 9) else set() for step in range(10)
    ]
    assert records[4]["held_out"]["loss"] != records[9]["held_out"]["loss"]


def test_the_loss_of_each_clip_is_a_table(plain: tuple[Path, Any]) -> None:
    output, _ = plain
    rows = duckdb.sql(
        f"select clip_id, step, timestep, loss from read_parquet('{output}/losses/*.parquet')"
    ).fetchall()
    numbers = Numbers()
    steps = [numbers.step(step) for step in range(10)]
    expected = [(f"clip-{c.row}", step.number, c.timestep) for step in steps for c in step.clips]
    assert sorted(row[:3] for row in rows) == sorted(expected)
    first = [row[3] for row in rows if row[1] == 0]
    assert sum(first) / len(first) == pytest.approx(logged(output)[0]["loss"])


def test_checkpoints_are_kept_by_count(plain: tuple[Path, Any]) -> None:
    folder = plain[0] / "checkpoints"
    assert sorted(path.name for path in folder.iterdir()) == ["step-00000008", "step-00000010"]
    record = read_record(folder / "step-00000008")
    assert (record.step, record.ranks, record.planner["cursor"]) == (8, 1, 8)


def test_a_batch_of_nan_is_skipped_and_named(plain: tuple[Path, Any], tmp_path: Path) -> None:
    memory = Memory(spoiled={3: lambda mean: mean * math.nan})
    run(tmp_path, recipe(), memory)
    records = logged(tmp_path)
    assert [record["step"] for record in records if "skipped" in record] == [3]
    assert records[3]["loss"] is None
    clips = Numbers()
    step = [clips.step(number) for number in range(4)][3]
    said = records[3]["skipped"]
    assert said["reason"] == "the loss is nan"
    assert set(said["clips"]) == {f"clip-{clip.row}" for clip in step.clips}
    assert [name for name, loss in said["clips"].items() if loss == "nan"] == [f"clip-{step.clips[0].row}"]
    assert records[-1]["skipped_steps"] == 1
    # Up to the spoiled step nothing differs, after it the model goes on from where it was.
    before = logged(plain[0])
    assert [record["loss"] for record in records[:3]] == [record["loss"] for record in before[:3]]
    assert all(record["loss"] < 2 for record in records[4:])


def test_a_skipped_step_changes_neither_model_nor_moments_nor_average(tmp_path: Path) -> None:
    given = recipe(steps=3, saving={"every": 1, "keep": 9})
    spoiled = Memory(spoiled={2: lambda mean: mean * math.inf})
    run(tmp_path, given, spoiled)
    from torch.distributed.checkpoint.format_utils import dcp_to_torch_save

    saved = []
    for step in (2, 3):
        folder = tmp_path / "checkpoints" / f"step-{step:08d}"
        dcp_to_torch_save(folder, tmp_path / "whole.pt")
        saved.append(torch.load(tmp_path / "whole.pt"))
    assert saved[0].keys() == saved[1].keys()
    assert {name.split(".")[0] for name in saved[0]} == {"model", "optimizer", "average"}
    assert [name for name in saved[0] if not torch.equal(saved[0][name], saved[1][name])] == []


def test_a_spike_is_skipped_and_one_step_alone(tmp_path: Path) -> None:
    memory = Memory(spoiled={20: lambda mean: mean * 1000})
    given = recipe(steps=23, optimizer={"spike_ratio": 5.0})
    run(tmp_path, given, memory)
    records = logged(tmp_path)
    assert [record["step"] for record in records if "skipped" in record] == [20]
    assert "times the median" in records[20]["skipped"]["reason"]
    assert records[20]["gradient_norm"] > 5 * records[19]["gradient_norm"]


def test_a_lost_run_stops_with_a_reason(tmp_path: Path) -> None:
    memory = Memory(spoiled={step: lambda mean: mean * math.nan for step in range(40)})
    with pytest.raises(StageError, match="20 steps in a row were skipped") as caught:
        run(tmp_path, recipe(steps=40), memory)
    assert "\n" not in str(caught.value)
    assert len(logged(tmp_path)) == 20


def test_clips_that_cannot_be_read_weigh_nothing(tmp_path: Path) -> None:
    """One missing here and there, a whole pack, and a whole step."""
    lost = {(1, 0, 0), (2, 1, 0), (2, 1, 1)} | {(3, pack, place) for pack in range(4) for place in range(2)}
    run(tmp_path, recipe(steps=5), Memory(frozenset(lost)))
    records = logged(tmp_path)
    assert [record["unread_clips"] for record in records] == [0, 1, 2, 8, 0]
    assert records[3]["skipped"]["reason"] == "none of its clips could be read"
    rows = duckdb.sql(
        f"select step, avg(loss) from read_parquet('{tmp_path}/losses/*.parquet') group by 1"
    ).fetchall()
    for step, mean in rows:
        assert records[step]["loss"] == pytest.approx(mean)
    assert {step for step, _ in rows} == {0, 1, 2, 4}
