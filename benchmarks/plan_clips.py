"""What planning a training run costs: `python benchmarks/plan_clips.py [--clips 1000000] [--limits]`.

Writes a manifest of clips that need not exist, of lengths, rates and sizes as on the internet, with two
captions each. Reads it for the recipe `cogvideox-2b` and plans an epoch of its stage of 480 px, whose packs
are 1.5 times the longest clip. `--manifest` does so over another manifest. Prints seconds, fill and peak
memory as JSON; `--limits` fails unless it took under a minute of CPU time and 2 GB, and filled 95 %.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from train.plan import Planner, read_manifest
from train.recipe import ManifestSource
from train.recipe_file import load_recipe

_STAGE = 1
_LIMIT_S, _LIMIT_BYTES, _LIMIT_FILL = 60.0, 2 * 10**9, 0.95
_SIZES = ((640, 360), (854, 480), (1280, 720), (1920, 1080), (3840, 2160), (720, 1280), (960, 720))
_SHARES = (0.1, 0.1, 0.3, 0.3, 0.05, 0.1, 0.05)


def write_manifest(path: Path, clips: int) -> None:
    """Write a manifest of `clips` clips, eight a source."""
    random = np.random.default_rng(0)
    width, height = np.array(_SIZES, np.int32)[random.choice(len(_SIZES), clips, p=_SHARES)].T
    fps = random.choice([24.0, 25.0, 30.0, 60.0], clips)
    duration_s = np.clip(random.lognormal(1.6, 0.7, clips), 2, 60)
    numbers = np.arange(clips)
    table = {
        "clip_id": [f"{number:032x}" for number in numbers],
        "source_id": [f"{number // 8:032x}" for number in numbers],
        "duration_s": duration_s,
        "frames": (duration_s * fps).astype(np.int64),
        "fps": fps,
        "width": width,
        "height": height,
        "aesthetic": random.normal(5, 1, clips),
        "aesthetic_model": ["laion"] * clips,
        "captions": [
            [
                {"caption": f"Of clip {number}, at some length, what is seen in it.", "caption_ok": True},
                {"caption": "In short.", "caption_ok": bool(number % 7)},
            ]
            for number in numbers
        ],
        "shard": ["../../clips/0.tar"] * clips,
        "offset": numbers,
        "bytes": numbers,
    }
    pq.write_table(pa.table(table), path, row_group_size=8192, compression="zstd")


def measure(path: Path) -> dict[str, Any]:
    """Return what reading a manifest and planning an epoch of it took."""
    wall, cpu = perf_counter(), process_time()
    recipe = load_recipe("cogvideox-2b", [f"stages.{_STAGE}.where=true"])
    manifest = read_manifest([ManifestSource(path=str(path))], recipe)
    planner = Planner(recipe, manifest)
    read_s = process_time() - cpu
    first, tokens, packs, clips, least = planner.first_steps[_STAGE], 0, 0, 0, 1.0
    budget = recipe.stages[_STAGE].tokens
    planner.skip_to(first, [0])
    steps = 0
    while planner.drawn[0] < len(manifest):
        step = planner.step(first + steps)
        steps += 1
        clips += len(step.clips)
        packs += len(step.packs)
        lengths = [pack.tokens for pack in step.packs]
        tokens += sum(lengths)
        least = min(least, min(lengths) / budget)
    return {
        "clips": len(manifest),
        "planned_clips": clips,
        "packs": packs,
        "seconds": round(perf_counter() - wall, 1),
        "cpu_s": round(process_time() - cpu, 1),
        "cpu_s_before_the_first_step": round(read_s, 1),
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "fill": round(tokens / (packs * budget), 4),
        "least_fill": round(least, 4),
        "shortened": round(planner.shortened / clips, 4),
    }


def main() -> int:
    """Measure, print, and compare with the limits if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=1_000_000)
    parser.add_argument("--manifest", type=Path)
    parser.add_argument("--limits", action="store_true")
    options = parser.parse_args()
    if options.manifest is not None:
        found = measure(options.manifest)
    else:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "manifest.parquet"
            # In a process of its own: its memory is not the planner's.
            writer = get_context("spawn").Process(target=write_manifest, args=(path, options.clips))
            writer.start()
            writer.join()
            found = measure(path)
    print(json.dumps(found, indent=2))
    within = found["cpu_s"] < _LIMIT_S and found["peak_bytes"] < _LIMIT_BYTES and found["fill"] >= _LIMIT_FILL
    return 0 if within or not options.limits else 1


if __name__ == "__main__":
    sys.exit(main())
