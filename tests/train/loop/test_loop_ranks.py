"""Two processes give what one gives, whole or sharded; what one saved another number goes on with."""

from __future__ import annotations

import json
import math
import os
import signal
from pathlib import Path

import duckdb
import pytest
import torch
from loop_parts import Memory, one_thread, processes, recipe, run, run_in, tensors

from train.loop import World, latest
from train.loop.saving import read_record
from train.loop.weights import model_of_checkpoint

LOST = frozenset({(1, 0, 0), (2, 1, 0), (2, 1, 1), (5, 0, 0), (5, 0, 1), (5, 2, 0), (5, 2, 1)})
"""clips that cannot be read: one, a pack, and all that a rank of two has"""
SAVING = {"keep": 9, "validate_every": 5}


def losses(output: Path) -> torch.Tensor:
    records = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
    assert [record["step"] for record in records] == list(range(10))
    told = [record["loss"] for record in records]
    told += [loss for record in records for loss in record.get("held_out", {}).values()]
    return torch.tensor(told, dtype=torch.float64)


def weights(output: Path, average: bool) -> torch.Tensor:
    folder = latest(output)
    assert folder is not None
    model = model_of_checkpoint(folder, read_record(folder), average=average)
    return torch.cat([value.flatten() for value in model.state_dict().values()]).double()


def distances(ours: Path, theirs: Path) -> tuple[float, float, float]:
    """Relative ones: the largest of the losses, of the weights, of their average."""
    of_losses = (losses(ours) / losses(theirs) - 1).abs().max()
    pairs = [(weights(ours, average), weights(theirs, average)) for average in (False, True)]
    return float(of_losses), *(float((a - b).norm() / b.norm()) for a, b in pairs)


def work(world: World, root: Path) -> None:
    for parallel in ("ddp", "fsdp"):
        for packs in (4, 3):
            output = root / f"{parallel}-{packs}"
            given = recipe(parallel=parallel, saving=SAVING)
            run_in(world, output, given, Memory(LOST), packs=packs, held_out=True)
    # One process saved after four steps.
    for parallel in ("ddp", "fsdp"):
        output, start = root / f"joined-{parallel}", root / "alone-4/checkpoints/step-00000004"
        given = recipe(parallel=parallel, saving=SAVING)
        run_in(world, output, given, Memory(LOST), held_out=True, resume=start)
    spoil(world, root)
    stop(world, root)


def spoil(world: World, root: Path) -> None:
    """Only the first rank's packs hold what spoils the step, a pack of its own."""
    memory = Memory(spoiled={2: lambda mean: mean * float("nan")})
    model, _ = run_in(world, root / "nan", recipe(steps=4), memory)
    sums = world.gather([value.double().sum().item() for value in tensors(model).values()])
    assert sums[0] == sums[1]
    assert all(math.isfinite(value) for value in sums[0])


def stop(world: World, root: Path) -> None:
    """One of the ranks is told to stop while it makes the fifth step."""

    def after(step: int) -> None:
        if world.rank == 1 and step == 4:
            os.kill(os.getpid(), signal.SIGTERM)

    _, outcome = run_in(world, root / "stopped", recipe(parallel="fsdp"), Memory(after=after))
    assert (outcome.stopped, outcome.steps, outcome.checkpoint.name) == (True, 5, "step-00000005")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One process alone, two together, and each going on from the others' fourth step."""
    root = tmp_path_factory.mktemp("runs")
    with one_thread():
        for packs in (4, 3):
            given = recipe(saving=SAVING)
            run(root / f"alone-{packs}", given, Memory(LOST), packs=packs, held_out=True)
        processes(2, work, root)
        start = root / "fsdp-4/checkpoints/step-00000004"
        run(root / "left", recipe(saving=SAVING), Memory(LOST), held_out=True, resume=start)
    return root


@pytest.mark.parametrize("packs", [4, 3])
@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_two_processes_equal_one(runs: Path, parallel: str, packs: int) -> None:
    found = distances(runs / f"{parallel}-{packs}", runs / f"alone-{packs}")
    assert max(found) < 1e-6


def test_another_number_of_ranks_goes_on(runs: Path) -> None:
    for resumed in ("joined-ddp", "joined-fsdp", "left"):
        records = [json.loads(line) for line in (runs / resumed / "log.jsonl").read_text().splitlines()]
        told = torch.tensor([record["loss"] for record in records], dtype=torch.float64)
        assert [record["step"] for record in records] == list(range(4, 10))
        assert float((told / losses(runs / "alone-4")[4:10] - 1).abs().max()) < 1e-6
        for average in (False, True):
            ours, theirs = weights(runs / resumed, average), weights(runs / "alone-4", average)
            assert float((ours - theirs).norm() / theirs.norm()) < 1e-6


def test_each_rank_writes_the_losses_of_its_clips_once(runs: Path) -> None:
    def rows(output: Path) -> list[tuple[object, ...]]:
        table = f"read_parquet('{output}/losses/*.parquet')"
        return duckdb.sql(f"select step, clip_id, timestep from {table} order by all").fetchall()

    assert len(list((runs / "fsdp-4/losses").glob("*-rank-00001.parquet"))) >= 2
    assert rows(runs / "fsdp-4") == rows(runs / "alone-4")


def test_a_batch_of_nan_on_one_rank_is_skipped_by_all(runs: Path) -> None:
    records = [json.loads(line) for line in (runs / "nan/log.jsonl").read_text().splitlines()]
    assert [record["step"] for record in records if "skipped" in record] == [2]
    assert len(records[2]["skipped"]["clips"]) == 8


def test_one_rank_told_to_stop_stops_all(runs: Path) -> None:
    folder = latest(runs / "stopped")
    assert folder is not None
    record = read_record(folder)
    assert (record.step, record.ranks, record.planner["cursor"]) == (5, 2, 5)
    assert len((runs / "stopped/log.jsonl").read_text().splitlines()) == 5
