"""Pictures that no other is built on go without deblocking; all others are FFmpeg's own, to the bit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from rendered import COPIED, TRANSCODED, Recipe, digest, render, truth

from curate.split.events import ClipCut
from curate.split.scan import scan_source
from curate.split.stage import Eyes, Split, SplitOptions
from curate.video import open_video
from curate.video.decode import Deblock

H264 = [replace(recipe, size=(336, 192)) for recipe in COPIED if recipe.encoder == "libx264"]
WITH_B = {"pyramid.mp4", "open.mp4", "one-key.mp4", "h264.mkv", "rotated.mov", "deep.mp4"}


@pytest.mark.parametrize("recipe", H264, ids=lambda recipe: recipe.name)
def test_finished_pictures_are_ffmpegs_own(recipe: Recipe, tmp_path: Path) -> None:
    path = render(tmp_path / recipe.name, recipe)
    expected = dict(truth(path))
    unfinished = 0
    with open_video(str(path), deblock="referenced") as reader:
        for frame in reader:
            same = digest(frame._picture) == expected[frame.pts * reader.info.time_base]
            assert same or not frame.finished
            unfinished += not frame.finished
        assert reader.error is None
    if recipe.name in WITH_B:
        assert 0 < unfinished < recipe.frames * 0.8


def test_where_times_do_not_tell_pictures_apart_all_are_deblocked(tmp_path: Path) -> None:
    path = render(tmp_path / "b-frames.avi", replace(TRANSCODED["b-frames.avi"][0], size=(336, 192)))
    with open_video(str(path), deblock="referenced") as reader:
        frames = [(frame.finished, digest(frame._picture)) for frame in reader]
    assert frames == [(True, value) for _, value in truth(path)]


@pytest.mark.parametrize(("size", "deblock"), [((336, 192), "all"), ((96, 64), "referenced")])
def test_all_are_deblocked_if_asked_for_or_not_halved(
    size: tuple[int, int], deblock: Deblock, tmp_path: Path
) -> None:
    path = render(tmp_path / "film.mp4", replace(COPIED[1], size=size))
    with open_video(str(path), deblock=deblock) as reader:
        frames = [(frame.finished, digest(frame._picture)) for frame in reader]
    assert frames == [(True, value) for _, value in truth(path)]


def film(path: Path, options: dict[str, str]) -> Path:
    """Ten seconds, coarsely coded: what deblocking does to it can be seen."""
    rng = np.random.default_rng(1)
    texture = cv2.GaussianBlur(rng.normal(128, 200, (400, 900)), (0, 0), 6).clip(0, 255).astype(np.uint8)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25, options=options | {"crf": "38", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = 336, 192, "yuv420p"
        for n in range(250):
            view = np.stack([texture[n // 3 : n // 3 + 192, 2 * n : 2 * n + 336]] * 3, -1)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(view), "rgb24")))
        output.mux(stream.encode(None))
    return path


def samples(path: Path, deblock: Deblock) -> dict[float, bytes]:
    options = SplitOptions(deblock=deblock)
    eyes = Split(options).eyes()
    clips = [
        e for e in scan_source(options, Eyes(eyes.detector, ()), "film", str(path)) if isinstance(e, ClipCut)
    ]
    return {sample.time_s: sample.jpeg for clip in clips for sample in clip.samples}


def test_samples_are_of_deblocked_pictures_near_the_grid(tmp_path: Path) -> None:
    path = film(tmp_path / "film.mp4", {"x264-params": "b-pyramid=normal:bframes=3:b-adapt=0:scenecut=0"})
    with open_video(str(path)) as reader:
        whole = {frame.time_s: frame.jpeg(448, 90) for frame in reader}
    found = samples(path, "referenced")
    assert len(found) == len(samples(path, "all")) == 10
    late = [time_s % 1 for time_s in found]
    assert max(late) < 0.1 + 1 / 25
    assert any(late), "no sample had to wait: the film tells nothing"
    assert found == {time_s: whole[time_s] for time_s in found}


def test_without_a_deblocked_picture_any_will_do(tmp_path: Path) -> None:
    """Twelve pictures at a time that nothing builds on: half a second."""
    params = "b-pyramid=none:bframes=12:b-adapt=0:scenecut=0:keyint=250"
    path = film(tmp_path / "film.mp4", {"bf": "12", "x264-params": params})
    with open_video(str(path), deblock="referenced") as reader:
        finished = [frame.finished for frame in reader]
    assert finished.count(True) < len(finished) / 8
    assert max(time_s % 1 for time_s in samples(path, "referenced")) < 0.1 + 1 / 25
