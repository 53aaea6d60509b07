"""Small video files with known structure, and the truth of their frames by digest."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.frame import PictureType

from curate.footage.encode import open_svt


@dataclass(frozen=True)
class Recipe:
    """How a file is rendered; `size` is (width, height), `pts` are in `time_base`."""

    name: str
    encoder: str
    options: Mapping[str, str] = field(default_factory=dict)
    pix_fmt: str = "yuv420p"
    size: tuple[int, int] = (96, 64)
    frames: int = 60
    time_base: Fraction = Fraction(1, 25)
    pts: Sequence[int] | None = None
    aspect: Fraction | None = None
    rotation: int | None = None
    container_options: Mapping[str, str] = field(default_factory=dict)


def scene(frames: int, width: int, height: int, seed: int = 0) -> np.ndarray:
    """Return moving texture, shape (frames, height, width, 3), uint8 RGB: no two frames are alike."""
    rng = np.random.default_rng(seed)
    texture = rng.integers(0, 256, (height // 4 + 2, width // 4 + frames + 2, 3), dtype=np.uint8)
    texture = np.kron(texture, np.ones((4, 4, 1), np.uint8))
    rows, columns = np.mgrid[:height, :width]
    film = np.empty((frames, height, width, 3), np.uint8)
    for t in range(frames):
        film[t] = texture[:height, 2 * t : 2 * t + width] // 2 + 64
        centre = height / 2 + height / 4 * np.sin(t / 5), (3 * t) % width
        film[t][(rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < (height / 6) ** 2] = (
            230,
            40,
            4 * t % 256,
        )
    return film


def render(path: Path, recipe: Recipe) -> Path:
    """Write the file that `recipe` describes."""
    width, height = recipe.size
    pts = recipe.pts or range(recipe.frames)
    with av.open(str(path), "w", options=dict(recipe.container_options)) as output:
        rate = 1 / recipe.time_base if recipe.time_base >= Fraction(1, 60) else Fraction(25)
        stream = output.add_stream(recipe.encoder, rate=rate, options=dict(recipe.options))
        stream.width, stream.height, stream.pix_fmt = width, height, recipe.pix_fmt
        context = stream.codec_context
        context.time_base = recipe.time_base
        context.thread_count = 1
        if recipe.aspect is not None:
            context.sample_aspect_ratio = recipe.aspect
        if recipe.rotation is not None:
            stream.set_display_rotation(recipe.rotation)
        if recipe.encoder == "libsvtav1":
            open_svt(context)
        for image, at in zip(scene(len(pts), width, height), pts, strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=recipe.pix_fmt)
            frame.pts, frame.time_base, frame.pict_type = at, recipe.time_base, PictureType.NONE
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def digest(frame: av.VideoFrame) -> str:
    """Return a hash of the picture's samples, without the padding of its lines."""
    sha = hashlib.sha256(f"{frame.width}x{frame.height} {frame.format.name}".encode())
    for plane, component in zip(frame.planes, frame.format.components, strict=False):
        sample_bytes = (component.bits + 7) // 8 if frame.format.is_planar else 1
        width = plane.width * sample_bytes if frame.format.is_planar else plane.line_size
        lines = np.frombuffer(plane, np.uint8)[: plane.line_size * plane.height]
        sha.update(lines.reshape(plane.height, plane.line_size)[:, :width].tobytes())
    return sha.hexdigest()


def truth(source: Path | bytes) -> list[tuple[Fraction, str]]:
    """Return (time, digest) of every frame as FFmpeg's own decoder gives it."""
    with av.open(io.BytesIO(source) if isinstance(source, bytes) else str(source)) as container:
        stream = container.streams.best("video")
        stream.thread_count = 1
        return [(frame.pts * stream.time_base, digest(frame)) for frame in container.decode(stream)]


_X264 = {"g": "15", "bf": "3", "preset": "veryfast", "threads": "1"}
_TS_PTS = [126_000 + 3_600 * i for i in range(60)]
_VFR_PTS = list(np.cumsum([1 + (7 * i) % 5 * 11 for i in range(60)]).tolist())

COPIED = [
    Recipe("closed.mp4", "libx264", {"g": "12", "bf": "0", "preset": "ultrafast", "threads": "1"}),
    Recipe("pyramid.mp4", "libx264", _X264 | {"x264-params": "b-pyramid=normal:bframes=5:b-adapt=0"}),
    Recipe("open.mp4", "libx264", _X264 | {"x264-params": "open-gop=1:bframes=4:b-adapt=0:scenecut=0"}),
    Recipe("one-key.mp4", "libx264", _X264 | {"g": "600"}),
    # its recovery points are flagged as key frames; the only clean start is the first frame
    Recipe("intra-refresh.mp4", "libx264", _X264 | {"bf": "0", "x264-params": "intra-refresh=1"}),
    Recipe("h264.mkv", "libx264", _X264),
    Recipe("h264.ts", "libx264", _X264, time_base=Fraction(1, 90_000), pts=_TS_PTS),
    Recipe("no-b.avi", "libx264", _X264 | {"bf": "0"}),
    Recipe("hevc.mp4", "libx265", {"x265-params": "keyint=14:open-gop=1:bframes=4:log-level=none:pools=1"}),
    Recipe("hevc-closed.mkv", "libx265", {"x265-params": "keyint=14:open-gop=0:log-level=none:pools=1"}),
    Recipe(
        "hevc.ts",
        "libx265",
        {"x265-params": "keyint=14:log-level=none:pools=1"},
        time_base=Fraction(1, 90_000),
        pts=_TS_PTS,
    ),
    Recipe("vp9.webm", "libvpx-vp9", {"g": "12", "deadline": "realtime", "cpu-used": "8", "threads": "1"}),
    Recipe(
        "vp9-arf.webm", "libvpx-vp9", {"g": "30", "auto-alt-ref": "1", "lag-in-frames": "16", "cpu-used": "4"}
    ),
    Recipe("av1.mp4", "libsvtav1", {"g": "12", "preset": "12", "svtav1-params": "lp=1"}),
    Recipe("av1.mkv", "libsvtav1", {"g": "20", "preset": "10", "svtav1-params": "lp=1"}),
    Recipe("mpeg4.mp4", "mpeg4", {"g": "12", "bf": "2"}),
    Recipe("mpeg4.avi", "mpeg4", {"g": "12", "bf": "0"}),
    Recipe("rotated.mov", "libx264", _X264, rotation=90),
    Recipe("anamorphic.mp4", "libx264", _X264, aspect=Fraction(16, 11)),
    Recipe("deep.mp4", "libx264", _X264, pix_fmt="yuv420p10le"),
    Recipe("full-chroma.mp4", "libx264", _X264, pix_fmt="yuv444p", size=(75, 51)),
    Recipe("odd.webm", "libvpx-vp9", {"g": "12", "deadline": "realtime", "cpu-used": "8"}, size=(75, 51)),
    Recipe("vfr.mp4", "libx264", _X264, time_base=Fraction(1, 1_000), pts=_VFR_PTS),
    Recipe("vfr.mkv", "libx264", _X264, time_base=Fraction(1, 1_000), pts=_VFR_PTS),
]

TRANSCODED = {
    "b-frames.avi": (Recipe("b-frames.avi", "libx264", _X264), "no reliable timestamps"),
    "mpeg4-b.avi": (Recipe("mpeg4-b.avi", "mpeg4", {"g": "12", "bf": "2"}), "no reliable timestamps"),
    "vp8.webm": (Recipe("vp8.webm", "libvpx", {"g": "12"}), "vp8 does not copy into mp4"),
    "msmpeg4.avi": (Recipe("msmpeg4.avi", "msmpeg4v2", {"g": "12"}), "msmpeg4v2 does not copy into mp4"),
    "mjpeg.avi": (Recipe("mjpeg.avi", "mjpeg", pix_fmt="yuvj420p"), "mjpeg does not copy into mp4"),
    "mpeg2.ts": (
        Recipe("mpeg2.ts", "mpeg2video", {"g": "12", "bf": "2"}),
        "mpeg2video does not copy into mp4",
    ),
}
