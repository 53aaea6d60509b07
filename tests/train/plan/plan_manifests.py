"""Manifests for tests of the planner: written as files, or made in memory as large as wished."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from train.plan import Manifest
from train.plan.keyed import hashed
from train.recipe import ManifestSource, Recipe, Stage

_DEFAULTS: dict[str, Any] = {
    "duration_s": 4.0, "frames": 96, "fps": 24.0, "width": 96, "height": 64,
    "shard": "clips.tar", "offset": 0, "bytes": 1,
    "captions": [{"caption": "A circle moves.", "caption_ok": True}],
}  # fmt: skip


def write_manifest(path: Path, rows: int, **columns: Any) -> str:
    """Write a manifest of `rows` clips; columns are one value for all, or a list."""
    made = {
        "clip_id": [f"{path.stem}-{number}" for number in range(rows)],
        "source_id": [f"source-{number}" for number in range(rows)],
        **{name: [value] * rows for name, value in _DEFAULTS.items()},
    }
    for name, value in columns.items():
        made[name] = value if isinstance(value, list) else [value] * rows
    pq.write_table(pa.table(made), path)
    return str(path)


def stage(**changes: Any) -> Stage:
    """Return a stage for the tiny transformer."""
    values: dict[str, Any] = {
        "name": "only", "steps": 20, "tokens": 600, "packs": 4, "short_side": 64, "max_seconds": 2.0,
        "fps": (8.0,),
    }  # fmt: skip
    return Stage(**values | changes)


def recipe(*stages: Stage, **changes: Any) -> Recipe:
    """Return a recipe for the tiny transformer, without clips held out."""
    values: dict[str, Any] = {"name": "test", "model": "tiny", "diffusion": "cogvideox-2b", "held_out": 0.0}
    return Recipe(stages=stages or (stage(),), **values | changes)


def simulated(clips: int, seed: int = 0, *, images: float = 0.0) -> Manifest:
    """Return clips as found on the internet: 2 to 60 s, 24 to 60 fps, 360p to 4K, wide and tall."""
    random = np.random.default_rng(seed)
    sizes = np.array(
        [(640, 360), (854, 480), (1280, 720), (1920, 1080), (3840, 2160), (720, 1280), (960, 720)]
    )
    width, height = sizes[random.choice(len(sizes), clips, p=[0.1, 0.1, 0.3, 0.3, 0.05, 0.1, 0.05])].T
    fps = random.choice([24.0, 25.0, 30.0, 60.0], clips)
    duration_s = np.clip(random.lognormal(1.6, 0.7, clips), 2, 60)
    frames = np.floor(duration_s * fps)
    frames[random.random(clips) < images] = 1
    ids = pa.array([f"{number:032x}" for number in range(clips)], pa.large_string())
    return Manifest(
        sources=(ManifestSource(path="simulated"),),
        starts=(0,),
        digest="0" * 64,
        clip_ids=ids,
        keys_N=hashed(ids.to_pylist()),
        held_out_N=np.zeros(clips, bool),
        duration_s_N=duration_s,
        fps_N=fps,
        frames_N=frames,
        width_N=width.astype(float),
        height_N=height.astype(float),
        captions_N=np.full(clips, 3, np.uint64),
        columns={"aesthetic": random.normal(5, 1, clips)},
        admitted=(np.ones(clips, bool),) * 4,
    )
