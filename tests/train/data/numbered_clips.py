"""Clips whose every frame shows its number, cut from rendered sources, and manifests of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from av.video.frame import PictureType

from curate.video import open_video
from curate.video.geometry import Orientation
from shards.tar import TarWriter

BITS = 8
WIDTH, HEIGHT = 128, 64
_X264 = {"g": "15", "preset": "veryfast", "crf": "18", "threads": "1"}


@dataclass(frozen=True)
class Film:
    """How a source is rendered: the time of each frame in `time_base`."""

    name: str
    pts: Sequence[int]
    time_base: Fraction
    encoder: str = "libx264"
    options: Mapping[str, str] = field(default_factory=dict)
    rotation: int = 0
    aspect: Fraction = Fraction(1)


FILMS = (
    Film("b-frames.mp4", range(90), Fraction(1, 30), options={"bf": "3"}),
    Film("ntsc-open.mp4", range(0, 90 * 1001, 1001), Fraction(1, 30000),
         options={"x264-params": "open-gop=1:bframes=4:b-adapt=0:scenecut=0"}),
    Film("uneven.mkv", np.cumsum([20 + 13 * n % 71 for n in range(90)]).tolist(), Fraction(1, 1000)),
    Film("hevc.mp4", range(90), Fraction(1, 25), "libx265",
         {"x265-params": "keyint=14:open-gop=1:bframes=4:log-level=none:pools=1"}),
    Film("vp9.webm", range(90), Fraction(1, 24), "libvpx-vp9",
         {"g": "12", "deadline": "realtime", "cpu-used": "8"}),
    Film("turned.mov", range(60), Fraction(1, 30), rotation=90),
    Film("upside-down.mov", range(60), Fraction(1, 30), rotation=180),
    Film("wide-pixels.mp4", range(60), Fraction(1, 30), aspect=Fraction(2)),
)  # fmt: skip


def picture(number: int) -> np.ndarray:
    """Return what a frame shows: its number in bars, highest bit left, above a ramp that rises rightwards."""
    bars = np.repeat([225 if number >> bit & 1 else 30 for bit in reversed(range(BITS))], WIDTH // BITS)
    gray = np.tile(np.linspace(40, 215, WIDTH), (HEIGHT, 1))
    gray[: HEIGHT // 2] = bars
    return np.stack([gray.astype(np.uint8)] * 3, -1)


def number_of(frame_HWC: np.ndarray) -> int:
    """Return the number that a frame of any size shows; -1 where it isn't the right way up."""
    height, width, _ = frame_HWC.shape
    middles = ((np.arange(BITS) + 0.5) * width / BITS).astype(int)
    ramp = frame_HWC[height * 3 // 4, :, 0].astype(int)
    if ramp[-width // 8] - ramp[width // 8] < 60:
        return -1
    return int("".join("1" if frame_HWC[height // 4, at, 0] > 127 else "0" for at in middles), 2)


def render(folder: Path, film: Film) -> Path:
    """Write a source."""
    path = folder / film.name
    with av.open(str(path), "w") as output:
        rate = Fraction(30) if film.time_base < Fraction(1, 100) else 1 / film.time_base
        options = _X264 | dict(film.options) if film.encoder == "libx264" else dict(film.options)
        stream = output.add_stream(film.encoder, rate=rate, options=options)
        turned = film.rotation % 180 != 0
        stream.width, stream.height = (HEIGHT, WIDTH) if turned else (WIDTH, HEIGHT)
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base, stream.codec_context.thread_count = film.time_base, 1
        stream.codec_context.sample_aspect_ratio = film.aspect
        if film.rotation:
            stream.set_display_rotation(film.rotation)
        back = Orientation.from_rotation(film.rotation).inverse()
        for number, at in enumerate(film.pts):
            frame = av.VideoFrame.from_ndarray(back.apply(picture(number)), format="rgb24")
            frame.pts, frame.time_base, frame.pict_type = at, film.time_base, PictureType.NONE
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


@dataclass(frozen=True)
class Cut:
    """A clip, copied out of a source."""

    name: str
    data: bytes
    first: int
    """number that its first frame shows"""
    times_s: list[float]
    """of its frames, from the first, and of its end"""
    shown: tuple[int, int]
    rolls: tuple[int, int]


def cut(path: Path, first: int, last: int) -> Cut:
    """Copy frames `first` until `last` out of a source, as the split pass does."""
    with open_video(str(path)) as reader:
        pts = [frame.pts for frame in reader]
        clip = reader.cut(pts[first], pts[last], "copy")
        info = reader.info
    assert clip.cut == "copy"
    times_s = [float((at - pts[first]) * info.time_base) for at in pts[first : last + 1]]
    rolls = (clip.preroll_frames, clip.postroll_frames)
    return Cut(path.stem, clip.data, first, times_s, (info.height, info.width), rolls)


def write_manifest(folder: Path, cuts: Sequence[Cut], *, shards: int = 2, **columns: Sequence[Any]) -> Path:
    """Write clips into tars, and a manifest as `curate pack` does; two captions a clip."""
    folder.mkdir(parents=True, exist_ok=True)
    tars = [TarWriter(folder / f"{number:05d}.tar") for number in range(shards)]
    rows = []
    for number, clip in enumerate(cuts):
        offset = tars[number % shards].add(f"clip{number:03d}.mp4", clip.data)
        texts = [f"{clip.name} from {clip.first}", f"clip {number}"]
        rows.append(
            {
                "clip_id": f"clip{number:03d}",
                "source_id": f"source{number:03d}",
                "shard": f"{number % shards:05d}.tar",
                "offset": offset,
                "bytes": len(clip.data),
                "sha256": hashlib.sha256(clip.data).hexdigest(),
                "duration_s": clip.times_s[-1],
                "frames": len(clip.times_s) - 1,
                "fps": (len(clip.times_s) - 1) / clip.times_s[-1],
                "width": clip.shown[1],
                "height": clip.shown[0],
                "preroll_frames": clip.rolls[0],
                "postroll_frames": clip.rolls[1],
                "captions": [{"variant": v, "caption": t} for v, t in zip("ab", texts, strict=True)],
                "caption": texts[0],
            }
        )
    for tar in tars:
        tar.close()
    table = pa.Table.from_pylist(rows)
    for name, values in columns.items():
        table = table.append_column(name, pa.array(values))
    pq.write_table(table, folder / "manifest.parquet")
    return folder / "manifest.parquet"
