"""How many frames a clip decodes to, as any reader that honours edit lists sees it."""

from __future__ import annotations

import io

import av

from shards.errors import SourceError

__all__ = ["count_frames"]


def count_frames(data: bytes) -> int:
    """Decode the first video stream of `data`, a whole file, and return how many frames it shows.

    Raises SourceError where it cannot be decoded to its end.
    """
    try:
        with av.open(io.BytesIO(data), mode="r") as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            return sum(1 for _ in container.decode(stream))
    except (av.FFmpegError, IndexError) as exc:
        raise SourceError(f"does not decode: {exc}") from exc
