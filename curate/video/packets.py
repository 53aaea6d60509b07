"""The compressed packets that a later cut may need, and nothing more.

Memory is bounded by the open clip and the random-access interval that it starts in, and by a length and a
number of bytes: past them the oldest packets go, and the clips that needed them are transcoded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from av.packet import Packet
from av.video.stream import VideoStream

__all__ = ["KeptPacket", "PacketStore"]


class KeptPacket(NamedTuple):
    """A packet and its place in decoding order."""

    packet: Packet[VideoStream]
    pts: int | None
    order: int
    random_access: bool
    """decoding can start here, and is exact from this picture on"""


class PacketStore:
    """Packets in decoding order, from a random-access point on."""

    def __init__(self, limit_bytes: int, reach_pts: int) -> None:
        self._limit_bytes = limit_bytes
        self._reach_pts = reach_pts
        self._kept: deque[KeptPacket] = deque()
        self._random_access: deque[KeptPacket] = deque()
        self._order = 0
        self._bytes = 0
        self.evicted = False
        """packets have been dropped for want of room, or as too far back"""

    def append(self, packet: Packet[VideoStream], random_access: bool) -> None:
        """Keep the next packet."""
        kept = KeptPacket(packet, packet.pts, self._order, random_access)
        self._order += 1
        if random_access:
            self._random_access.append(kept)
        elif not self._random_access:
            return  # nothing can start here, nor at any packet kept before it
        self._kept.append(kept)
        self._bytes += packet.size
        while self._bytes > self._limit_bytes and self._kept:
            self.evicted = True
            self._random_access.popleft()
            self._drop_to(self._random_access[0].order if self._random_access else self._order)

    def release(self, before_pts: int) -> int | None:
        """Drop what only cuts that start before `before_pts` need, and what lies too far back for the others.

        Returns the PTS of the random-access point from which packets are kept, None if there is none.
        """
        points = self._random_access
        while len(points) > 1 and points[1].pts is not None and points[1].pts <= before_pts:
            points.popleft()
        if points and (points[0].pts is None or before_pts - points[0].pts > self._reach_pts):
            self.evicted = True
            points.popleft()
        self._drop_to(points[0].order if points else self._order)
        return points[0].pts if points else None

    def start_for(self, pts: int) -> KeptPacket | None:
        """Return the last random-access point that is shown at or before `pts`."""
        for kept in reversed(self._random_access):
            if kept.pts is not None and kept.pts <= pts:
                return kept
        return None

    def range(self, start: KeptPacket, start_pts: int, end_pts: int) -> Sequence[KeptPacket]:
        """Return the packets from `start` to the last in decoding order of those in [start_pts, end_pts)."""
        first = start.order - self._kept[0].order
        packets = [self._kept[index] for index in range(first, len(self._kept))]
        while packets and not (packets[-1].pts is not None and start_pts <= packets[-1].pts < end_pts):
            packets.pop()
        return packets

    def _drop_to(self, order: int) -> None:
        while self._kept and self._kept[0].order < order:
            self._bytes -= self._kept.popleft().packet.size
