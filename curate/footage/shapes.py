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
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, TypeAlias

import av
import cv2
import numpy as np
import pyarrow as pa
from av.video.stream import VideoStream

from curate.footage.drawing import caption_of, draw_clip
from curate.footage.plain_shapes import draw_plain_clip, plain_caption_of
from curate.footage.planes import to_frame
from curate.footage.textures import Image
from shards.errors import InputError
from shards.ids import clip_id, source_id
from shards.samples import SampleWriter, Stats, sample_columns
from shards.schemas import CAPTION_STRUCT, CLIPS, LOCATION, column
from shards.storage import Storage, open_storage
from shards.tables import write_batches
from shards.tar import FileDigest

__all__ = ["SCHEMA", "render_shapes"]

_Job: TypeAlias = tuple[int, int, int, int, int, int, bool]
Advance: TypeAlias = Callable[[int, int], None]

MODEL: Final = "template"
NO_SAMPLES: Final = hashlib.sha256().hexdigest()
"""captions come from the truth and not from samples: the digest of none"""
SHARD_BYTES: Final = 1 << 28
SHARD_CLIPS: Final = 5_000
CHUNK: Final = 125
BATCH_ROWS: Final = 1024


SCHEMA: Final = pa.schema(
    [
        *(
            CLIPS.field(name)
            for name in (
                "clip_id",
                "source_id",
                "source_uri",
                "start_pts",
                "end_pts",
                "time_base",
                "start_s",
                "duration_s",
                "frames",
                "fps",
                "width",
                "height",
                "bytes",
                "sha256",
            )
        ),
        CLIPS.field("samples_sha256"),
        column("caption", pa.string()),
        column("caption_model", pa.string()),
        column("captions", pa.list_(CAPTION_STRUCT)),
        column("color", pa.string(), doc="of the moving shape"),
        column("shape", pa.string(), doc="circle, square or triangle"),
        column("direction", pa.string(), doc="left, right, up, down, a diagonal such as up-left, or still"),
        column("speed", pa.float64(), "1/s", "frame sides a second"),
        column("size", pa.float64(), doc="share of the frame's side"),
        *(
            column(name, pa.float64(), doc="of the shape's middle, share of the side")
            for name in ("start_x", "start_y", "end_x", "end_y")
        ),
        column("background", pa.string(), doc="gray, brown, slate, moss or dark"),
        column("second_color", pa.string(), doc="of a shape that stands still; null where there is none"),
        column("second_shape", pa.string()),
        column("template", pa.int32(), doc="number of the caption's template; null: a plain clip"),
        column("seed", pa.int64()),
        column("number", pa.int64(), doc="of the clip in its seed"),
        LOCATION.field("shard"),
        LOCATION.field("offset"),
    ]
)


def render_shapes(
    directory: Path,
    count: int,
    *,
    seed: int = 0,
    size_px: int = 64,
    frames: int = 17,
    fps: int = 8,
    plain: bool = False,
    progress: Advance | None = None,
    processes: int = 2,
) -> Path:
    """Render `count` clips into `directory` as packed shards; return the path of their manifest.

    Plain clips say one thing each, which can be seen (`curate.footage.plain_shapes`): a set that captioners
    are tried on. `truth.jsonl` beside the manifest has each clip's caption and what it shows, by the id that
    the clip has as a source: cut the shards' videos by `curate run --input 'DIR/*.tar'`, and compare.

    Raises `InputError` for an odd or tiny `size_px`, or fewer than two frames; `StorageError` when the
    folder cannot be written.
    """
    if size_px < 32 or size_px % 2 or frames < 2 or fps < 1 or count < 1:
        raise InputError(
            f"shapes of {size_px} px, {frames} frames: want an even size from 32 px and 2 frames or more"
        )
    storage = open_storage(directory).create()
    chunks = [
        (seed, at, min(at + CHUNK, count), size_px, frames, fps, plain) for at in range(0, count, CHUNK)
    ]
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
    rows = [row for row, _ in clips]
    storage.write("truth.jsonl", _truth(rows))
    _commit(storage, rows, writer.files, f"seed {seed}, {count} clips")
    return directory / "manifest.parquet"


def _mapped(chunks: list[_Job], processes: int) -> Iterator[list[tuple[dict[str, Any], bytes]]]:
    if processes < 2 or len(chunks) < 4:
        yield from map(_chunk, chunks)
        return
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(_chunk, chunks)


def _chunk(job: _Job) -> list[tuple[dict[str, Any], bytes]]:
    """Return the rows and the videos of clips [first, last) of a seed."""
    seed, first, last, size_px, frames, fps, plain = job
    draw, tell = (draw_plain_clip, plain_caption_of) if plain else (draw_clip, caption_of)
    cv2.setNumThreads(1)
    made = []
    for number in range(first, last):
        video, truth = draw(np.random.default_rng([seed, number]), size_px, frames, fps)
        media, time_base = _encoded(list(video), fps)
        sha = hashlib.sha256(media).hexdigest()
        source, end_pts = source_id(sha), int(Fraction(frames, fps) / time_base)
        caption = tell(truth)
        said = {field.name: None for field in CAPTION_STRUCT} | {
            "problems": [],
            "variant": "short",
            "caption": caption,
            "status": "ok",
            "caption_ok": True,
            "caption_model": MODEL,
            "words": len(caption.split()),
            "samples_digest": NO_SAMPLES,
        }
        row: dict[str, Any] = {
            "clip_id": clip_id(source, 0, 0, end_pts),
            "source_id": source,
            "source_uri": f"shapes:{seed}/{number}",
            "start_pts": 0,
            "end_pts": end_pts,
            "time_base": str(time_base),
            "start_s": 0.0,
            "duration_s": frames / fps,
            "frames": frames,
            "fps": float(fps),
            "width": size_px,
            "height": size_px,
            "bytes": len(media),
            "sha256": sha,
            "samples_sha256": NO_SAMPLES,
            "caption": caption,
            "caption_model": MODEL,
            "captions": [said],
            "seed": seed,
            "number": number,
        }
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


def _truth(rows: list[dict[str, Any]]) -> bytes:
    told = ("source_id", "clip_id", "caption", "color", "shape", "direction")
    return "".join(json.dumps({name: row[name] for name in told}) + "\n" for row in rows).encode()


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
