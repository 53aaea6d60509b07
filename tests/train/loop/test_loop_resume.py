"""A run that was killed, or told to stop, goes on to the same bits; another model's checkpoint is refused."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from loop_parts import CONFIG, Memory, change, child, one_thread, recipe, run, tensors

from shards.errors import InputError, IntegrityError
from train.dit import build_transformer
from train.loop import latest, read_record
from train.loop.weights import model_of_checkpoint

GIVEN = recipe(saving={"every": 3})
TIMES = {"step_s", "tokens_a_s", "mfu", "data_wait_share", "memory_gb"}


def until(output: Path, number: int) -> None:
    """Run until a signal comes in the middle of a late step, the first checkpoint in its place."""

    sent = []

    def after(step: int) -> None:
        if step >= 7 and latest(output) is not None and not sent:  # a second Ctrl-C would not save
            sent.append(step)
            os.kill(os.getpid(), number)

    run(output, GIVEN, Memory(after=after))


def records(output: Path) -> list[dict[str, Any]]:
    said = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
    return [{key: value for key, value in one.items() if key not in TIMES} for one in said]


def saved(output: Path, *, average: bool) -> dict[str, torch.Tensor]:
    folder = latest(output)
    assert folder is not None
    return tensors(model_of_checkpoint(folder, read_record(folder), average=average))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, torch.Tensor]]:
    output = tmp_path_factory.mktemp("whole")
    with one_thread():
        model, _ = run(output, GIVEN)
    return output, tensors(model)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_ended_and_resumed_equals_uninterrupted(
    whole: tuple[Path, Any], tmp_path: Path, number: signal.Signals
) -> None:
    code = child(tmp_path / "said", until, tmp_path, number)
    assert code == (-signal.SIGKILL if number == signal.SIGKILL else 0), (tmp_path / "said").read_text()
    start = latest(tmp_path)
    assert start is not None
    step = read_record(start).step
    # Told to stop, it saves after the step that it is in; killed, the last checkpoint is what is left.
    assert step in ((3, 6) if number == signal.SIGKILL else (7, 8))
    with one_thread():
        model, outcome = run(tmp_path, GIVEN, resume=start)
    assert outcome.steps == 10
    assert [key for key, value in tensors(model).items() if not torch.equal(value, whole[1][key])] == []
    assert records(tmp_path) == records(whole[0])
    average = saved(whole[0], average=True)
    assert all(torch.equal(value, average[key]) for key, value in saved(tmp_path, average=True).items())
    assert not list((tmp_path / "checkpoints").glob(".*"))


def test_without_a_learning_rate_the_same_model_is_saved_and_loaded(tmp_path: Path) -> None:
    given = recipe(steps=3, optimizer={"learning_rate": 0.0, "warmup_steps": 0}, saving={"every": 2})
    model, outcome = run(tmp_path, given)
    before = tensors(build_transformer(CONFIG, seed=0))
    for average in (False, True):
        loaded = model_of_checkpoint(outcome.checkpoint, read_record(outcome.checkpoint), average=average)
        for made in (model, loaded):
            assert [key for key, value in tensors(made).items() if not torch.equal(value, before[key])] == []
    other = change(given, seed=1)
    again, _ = run(tmp_path, other, resume=tmp_path / "checkpoints/step-00000002")
    assert all(torch.equal(value, before[key]) for key, value in tensors(again).items())


def test_what_was_saved_is_the_step_and_not_what_training_made_of_it_since(tmp_path: Path) -> None:
    """The tensors are written while the next steps change them."""
    run(tmp_path / "long", recipe(steps=6, saving={"every": 1, "keep": 9}))
    run(tmp_path / "resumed", recipe(steps=6), resume=tmp_path / "long/checkpoints/step-00000002")
    folders = [latest(tmp_path / "long"), latest(tmp_path / "resumed")]
    loaded = [
        tensors(model_of_checkpoint(path, read_record(path), average=False)) for path in folders if path
    ]
    assert all(torch.equal(value, loaded[1][key]) for key, value in loaded[0].items())


def test_checkpoints_that_do_not_fit_are_refused_in_a_line(whole: tuple[Path, Any], tmp_path: Path) -> None:
    start = latest(whole[0])
    assert start is not None
    cases: list[tuple[str, dict[str, Any]]] = [
        ("is of model 'tiny'.*layers 2, not 3", {"config": dataclasses.replace(CONFIG, layers=3)}),
        ("LoRA of rank 0", {"given": change(GIVEN, lora_rank=2)}),
        ("keeps an average", {"given": change(GIVEN, optimizer={"ema": None})}),
    ]
    for words, changed in cases:
        with pytest.raises(InputError, match=words) as caught:
            run(tmp_path, **{"given": GIVEN, **changed}, resume=start)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="no checkpoint"):
        run(tmp_path, GIVEN, resume=tmp_path)


def test_another_manifest_is_refused_without_a_flag(whole: tuple[Path, Any], tmp_path: Path) -> None:
    start = whole[0] / "checkpoints/step-00000009"
    said = json.loads((start / "checkpoint.json").read_text())
    copy = tmp_path / "step-00000009"
    subprocess.run(["cp", "-r", start, copy], check=True)
    (copy / "checkpoint.json").write_text(json.dumps({**said, "manifest": "f" * 64}))
    with pytest.raises(InputError, match="--other-manifest") as caught:
        run(tmp_path / "out", GIVEN, resume=copy)
    assert "ffffffffffff, these are 0123abcd0123" in str(caught.value)
    _, outcome = run(tmp_path / "out", GIVEN, resume=copy, other_manifest=True)
    assert outcome.steps == 10


def test_a_checkpoint_with_a_broken_file_is_named(whole: tuple[Path, Any], tmp_path: Path) -> None:
    copy = tmp_path / "broken"
    subprocess.run(["cp", "-r", whole[0] / "checkpoints/step-00000009", copy], check=True)
    (part,) = copy.glob("*.distcp")
    part.write_bytes(part.read_bytes()[:1000])
    with pytest.raises(IntegrityError, match="broken: cannot be read"):
        run(tmp_path / "out", GIVEN, Memory(), resume=copy)
