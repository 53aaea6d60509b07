"""Boundaries to shots: complete, in order, bounded, and independent of when each became known."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from curate.frames import Boundary
from curate.split.shots import Clock, Shot, ShotBuilder


def build(
    fps: float, frames: int, boundaries: list[Boundary], *, max_s: float, longest_s: float, delay: int
) -> list[Shot]:
    """Feed a builder as the scan does, the detector being `delay` frames behind."""
    clock = Clock()
    builder = ShotBuilder(clock, max_s=max_s, longest_s=longest_s)
    shots: list[Shot] = []
    waiting = list(boundaries)
    for frame in range(frames):
        clock.push(frame * 100, frame / fps)
        while waiting and waiting[0].start_frame <= frame - delay:
            shots += builder.boundary(waiting.pop(0))
        settled = frame - delay
        settled = min(settled, waiting[0].end_frame) if waiting else settled
        shots += builder.settle(max(0, settled))
        if shots:
            clock.forget(shots[-1].end_frame)
    for boundary in waiting:
        shots += builder.boundary(boundary)
    clock.push(frames * 100, frames / fps)
    shots += builder.finish(frames)
    return shots


@st.composite
def edits(draw: st.DrawFn) -> tuple[int, list[Boundary]]:
    frames = draw(st.integers(1, 400))
    cuts = sorted(draw(st.sets(st.integers(1, max(1, frames - 1)), max_size=6)))
    boundaries, last = [], 0
    for cut in cuts:
        if cut <= last or cut >= frames:
            continue
        start = min(frames, cut + draw(st.integers(0, 10)))
        boundaries.append(Boundary(cut, start, "hard" if start == cut else "dissolve"))
        last = start
    return frames, boundaries


@given(edits(), st.floats(5, 60), st.integers(0, 40), st.integers(0, 40))
def test_shots_are_complete_bounded_and_do_not_depend_on_the_delay(
    edit: tuple[int, list[Boundary]], fps: float, delay: int, other: int
) -> None:
    frames, boundaries = edit
    shots = build(fps, frames, boundaries, max_s=2.0, longest_s=2.5, delay=delay)
    assert shots == build(fps, frames, boundaries, max_s=2.0, longest_s=2.5, delay=other)
    inside = {frame for b in boundaries for frame in range(b.end_frame, b.start_frame)}
    assert [f for shot in shots for f in range(shot.start_frame, shot.end_frame)] == [
        f for f in range(frames) if f not in inside
    ]
    assert [shot.shot for shot in shots] == list(range(len(shots)))
    for shot in shots:
        assert (shot.end_frame - 1 - shot.start_frame) / fps <= 2.5 + 1e-9
    hard = {b.start_frame for b in boundaries if b.start_frame < frames}
    assert {shot.start_frame for shot in shots if shot.transition_in in ("hard", "dissolve")} == hard


def test_long_shot_is_cut_at_max_s_and_leaves_no_short_rest() -> None:
    shots = build(10.0, 470, [], max_s=20.0, longest_s=23.0, delay=3)
    assert [(s.start_frame, s.end_frame, s.transition_in, s.transition_out) for s in shots] == [
        (0, 200, "start", "split"),
        (200, 400, "split", "split"),
        (400, 470, "split", "end"),
    ]


def test_a_shot_just_over_max_s_stays_whole() -> None:
    shots = build(10.0, 225, [], max_s=20.0, longest_s=23.0, delay=0)
    assert [(s.start_frame, s.end_frame) for s in shots] == [(0, 225)]


def test_a_fade_in_at_the_beginning_leaves_no_empty_shot() -> None:
    shots = build(10.0, 50, [Boundary(0, 7, "fade")], max_s=20.0, longest_s=23.0, delay=0)
    assert shots == [Shot(0, 7, 50, "fade", "end")]


def test_clock_tells_the_end_before_a_gap_from_the_time_after_it() -> None:
    clock = Clock()
    clock.push(0, 0.0)
    clock.gap(10, 0.1)
    clock.push(500, 5.0)
    assert (clock.end_pts(1), clock.end_s(1)) == (10, 0.1)
    assert (clock.pts(1), clock.time_s(1)) == (500, 5.0)
