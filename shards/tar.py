"""Tar files whose bytes depend on names and contents alone, written in order and cut back on demand.

Headers come from the standard library, in the ustar format, with no time, owner or host in them; the end
is padded as `tarfile` pads it, so a tar made here equals one that `tarfile` makes of the same members.
A member's name is a WebDataset name: what stands before the first dot is the key of its sample.
"""

from __future__ import annotations

import hashlib
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from shards.errors import IntegrityError

__all__ = ["FileDigest", "TarWriter", "iter_members"]

# A key without dots, then `.mp4`, or one more part that begins with a letter: `.s000.jpg`. `clip.0001.mp4`
# is refused: WebDataset would take `clip` for its key, and merge it with `clip.0002.mp4`.
_NAME = re.compile(r"[A-Za-z0-9_-]+(\.[a-z][a-z0-9_]*)?\.[a-z][a-z0-9]*")
_MAX_NAME = 100


@dataclass(frozen=True, slots=True)
class FileDigest:
    """How long a whole file is, and its SHA-256 in hex."""

    bytes: int
    sha256: str


class TarWriter:
    """Appends members to a tar and can roll back to an earlier position.

    Args:
        target: a path, or a seekable binary file opened for writing and standing at 0; a given file stays
            open after `close`.
    """

    def __init__(self, target: str | Path | BinaryIO) -> None:
        self._owned = isinstance(target, str | Path)
        self._file: BinaryIO = (
            Path(target).open("wb") if isinstance(target, str | Path) else target  # noqa: SIM115 (`close`)
        )
        self._position = 0
        self._hash = hashlib.sha256()
        self._marks: dict[int, tuple[hashlib._Hash, int]] = {}
        self._names: dict[str, None] = {}

    def __enter__(self) -> TarWriter:
        return self

    def __exit__(self, exc_type: type[BaseException] | None, *_: object) -> None:
        if exc_type is None:
            self.close()
        elif self._owned:
            self._file.close()

    @property
    def members(self) -> int:
        """How many members the tar holds."""
        return len(self._names)

    @property
    def position(self) -> int:
        """How many bytes the tar has so far."""
        return self._position

    def add(self, name: str, data: bytes) -> int:
        """Append a member and return the offset of its first data byte in the tar.

        Raises `ValueError` for a name that WebDataset would not read back as it was meant, or that is there.
        """
        if not _NAME.fullmatch(name) or len(name) > _MAX_NAME:
            raise ValueError(f"{name!r} is no WebDataset member name: want key.ext or key.part.ext")
        if name in self._names:
            raise ValueError(f"{name!r} is already in the tar")
        info = tarfile.TarInfo(name)
        info.size = len(data)
        offset = self._position + tarfile.BLOCKSIZE
        self._put(info.tobuf(tarfile.USTAR_FORMAT))
        self._put(data)
        self._put(bytes(-len(data) % tarfile.BLOCKSIZE))
        self._names[name] = None
        return offset

    def tell(self) -> int:
        """Return the end of the last member: a mark for `truncate`."""
        self._marks.setdefault(self._position, (self._hash.copy(), len(self._names)))
        return self._position

    def truncate(self, mark: int) -> None:
        """Remove every member added since `tell` returned `mark`."""
        if mark == self._position:
            return
        self._hash, members = self._marks[mark]
        self._hash = self._hash.copy()
        self._marks = {position: state for position, state in self._marks.items() if position <= mark}
        self._names = dict.fromkeys(list(self._names)[:members])
        self._file.seek(mark)
        self._file.truncate()
        self._position = mark

    def close(self) -> FileDigest:
        """Write the end of the archive and return the digest of the whole file."""
        self._put(bytes(2 * tarfile.BLOCKSIZE))
        self._put(bytes(-self._position % tarfile.RECORDSIZE))
        self._file.flush()
        if self._owned:
            self._file.close()
        return FileDigest(self._position, self._hash.hexdigest())

    def _put(self, data: bytes) -> None:
        self._file.write(data)
        self._hash.update(data)
        self._position += len(data)


def iter_members(file: BinaryIO) -> Iterator[tuple[str, int, int]]:
    """Yield (name, offset of the first data byte, size in bytes) of each member of an uncompressed tar.

    Raises `IntegrityError` when the tar is damaged or ends early; what came before was yielded.
    """
    end = file.seek(0, 2)
    file.seek(0)
    try:
        with tarfile.open(fileobj=file, mode="r:", errorlevel=2) as tar:
            while (info := tar.next()) is not None:
                if info.offset_data + info.size > end:
                    raise IntegrityError(f"the tar ends inside {info.name!r}; write it again")
                yield info.name, info.offset_data, info.size
                tar.members = []  # type: ignore[attr-defined]  # the list would grow with the tar
            if tar.offset + 2 * tarfile.BLOCKSIZE > end:
                raise IntegrityError("the tar has no end; it was truncated")
    except (tarfile.TarError, ValueError, EOFError) as exc:
        raise IntegrityError(f"not a readable tar: {exc}") from exc
