"""Files that are not what they say: pure functions from a whole file's bytes to broken ones."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np

__all__ = ["Damage", "empty", "flipped", "garbage", "huge_png", "lying_duration", "text", "truncated"]

Damage: TypeAlias = Callable[[bytes], bytes]

_LIE: Final = 0x7FFFFFFF


def truncated(share: float) -> Damage:
    """Return what keeps the first `share` of a file, as an upload that broke off does."""
    return lambda data: data[: int(len(data) * share)]


def flipped(start: float, end: float, every: int) -> Damage:
    """Return what inverts a byte in `every` between the shares `start` and `end` of a file."""

    def damage(data: bytes) -> bytes:
        values = np.frombuffer(data, np.uint8).copy()
        values[int(start * len(values)) : int(end * len(values)) : every] ^= 0xFF
        return values.tobytes()

    return damage


def empty(data: bytes) -> bytes:  # noqa: ARG001
    """Return nothing."""
    return b""


def text(data: bytes) -> bytes:  # noqa: ARG001
    """Return a page of prose: a file of text under a video's name."""
    return b"This is not a video, whatever its name says.\n" * 40


def garbage(data: bytes) -> bytes:
    """Return as many random bytes."""
    return np.random.default_rng(len(data)).bytes(len(data))


def lying_duration(data: bytes) -> bytes:
    """Return an mp4 whose header boxes declare centuries of 65,535 x 65,535 pixels.

    Overwrites the durations of mvhd, tkhd and mdhd (version 0) and tkhd's and stsd's sizes; the samples
    and their table stay right, so a careful reader still gets every frame.
    """
    values = bytearray(data)
    for box, offset in ((b"mvhd", 20), (b"tkhd", 24), (b"mdhd", 20)):
        at = values.index(box)
        values[at + offset : at + offset + 4] = struct.pack(">I", _LIE)
    at = values.index(b"tkhd") + 80
    values[at : at + 8] = struct.pack(">II", 65535 << 16, 65535 << 16)
    at = values.index(b"avc1", values.index(b"stsd")) + 28
    values[at : at + 4] = struct.pack(">HH", 65535, 65535)
    return bytes(values)


def huge_png(data: bytes) -> bytes:
    """Return a PNG whose header asks for 60,000 x 60,000 pixels: gigabytes, of a few kB."""
    start = data.index(b"IHDR")
    header = b"IHDR" + struct.pack(">II", 60_000, 60_000) + data[start + 12 : start + 17]
    return data[:start] + header + struct.pack(">I", zlib.crc32(header)) + data[start + 21 :]
