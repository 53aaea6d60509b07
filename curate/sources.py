"""From what the user names to the list of sources: folders, files and globs, in URI order.

A local source's URI is its absolute path. A name that is not valid UTF-8 cannot stand in a table, so it
becomes a percent-encoded `file://` URI. Copies of one content are found here, because the units that hold
them run apart: only files of equal size are read, and of those only their ends unless these agree too.
"""

from __future__ import annotations

import glob
import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from curate.records import Source
from shards.errors import ConfigError, InputError

__all__ = ["IMAGE_SUFFIXES", "VIDEO_SUFFIXES", "Listing", "list_sources", "local_path", "stat_version"]

VIDEO_SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *(
            "3g2",
            "3gp",
            "asf",
            "avi",
            "divx",
            "dv",
            "f4v",
            "flv",
            "gif",
            "h264",
            "hevc",
            "ivf",
            "m2ts",
            "m4v",
        ),
        *("mj2", "mkv", "mov", "mp4", "mpeg", "mpg", "mts", "mxf", "nut", "ogm", "ogv", "qt", "rm", "rmvb"),
        *("ts", "vob", "webm", "wmv", "y4m"),
    )
)
IMAGE_SUFFIXES = frozenset({".avif", ".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})
_END_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Listing:
    """The sources of a run, and what in the folders was passed over because of its name."""

    sources: tuple[Source, ...]
    ignored: dict[str, int]
    """suffix → how many files"""


def local_path(uri: str) -> str:
    """Return the path that opens `uri`."""
    if uri.startswith("file://"):
        return os.fsdecode(unquote(urlsplit(uri).path, errors="surrogateescape"))
    return uri


def stat_version(path: str) -> tuple[int, str]:
    """Return size and version of a file: what must not change while it is read."""
    stat = os.stat(path)
    return stat.st_size, str(stat.st_mtime_ns)


def list_sources(inputs: Sequence[str]) -> Listing:
    """Return every source under `inputs` in URI order, duplicates marked.

    A folder is searched to the bottom for files named like video or images; a file named by itself is taken
    whatever its name. Raises InputError when an input is not there or nothing is found.
    """
    ignored: Counter[str] = Counter()
    found: dict[str, Source] = {}
    for text in inputs:
        for path in _expand(text, ignored):
            source = _source(path)
            found[source.uri] = source
    if not found:
        passed = ", ".join(f"{n} × {suffix or 'no suffix'}" for suffix, n in sorted(ignored.items()))
        raise InputError(
            f"no video or image in {', '.join(inputs)}"
            + (f" (not taken by their names: {passed})" if passed else "")
        )
    return Listing(tuple(_mark_duplicates([found[uri] for uri in sorted(found)])), dict(ignored))


def _expand(text: str, ignored: Counter[str]) -> Iterator[str]:
    scheme = text.partition("://")[0] if "://" in text else "file"
    if scheme != "file":
        raise ConfigError(f"--input {text}: sources are read from local paths; {scheme}:// is not supported")
    path = os.path.abspath(local_path(text))
    if os.path.isdir(path):
        yield from _walk(path, ignored)
    elif os.path.lexists(path):
        yield path
    elif glob.has_magic(text):
        matches = sorted(glob.glob(path, recursive=True))
        if not matches:
            raise InputError(f"--input {text}: matches no file")
        for match in matches:
            if os.path.isdir(match):
                yield from _walk(match, ignored)
            else:
                yield match
    else:
        raise InputError(f"--input {text}: no such file or folder")


def _walk(folder: str, ignored: Counter[str]) -> Iterator[str]:
    def refuse(error: OSError) -> None:
        raise InputError(f"--input {folder}: {error.strerror}: {error.filename}")

    for root, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            suffix = Path(name).suffix.lower()
            if name.startswith("."):
                continue
            if suffix in VIDEO_SUFFIXES or suffix in IMAGE_SUFFIXES:
                yield os.path.join(root, name)
            else:
                ignored[suffix] += 1


def _source(path: str) -> Source:
    try:
        size, version = stat_version(path)
    except OSError:
        size, version = 0, "unreadable"
    try:
        path.encode("utf-8")
        uri = path
    except UnicodeEncodeError:
        uri = Path(path).as_uri()
    return Source(uri, size, version)


def _mark_duplicates(sources: list[Source]) -> Iterable[Source]:
    """Mark every source whose content a source of a lower URI has."""
    by_size: dict[int, list[Source]] = defaultdict(list)
    for source in sources:
        by_size[source.bytes].append(source)
    original: dict[str, str] = {}
    for size, group in by_size.items():
        if size == 0 or len(group) < 2:
            continue
        ends: dict[str, list[Source]] = defaultdict(list)
        for source in group:
            ends[_digest(source.uri, whole=False)].append(source)
        for same in ends.values():
            first: dict[str, str] = {}
            for source in same if len(same) > 1 else ():
                lowest = first.setdefault(_digest(source.uri, whole=True), source.uri)
                if lowest != source.uri:
                    original[source.uri] = lowest
    return [replace(s, duplicate_of=original[s.uri]) if s.uri in original else s for s in sources]


def _digest(uri: str, *, whole: bool) -> str:
    """Return a digest of the file's content or of its two ends; its URI where it cannot be read."""
    try:
        with open(local_path(uri), "rb") as file:
            if whole:
                return hashlib.file_digest(file, "sha256").hexdigest()
            head = file.read(_END_BYTES)
            file.seek(-min(_END_BYTES, os.fstat(file.fileno()).st_size), os.SEEK_END)
            return hashlib.sha256(head + file.read()).hexdigest()
    except OSError:
        return uri
