"""Set the length of an mp4's presentation: the one thing that no muxer does for a copied clip.

Packets after the last frame are often needed as references, so a copied clip holds them; its edit list must
end before them. Works on whole files in memory, in place; cost: a few box headers.

Source: ISO/IEC 14496-12, 8.2.2 (mvhd), 8.3.2 (tkhd), 8.6.6 (elst).
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

__all__ = ["movie_clock", "set_presented_duration"]

_MIN_TIMESCALE = 1_000


def movie_clock(time_base: Fraction) -> tuple[int, int]:
    """Return (ticks a second, ticks a unit of `time_base`) of an mp4 that keeps its times exactly.

    Very coarse clocks (AVIF: one tick a second) are refined, as readers round on them.
    """
    finer = -(-_MIN_TIMESCALE // time_base.denominator)
    return time_base.denominator * finer, time_base.numerator * finer


def set_presented_duration(media: bytearray, duration: int) -> bool:
    """Set the only edit's length, and the durations that follow from it, to `duration` movie time units.

    Returns False, with `media` untouched, where the file has no edit list of exactly one edit (empty edits
    that delay the start count too).
    """
    moov = _find(media, 0, len(media), [b"moov"])
    if moov is None:
        return False
    elst = _find(media, *moov, [b"trak", b"edts", b"elst"])
    mvhd = _find(media, *moov, [b"mvhd"])
    tkhd = _find(media, *moov, [b"trak", b"tkhd"])
    if elst is None or mvhd is None or tkhd is None or _get(media, elst[0] + 4, 4) != 1:
        return False
    # offset of the duration field behind the box header: (version 0, version 1)
    for (start, _), offsets in ((elst, (8, 8)), (mvhd, (16, 24)), (tkhd, (20, 28))):
        version = media[start]
        width = 8 if version else 4
        at = start + offsets[1 if version else 0]
        media[at : at + width] = duration.to_bytes(width, "big")
    return True


def _get(media: bytearray, at: int, width: int) -> int:
    return int.from_bytes(media[at : at + width], "big")


def _find(media: bytearray, start: int, end: int, path: list[bytes]) -> tuple[int, int] | None:
    """Return the extent of the contents of the first box at `path`."""
    for kind, inner, after in _boxes(media, start, end):
        if kind == path[0]:
            return (inner, after) if len(path) == 1 else _find(media, inner, after, path[1:])
    return None


def _boxes(media: bytearray, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    at = start
    while at + 8 <= end:
        size, header = _get(media, at, 4), 8
        if size == 1:
            size, header = _get(media, at + 8, 8), 16
        elif size == 0:
            size = end - at
        if size < header:
            return
        yield bytes(media[at + 4 : at + 8]), at + header, at + size
        at += size
