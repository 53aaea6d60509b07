"""The judge of drawn shapes: right about clips that show what they say, and about what shows nothing."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curate.footage.drawing import GROUNDS, background
from curate.footage.plain_shapes import draw_plain_clip

JUDGE = Path(__file__).parents[2] / "benchmarks" / "shapes_judge.py"
CLIPS = 120


@pytest.fixture(scope="module")
def judge() -> Iterator[Any]:
    spec = importlib.util.spec_from_file_location("shapes_judge", JUDGE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["shapes_judge"] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    yield module.judge
    del sys.modules["shapes_judge"]


@pytest.mark.parametrize("blur", [0, 4])
def test_it_is_right_about_true_clips(judge: Any, blur: int) -> None:
    right = []
    for number in range(CLIPS):
        video, truth = draw_plain_clip(np.random.default_rng([7, number]), 64, 17, 8)
        if blur:
            blocks = video.reshape(17, 64 // blur, blur, 64 // blur, blur, 3).mean(axis=(2, 4))
            video = blocks.repeat(blur, axis=1).repeat(blur, axis=2).astype(np.uint8)
        seen = judge(video)
        right.append((seen.color == truth.color, seen.direction == truth.direction))
    color, direction = np.mean(right, axis=0)
    assert color >= 0.98
    assert direction >= 0.98


def test_backwards_is_the_other_way(judge: Any) -> None:
    other = {"left": "right", "right": "left", "up": "down", "down": "up", "still": "still"}
    for number in range(20):
        video, _ = draw_plain_clip(np.random.default_rng([8, number]), 64, 17, 8)
        assert judge(video[::-1]).direction == other[judge(video).direction]
        assert judge(video.swapaxes(1, 2)).color == judge(video).color


@pytest.mark.parametrize("ground", sorted(GROUNDS))
def test_a_ground_alone_is_no_shape(judge: Any, ground: str) -> None:
    canvas = background(ground, 64, 0, np.random.default_rng(0))
    video = np.repeat((canvas[None] * 255).astype(np.uint8), 17, axis=0)
    assert judge(video).color is None
    noise = np.random.default_rng(0).normal(0, 4, video.shape)
    assert judge(np.clip(video + noise, 0, 255).astype(np.uint8)).color is None


def test_a_shape_that_is_gone_at_the_end_has_no_way(judge: Any) -> None:
    video, truth = draw_plain_clip(np.random.default_rng([9, 1]), 64, 17, 8)
    canvas = background("gray", 64, 0, np.random.default_rng(0))
    video[9:] = (canvas * 255).astype(np.uint8)
    seen = judge(video)
    assert seen.color == truth.color
    assert seen.direction is None
