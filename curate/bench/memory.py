"""Peak memory of a worker and its decoder child, by the length of the source.

A source of any length is made by encoding half a minute once and muxing its packets over and over, so that
two hours cost seconds to make. The split pass then runs over each in a worker process of its own.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from multiprocessing import get_context
from pathlib import Path

import av
import cv2
import numpy as np
from rich.table import Table

from curate.plan import Plan
from curate.sources import list_sources
from curate.split.unit import SplitRunner
from curate.tasks import Task
from curate.units import Unit
from shards.storage import open_storage

__all__ = ["MemoryUse", "bench_memory", "render_memory", "write_long_video"]

_LOOP_S = 30


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """What one source took."""

    minutes: float
    frames: int
    clips: int
    peak_mb: float
    """worker and decoder child together, resident, 10^6 bytes"""


def write_long_video(
    path: Path, *, minutes: float, fps: int = 25, width: int = 640, height: int = 360
) -> None:
    """Write an H.264 mp4 of textured, moving content: half a minute, repeated."""
    loop = _encode_loop(fps, width, height)
    with av.open(io.BytesIO(loop), "r") as source, av.open(str(path), "w") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        packets = [(bytes(p), p.pts, p.dts, p.is_keyframe) for p in source.demux(stream) if p.dts is not None]
        assert stream.time_base is not None
        length = round(_LOOP_S / stream.time_base)
        for turn in range(max(1, round(minutes * 60 / _LOOP_S))):
            for data, pts, dts, key in packets:
                packet = av.Packet(data)
                packet.stream, packet.time_base, packet.is_keyframe = copy, stream.time_base, key
                assert pts is not None
                packet.pts, packet.dts = pts + turn * length, dts + turn * length
                target.mux(packet)


def _encode_loop(fps: int, width: int, height: int) -> bytes:
    """Return half a minute of a texture that drifts and turns, as mp4."""
    rng = np.random.default_rng(0)
    texture = cv2.GaussianBlur(rng.integers(0, 256, (2 * height, 2 * width, 3), np.uint8), (0, 0), 3)
    texture = cv2.normalize(texture, None, 0, 255, cv2.NORM_MINMAX)
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=fps, options={"preset": "ultrafast", "crf": "28"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.gop_size = 2 * fps
        for n in range(_LOOP_S * fps):
            angle = 2 * np.pi * n / (_LOOP_S * fps)
            x, y = width / 2 * (1 + np.cos(angle)), height / 2 * (1 + np.sin(angle))
            rgb = np.ascontiguousarray(texture[int(y) : int(y) + height, int(x) : int(x) + width])
            frame = av.VideoFrame.from_ndarray(rgb, "rgb24")
            frame.pts, frame.time_base = n, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return buffer.getvalue()


def peak_bytes(pid: int | str) -> int:
    """Return the most that a process has had resident, as Linux counts it."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        line = next(line for line in file if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def _measure(plan: Plan, minutes: float, fps: int) -> MemoryUse:
    """Run in a fresh process: make the source, split it, and report."""
    with tempfile.TemporaryDirectory(prefix="curate-bench-") as folder:
        path = Path(folder) / "long.mp4"
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            pool.submit(_write, str(path), minutes, fps).result()
        runner = SplitRunner(plan.passes[0], open_storage(f"{folder}/run").create())
        try:
            unit = Unit("long", list_sources([str(path)]).sources)
            counts = runner.run(Task("split", unit), lambda _: None).counts
            peak = peak_bytes("self") + peak_bytes(runner.decoder_pid)
        finally:
            runner.close()
    return MemoryUse(minutes, int(counts["frames"]), int(counts["rows"]), peak / 1e6)


def _write(path: str, minutes: float, fps: int) -> None:
    write_long_video(Path(path), minutes=minutes, fps=fps)


def bench_memory(plan: Plan, minutes: Sequence[float], *, fps: int = 25) -> list[MemoryUse]:
    """Return the peak memory for sources of so many minutes each."""
    uses = []
    for length in minutes:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            uses.append(pool.submit(_measure, plan, length, fps).result())
    return uses


def render_memory(uses: Sequence[MemoryUse]) -> Table:
    """Return the figures as a table."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("minutes", "frames", "clips", "peak MB"):
        table.add_column(name, justify="right")
    for use in uses:
        table.add_row(f"{use.minutes:g}", str(use.frames), str(use.clips), f"{use.peak_mb:.0f}")
    return table
