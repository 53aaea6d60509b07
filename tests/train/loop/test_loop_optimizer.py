"""Learning rate, weight decay, clipping and average, as they are said to be."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from loop_parts import CONFIG, recipe

from train.dit import add_lora, build_transformer
from train.loop.guards import Guard
from train.loop.optimizer import (
    Average,
    build_optimizer,
    clip_gradients,
    gradient_norm,
    learned,
    learning_rate,
)
from train.recipe import Optimizer, Stage


def test_the_rate_warms_up_and_falls_by_a_cosine_over_all_stages() -> None:
    stage = Stage(name="a", steps=50, tokens=96, packs=1, short_side=32, max_seconds=1.0)
    stages = (stage, stage, dataclasses.replace(stage, learning_rate=0.5))
    given = recipe(stages=stages, optimizer={"learning_rate": 1.0, "warmup_steps": 10, "final_share": 0.1})
    rates = [learning_rate(given, step) for step in range(150)]
    assert rates[:10] == pytest.approx([0.1 * n for n in range(1, 11)])
    assert rates[10] == 1.0
    assert rates[99] == pytest.approx(0.1)
    assert rates[54] == pytest.approx(0.55, abs=0.01)
    assert rates[9:100] == sorted(rates[9:100], reverse=True)
    # The third stage has its own: a warm-up and a cosine of its own.
    assert rates[100] == pytest.approx(0.05)
    assert (rates[110], rates[149]) == (pytest.approx(0.5), pytest.approx(0.05))


def test_a_stage_shorter_than_the_warm_up() -> None:
    given = recipe(steps=4, optimizer={"learning_rate": 1.0, "warmup_steps": 10})
    assert [learning_rate(given, step) for step in range(4)] == [0.25, 0.5, 0.75, 1.0]


def test_matrices_decay_and_nothing_else_does() -> None:
    model = build_transformer(CONFIG, seed=0)
    with torch.no_grad():
        for value in model.parameters():
            value.fill_(1.0)
    optimizer = build_optimizer(model, Optimizer(learning_rate=0.1, weight_decay=0.5))
    for value in model.parameters():
        value.grad = torch.zeros_like(value)
    optimizer.step()
    for name, value in model.named_parameters():
        expected = 0.95 if value.ndim > 1 else 1.0
        assert torch.allclose(value, torch.tensor(expected)), name


def test_only_the_lora_learns_and_is_averaged() -> None:
    model = build_transformer(CONFIG, seed=0)
    add_lora(model, 2, torch.Generator().manual_seed(0))
    values = learned(model)
    assert {name.rsplit(".", 2)[-2] for name in values} == {"lora_A", "lora_B"}
    optimizer = build_optimizer(model, Optimizer())
    assert {id(x) for group in optimizer.param_groups for x in group["params"]} == {
        id(x) for x in values.values()
    }
    assert Average(values, 0.9).values.keys() == values.keys()


def test_gradients_are_clipped_to_their_common_norm() -> None:
    values = [torch.nn.Parameter(torch.zeros(2)), torch.nn.Parameter(torch.zeros(1))]
    values[0].grad, values[1].grad = torch.tensor([3.0, 0.0]), torch.tensor([4.0])
    norm = gradient_norm(values)
    assert float(norm) == 5.0
    clip_gradients(values, 1.0, norm)
    assert values[0].grad.tolist() == pytest.approx([0.6, 0.0])
    clip_gradients(values, 7.0, gradient_norm(values))
    assert values[1].grad.tolist() == pytest.approx([0.8])


def test_the_average_follows_and_changes_places() -> None:
    model = build_transformer(CONFIG, seed=0)
    values = learned(model)
    average = Average(values, 0.5)
    before = {name: value.detach().clone() for name, value in values.items()}
    with torch.no_grad():
        torch._foreach_add_(list(values.values()), 1.0)
    for _ in range(40):
        average.update(values)
    name = "proj_out.weight"
    assert torch.allclose(average.values[name], before[name] + 1, atol=1e-5)
    average.update({key: value.detach() + 1 for key, value in values.items()})
    assert torch.allclose(average.values[name], before[name] + 1.5, atol=1e-5)
    with average.in_place(model):
        assert torch.allclose(values[name].detach(), before[name] + 1.5, atol=1e-5)
    assert torch.equal(values[name].detach(), before[name] + 1.0)


def test_the_first_updates_forget_the_start() -> None:
    value = torch.nn.Parameter(torch.zeros(1))
    average = Average({"x": value}, 0.9999)
    with torch.no_grad():
        value += 1.0
    average.update({"x": value})
    assert float(average.values["x"]) == pytest.approx(0.9)


def test_a_guard_goes_on_from_its_state() -> None:
    norms = [1.0, 1.1, 0.9, 1.2, 1.0, 0.8, 1.1, 1.0, 30.0, 1.0, float("inf"), 9.0, 11.0]
    whole, first, second = Guard(10.0), Guard(10.0), Guard(10.0)
    expected = [whole.judge(0.5, norm) is None for norm in norms]
    assert expected == [True] * 8 + [False, True, False, True, False]
    found = [first.judge(0.5, norm) is None for norm in norms[:9]]
    second.restore(first.state())
    found += [second.judge(0.5, norm) is None for norm in norms[9:]]
    assert found == expected
