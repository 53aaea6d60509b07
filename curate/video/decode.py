"""Decode a stream once, from its first packet to its last, and give only what is sound.

Pictures come in display order with strictly rising integer timestamps. Where a packet is damaged, its picture
and all that may build on it are left out, up to the next clean random-access point; a decoder conceals and
goes on, which would put garbage into clips. Most damage shows in nothing but FFmpeg's log: an error logged
while a packet is decoded marks that packet, so that pictures decoded after it and shown before it are caught
too. PyAV counts these errors for the whole process: decode in one thread of a process at a time. Cost over a
bare decode: a dictionary entry and two looks at that count a packet.

Deblocking is up to two fifths of decoding H.264. Pictures that no other is built on can do without, if they
are only looked at small; that they did is said of each.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Literal, NamedTuple, cast

import av
from av.logging import FATAL, get_last_error, set_level
from av.packet import Packet
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from curate.video.bitstream import NalFraming, is_random_access, is_referenced, x264_sei
from curate.video.planes import LUMA_LONG_PX
from curate.video.source import SourceInfo, declared_end_s, describe, open_container
from shards.errors import SourceError

_END_SLACK_S = 0.5

__all__ = ["Clock", "Deblock", "LinearDecoder", "PacketSink", "Picture"]

Deblock = Literal["all", "referenced"]
"""Which pictures of H.264 are deblocked: all, or those that others are built on.

The latter only of streams that are halved to be looked at."""

PacketSink = Callable[["Packet[VideoStream]", bool], None]
"""Called with every packet in decoding order, and whether it is a clean random-access point."""


class Picture(NamedTuple):
    """One sound decoded picture."""

    picture: av.VideoFrame
    pts: int
    altered: bool
    """it had another size or format and was brought to that of the first"""
    finished: bool = True
    """it was deblocked: good to be looked at in full size"""


class Clock:
    """Gives every picture a timestamp later than the last."""

    def __init__(self, stream: VideoStream, reliable: bool) -> None:
        rate = stream.average_rate or stream.guessed_rate or Fraction(25)
        self._time_base = stream.time_base or Fraction(1, 90_000)
        self._period = 1 / (rate * self._time_base)
        self._start = stream.start_time or 0
        self._last: int | None = None
        self._count = 0
        self.reliable = reliable

    @property
    def end_s(self) -> float | None:
        """When the last picture ends; None before the first."""
        return None if self._last is None else float((self._last + self._period) * self._time_base)

    def stamp(self, pts: int | None) -> int:
        """Return `pts` if it can be believed, else the best guess: even spacing, or just after the last."""
        if pts is None and self._last is None:
            self.reliable = False
        guess = self._start + round(self._count * self._period) if not self.reliable else pts
        self._count += 1
        if self._last is not None:
            if guess is None:
                guess = self._last + max(1, round(self._period))
            guess = max(guess, self._last + 1)
        assert guess is not None
        self._last = guess
        return guess


class LinearDecoder:
    """Iterate over the sound pictures of a file's best video stream. Once."""

    def __init__(self, path: str, sink: PacketSink | None = None, deblock: Deblock = "all") -> None:
        set_level(FATAL)  # counts errors and emits nothing; PyAV's default does neither
        self._container, self.stream = open_container(path)
        try:
            self._context = self.stream.codec_context
            self._sink = sink
            self.codec = self._context.codec.canonical_name
            self.framing = NalFraming.of(self.codec, self._context.extradata)
            self.first_sei: bytes | None = None
            # AVI stores no presentation times: with reordering, what FFmpeg makes up is wrong.
            raw_order = self._container.format.name == "avi" and self._context.reorder_depth > 0
            self._clock = Clock(self.stream, not raw_order)
            # Which packet a picture comes from is told by its time.
            halved = max(self._context.width, self._context.height) > LUMA_LONG_PX
            self._spares = deblock == "referenced" and self.codec == "h264" and halved and not raw_order
            if self._spares:
                self._context.options = {"skip_loop_filter": "noref"}
            self._unfinished: set[int] = set()
            self._orders: dict[int | None, int] = {}
            self._packets = 0
            self._first_key: int | None = None
            self._random_access: deque[tuple[int, int | None]] = deque(maxlen=64)
            self._harmed: tuple[int, int] | None = None
            self._harm: tuple[int | None, str] | None = None
            self._lost: list[int] = []
            self._came_out = 0
            self._given = 0
            self._reformatter = VideoReformatter()
            self._pictures = self._run()
            self._primed = deque(p for p in (next(self._pictures, None) for _ in range(2)) if p)
            if not self._primed:
                detail = self._harm[1] if self._harm else "the decoder gave nothing"
                raise SourceError(f"no decodable frame in its {self.codec} stream: {detail}")
            self.info: SourceInfo = describe(
                self._container,
                self.stream,
                self._primed[0].picture,
                len(self._primed) == 1,
                self._clock.reliable,
            )
        except BaseException:
            self._container.close()
            raise

    @property
    def error(self) -> str | None:
        """What went wrong, in one line; null while and when all was sound."""
        if self._harm is None:
            return None
        pts, detail = self._harm
        declared = self.stream.frames
        of = f" of {declared} declared" if declared else ""
        where = f"damaged at {float(pts * self.info.time_base):.1f} s" if pts is not None else "cut short"
        return f"{where}: {self._given} frames decoded{of}: {detail}"

    def close(self) -> None:
        """Close the file; safe at any time."""
        self._container.close()

    def __iter__(self) -> Iterator[Picture]:
        while self._primed:
            yield self._primed.popleft()
        yield from self._pictures

    def lost_before(self, pts: int) -> bool:
        """Return whether pictures shown before `pts` were left out since the last such question."""
        lost = False
        while self._lost and self._lost[0] < pts:
            heapq.heappop(self._lost)
            lost = True
        return lost

    def _run(self) -> Iterator[Picture]:
        first: av.VideoFrame | None = None
        for decoded in self._decoded():
            order = self._orders.pop(decoded.pts, self._came_out)
            finished = order not in self._unfinished
            self._unfinished.discard(order)
            pts = self._admit(decoded, order)
            if pts is None:
                continue
            first = first or decoded
            self._given += 1
            picture, altered = decoded, False
            if (
                picture.width != first.width
                or picture.height != first.height
                or picture.format.name != first.format.name
            ):
                altered = True
                picture = self._reformatter.reformat(
                    decoded, width=first.width, height=first.height, format=first.format.name, threads=1
                )
            yield Picture(picture, pts, altered, finished)
        self._check_length()

    def _decoded(self) -> Iterator[av.VideoFrame]:
        """Demux and decode; note damage."""
        for packet in self._demuxed():
            flush = packet.size == 0 and packet.dts is None and packet.pts is None
            if packet.size == 0 and not flush:
                continue  # AVI's "show the last frame again": to the decoder it would mean the end
            order = self._packets
            if not flush:
                self._register(packet, order)
            errors = get_last_error()[0]
            try:
                pictures = packet.decode()
            except EOFError:
                return
            except av.error.FFmpegError as exc:
                self._damage(order, packet.pts, exc.strerror or str(exc))
                continue
            count, last = get_last_error()
            if count > errors and last is not None:
                self._damage(order, packet.pts, last[2].strip())
            elif packet.is_corrupt:
                self._damage(order, packet.pts, "the packet is incomplete")
            yield from pictures

    def _demuxed(self) -> Iterator[Packet[VideoStream]]:
        """Yield the packets and last an empty one, which makes the decoder give what it still holds."""
        while True:
            try:
                yield from self._container.demux(self.stream)
            except IndexError:
                # Damage can make FFmpeg announce a stream that PyAV did not see when it opened the file, and
                # fails over. That packet is not ours: go on behind it.
                continue
            except av.error.FFmpegError as exc:
                self._note(None, f"reading failed: {exc.strerror}")
                flush = cast("Packet[VideoStream]", Packet())
                flush.stream = self.stream
                yield flush
            return

    def _register(self, packet: Packet[VideoStream], order: int) -> None:
        clean = False
        pts = packet.pts
        if order == 0 and self.codec == "h264":
            self.first_sei = x264_sei(self.framing, bytes(packet))
        if packet.is_keyframe:
            if self._first_key is None:
                self._first_key = order
            clean = is_random_access(self.codec, self.framing, bytes(packet))
            if clean:
                self._random_access.append((order, pts))
        if self._spares and not is_referenced(self.framing, memoryview(packet)):
            self._unfinished.add(order)
        if not packet.is_discard:
            self._orders[pts] = order
        self._packets += 1
        if self._sink is not None:
            self._sink(packet, clean)

    def _admit(self, picture: av.VideoFrame, order: int) -> int | None:
        """Return the time of the picture of packet `order`, or None where it is not sound."""
        raw = picture.pts
        self._came_out += 1
        pts = self._clock.stamp(raw)
        if picture.is_corrupt:
            self._damage(order, pts, "the picture is corrupt")
            return None
        if self._harmed is not None and order >= self._harmed[0]:
            if not self._recovered(self._harmed[1], order, raw, picture):
                heapq.heappush(self._lost, pts)
                return None
            self._harmed = None
        return pts

    def _recovered(self, harmed: int, order: int, raw: int | None, picture: av.VideoFrame) -> bool:
        """Return whether decoding restarted cleanly between packet `harmed` and the picture."""
        if not self._clock.reliable or raw is None:
            return bool(picture.key_frame)
        return any(
            harmed < start <= order and (start_pts is None or start_pts <= raw)
            for start, start_pts in self._random_access
        )

    def _damage(self, order: int, pts: int | None, detail: str) -> None:
        """Leave out the picture of packet `order` and what is decoded after it, up to a clean restart."""
        if self._first_key is not None and order >= self._first_key:
            self._note(pts, detail)  # what comes before the first key frame cannot be sound: no damage
        first, last = self._harmed or (order, order)
        self._harmed = min(first, order), max(last, order)
        if pts is not None:
            heapq.heappush(self._lost, pts)

    def _note(self, pts: int | None, detail: str) -> None:
        if self._harm is None:
            self._harm = (pts, detail)
        elif pts is not None and self._harm[0] is not None:
            self._harm = (min(pts, self._harm[0]), self._harm[1])

    def _check_length(self) -> None:
        """Notice a file that ends before its own index or header says."""
        if "mp4" in self._container.format.name:
            indexed = len(self.stream.index_entries)
            if self._packets < indexed:
                self._note(None, f"the file ends after {self._packets} of {indexed} packets")
            return
        declared_s, end_s = declared_end_s(self._container, self.stream), self._clock.end_s
        if declared_s is not None and end_s is not None and end_s < declared_s - _END_SLACK_S:
            self._note(None, f"the file ends at {end_s:.1f} s of {declared_s:.1f} s declared")
