"""Clips against their sources, frame by frame, by a reader that knows nothing of how they were cut."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np

__all__ = ["inexact_clips"]


def digest(frame: av.VideoFrame) -> str:
    """Return a hash of the visible samples of every plane, every fourth line: enough to know a frame by."""
    hasher = hashlib.blake2b(digest_size=16)
    for plane in frame.planes:
        rows = np.frombuffer(memoryview(plane), np.uint8)[: plane.line_size * plane.height]
        rows = rows.reshape(plane.height, plane.line_size)
        sample_bytes = 2 if any(c.bits > 8 for c in frame.format.components) else 1
        hasher.update(np.ascontiguousarray(rows[::4, : plane.width * sample_bytes]).tobytes())
    return hasher.hexdigest()


def source_frames(path: Path, stream: int) -> Iterator[tuple[int | None, str]]:
    """Yield (pts, digest) of the frames of a source, as far as it decodes."""
    with av.open(str(path)) as container:
        video = container.streams[stream]
        video.codec_context.thread_count = 1  # type: ignore[attr-defined]
        try:
            for frame in container.decode(video):
                assert isinstance(frame, av.VideoFrame)
                yield frame.pts, digest(frame)
        except av.FFmpegError:
            return


def inexact_clips(run: Path, rows: list[dict[str, Any]]) -> list[str]:
    """Return what is wrong with the copied clips among `rows`, and with the others' number of frames."""
    problems: list[str] = []
    by_source: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for row in rows:
        by_source.setdefault((row["source_uri"], row["stream"]), []).append(row)
    for (uri, stream), clips in by_source.items():
        frames = list(source_frames(Path(uri), stream)) if any(c["cut"] == "copy" for c in clips) else []
        for clip in clips:
            with (run / clip["tar"]).open("rb") as tar:
                tar.seek(clip["offset"])
                data = tar.read(clip["bytes"])
            with av.open(io.BytesIO(data)) as container:
                found = [digest(frame) for frame in container.decode(video=0)]
            name = f"{Path(uri).name} [{clip['start_frame']}, {clip['end_frame']})"
            if len(found) != clip["frames"]:
                problems.append(f"{name}: {len(found)} frames, not {clip['frames']}")
            elif clip["cut"] == "copy":
                wanted = [
                    d for pts, d in frames if pts is not None and clip["start_pts"] <= pts < clip["end_pts"]
                ]
                if found != wanted:
                    problems.append(
                        f"{name}: {sum(a != b for a, b in zip(found, wanted, strict=False))} frames differ"
                    )
    return problems
