"""One source, read once: frames for the detectors, and clips cut out of what has gone by.

Packets pass through the store on their way to the decoder, so a span that has been seen can be copied
without reading the file again. What cannot be copied exactly is transcoded, and the clip says why. Memory:
the packets of the open clip and of the random-access interval that it starts in, the timestamps of the same
frames, and a few decoded pictures.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

from av.packet import Packet
from av.video.stream import VideoStream

from curate.frames import SmallFrame
from curate.video.bitstream import is_skipped_leading, with_sei
from curate.video.decode import Deblock, LinearDecoder, PacketSink, Picture
from curate.video.geometry import fit_short_side
from curate.video.packets import KeptPacket, PacketStore
from curate.video.planes import Shrinker
from curate.video.remux import CopiedPacket, copy_span
from curate.video.source import SourceInfo
from curate.video.transcode import Transcoder
from shards.errors import CutError

if TYPE_CHECKING:
    from curate.video.decord import DecordDecoder

Backend = Literal["pyav", "decord"]

__all__ = ["CutClip", "Frame", "VideoReader", "open_video"]


@dataclass(frozen=True, slots=True)
class CutClip:
    """A clip: one mp4."""

    data: bytes
    cut: Literal["copy", "transcode"]
    reason: str | None
    """why it was transcoded; null for a copy"""
    preroll_frames: int
    """stored before the first frame, hidden by the edit list"""
    postroll_frames: int
    """stored after the last frame, hidden likewise"""
    frames: int


class Frame:
    """One frame of a source, in display order. Good until the next one is asked for."""

    __slots__ = ("_info", "_picture", "_shrinker", "after_gap", "finished", "index", "pts", "time_s")

    def __init__(
        self,
        picture: Picture,
        index: int,
        after_gap: bool,
        info: SourceInfo,
        shrinker: Shrinker,
    ) -> None:
        self._picture = picture.picture
        self.finished = picture.finished
        """deblocked; others are for small planes"""
        self._info = info
        self._shrinker = shrinker
        self.index = index
        self.pts = pts = picture.pts
        self.time_s = pts * info.time_base.numerator / info.time_base.denominator
        self.after_gap = after_gap

    def small(self) -> SmallFrame:
        """Return the frame shrunk by halving; see `SmallFrame`."""
        return self._shrinker.small(self._picture, self.index, self.time_s)

    def jpeg(self, short_side_px: int, quality: int) -> bytes:
        """Return a JPEG as it is shown: rotated, square pixels, short side at most `short_side_px`."""
        info = self._info
        width, height = fit_short_side(info.width, info.height, short_side_px)
        return self._shrinker.jpeg(self._picture, width, height, quality)


class VideoReader:
    """Iterate once over the frames of a source; cut what has gone by, in rising order."""

    def __init__(
        self,
        path: str,
        *,
        backend: Backend,
        deblock: Deblock,
        packet_limit_bytes: int,
        preroll_limit_s: float,
        together: int,
    ) -> None:
        self._early: list[tuple[Packet[VideoStream], bool]] | None = []
        self._store: PacketStore | None = None
        self._decoder = (
            LinearDecoder(path, self._see_packet, deblock)
            if backend == "pyav"
            else _decord(path, self._see_packet)
        )
        self.info: SourceInfo = self._decoder.info
        self._reach_pts = int(preroll_limit_s / self.info.time_base)
        if self.info.transcode_reason is None:
            self._store = PacketStore(packet_limit_bytes, self._reach_pts)
            for packet, random_access in self._early:
                self._store.append(packet, random_access)
        self._early = None
        self._shrinker = Shrinker(self.info.orientation, self.info.color_matrix, together)
        self._transcoder = Transcoder(self.info, lambda: LinearDecoder(path))
        self._pts: list[int] = []
        self._gaps: set[int] = set()
        self._altered: set[int] = set()

    @property
    def error(self) -> str | None:
        """After iteration: null when the source was read whole, otherwise what was wrong, in one line."""
        return self._decoder.error

    def __iter__(self) -> Iterator[Frame]:
        info, shrinker, decoder = self.info, self._shrinker, self._decoder
        for index, picture in enumerate(decoder):
            pts = picture.pts
            gap = decoder.lost_before(pts) and index > 0
            if gap:
                self._gaps.add(pts)
            if picture.altered:
                self._altered.add(pts)
            self._pts.append(pts)
            yield Frame(picture, index, gap, info, shrinker)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; safe at any time."""
        self._decoder.close()
        self._transcoder.close()

    def release(self, before_pts: int) -> None:
        """Drop what only cuts that start before `before_pts` need."""
        kept_from = self._store.release(before_pts) if self._store is not None else None
        before = before_pts if kept_from is None else min(kept_from, before_pts)
        del self._pts[: bisect_left(self._pts, before)]
        for marks in (self._gaps, self._altered):
            marks.difference_update([pts for pts in marks if pts < before])

    def cut(self, start_pts: int, end_pts: int, mode: Literal["copy", "transcode"]) -> CutClip:
        """Return the frames with `start_pts <= pts < end_pts` as a clip that decodes to exactly these.

        The frames must have been yielded and not released; spans come in rising order and do not overlap.
        Raises CutError: no frame in the span, damage within it, or a failed encoder.
        """
        pts = self._pts[bisect_left(self._pts, start_pts) : bisect_left(self._pts, end_pts)]
        if not pts:
            raise CutError(f"no frame between PTS {start_pts} and {end_pts}")
        if not self._gaps.isdisjoint(pts[1:]):
            raise CutError(f"the source is damaged between PTS {start_pts} and {end_pts}")
        end_pts = max(end_pts, pts[-1] + 1)
        reason = "asked for" if mode == "transcode" else self.info.transcode_reason
        if reason is None and not self._altered.isdisjoint(pts):
            reason = "the picture's format changes"
        if reason is None:
            copied = self._copy(pts, end_pts)
            if isinstance(copied, CutClip):
                return copied
            reason = copied
        data = self._transcoder.encode(pts[0], end_pts, len(pts), end_pts - pts[-1])
        return CutClip(data, "transcode", reason, 0, 0, len(pts))

    def _copy(self, pts: Sequence[int], end_pts: int) -> CutClip | str:
        """Return the copied clip, or why it cannot be one."""
        store = self._store
        assert store is not None
        start = store.start_for(pts[0])
        if start is None:
            return "random-access point too far back" if store.evicted else "no clean random-access point"
        assert start.pts is not None
        if pts[0] - start.pts > self._reach_pts:
            return "random-access point too far back"
        packets = self._decodable(start, store.range(start, pts[0], pts[-1] + 1))
        shown = [kept.pts for kept in packets if kept.pts is not None]
        end_pts = min([end_pts, *(p for p in shown if p > pts[-1])])  # earlier where the next frame was lost
        # The frames that came out must be those that the packets announce, or the edit list would lie.
        if len(set(shown)) < len(packets) or sorted(p for p in shown if pts[0] <= p <= pts[-1]) != list(pts):
            return "no reliable timestamps"
        data = copy_span(self._decoder.stream, self._copied(packets), pts[0], end_pts, end_pts - pts[-1])
        if data is None:
            return "the muxer does not take it"
        preroll = sum(p < pts[0] for p in shown)
        postroll = sum(p >= end_pts for p in shown)
        return CutClip(data, "copy", None, preroll, postroll, len(pts))

    def _decodable(self, start: KeptPacket, packets: Sequence[KeptPacket]) -> list[KeptPacket]:
        """Leave out what a decoder that starts at `start` would skip."""
        decoder = self._decoder
        return [
            kept
            for kept in packets
            if kept is start
            or kept.random_access
            or kept.pts is None
            or start.pts is None
            or kept.pts > start.pts
            or not is_skipped_leading(decoder.codec, decoder.framing, bytes(kept.packet))
        ]

    def _copied(self, packets: Sequence[KeptPacket]) -> list[CopiedPacket]:
        copied: list[CopiedPacket] = []
        sei = self._decoder.first_sei
        for kept in packets:
            data = bytes(kept.packet)
            if not copied and sei is not None and kept.order > 0:
                data = with_sei(self._decoder.framing, data, sei)
            assert kept.pts is not None
            copied.append(CopiedPacket(data, kept.pts, kept.random_access))
        return copied

    def _see_packet(self, packet: Packet[VideoStream], random_access: bool) -> None:
        if self._early is not None:
            self._early.append((packet, random_access))  # the first frames are decoded before `info` is known
        elif self._store is not None:
            self._store.append(packet, random_access)


def _decord(path: str, sink: PacketSink) -> DecordDecoder:
    from curate.video.decord import DecordDecoder  # an extra: installed where it is asked for

    return DecordDecoder(path, sink)


def open_video(
    path: str,
    *,
    backend: Backend = "pyav",
    deblock: Deblock = "all",
    packet_limit_bytes: int = 256 * 2**20,
    preroll_limit_s: float = 30.0,
    together: int = 1,
) -> VideoReader:
    """Open a video or image file and decode its first frames.

    A clip that starts more than `preroll_limit_s` after the last random-access point, or whose packets since
    then are more than `packet_limit_bytes`, is transcoded: copied, it would be mostly what nobody sees.
    `deblock` saves a tenth of H.264's decoding where only `referenced` pictures are to be seen in full size.
    Small frames share memory with those that they are looked at `together` with.

    Raises SourceError: empty, not a media file, no video stream, or no frame that can be decoded.
    """
    return VideoReader(
        path,
        backend=backend,
        deblock=deblock,
        packet_limit_bytes=packet_limit_bytes,
        preroll_limit_s=preroll_limit_s,
        together=together,
    )
