"""Broken files: what can be read is read, what is damaged is left out, and the reader says so."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from rendered import Recipe, digest, render, scene, truth

from curate.video import open_video
from shards.errors import CutError, SourceError

KEYS = {"g": "12", "bf": "2", "preset": "veryfast", "threads": "1"}


def read(path: Path) -> tuple[list[tuple[Fraction, str]], list[int], str | None]:
    with open_video(str(path)) as reader:
        frames, gaps = [], []
        for frame in reader:
            frames.append((frame.pts * reader.info.time_base, digest(frame._picture)))
            if frame.after_gap:
                gaps.append(frame.index)
        return frames, gaps, reader.error


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.ts"])
@pytest.mark.parametrize("share", [0.3, 0.8])
def test_truncated(name: str, share: float, tmp_path: Path) -> None:
    options = {"movflags": "faststart"} if name.endswith("mp4") else {}
    path = render(tmp_path / name, Recipe(name, "libx264", KEYS, container_options=options))
    whole = truth(path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    frames, gaps, error = read(path)
    # all that is there; at the very end a frame may be missing that was to be decoded after those shown later
    assert frames[:-3] == whole[: len(frames) - 3]
    assert set(frames) <= set(whole)
    assert (share - 0.25) * 60 < len(frames) < 60
    assert all(gap > len(frames) - 4 for gap in gaps)
    if name != "clip.ts":  # a transport stream says nothing of its length
        assert error is not None
        assert f"{len(frames)} frames decoded" in error


def test_corrupt_packet_leaves_out_what_builds_on_it(tmp_path: Path) -> None:
    recipe = Recipe("clip.mp4", "libx264", KEYS | {"sc_threshold": "0"}, size=(320, 192))
    path = render(tmp_path / recipe.name, recipe)
    whole = truth(path)
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    victim = packets[27]
    data = bytearray(path.read_bytes())
    at = victim.pos + 4
    data[at : at + victim.size - 4] = bytes(victim.size - 4)
    path.write_bytes(data)
    frames, gaps, error = read(path)
    assert set(frames) <= set(whole)
    assert 60 - 12 <= len(frames) < 60
    # frames that were decoded before the lost one and are shown after it are sound, but stand alone
    assert gaps
    assert frames[gaps[-1]] == whole[36]
    assert frames[: gaps[0]] == whole[: gaps[0]]
    for before, after in itertools.pairwise([0, *gaps, len(frames)]):
        first = whole.index(frames[before])
        assert frames[before:after] == whole[first : first + after - before]
    assert error is not None
    assert f"{len(frames)} frames decoded of 60 declared" in error
    assert error.startswith("damaged at 1.")
    with open_video(str(path)) as reader:
        pts = [frame.pts for frame in reader]
        clip = reader.cut(pts[3], pts[gaps[0]], "copy")
        assert [value for _, value in truth(clip.data)] == [value for _, value in frames[3 : gaps[0]]]
        with pytest.raises(CutError, match="damaged"):
            reader.cut(pts[gaps[0] - 1], pts[gaps[0] + 2], "copy")
        resumed = gaps[-1]
        for start, end, mode in ((resumed, resumed + 4, "copy"), (resumed + 4, len(pts), "transcode")):
            end_pts = pts[end] if end < len(pts) else pts[-1] + 1
            rest = reader.cut(pts[start], end_pts, mode)  # type: ignore[arg-type]
            assert (rest.cut, rest.frames) == (mode, end - start)
            assert len(truth(rest.data)) == rest.frames


def audio_only(path: Path) -> None:
    with av.open(str(path), "w") as output:
        stream = output.add_stream("aac", rate=44_100)
        for start in range(0, 10_240, 1_024):
            frame = av.AudioFrame.from_ndarray(
                np.zeros((2, 1_024), np.float32), format="fltp", layout="stereo"
            )
            frame.rate, frame.pts = 44_100, start
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def test_refused(tmp_path: Path) -> None:
    (tmp_path / "zero.mp4").write_bytes(b"")
    (tmp_path / "text.mp4").write_text("not a film\n" * 100)
    (tmp_path / "list.m3u8").write_text(
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:2,\nclip.ts\n#EXT-X-ENDLIST\n"
    )
    audio_only(tmp_path / "sound.mp4")
    render(tmp_path / "clip.ts", Recipe("clip.ts", "libx264", KEYS))
    headless = render(tmp_path / "headless.mp4", Recipe("headless.mp4", "libx264", KEYS))
    headless.write_bytes(headless.read_bytes()[:4_000])
    empty = render(tmp_path / "blank.mkv", Recipe("blank.mkv", "libx264", KEYS | {"g": "99"}, frames=1))
    data = empty.read_bytes()
    start = data.rindex(b"\x65")
    empty.write_bytes(data[:start] + b"\xff" * (len(data) - start))
    for name, message in {
        "zero.mp4": "empty",
        "text.mp4": "not a readable media file",
        "list.m3u8": "list of other files",
        "sound.mp4": "no video stream: only audio",
        "headless.mp4": "not a readable media file",
    }.items():
        with pytest.raises(SourceError, match=message):
            open_video(str(tmp_path / name))
    with pytest.raises(FileNotFoundError):
        open_video(str(tmp_path / "absent.mp4"))


def test_no_decodable_frame(tmp_path: Path) -> None:
    path = render(tmp_path / "clip.mp4", Recipe("clip.mp4", "libx264", KEYS, frames=5))
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    for packet in packets:
        data[packet.pos : packet.pos + packet.size] = b"\xff" * packet.size
    path.write_bytes(data)
    with pytest.raises(SourceError, match="no decodable frame in its h264 stream"):
        open_video(str(path))


@pytest.mark.parametrize(
    "name", ["still.jpg", "still.png", "still.webp", "still%03d.png", "st:ill.bmp", "gray.png"]
)
@pytest.mark.parametrize("size", [(75, 51), (1, 1), (1000, 3)])
def test_images(name: str, size: tuple[int, int], tmp_path: Path) -> None:
    width, height = size
    image = scene(1, max(width, 8), max(height, 8))[0][:height, :width]
    if name == "gray.png":
        image = np.ascontiguousarray(image[..., :1])
    (tmp_path / name).write_bytes(cv2.imencode(Path(name).suffix, image)[1].tobytes())
    with open_video(str(tmp_path / name)) as reader:
        (frame,) = reader
        assert reader.info.is_image
        assert reader.info.fps is None
        assert (reader.info.width, reader.info.height) == size
        clip = reader.cut(frame.pts, frame.pts + 1, "copy")
        assert (clip.cut, clip.reason, clip.frames) == ("transcode", "image", 1)
        shown = cv2.imdecode(np.frombuffer(frame.jpeg(448, 95), np.uint8), cv2.IMREAD_COLOR)
        assert shown.shape[:2] == (height, width)
    assert len(truth(clip.data)) == 1


def test_cover_art_is_no_video(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "song.mp4"), "w") as output:
        sound = output.add_stream("aac", rate=44_100)
        cover = output.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        picture = av.VideoFrame.from_ndarray(scene(1, 64, 64)[0], format="rgb24").reformat(format="yuvj420p")
        output.mux(cover.encode(picture))
        output.mux(cover.encode(None))
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1_024), np.float32), format="fltp", layout="stereo")
        frame.rate = 44_100
        output.mux(sound.encode(frame))
        output.mux(sound.encode(None))
    with pytest.raises(SourceError, match="only audio, cover art"):
        open_video(str(tmp_path / "song.mp4"))
