"""A worker's memory does not grow with the length of a source."""

from __future__ import annotations

from curate.bench.memory import bench_memory
from curate.plan import load_plan


def test_two_hours_take_no_more_memory_than_two_minutes() -> None:
    short, long = bench_memory(load_plan("default"), [2.0, 120.0], fps=2)
    assert long.frames == 60 * short.frames == 14_400
    assert long.clips > 300
    assert long.peak_mb < 700
    assert long.peak_mb < short.peak_mb * 1.1
