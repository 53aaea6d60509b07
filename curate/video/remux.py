"""Copy packets into an mp4 that shows exactly one span of them.

The file starts at the random-access point before the span and ends at the last packet that its frames need.
An edit list hides what comes before; its length, patched in afterwards because no muxer sets it, hides what
comes after. Decoding times are made anew from the order of the presentation times, so that they are valid
whatever the source's container said. Same packets, same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
from av.packet import Packet
from av.video.stream import VideoStream

from curate.video.mp4 import movie_clock, set_presented_duration

__all__ = ["CopiedPacket", "copy_span"]


@dataclass(frozen=True, slots=True)
class CopiedPacket:
    """What is written of a packet."""

    data: bytes
    pts: int
    is_keyframe: bool
    """only where decoding can really start: a reader may skip to the last one before the span"""


def copy_span(
    template: VideoStream, packets: Sequence[CopiedPacket], start_pts: int, end_pts: int, last_duration: int
) -> bytes | None:
    """Return an mp4 of `packets` (decoding order) that shows [start_pts, end_pts).

    Times are in the template's time base. None where the muxer will not take them, or writes no edit list
    to trim by.
    """
    time_base = template.time_base
    assert time_base is not None
    scale, factor = movie_clock(time_base)
    clock = Fraction(1, scale)
    dts = _decoding_times([packet.pts for packet in packets])
    buffer = io.BytesIO()
    options = {"movie_timescale": str(scale), "video_track_timescale": str(scale), "fflags": "+bitexact"}
    try:
        with av.open(buffer, mode="w", format="mp4", container_options=options) as output:
            # `opaque` copies parameters without looking for an encoder, which AV1's decoder has none of.
            stream = output.add_stream_from_template(template, opaque=True)
            stream.time_base = clock
            stream.metadata.clear()
            for source, at in zip(packets, dts, strict=True):
                packet = Packet(source.data)
                packet.stream = stream
                packet.time_base = clock
                packet.pts = (source.pts - start_pts) * factor
                packet.dts = (at - start_pts) * factor
                packet.duration = last_duration * factor
                packet.is_keyframe = source.is_keyframe
                output.mux_one(packet)
    except (av.error.FFmpegError, ValueError):
        return None
    media = bytearray(buffer.getbuffer())
    if not set_presented_duration(media, (end_pts - start_pts) * factor):
        return None
    return bytes(media)


def _decoding_times(pts: Sequence[int]) -> list[int]:
    """Return strictly rising times, none after its packet's presentation, for packets in decoding order."""
    rising = sorted(pts)
    delay = max(shown_in_order - shown for shown_in_order, shown in zip(rising, pts, strict=True))
    return [time - delay for time in rising]
