"""Pictures from decord instead of PyAV: the same frames at the same times, as RGB.

decord knows nothing of edit lists, of a frame's timestamp to the tick, or of damage, so the packets are
listed by PyAV first: the n-th picture that decord gives belongs to the n-th packet in order of presentation,
and those that an edit list hides are dropped. Where the two do not count the same frames, the source is
refused. Luma and chroma come back from RGB, so they differ from the stream's own by rounding and clipping.
Cost: RGB at full size (docs/decisions/0002-decode-with-pyav.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import av
import numpy as np

from curate.video.bitstream import is_random_access
from curate.video.decode import Clock, LinearDecoder, PacketSink, Picture
from curate.video.source import open_container
from shards.errors import SourceError

__all__ = ["DecordDecoder"]

_PACKETS_AHEAD = 32
"""more than any codec reorders: the packets of a picture have been seen when it is given"""


class DecordDecoder:
    """Iterate over the pictures of a file's best video stream, and pass its packets to `sink`. Once."""

    def __init__(self, path: str, sink: PacketSink) -> None:
        import decord

        self._path = path
        self._sink = sink
        self._broken: str | None = None
        self._described = LinearDecoder(path)
        try:
            self.info, self.stream = self._described.info, self._described.stream
            self.codec, self.framing = self._described.codec, self._described.framing
            self.first_sei = self._described.first_sei
            self._shown = self._presentation()
            try:
                self._reader = decord.VideoReader(path, ctx=decord.cpu(0), num_threads=1)
            except (decord.DECORDError, RuntimeError) as exc:
                detail = next(iter(str(exc).strip().splitlines()), "no reason given")
                raise SourceError(f"decord cannot open it, use the pyav decoder: {detail:.150}") from exc
            if len(self._reader) != len(self._shown):
                raise SourceError(
                    f"decord counts {len(self._reader)} frames and the file has {len(self._shown)}: "
                    "use the pyav decoder"
                )
        except BaseException:
            self._described.close()
            raise

    @property
    def error(self) -> str | None:
        """Why decord stopped early, in one line; null otherwise: it does not tell of damage."""
        return self._broken

    def close(self) -> None:
        """Close the file; safe at any time."""
        self._described.close()

    def lost_before(self, pts: int) -> bool:  # noqa: ARG002 - the other decoder's question
        """Return False: decord leaves nothing out."""
        return False

    def __iter__(self) -> Iterator[Picture]:
        import decord

        back = self.info.orientation.inverse()
        packets = self._feed()
        for _ in islice(packets, _PACKETS_AHEAD):
            pass
        for index, (pts, hidden) in enumerate(self._shown):
            next(packets, None)
            try:
                rgb = self._reader.next().asnumpy()
            except (decord.DECORDError, StopIteration) as exc:
                detail = next(iter(str(exc).strip().splitlines()), "the end")
                self._broken = f"{index} frames decoded of {len(self._shown)} declared: decord: {detail:.150}"
                return
            if not hidden:
                stored = np.ascontiguousarray(back.apply(rgb))
                yield Picture(av.VideoFrame.from_ndarray(stored, format="rgb24"), pts, False)

    def _presentation(self) -> list[tuple[int, bool]]:
        """Return (pts, hidden by an edit list) of every packet, in order of presentation."""
        container, stream = open_container(self._path)
        with container:
            seen = [(p.pts, p.is_discard) for p in container.demux(stream) if p.size]
        if not self.info.reliable_pts or any(pts is None for pts, _ in seen):
            clock = Clock(stream, reliable=False)
            return [(clock.stamp(None), hidden) for _, hidden in seen]
        return sorted((pts, hidden) for pts, hidden in seen if pts is not None)

    def _feed(self) -> Iterator[None]:
        container, stream = open_container(self._path)
        with container:
            for packet in container.demux(stream):
                if packet.size:
                    clean = packet.is_keyframe and is_random_access(self.codec, self.framing, bytes(packet))
                    self._sink(packet, clean)
                    yield
