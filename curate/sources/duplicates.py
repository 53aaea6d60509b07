"""Copies of one content, found before anything runs, because the units that hold them run apart.

Only sources of equal size are read, and of those only their ends unless these agree too. One that cannot be
read is nobody's copy; but a store that does not answer is an error, for the units must not depend on it.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from curate.records import Source
from curate.sources.reading import read_source
from shards.errors import InputError, StorageError
from shards.storage import is_remote

__all__ = ["mark_duplicates"]

_END_BYTES = 64 * 1024
_CHUNK = 8 << 20
_READERS = 32


def mark_duplicates(sources: list[Source]) -> None:
    """Replace, in place, every source whose content a source of a lower URI has; `sources` are sorted."""
    sizes = Counter(source.bytes for source in sources)
    by_size: dict[int, list[int]] = defaultdict(list)
    for n, source in enumerate(sources):
        if source.bytes and sizes[source.bytes] > 1:
            by_size[source.bytes].append(n)
    with ThreadPoolExecutor(_READERS) as pool:
        alike = _grouped(sources, list(by_size.values()), _digest_ends, pool)
        for group in _grouped(sources, alike, _digest_whole, pool):
            first = sources[group[0]].uri
            for n in group[1:]:
                sources[n] = replace(sources[n], duplicate_of=first)


def _grouped(
    sources: Sequence[Source],
    groups: Sequence[Sequence[int]],
    digest: Callable[[Source], str],
    pool: ThreadPoolExecutor,
) -> list[list[int]]:
    """Return the groups of two and more into which `digest` divides `groups`, each in order."""
    every = [n for group in groups for n in group]
    digests = dict(zip(every, pool.map(lambda n: digest(sources[n]), every), strict=True))
    found = []
    for group in groups:
        same: dict[str, list[int]] = defaultdict(list)
        for n in group:
            same[digests[n]].append(n)
        found += [members for members in same.values() if len(members) > 1]
    return found


def _digest_ends(source: Source) -> str:
    """Return a digest of both ends; the URI, which nobody shares, where they cannot be read."""
    length = min(_END_BYTES, source.bytes)
    try:
        head = read_source(source, 0, length)
        tail = read_source(source, source.bytes - length, length)
    except (OSError, InputError, StorageError) as exc:
        return _unread(source, exc)
    return hashlib.sha256(head + tail).hexdigest()


def _digest_whole(source: Source) -> str:
    digest = hashlib.sha256()
    try:
        for start in range(0, source.bytes, _CHUNK):
            digest.update(read_source(source, start, min(_CHUNK, source.bytes - start)))
    except (OSError, InputError, StorageError) as exc:
        return _unread(source, exc)
    return digest.hexdigest()


def _unread(source: Source, exc: Exception) -> str:
    """Return what nobody shares, the URI; raise what a store's silence became."""
    # An object that is gone or shorter than was said has an answer behind it; silence is an OSError.
    silent = isinstance(exc.__cause__, OSError) and not isinstance(exc.__cause__, FileNotFoundError)
    if isinstance(exc, StorageError) and silent and is_remote(source.uri):
        raise exc
    return source.uri
