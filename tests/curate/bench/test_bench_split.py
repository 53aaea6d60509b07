"""Scoring of boundaries, and the table."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from curate.bench.scoring import DetectorBench, Truth, half_of, match, read_truth
from curate.bench.split import SplitBench, bench_split, render_split
from curate.frames import Boundary
from shards.errors import InputError

REAL = Path(__file__).resolve().parents[3] / "../shared/data"


def cuts(*frames: int) -> list[Boundary]:
    return [Boundary(f, f, "hard") for f in frames]


def score(truth: Truth, found: list[Boundary]) -> DetectorBench:
    return DetectorBench("d", (match(truth, found, 100, 0.1),))


def test_cuts_match_one_to_one_within_a_frame() -> None:
    truth = Truth("a.mp4", "editing", (10, 50, 90), ())
    result = match(truth, cuts(9, 11, 52, 90), 100, 0.0)
    assert result.hits == 2
    assert result.missed == (50,)
    assert result.false == (11, 52)
    bench = score(truth, cuts(9, 11, 52, 90))
    assert bench.f1 == pytest.approx(2 * 2 / (2 * 2 + 2 + 1))


def test_hits_within_a_gradual_range_are_not_false_and_find_it() -> None:
    truth = Truth("a.mp4", "editing", (), ((20, 40),))
    result = match(truth, cuts(30), 100, 0.0)
    assert (result.false, result.gradual_missed, result.gradual_left) == ((), (), ((20, 40),))
    assert match(truth, cuts(60), 100, 0.0).gradual_missed == ((20, 40),)
    whole = match(truth, [Boundary(19, 42, "dissolve")], 100, 0.0)
    assert (whole.gradual_missed, whole.gradual_left, whole.gradual_false) == ((), (), ())
    part = match(truth, [Boundary(30, 42, "dissolve")], 100, 0.0)
    assert (part.gradual_missed, part.gradual_left) == ((), ((20, 40),))
    assert match(truth, [Boundary(50, 60, "wipe")], 100, 0.0).gradual_false == ((50, 60),)
    assert match(truth, [Boundary(0, 9, "fade"), Boundary(90, 100, "fade")], 100, 0.0).gradual_false == ()


def test_nothing_found_where_nothing_is_is_perfect() -> None:
    assert score(Truth("a.mp4", "clean", (), ()), []).f1 == 1
    assert score(Truth("a.mp4", "clean", (), ()), cuts(5)).f1 == 0


def test_clean_and_trap_files_must_stay_whole() -> None:
    assert score(Truth("a.mp4", "low_quality?(trap)", (), ()), cuts(5)).disturbed
    assert score(Truth("a.mp4", "clean", (), ()), [Boundary(3, 9, "fade")]).disturbed
    assert not score(Truth("a.mp4", "lecture", (), ()), cuts(5)).disturbed
    assert not score(Truth("a.mp4", "clean", (5,), ()), cuts(5)).disturbed


def test_files_of_one_source_share_a_half() -> None:
    assert half_of("moviepy--a.mp4") == half_of("moviepy--b.avi")
    assert len({half_of(f"Panda-70M--{i}.mp4") for i in range(20)}) == 2


def test_truth_is_read_and_errors_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "truth.csv"
    rows = [
        "file,labels,hard_cuts,cut_truth,gradual",
        "a.mp4,editing,3 9,exact,20-30 40-41",
        "b.mp4,clean,,partial,",
    ]
    path.write_text("\n".join(rows))
    assert read_truth(path) == [Truth("a.mp4", "editing", (3, 9), ((20, 30), (40, 41)))]
    with pytest.raises(InputError, match="none of the files"):
        bench_split(path, tmp_path)
    path.write_text("file,cut_truth\na.mp4,exact\n")
    with pytest.raises(InputError, match="needs columns"):
        read_truth(path)
    with pytest.raises(InputError, match="cannot read the truth"):
        read_truth(tmp_path / "absent.csv")


def test_the_table_names_files_and_figures() -> None:
    files = (
        match(Truth("Panda-70M--1.mp4", "clean", (), ()), cuts(7), 100, 0.01),
        match(Truth("Panda-70M--2.mp4", "editing", (30,), ((50, 60),)), cuts(30), 100, 0.01),
    )
    console = Console(width=200, record=True, file=StringIO())
    for renderable in render_split(SplitBench((DetectorBench("ours", files),), 1.0, ("x.mp4: empty",))):
        console.print(renderable)
    text = console.export_text()
    assert "ours cuts Panda-70M--1.mp4 (clean) at 7" in text
    assert "0.667" in text
    assert "50–60" in text
    assert "not read: x.mp4: empty" in text


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.skipif(not REAL.is_dir(), reason="the real clips are not beside the project")
def test_the_shot_detector_on_the_real_clips() -> None:
    bench = bench_split(REAL / "clips.csv", REAL / "clips", detectors={"shots": "shots"}, transnet=False)
    (ours,) = bench.detectors
    assert not bench.unread
    assert ours.f1 >= 0.88
    assert min(ours.half(0).f1, ours.half(1).f1) >= 0.85
    found, every = ours.gradual
    assert (found, every) >= (11, 13)
