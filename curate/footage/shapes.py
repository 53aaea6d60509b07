"""A learning set: coloured shapes that move one way over soft backgrounds, with captions that say so.

Straight into WebDataset shards and a manifest laid out as a packed selection is, so trainers, captioners
and `curate verify` read it without a run. A clip is a function of (seed, its number): the same count, seed
and options give the same bytes. Cost: about 10 ms a clip on one core; the encoded clips (some 5 kB each)
stay in memory until they are sorted by id.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, TypeAlias

import av
import cv2
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from av.video.stream import VideoStream

from curate.footage.planes import to_frame
from curate.footage.textures import Color, Floats, Image, fractal, ramp
from shards.errors import InputError
from shards.ids import clip_id, source_id
from shards.samples import SampleWriter, Stats, sample_columns
from shards.schemas import CAPTION_STRUCT, CLIPS, LOCATION, column
from shards.storage import Storage
from shards.tables import write_batches
from shards.tar import FileDigest

__all__ = ["COLORS", "DIRECTIONS", "SCHEMA", "SHAPES", "Truth", "draw_clip", "render_shapes"]

Advance: TypeAlias = Callable[[int, int], None]

COLORS: Final[dict[str, Color]] = {
    "red": (0.86, 0.1, 0.1), "green": (0.1, 0.66, 0.16), "blue": (0.12, 0.24, 0.9), "yellow": (0.96, 0.88, 0.1),
    "orange": (0.98, 0.52, 0.05), "purple": (0.55, 0.12, 0.72), "pink": (1.0, 0.5, 0.72), "white": (0.97, 0.97, 0.97),
}  # fmt: skip
SHAPES: Final = ("circle", "square", "triangle")
DIRECTIONS: Final[dict[str, tuple[int, int, str]]] = {
    "right": (1, 0, "from left to right"),
    "left": (-1, 0, "from right to left"),
    "down": (0, 1, "from top to bottom"),
    "up": (0, -1, "from bottom to top"),
    "down-right": (1, 1, "diagonally from the top left to the bottom right"),
    "down-left": (-1, 1, "diagonally from the top right to the bottom left"),
    "up-right": (1, -1, "diagonally from the bottom left to the top right"),
    "up-left": (-1, -1, "diagonally from the bottom right to the top left"),
}
TEMPLATES: Final = (
    "A {what} moves {pace}{way}.",
    "A {what} travels {pace}{way}{past}.",
    "The video shows a {what} moving {pace}{way}{past}.",
    "A {extent} {what} glides {pace}{way} over a {ground} background.",
    "On a {ground} background, a {what} moves {pace}{way}{past}.",
)
GROUNDS: Final[dict[str, tuple[Color, Color]]] = {
    "gray": ((0.3, 0.3, 0.31), (0.52, 0.52, 0.53)),
    "brown": ((0.3, 0.24, 0.19), (0.5, 0.43, 0.36)),
    "slate": ((0.2, 0.26, 0.31), (0.42, 0.48, 0.53)),
    "olive": ((0.25, 0.27, 0.19), (0.46, 0.48, 0.38)),
    "dark": ((0.07, 0.07, 0.09), (0.22, 0.22, 0.25)),
}
FAST: Final = 0.28
"""frame sides a second from which a caption says quickly"""
MODEL: Final = "template"
NO_SAMPLES: Final = hashlib.sha256().hexdigest()
"""captions come from the truth and not from samples: the digest of none"""
SHARD_BYTES: Final = 1 << 28
SHARD_CLIPS: Final = 5_000
CHUNK: Final = 125
BATCH_ROWS: Final = 1024


@dataclass(frozen=True, slots=True)
class Truth:
    """What a clip shows. Places and sizes are shares of the frame's side, x to the right, y down."""

    color: str
    shape: str
    direction: str
    speed: float
    """frame sides a second"""
    size: float
    """diameter of the circle, or side of the square or triangle"""
    start_x: float
    start_y: float
    end_x: float
    end_y: float
    background: str
    second_color: str | None
    second_shape: str | None
    template: int


SCHEMA: Final = pa.schema(
    [
        *(
            CLIPS.field(name)
            for name in (
                "clip_id", "source_id", "source_uri", "start_pts", "end_pts", "time_base", "start_s", "duration_s",
                "frames", "fps", "width", "height", "bytes", "sha256",
            )
        ),
        CLIPS.field("samples_sha256"),
        column("caption", pa.string()),
        column("caption_model", pa.string()),
        column("captions", pa.list_(CAPTION_STRUCT)),
        column("color", pa.string(), doc="of the moving shape"),
        column("shape", pa.string(), doc="circle, square or triangle"),
        column("direction", pa.string(), doc="left, right, up, down, or a diagonal such as up-left"),
        column("speed", pa.float64(), "1/s", "frame sides a second"),
        column("size", pa.float64(), doc="share of the frame's side"),
        *(column(name, pa.float64(), doc="of the shape's middle, share of the side") for name in ("start_x", "start_y", "end_x", "end_y")),
        column("background", pa.string(), doc="gray, brown, slate, olive or dark"),
        column("second_color", pa.string(), doc="of a shape that stands still; null where there is none"),
        column("second_shape", pa.string()),
        column("template", pa.int32(), doc="number of the caption's template"),
        column("seed", pa.int64()),
        column("number", pa.int64(), doc="of the clip in its seed"),
        LOCATION.field("shard"),
        LOCATION.field("offset"),
    ]
)  # fmt: skip


def render_shapes(
    directory: Path,
    count: int,
    *,
    seed: int = 0,
    size_px: int = 64,
    frames: int = 17,
    fps: int = 8,
    progress: Advance | None = None,
    processes: int = 2,
) -> Path:
    """Render `count` clips into `directory` as packed shards; return the path of their manifest.

    Raises `InputError` for an odd or tiny `size_px`, or fewer than two frames; `StorageError` when the
    folder cannot be written.
    """
    if size_px < 32 or size_px % 2 or frames < 2 or fps < 1 or count < 1:
        raise InputError(
            f"shapes of {size_px} px, {frames} frames: want an even size from 32 px and 2 frames or more"
        )
    storage = Storage(directory).create()
    chunks = [(seed, at, min(at + CHUNK, count), size_px, frames, fps) for at in range(0, count, CHUNK)]
    clips: list[tuple[dict[str, Any], bytes]] = []
    for made in _mapped(chunks, processes):
        clips += made
        if progress:
            progress(len(clips), count)
    clips.sort(key=lambda clip: str(clip[0]["clip_id"]))
    for stale in [entry.path for entry in storage.list("") if entry.path.endswith(".tar")]:
        storage.delete(stale)
    with SampleWriter(storage, ".", SHARD_BYTES, SHARD_CLIPS) as writer:
        for row, media in clips:
            shard, row["offset"] = writer.add(
                row["clip_id"], media, {name: row[name] for name in sample_columns(SCHEMA)}, captioned=True
            )
            row["shard"] = f"{shard:05d}.tar"
    _commit(storage, [row for row, _ in clips], writer.files, f"seed {seed}, {count} clips")
    return directory / "manifest.parquet"


def draw_clip(
    rng: np.random.Generator, size_px: int, frames: int, fps: int
) -> tuple[npt.NDArray[np.uint8], Truth]:
    """Return a clip (T, H, W, 3), RGB uint8, and what it shows, drawn from `rng`."""
    color, other = (str(name) for name in rng.choice(list(COLORS), 2, replace=False))
    shape, direction = str(rng.choice(SHAPES)), str(rng.choice(list(DIRECTIONS)))
    ground = str(rng.choice(list(GROUNDS)))
    size = float(rng.uniform(0.2, 0.34))
    duration_s = (frames - 1) / fps
    reach = min(0.94 - size, float(rng.uniform(0.3, 0.66)))
    dx, dy, _ = DIRECTIONS[direction]
    lane = rng.uniform(0.03 + size / 2, 0.97 - size / 2, 2)
    start = [
        _run_up(sign, reach, size, float(rng.uniform(0, 1)), float(across))
        for sign, across in zip((dx, dy), lane, strict=True)
    ]
    end = [start[0] + dx * reach, start[1] + dy * reach]
    speed = reach * math.hypot(dx, dy) / duration_s
    canvas = _background(ground, size_px, int(rng.integers(6)), rng)
    second = str(rng.choice(SHAPES)) if rng.random() < 0.3 else None
    if second:
        _paint(canvas[None], second, np.float32(COLORS[other]), rng.uniform(0.1, 0.9, (1, 2)), 0.16, 0.3)
    video = np.repeat(canvas[None], frames, axis=0)
    along = np.linspace(0, 1, frames)[:, None]
    centers = np.array(start)[None] * (1 - along) + np.array(end)[None] * along
    _paint(video, shape, np.float32(COLORS[color]), centers, size, float(rng.uniform(-0.25, 0.25)))
    noise = rng.normal(0, 0.012, (1, size_px, size_px, 1))
    pixels = np.clip((video + np.roll(noise, 3, axis=1)) * 255 + 0.5, 0, 255).astype(np.uint8)
    truth = Truth(
        color, shape, direction, round(speed, 5), round(size, 5), *(round(v, 5) for v in (*start, *end)), ground,
        other if second else None, second, int(rng.integers(len(TEMPLATES))),
    )  # fmt: skip
    return pixels, truth


def caption_of(truth: Truth) -> str:
    """Return the sentence that the clip's template makes of its truth."""
    past = (
        f" past a {truth.second_color} {truth.second_shape} that stands still" if truth.second_shape else ""
    )
    return TEMPLATES[truth.template].format(
        what=f"{truth.color} {truth.shape}",
        way=DIRECTIONS[truth.direction][2],
        pace="quickly " if truth.speed >= FAST else "slowly ",
        past=past,
        extent="large" if truth.size > 0.27 else "small",
        ground=truth.background,
    )


def _run_up(sign: int, reach: float, size: float, part: float, across: float) -> float:
    """Return where the middle starts on one axis, so that the whole path lies in the frame."""
    if sign == 0:
        return across
    free = max(0.0, 0.96 - size - reach)
    low = 0.02 + size / 2 + part * free
    return low if sign > 0 else low + reach


@lru_cache(maxsize=64)
def _ground(name: str, size_px: int, number: int) -> Floats:
    """Return a soft texture four times as large as the frame."""
    side = 4 * size_px
    dark, bright = GROUNDS[name]
    return ramp(
        fractal((side, side), 100 * number + 7, cell=size_px / 2, octaves=4), ((0.0, dark), (1.0, bright))
    )


def _background(name: str, size_px: int, number: int, rng: np.random.Generator) -> Floats:
    texture = _ground(name, size_px, number)
    y, x = (int(v) for v in rng.integers(0, 3 * size_px, 2))
    return texture[y : y + size_px, x : x + size_px].copy()


def _paint(
    video_THWC: Floats, shape: str, color: Floats, centers: npt.NDArray[np.float64], size: float, turn: float
) -> None:
    """Paint a shape, lit from the top left and with a soft shadow, at each frame's centre, in place."""
    side = video_THWC.shape[1]
    grid = (np.arange(side, dtype=np.float32) + 0.5) / side
    for frame, (cx, cy) in zip(video_THWC, centers, strict=True):
        x, y = (grid[None, :] - np.float32(cx)), (grid[:, None] - np.float32(cy))
        shade = _inside(shape, x - 0.025, y - 0.03, size, turn, 12.0)[..., None] * 0.35
        frame *= 1 - shade
        cover = _inside(shape, x, y, size, turn, float(side))[..., None]
        light = 1.0 - 0.5 * (x + y)[..., None] / size * 0.3
        frame *= 1 - cover
        frame += cover * np.clip(color * light, 0, 1)


def _inside(shape: str, x: Floats, y: Floats, size: float, turn: float, sharp: float) -> Floats:
    """Return how far (0..1) each point lies inside the shape; `sharp` is the edge's steepness."""
    half = size / 2
    cos, sin = np.float32(math.cos(turn)), np.float32(math.sin(turn))
    if shape == "circle":
        depth = half - np.hypot(x, y)
    elif shape == "square":
        depth = 0.9 * half - np.maximum(np.abs(x * cos + y * sin), np.abs(y * cos - x * sin))
    else:
        u, v = x * cos + y * sin, y * cos - x * sin
        depth = np.minimum(0.6 * half - v, 0.5 * (v + 1.06 * half) - 0.87 * np.abs(u))
    return np.clip(depth * sharp + 0.5, 0, 1, dtype=np.float32)


def _mapped(
    chunks: list[tuple[int, int, int, int, int, int]], processes: int
) -> Iterator[list[tuple[dict[str, Any], bytes]]]:
    if processes < 2 or len(chunks) < 4:
        yield from map(_chunk, chunks)
        return
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(_chunk, chunks)


def _chunk(job: tuple[int, int, int, int, int, int]) -> list[tuple[dict[str, Any], bytes]]:
    """Return the rows and the videos of clips [first, last) of a seed."""
    seed, first, last, size_px, frames, fps = job
    cv2.setNumThreads(1)
    made = []
    for number in range(first, last):
        video, truth = draw_clip(np.random.default_rng([seed, number]), size_px, frames, fps)
        media, time_base = _encoded(list(video), fps)
        sha = hashlib.sha256(media).hexdigest()
        source, end_pts = source_id(sha), int(Fraction(frames, fps) / time_base)
        caption = caption_of(truth)
        said = {
            "variant": "short", "caption": caption, "status": "ok", "caption_ok": True, "caption_model": MODEL,
            "words": len(caption.split()), "tokens": None, "samples_digest": NO_SAMPLES,
        }  # fmt: skip
        row: dict[str, Any] = {
            "clip_id": clip_id(source, 0, 0, end_pts), "source_id": source, "source_uri": f"shapes:{seed}/{number}",
            "start_pts": 0, "end_pts": end_pts, "time_base": str(time_base), "start_s": 0.0, "duration_s": frames / fps,
            "frames": frames, "fps": float(fps), "width": size_px, "height": size_px, "bytes": len(media), "sha256": sha,
            "samples_sha256": NO_SAMPLES, "caption": caption, "caption_model": MODEL, "captions": [said],
            "seed": seed, "number": number,
        }  # fmt: skip
        made.append(({**row, **asdict(truth)}, media))
    return made


def _encoded(video: list[Image], fps: int) -> tuple[bytes, Fraction]:
    """Return a clip as mp4 and its time base."""
    target = io.BytesIO()
    options = {"preset": "ultrafast", "crf": "20", "mbtree": "0"}
    with av.open(target, "w", format="mp4", options={"fflags": "+bitexact"}) as output:
        stream = output.add_stream("libx264", rate=fps, options=options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = video[0].shape[1], video[0].shape[0], "yuv420p"
        stream.codec_context.thread_count = 1
        for number, image in enumerate(video):
            frame = to_frame(image, "yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        time_base = stream.time_base
    assert time_base is not None
    return target.getvalue(), Fraction(time_base)


def _commit(storage: Storage, rows: list[dict[str, Any]], files: dict[str, FileDigest], what: str) -> None:
    """Write stats.json and then the manifest, which says that all is there."""
    batches = [
        pa.RecordBatch.from_pylist(rows[at : at + BATCH_ROWS], schema=SCHEMA)
        for at in range(0, len(rows), BATCH_ROWS)
    ]
    stats = Stats(SCHEMA)
    for batch in batches:
        stats.add(batch)
    shards = {name: asdict(digest) for name, digest in files.items()}
    text = (json.dumps(stats.summary() | {"shards": shards}, indent=1, sort_keys=True) + "\n").encode()
    storage.write("stats.json", text)
    files = {**files, "stats.json": FileDigest(len(text), hashlib.sha256(text).hexdigest())}
    stored = json.dumps({name: asdict(digest) for name, digest in sorted(files.items())})
    selection = hashlib.sha256(stored.encode()).hexdigest()
    options = json.dumps({"captioned": True, "shard_bytes": SHARD_BYTES, "shard_clips": SHARD_CLIPS})
    metadata = {"name": "shapes", "where": what, "selection": selection, "options": options, "files": stored}
    write_batches(storage, "manifest.parquet", SCHEMA, batches, metadata)
