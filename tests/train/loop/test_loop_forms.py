"""Other ways to compute the same run: bfloat16, checkpointing, compiled blocks, LoRA; what is seen of it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from loop_parts import CONFIG, Memory, child, data, one_thread, recipe, run, tensors

from shards.errors import ConfigError, InputError
from train.dit import add_lora, build_transformer, load_lora, load_transformer, merge_lora
from train.loop import HANG_EXIT, Settings, joined, read_record, train
from train.loop.export import export
from train.loop.weights import model_of_checkpoint


def records(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]


def losses(output: Path) -> torch.Tensor:
    return torch.tensor([record["loss"] for record in records(output)])


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> torch.Tensor:
    output = tmp_path_factory.mktemp("plain")
    run(output, recipe(steps=4))
    return losses(output)


@pytest.mark.parametrize(
    ("changes", "most"),
    [
        ({"activation_checkpointing": True}, 0.0),
        ({"activation_checkpointing": True, "parallel": "fsdp"}, 1e-6),
        ({"precision": "bfloat16"}, 0.01),
        ({"precision": "bfloat16", "parallel": "fsdp", "activation_checkpointing": True}, 0.01),
        ({"precision": "bfloat16", "attention": "cudnn"}, 0.01),
    ],
)
def test_the_same_run_computed_otherwise(
    changes: dict[str, Any], most: float, plain: torch.Tensor, tmp_path: Path
) -> None:
    model, _ = run(tmp_path, recipe(steps=4, **changes))
    relative = (losses(tmp_path) / plain - 1).abs()
    assert float(relative.max()) <= most
    if "precision" in changes:
        # It is another arithmetic, over float32 parameters.
        assert float(relative.max()) > 1e-6
    assert {value.dtype for value in model.parameters()} == {torch.float32}


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_blocks_compile_once_for_all_packs(
    parallel: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch._dynamo.testing import CompileCounterWithBackend

    torch._dynamo.reset()
    counter, compiled = CompileCounterWithBackend("aot_eager"), torch.compile
    monkeypatch.setattr(torch, "compile", lambda f, **more: compiled(f, backend=counter, **more))
    given = recipe(steps=4, compile=True, activation_checkpointing=True, parallel=parallel)
    run(tmp_path, given, Memory(frozenset({(1, 0, 0), (2, 1, 0), (2, 1, 1)})))
    eager = tmp_path / "eager"
    run(eager, recipe(steps=4), Memory(frozenset({(1, 0, 0), (2, 1, 0), (2, 1, 1)})))
    assert float((losses(tmp_path) / losses(eager) - 1).abs().max()) < 1e-5
    assert counter.frame_count == 1


def test_a_lora_learns_alone_and_is_exported_beside_the_merged_model(tmp_path: Path) -> None:
    parent = build_transformer(CONFIG, seed=0)
    model = build_transformer(CONFIG, seed=0)
    add_lora(model, 2, torch.Generator().manual_seed(0))
    with torch.no_grad():
        # Untrained, the gates are 0, and nothing in the blocks has a gradient.
        for one in (parent, model):
            generator = torch.Generator().manual_seed(3)
            for name, value in one.named_parameters():
                if "lora" not in name:
                    value.normal_(0, 0.05, generator=generator)
    given = recipe(steps=4, lora_rank=2, optimizer={"learning_rate": 0.05})
    with joined("cpu") as world:
        outcome = train(model, given, data(), Settings(output=tmp_path, hang_s=0), world)
    frozen = tensors(parent)
    after = tensors(model)
    assert all(torch.equal(value, after[name]) for name, value in frozen.items())
    assert all(value.abs().max() > 0 for name, value in after.items() if "lora_B" in name)
    folder = export(outcome.checkpoint, tmp_path / "model", average=False)
    assert sorted(path.name for path in folder.iterdir()) == ["lora", "scheduler", "transformer"]
    merge_lora(model)
    merged = tensors(load_transformer(folder / "transformer"))
    assert all(torch.allclose(value, merged[name], atol=1e-6) for name, value in tensors(model).items())
    load_lora(parent, folder / "lora")
    merge_lora(parent)
    assert all(torch.allclose(value, merged[name], atol=1e-6) for name, value in tensors(parent).items())


def test_the_average_is_what_is_exported(tmp_path: Path) -> None:
    model, outcome = run(tmp_path / "run", recipe(steps=4, optimizer={"ema": 0.5}))
    record = read_record(outcome.checkpoint)
    averaged = tensors(model_of_checkpoint(outcome.checkpoint, record, average=True))
    for given, expected in ((None, averaged), (True, averaged), (False, tensors(model))):
        folder = export(outcome.checkpoint, tmp_path / f"model-{given}", average=given)
        found = tensors(load_transformer(folder / "transformer"))
        assert all(torch.equal(value, found[name]) for name, value in expected.items())
    assert any(not torch.equal(value, averaged[name]) for name, value in tensors(model).items())
    with pytest.raises(InputError, match="exists already"):
        export(outcome.checkpoint, tmp_path / "model-None")
    _, outcome = run(tmp_path / "without", recipe(steps=1, optimizer={"ema": None}))
    with pytest.raises(ConfigError, match="no average"):
        export(outcome.checkpoint, tmp_path / "none", average=True)


def test_a_trace_and_tensorboard_are_written(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run(tmp_path, recipe(steps=6), trace_steps=2)
    traced = json.loads((tmp_path / "trace/rank-00000.json").read_text())
    assert sum(event["name"].startswith("ProfilerStep#") for event in traced["traceEvents"]) == 2
    board = EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    shown = [event.value for event in board.Scalars("loss")]
    assert shown == pytest.approx([record["loss"] for record in records(tmp_path)])
    assert "loss_by_timestep/900-999" in board.Tags()["scalars"]


def hang(output: Path) -> None:
    def after(step: int) -> None:
        time.sleep(600 if step == 3 else 0)

    run(output, recipe(), Memory(after=after), hang_s=10.0)


def test_a_step_that_hangs_ends_the_process_with_its_stacks(tmp_path: Path) -> None:
    assert child(tmp_path / "said", hang, tmp_path) == HANG_EXIT
    said = (tmp_path / "said").read_text()
    assert "no step finished in" in said
    assert "in after" in said
    assert len(records(tmp_path)) == 2
