"""One digest inside a Parquet file that covers every byte of it, footer included.

A table's commit must stay one atomic object, so there is no side file to hold its hash. The writer puts
64 zeros under the key `cogcurate.seal` into the footer's metadata; `seal` hashes the whole file with these
zeros in place and then overwrites them with the hash; `check` puts the zeros back and compares. Any reader
of Parquet sees one more metadata key. Cost: one reading of the file.
"""

from __future__ import annotations

import hashlib
import re
from typing import BinaryIO, Final

from shards.errors import IntegrityError
from shards.storage import CHUNK_BYTES, sha256_of

__all__ = ["BLANK", "SEAL_KEY", "check", "seal"]

SEAL_KEY: Final = "cogcurate.seal"
_PREFIX: Final = b"sha256:"
_DIGITS: Final = 64
BLANK: Final = (_PREFIX + b"0" * _DIGITS).decode()

# Between key and value Thrift's compact protocol has a field header and a length, two bytes or three.
_SEAL = re.compile(re.escape(SEAL_KEY.encode()) + rb".{1,4}" + _PREFIX + rb"([0-9a-f]{64})", re.DOTALL)
_TAIL_BYTES: Final = 8  # length of the footer, then "PAR1"


def seal(file: BinaryIO) -> str:
    """Write the digest of a finished Parquet file into its footer; return it, 64 hex digits.

    `file` is open for reading and writing and was written with `SEAL_KEY: BLANK` in its metadata.
    """
    position, found = _find(file)
    if found != b"0" * _DIGITS:
        raise ValueError("the file is sealed already")
    digest = _digest(file, position)
    file.seek(position)
    file.write(digest.encode())
    return digest


def check(file: BinaryIO) -> str:
    """Return the digest of a sealed Parquet file; raise `IntegrityError` if any byte of it has changed."""
    position, found = _find(file)
    digest = _digest(file, position)
    if digest.encode() != found:
        raise IntegrityError(f"its bytes do not match its own seal ({found.decode()[:12]}…)")
    return digest


def _find(file: BinaryIO) -> tuple[int, bytes]:
    """Return where the seal's digits lie, and the digits."""
    end = file.seek(0, 2)
    file.seek(max(0, end - _TAIL_BYTES))
    tail = file.read(_TAIL_BYTES)
    footer_bytes = int.from_bytes(tail[:4], "little")
    start = end - _TAIL_BYTES - footer_bytes
    if tail[4:] != b"PAR1" or start < 0:
        raise IntegrityError("not a whole Parquet file")
    file.seek(start)
    # The last match: texts of users can stand before it, but none after it.
    matches = list(_SEAL.finditer(file.read(footer_bytes)))
    if not matches:
        raise IntegrityError("a Parquet file without a seal; it was not written by this program")
    return start + matches[-1].start(1), matches[-1].group(1)


def _digest(file: BinaryIO, position: int) -> str:
    hasher = hashlib.sha256()
    file.seek(0)
    left = position
    while left and (chunk := file.read(min(left, CHUNK_BYTES))):
        hasher.update(chunk)
        left -= len(chunk)
    hasher.update(b"0" * _DIGITS)
    file.seek(position + _DIGITS)
    return sha256_of(file, hasher)
