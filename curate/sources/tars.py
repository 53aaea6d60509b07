"""A WebDataset of videos: each video in a tar is a source, read by range from where it lies.

Cost of a listing: the headers, a quarter of a MiB at a time, which is about one request a video.
"""

from __future__ import annotations

import io
import os
import re
import tarfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from curate.sources.entries import Entry, file_state
from curate.sources.names import is_video, local_path
from shards.errors import InputError
from shards.storage import Storage, beside

__all__ = ["all_members", "members", "tar_of"]

_MEMBER = "#"
_TAR = re.compile(rf"(.*?\.tar){_MEMBER}", re.IGNORECASE | re.DOTALL)
_AT_ONCE = 16
_AHEAD = 256 * 1024


def tar_of(uri: str) -> str:
    """Return the URI of the tar that holds the source `uri`."""
    found = _TAR.match(uri)
    assert found is not None
    return found[1]


def all_members(uris: Sequence[str]) -> list[Entry]:
    """Return the videos in each of these tars, several read at once."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return [entry for found in pool.map(members, uris) for entry in found]


def members(uri: str) -> list[Entry]:
    """Return the videos in the tar at `uri`, in its order; InputError where it cannot be read to its end."""
    try:
        size, version = file_state(uri)
        storage, name = beside(local_path(uri))
        raw = _Ranges(storage, name, size)
        with (
            io.BufferedReader(raw, _AHEAD) as file,  # type: ignore[type-var]
            tarfile.open(fileobj=file, mode="r:") as tar,
        ):
            found = [
                Entry(f"{uri}{_MEMBER}{member.name}", member.size, version, member.offset_data)
                for member in tar
                if member.isreg() and not member.issparse() and _is_taken(member.name)
            ]
            # `tarfile` takes a header that makes no sense for the end of the tar.
            file.seek(tar.offset)
            if any(file.read(tarfile.BLOCKSIZE)):
                raise tarfile.ReadError(f"damaged at byte {tar.offset}")
    except FileNotFoundError as exc:
        raise InputError(f"--input {uri}: no such file") from exc
    except (tarfile.TarError, OSError) as exc:
        raise InputError(
            f"--input {uri}: not a readable tar ({exc}); compressed ones cannot be read by range"
        ) from exc
    return found


def _is_taken(name: str) -> bool:
    return is_video(name) and not os.path.basename(name).startswith(".")


class _Ranges(io.RawIOBase):
    """A file whose every read is one of a range: of an object, no more than was asked for is fetched."""

    def __init__(self, storage: Storage, name: str, size: int) -> None:
        self._storage, self._name, self._size = storage, name, size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        length = min(len(buffer), max(0, self._size - self._at))
        if length:
            buffer[:length] = self._storage.read(self._name, self._at, length)
            self._at += length
        return length
