"""A small run directory with arbitrary bytes for media: what the split and caption passes would leave."""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa

from shards.errors import SourceError
from shards.ids import clip_id, source_id
from shards.run import PassInfo, RunFiles, RunInfo
from shards.schemas import CAPTIONS, CLIPS, FAILURES, SHOTS, SOURCES, column
from shards.tables import rows_to_table, table_path, write_table
from shards.tar import TarWriter

SIGNALS = pa.schema(
    [
        column("clip_id", pa.string(), nullable=False),
        column("motion_total", pa.float64(), "diagonal/s"),
        column("sharpness", pa.float64()),
    ]
)
SPLIT = PassInfo("5" * 64, ("sources", "shots", "signals", "clips"))
CAPTION = PassInfo("c" * 64, ("captions",), ("split",), "motion_total > 0.1")
FRAMES = 8


def make_run(
    root: Path, *, units: int = 2, sources: int = 2, clips: int = 3, captions: bool = True, seed: int = 0
) -> RunFiles:
    """Write a run of `units` units with `sources` sources each and `clips` clips a source.

    The last clip of each unit has no motion and is not admitted to the caption pass.
    """
    run = RunFiles.create(str(root))
    passes = {"split": SPLIT} | ({"caption": CAPTION} if captions else {})
    names = [f"u{number:03d}" for number in range(units)]
    run.write_info(RunInfo(passes, {"name": "fake"}, tuple(names)))
    rng = random.Random(seed)
    for unit in names:
        rows = write_split_unit(run, unit, sources, clips, rng)
        if captions:
            write_caption_unit(run, unit, rows)
    return run


def write_split_unit(run: RunFiles, unit: str, sources: int, clips: int, rng: random.Random) -> list[dict]:
    storage, fp8 = run.storage, SPLIT.fp8
    tar_path, samples_path = run.clip_tar(fp8, unit, 0), run.samples_tar(fp8, unit)
    tables: dict[str, list[dict]] = {"sources": [], "shots": [], "signals": [], "clips": []}
    with storage.scratch() as scratch:
        media, samples = TarWriter(scratch / "clips.tar"), TarWriter(scratch / "samples.tar")
        for number in range(sources):
            sha = hashlib.sha256(rng.randbytes(16)).hexdigest()
            uri = f"videos/{unit}-{number}.mp4"
            tables["sources"].append(source_row(uri, source_id(sha), clips))
            for shot in range(clips):
                row = clip_row(uri, source_id(sha), shot, media, samples, rng)
                row |= {"tar": tar_path, "samples_tar": samples_path}
                tables["clips"].append(row)
                motion = 0.0 if (number, shot) == (sources - 1, clips - 1) else rng.random() + 0.2
                signals = {"clip_id": row["clip_id"], "motion_total": motion, "sharpness": rng.random()}
                tables["signals"].append(signals)
                tables["shots"].append(shot_row(row))
        tables["sources"].append(
            {"source_uri": f"videos/{unit}-broken.mp4", "error": "SourceError: not a video"}
        )
        digests = {tar_path: media.close(), samples_path: samples.close()}
        storage.put(scratch / "clips.tar", tar_path)
        storage.put(scratch / "samples.tar", samples_path)
    write_failures(run, unit)
    metadata = {"unit": unit, "pass": "split", "fingerprint": SPLIT.fingerprint}
    counts = {"clips_in": len(tables["clips"]), "failed": 0, "not_admitted": 0}
    counted = {key: str(value) for key, value in counts.items()}
    files = json.dumps({path: asdict(digest) for path, digest in digests.items()})
    for name, schema in (("sources", SOURCES), ("shots", SHOTS), ("signals", SIGNALS), ("clips", CLIPS)):
        extra = counted | {"files": files} if name == "clips" else {}
        table = rows_to_table(tables[name], schema, name)
        write_table(storage, table_path(name, fp8, unit), table, metadata | extra)
    return [row | signals for row, signals in zip(tables["clips"], tables["signals"], strict=True)]


def source_row(uri: str, source: str, clips: int) -> dict:
    return {
        "source_uri": uri, "source_id": source, "bytes": 1000, "container": "mov,mp4", "codec": "h264",
        "width": 64, "height": 36, "fps": 8.0, "frames": FRAMES * clips, "duration_s": float(clips),
    }  # fmt: skip


def clip_row(
    uri: str, source: str, shot: int, media: TarWriter, samples: TarWriter, rng: random.Random
) -> dict:
    name = clip_id(source, 0, shot * 90000, (shot + 1) * 90000)
    video = b"FAKE" + rng.randbytes(rng.randrange(500, 3000))
    images = [rng.randbytes(rng.randrange(50, 400)) for _ in range(2)]
    offset = media.add(f"{name}.mp4", video)
    offsets = [samples.add(f"{name}.s{k:03d}.jpg", image) for k, image in enumerate(images)]
    return {
        "clip_id": name, "source_id": source, "source_uri": uri, "stream": 0, "shot": shot,
        "start_frame": shot * FRAMES, "end_frame": (shot + 1) * FRAMES, "start_pts": shot * 90000,
        "end_pts": (shot + 1) * 90000, "time_base": "1/90000", "start_s": float(shot), "duration_s": 1.0,
        "frames": FRAMES, "fps": 8.0, "width": 64, "height": 36, "cut": "copy", "preroll_frames": 0,
        "postroll_frames": 0, "offset": offset, "bytes": len(video),
        "sha256": hashlib.sha256(video).hexdigest(), "sample_times_s": [shot + 0.25, shot + 0.75],
        "sample_offsets": offsets, "sample_bytes": [len(image) for image in images],
        "samples_sha256": hashlib.sha256(b"".join(images)).hexdigest(),
    }  # fmt: skip


def shot_row(clip: dict) -> dict:
    return {
        "source_id": clip["source_id"], "shot": clip["shot"], "start_frame": clip["start_frame"],
        "end_frame": clip["end_frame"], "start_s": clip["start_s"], "end_s": clip["start_s"] + 1,
        "transition_in": "hard", "transition_out": "hard",
    }  # fmt: skip


def write_failures(run: RunFiles, unit: str) -> None:
    failure = {
        "pass": "split", "unit": unit, "stage": "split", "source_uri": f"videos/{unit}-broken.mp4",
        "error": "SourceError", "message": "not a video", "attempts": 1,
    }  # fmt: skip
    path = run.failures_path(SPLIT.fp8, "split", unit)
    write_table(run.storage, path, rows_to_table([failure], FAILURES, "failures"), {})


def write_caption_unit(run: RunFiles, unit: str, clips: list[dict]) -> None:
    admitted = [clip for clip in clips if clip["motion_total"] > 0.1]
    rows = [
        {
            "clip_id": clip["clip_id"], "variant": variant, "caption": f"{variant} text of {clip['clip_id']}",
            "status": "ok", "caption_ok": True, "caption_model": "fake-1", "words": 4,
            "problems": [], "request_id": f"{clip['clip_id']}/{variant}/1", "asked": 1,
            "parts": [
                {"template": "frame", "time_s": time_s - clip["start_s"], "text": "A frame.", "status": "ok"}
                for time_s in clip["sample_times_s"]
            ],
            "samples_digest": clip["samples_sha256"],
        }
        for clip in admitted
        for variant in ("short", "dense")
    ]  # fmt: skip
    metadata = {
        "unit": unit, "pass": "caption", "fingerprint": CAPTION.fingerprint, "where": CAPTION.where or "",
        "clips_in": str(len(clips)), "failed": "0", "not_admitted": str(len(clips) - len(admitted)),
    }  # fmt: skip
    path = table_path("captions", CAPTION.fp8, unit)
    write_table(run.storage, path, rows_to_table(rows, CAPTIONS, "captions"), metadata)


def video_decoder(data: bytes) -> int:
    """Stand in for the decoder that the CLI passes: media made here have `FRAMES` frames."""
    if not data.startswith(b"FAKE"):
        raise SourceError("not a video of this test")
    return FRAMES
