"""Real clips: every frame of random cuts compared with its source, and both backends with each other."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from rendered import digest, truth

from curate.video import open_video
from shards.errors import SourceError

CLIPS = Path(__file__).resolve().parents[3] / "../shared/data/clips"
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not CLIPS.is_dir(), reason="the real clips are not beside the project"),
]
# 4K, two minutes of HD, and a minute of VP8 take most of the time of all files
SLOW = ("editly-assets--changi", "video2dataset--test_video", "editly-assets--dancer1")
UNREADABLE = "DOVER--error_test.mp4"
TRANSCODED = {
    "bgslibrary--video.avi": "msmpeg4v2 does not copy into mp4",
    "mmaction2--S001C001P001R001A001_rgb.avi": "no reliable timestamps",
    "mmaction2--test.avi": "no reliable timestamps",
}


def clips() -> list[Path]:
    return [path for path in sorted(CLIPS.glob("*")) if not path.name.startswith(SLOW)]


@pytest.mark.parametrize("path", clips(), ids=lambda path: path.name)
def test_one_random_cut_is_exact(path: Path) -> None:
    if path.name == UNREADABLE:
        with pytest.raises(SourceError, match="empty"):
            open_video(str(path))
        return
    start = random.Random(path.name).randrange(40)
    with open_video(str(path)) as reader:
        pts, digests = [], []
        for frame in reader:
            pts.append(frame.pts)
            digests.append(digest(frame._picture))
            if frame.index > start + 60:
                break
        start = min(start, len(pts) - 2)
        end = min(len(pts) - 1, start + 40)
        clip = reader.cut(pts[start], pts[end], "copy")
        got = truth(clip.data)
        assert [t for t, _ in got] == [(p - pts[start]) * reader.info.time_base for p in pts[start:end]]
        assert clip.reason == TRANSCODED.get(path.name)
        if clip.cut == "copy":
            assert [value for _, value in got] == digests[start:end]


def test_damage_is_told() -> None:
    with open_video(str(CLIPS / "decord--corrupted.mp4")) as reader:
        assert sum(1 for _ in reader) == 29
        assert reader.error is not None
        assert reader.error.startswith("damaged at 3.0 s: 29 frames decoded of 50 declared")


@pytest.mark.parametrize(
    "name",
    [
        "decord--video_90.mov",
        "decord--video_180.mov",
        "decord--unordered.mov",
        "editly-assets--lofoten.mp4",  # its edit list hides a frame, which decord shows
        "mmaction2--test.avi",
        "mmaction2--demo.mp4",
        "sample-videos--yes.mkv",
    ],
)
def test_backends_agree(name: str) -> None:
    pytest.importorskip("decord")
    seen = []
    for backend in ("pyav", "decord"):
        with open_video(str(CLIPS / name), backend=backend) as reader:  # type: ignore[arg-type]
            frames = [(frame.pts, frame.after_gap, frame.small()) for frame in reader]
            clip = reader.cut(frames[0][0], frames[-1][0], "copy")
            seen.append((frames, clip, reader.info, reader.error))
    (ours, clip, info, error), (theirs, other, other_info, other_error) = seen
    assert [frame[:2] for frame in ours] == [frame[:2] for frame in theirs]
    assert (clip, info, error) == (other, other_info, other_error)
    for (_, _, small), (_, _, same) in zip(ours, theirs, strict=True):
        assert small.luma_HW.shape == same.luma_HW.shape
        assert np.abs(small.luma_HW.astype(int) - same.luma_HW).mean() < 3
