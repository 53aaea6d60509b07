"""A clip decodes to exactly its source's frames, whatever the codec and the container."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rendered import COPIED, TRANSCODED, Recipe, digest, render, truth

from curate.video import CutClip, VideoReader, open_video
from shards.errors import CutError

Timed = list[tuple[Fraction, str]]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Timed]]:
    folder = tmp_path_factory.mktemp("cuts")
    recipes = [*COPIED, *(recipe for recipe, _ in TRANSCODED.values())]
    paths = {recipe.name: render(folder / recipe.name, recipe) for recipe in recipes}
    return {name: (path, truth(path)) for name, path in paths.items()}


def read_whole(reader: VideoReader) -> tuple[list[int], list[str]]:
    pts, digests = [], []
    for frame in reader:
        pts.append(frame.pts)
        digests.append(digest(frame._picture))
    return pts, digests


def cut_at(reader: VideoReader, pts: Sequence[int], start: int, end: int, mode: str = "copy") -> CutClip:
    end_pts = pts[end] if end < len(pts) else pts[-1] + 1
    return reader.cut(pts[start], end_pts, mode)  # type: ignore[arg-type]


@pytest.mark.parametrize("recipe", COPIED, ids=lambda recipe: recipe.name)
def test_frames_are_ffmpegs_own(recipe: Recipe, files: dict[str, tuple[Path, Timed]]) -> None:
    path, expected = files[recipe.name]
    with open_video(str(path)) as reader:
        pts, digests = read_whole(reader)
        assert [p * reader.info.time_base for p in pts] == [time for time, _ in expected]
        assert digests == [value for _, value in expected]
        assert reader.error is None
        assert reader.info.reliable_pts


@pytest.mark.parametrize("recipe", COPIED, ids=lambda recipe: recipe.name)
@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edges=st.lists(st.integers(0, 60), min_size=2, max_size=6, unique=True).map(sorted))
def test_copies_are_exact(recipe: Recipe, files: dict[str, tuple[Path, Timed]], edges: list[int]) -> None:
    path, expected = files[recipe.name]
    with open_video(str(path)) as reader:
        pts, _ = read_whole(reader)
        base = reader.info.time_base
        for start, end in pairwise(edges):
            clip = cut_at(reader, pts, start, end)
            assert (clip.cut, clip.reason, clip.frames) == ("copy", None, end - start)
            got = truth(clip.data)
            assert [time for time, _ in got] == [(p - pts[start]) * base for p in pts[start:end]]
            assert [value for _, value in got] == [value for _, value in expected[start:end]]


@pytest.mark.parametrize("name", TRANSCODED)
def test_what_cannot_be_copied_is_transcoded(name: str, files: dict[str, tuple[Path, Timed]]) -> None:
    path, _ = files[name]
    with open_video(str(path)) as reader:
        pts, _ = read_whole(reader)
        base = reader.info.time_base
        assert len(pts) == 60
        assert all(earlier < later for earlier, later in pairwise(pts))
        for start, end in ((7, 20), (20, 21), (33, 60)):
            clip = cut_at(reader, pts, start, end)
            assert (clip.cut, clip.reason) == ("transcode", TRANSCODED[name][1])
            times = [time for time, _ in truth(clip.data)]
            assert times == [(p - pts[start]) * base for p in pts[start:end]]


def test_transcoded_frames_look_like_the_source(files: dict[str, tuple[Path, Timed]]) -> None:
    import io

    import av
    import numpy as np

    path, _ = files["b-frames.avi"]
    with open_video(str(path)) as reader:
        planes, pts = [], []
        for frame in reader:
            planes.append(frame.small().luma_HW.astype(int))
            pts.append(frame.pts)
        clip = cut_at(reader, pts, 10, 40)
    with av.open(io.BytesIO(clip.data)) as container:
        for expected, frame in zip(planes[10:40], container.decode(video=0), strict=True):
            luma = (frame.to_ndarray()[:64].astype(int) - 16) * 255 / 219
            assert np.abs(luma - expected).mean() < 4
            assert frame.key_frame == (frame.pts * frame.time_base in (0, 1))


@pytest.mark.parametrize("name", ["open.mp4", "hevc.mp4", "vfr.mkv", "vp8.webm", "av1.mp4"])
def test_same_input_same_bytes(name: str, files: dict[str, tuple[Path, Timed]]) -> None:
    path, _ = files[name]
    made = []
    for _ in range(2):
        with open_video(str(path)) as reader:
            pts, _ = read_whole(reader)
            made.append([cut_at(reader, pts, 5, 22).data, cut_at(reader, pts, 22, 59, "transcode").data])
    assert made[0] == made[1]


def test_rolls_are_counted(files: dict[str, tuple[Path, Timed]]) -> None:
    path, _ = files["closed.mp4"]
    with open_video(str(path)) as reader:
        pts, _ = read_whole(reader)
        clip = cut_at(reader, pts, 12, 15)
        assert (clip.preroll_frames, clip.postroll_frames) == (0, 0)
        assert cut_at(reader, pts, 29, 30).preroll_frames == 5


@pytest.mark.parametrize("name", ["rotated.mov", "anamorphic.mp4", "deep.mp4", "full-chroma.mp4"])
@pytest.mark.parametrize("mode", ["copy", "transcode"])
def test_shape_survives(name: str, mode: str, files: dict[str, tuple[Path, Timed]], tmp_path: Path) -> None:
    path, _ = files[name]
    with open_video(str(path)) as reader:
        pts, _ = read_whole(reader)
        (tmp_path / "clip.mp4").write_bytes(cut_at(reader, pts, 3, 9, mode).data)
        info = reader.info
    with open_video(str(tmp_path / "clip.mp4")) as clip:
        for attribute in ("width", "height", "pixel_aspect", "orientation", "pixel_format"):
            assert getattr(clip.info, attribute) == getattr(info, attribute)


def test_memory_is_released(files: dict[str, tuple[Path, Timed]]) -> None:
    path, _ = files["closed.mp4"]
    kept = []
    with open_video(str(path)) as reader:
        for frame in reader:
            reader.release(frame.pts)
            kept.append(len(reader._store._kept) if reader._store else -1)
    assert 1 <= max(kept) <= 14  # one group of pictures and what the decoder holds


def test_a_cut_after_release_is_exact(files: dict[str, tuple[Path, Timed]]) -> None:
    path, expected = files["open.mp4"]
    with open_video(str(path)) as reader:
        pts, start = [], 0
        for frame in reader:
            if frame.index - start == 17:
                clip = reader.cut(pts[start], frame.pts, "copy")
                assert [v for _, v in truth(clip.data)] == [v for _, v in expected[start : frame.index]]
                reader.release(frame.pts)
                start = frame.index
            pts.append(frame.pts)
        assert start == 51


def test_far_random_access_point_is_not_copied(files: dict[str, tuple[Path, Timed]]) -> None:
    path, _ = files["one-key.mp4"]
    for limits in ({"packet_limit_bytes": 4_000}, {"preroll_limit_s": 1.0}):
        with open_video(str(path), **limits) as reader:  # type: ignore[arg-type]
            pts, _ = read_whole(reader)
            clip = cut_at(reader, pts, 40, 50)
            assert (clip.cut, clip.reason) == ("transcode", "random-access point too far back")
            assert len(truth(clip.data)) == 10


def test_memory_is_bounded_without_random_access(files: dict[str, tuple[Path, Timed]]) -> None:
    path, _ = files["one-key.mp4"]
    kept = []
    with open_video(str(path), preroll_limit_s=1.0) as reader:
        for frame in reader:
            reader.release(frame.pts)
            kept.append(len(reader._store._kept) if reader._store else -1)
        clip = reader.cut(frame.pts, frame.pts + 1, "copy")
    assert max(kept) <= 25 + 10
    assert kept[-1] == 0
    assert (clip.cut, clip.reason) == ("transcode", "random-access point too far back")


def test_empty_span(files: dict[str, tuple[Path, Timed]]) -> None:
    path, _ = files["closed.mp4"]
    with open_video(str(path)) as reader:
        pts, _ = read_whole(reader)
        with pytest.raises(CutError, match="no frame"):
            reader.cut(pts[-1] + 1, pts[-1] + 9, "copy")
