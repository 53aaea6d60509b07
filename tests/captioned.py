"""A run of numbered frames, cut and not captioned, and what the caption pass is then told."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from numbered_video import write_numbered
from running import curate

__all__ = ["FPS", "arguments", "cut_numbered", "sha256"]

FPS, VIDEOS = 10, 12
PIPELINE = """
cut:
  unit_sources: 2
  passes: &passes
    split:
      stages:
        split:
          min_s: 2
          max_s: 6
          sample_every_s: 0.5
          detector: {"parts:JumpDetector": {jump: 300}}
          signals: {"parts:Tripod": {}}
echo:
  unit_sources: 2
  passes:
    <<: *passes
    caption:
      stages:
        caption:
          engine: {"echo_engine:Echo": {}}
          variants: {dense: summary, short: short}
          checks: {language: null, finished: false, max_repetition: 1}
served:
  unit_sources: 2
  passes:
    <<: *passes
    caption:
      stages:
        caption:
          engine:
            openai: {base_url: "http://127.0.0.1:9/v1", model: echo, backoff_s: 0.02, timeout_s: 5}
          variants: {dense: summary, direct: dense}
"""


def cut_numbered(folder: Path) -> Path:
    """Cut twelve videos into `folder/run`, by `folder/p.yaml`; return the folder."""
    (folder / "in").mkdir()
    for n in range(VIDEOS):
        write_numbered(folder / "in" / f"{n:02}.mp4", n, 5 + 3 * (n % 4), fps=FPS)
    (folder / "p.yaml").write_text(PIPELINE)
    done = curate(
        "run", "cut", "--pipelines", folder / "p.yaml", "--input", folder / "in", "--output", folder / "run"
    )
    assert done.returncode == 0, done.stderr
    return folder


def arguments(cut: Path, pipeline: str, engine: str, *more: str | Path, **options: Any) -> list[str | Path]:
    """Return the words of `curate caption` with options of an engine."""
    given = [f"caption.engine.{engine}.{key}={json.dumps(value)}" for key, value in options.items()]
    settings = [word for text in given for word in ("--set", text)]
    return [
        "caption", cut / "run", "--pipeline", pipeline, "--pipelines", cut / "p.yaml", "--workers", "2",
        *settings, *more,
    ]  # fmt: skip


def sha256(data: bytes) -> str:
    """Return the digest in hex."""
    return hashlib.sha256(data).hexdigest()
