"""How boundaries that were found one by one become one list."""

from __future__ import annotations

from itertools import pairwise

import hypothesis.strategies as st
import pytest
from hypothesis import given

from curate.frames import Boundary
from filters.shots.boundaries import Boundaries, Found


def settle(*found: Found, blank_frames: int = 10, frames: int = 1000) -> list[Boundary]:
    boundaries = Boundaries()
    for one in found:
        boundaries.add(one, blank_frames)
    return boundaries.finish(frames, blank_frames)


def cut(at: int, sure: float = 0.9) -> Found:
    return Found(at, at, "hard", sure)


def test_a_cut_seen_twice_is_one() -> None:
    assert settle(cut(50, 0.6), cut(51, 0.8)) == [Boundary(51, 51, "hard")]
    assert settle(cut(50), cut(53)) == [Boundary(50, 50, "hard"), Boundary(53, 53, "hard")]


def test_overlapping_and_touching_transitions_are_one() -> None:
    a, b = Found(40, 60, "dissolve", 0.9), Found(55, 70, "wipe", 0.95)
    assert settle(a, b) == [Boundary(40, 70, "wipe")]
    assert settle(a, Found(60, 70, "dissolve", 0.9)) == [Boundary(40, 70, "dissolve")]
    assert len(settle(a, Found(61, 70, "dissolve", 0.9))) == 2


def test_fade_out_and_fade_in_are_one_when_the_blank_is_short() -> None:
    leave = Found(40, 60, "fade", 0.9, blank_after=True)
    near, far = (Found(at, at + 20, "fade", 0.9, blank_before=True) for at in (70, 71))
    assert settle(leave, near) == [Boundary(40, 90, "fade")]
    assert len(settle(leave, far)) == 2


def test_a_cut_at_the_edge_trims_a_transition_and_one_in_its_middle_competes() -> None:
    transition = Found(40, 80, "dissolve", 0.9)
    assert settle(transition, cut(45)) == [Boundary(45, 45, "hard"), Boundary(45, 80, "dissolve")]
    assert settle(cut(78), transition) == [Boundary(40, 78, "dissolve"), Boundary(78, 78, "hard")]
    assert settle(transition, cut(60, 0.8)) == [Boundary(40, 80, "dissolve")]
    assert settle(transition, cut(60, 0.95)) == [Boundary(60, 60, "hard")]


def test_blank_leaders_and_trailers_belong_to_the_fades() -> None:
    enter = Found(4, 20, "fade", 0.9, blank_before=True)
    leave = Found(80, 95, "fade", 0.9, blank_after=True)
    assert settle(enter, leave, frames=100) == [Boundary(0, 20, "fade"), Boundary(80, 100, "fade")]
    assert settle(enter, leave, frames=110) == [Boundary(0, 20, "fade"), Boundary(80, 95, "fade")]


def test_release_waits_for_neighbours_but_not_for_ever() -> None:
    boundaries = Boundaries()
    boundaries.add(Found(100, 120, "dissolve", 0.9), 10)
    assert boundaries.release(110, 0, 10) == []
    assert boundaries.settled == 100
    assert boundaries.release(110, 101, 10) == [Boundary(100, 120, "dissolve")]
    assert boundaries.settled == 120
    boundaries.add(Found(105, 130, "dissolve", 0.9), 10)
    assert boundaries.release(200, 0, 10) == [Boundary(120, 130, "dissolve")]
    boundaries.add(Found(190, 201, "dissolve", 0.9), 10)
    assert boundaries.finish(300, 10) == []


@pytest.mark.parametrize("blank_frames", [0, 12])
@given(
    st.lists(
        st.tuples(
            st.integers(0, 20),
            st.integers(3, 40),
            st.booleans(),
            st.floats(0.5, 1),
            st.booleans(),
            st.booleans(),
        ),
        max_size=20,
    )
)
def test_whatever_comes_boundaries_are_ordered_and_apart(
    blank_frames: int, steps: list[tuple[int, int, bool, float, bool, bool]]
) -> None:
    boundaries = Boundaries()
    out: list[Boundary] = []
    at = settled = 0
    for step, length, is_cut, sure, before, after in steps:
        at += step
        found = Found(at, at, "hard", sure) if is_cut else Found(at, at + length, "fade", sure, before, after)
        boundaries.add(found, blank_frames)
        new = boundaries.release(at, at - 50, blank_frames)
        assert all(b.end_frame >= settled for b in new)
        assert boundaries.settled >= settled
        settled = boundaries.settled
        out += new
    out += boundaries.finish(at + 100, blank_frames)
    assert all(a.start_frame <= b.end_frame for a, b in pairwise(out))
    assert all(b.end_frame <= b.start_frame for b in out)
