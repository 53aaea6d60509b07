"""Files of many latents each: written once, whole, and never changed (docs/decisions/0018).

A segment is a safetensors file of entries: `<key>/mean` and, unless there is no variance, `<key>/logvar`,
with a checksum of each entry in the file's metadata. It appears under its name when it is whole.
"""

from __future__ import annotations

import json
import os
import secrets
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import save_file
from torch import Tensor

from shards.errors import IntegrityError, StorageError

__all__ = ["SUFFIX", "Moments", "Place", "index_of", "read_entry", "write_segment"]

SUFFIX: Final = ".safetensors"
_MEAN, _LOGVAR = "mean", "logvar"
_DTYPES: Final[Mapping[str, torch.dtype]] = {"BF16": torch.bfloat16, "F32": torch.float32}
_HEADER_BYTES: Final = 8
_MOST_HEADER_BYTES: Final = 100 << 20

Moments = tuple[Tensor, Tensor | None]
"""mean and log-variance (C, T, H, W)"""


@dataclass(frozen=True, slots=True)
class _Piece:
    dtype: torch.dtype
    shape: tuple[int, ...]
    start: int
    """in the file"""
    end: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where an entry lies."""

    segment: str
    """name of the file"""
    mean: _Piece
    logvar: _Piece | None
    checksum: int


def write_segment(folder: Path, entries: Mapping[str, Moments]) -> str:
    """Write entries into a new segment of a folder; return its name. Raises StorageError."""
    tensors: dict[str, Tensor] = {}
    checksums: dict[str, str] = {}
    for key, (mean, logvar) in entries.items():
        parts = [mean.contiguous()] if logvar is None else [mean.contiguous(), logvar.contiguous()]
        tensors |= {f"{key}/{name}": part for name, part in zip((_MEAN, _LOGVAR), parts, strict=False)}
        checksum = 0
        for part in parts:
            checksum = zlib.crc32(part.view(torch.uint8).numpy(), checksum)
        checksums[key] = str(checksum)
    name = f"{secrets.token_hex(8)}{SUFFIX}"
    partial = folder / f".{name}.partial"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        save_file(tensors, partial, metadata=checksums)
        # safetensors makes files that their owner alone may read: whoever may list the folder may read them.
        partial.chmod(folder.stat().st_mode & 0o666)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(folder / name)
    except OSError as exc:
        partial.unlink(missing_ok=True)
        raise StorageError(f"{folder}: latents cannot be written: {exc.strerror or exc}") from exc
    return name


def index_of(path: Path) -> dict[str, Place]:
    """Return where the entries of a segment lie, by key. Raises IntegrityError for a broken file."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(_HEADER_BYTES), "little")
            if not 0 < length <= _MOST_HEADER_BYTES:
                raise ValueError(f"a header of {length} bytes")
            header: dict[str, Any] = json.loads(file.read(length))
            size = os.fstat(file.fileno()).st_size
        checksums = header.pop("__metadata__", {})
        pieces = {name: _piece(said, _HEADER_BYTES + length) for name, said in header.items()}
        if any(piece.end > size for piece in pieces.values()):
            raise ValueError("it was cut short")
        return {
            key: Place(path.name, pieces[f"{key}/{_MEAN}"], pieces.get(f"{key}/{_LOGVAR}"), int(checksum))
            for key, checksum in checksums.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise IntegrityError(f"{path}: not a readable file of latents: {exc}") from exc


def _piece(said: Mapping[str, Any], base: int) -> _Piece:
    start, end = said["data_offsets"]
    dtype, shape = _DTYPES[said["dtype"]], tuple(said["shape"])
    if end - start != dtype.itemsize * torch.Size(shape).numel():
        raise ValueError("sizes that do not agree")
    return _Piece(dtype, shape, base + start, base + end)


def read_entry(handle: int, place: Place) -> Moments:
    """Return the entry at a place of an open file. Raises IntegrityError where it is not what was written."""
    checksum, parts = 0, []
    for piece in (place.mean, place.logvar):
        if piece is None:
            continue
        data = bytearray(piece.end - piece.start)
        if os.preadv(handle, [data], piece.start) != len(data):
            raise IntegrityError(f"{place.segment}: an entry is cut short")
        checksum = zlib.crc32(data, checksum)
        parts.append(torch.frombuffer(data, dtype=piece.dtype).view(piece.shape))
    if checksum != place.checksum:
        raise IntegrityError(f"{place.segment}: an entry has other bytes than were written")
    return (parts[0], parts[1] if place.logvar is not None else None)
