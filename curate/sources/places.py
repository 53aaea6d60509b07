"""Folders, globs and single files, on this machine or in an object store."""

from __future__ import annotations

import fnmatch
import glob
import os
import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from curate.sources.entries import Entry, local_entry
from curate.sources.names import is_media, local_path, suffix
from shards.errors import InputError
from shards.storage import Storage, is_remote, open_storage

__all__ = ["expand"]


def expand(text: str, ignored: Counter[str]) -> Iterator[Entry]:
    """Yield what `text` names: a folder to its bottom, by name; a file, whatever its name; a glob.

    Counts in `ignored`, by suffix, what in folders is not named like a video or an image. Raises InputError
    when nothing is there.
    """
    if is_remote(text):
        yield from _expand_remote(text, ignored)
        return
    path = os.path.abspath(local_path(text))
    if os.path.isdir(path):
        yield from _walk(path, ignored)
    elif os.path.lexists(path):
        yield local_entry(path)
    elif glob.has_magic(text):
        matches = sorted(glob.glob(path, recursive=True))
        if not matches:
            raise InputError(f"--input {text}: matches no file")
        for match in matches:
            if os.path.isdir(match):
                yield from _walk(match, ignored)
            else:
                yield local_entry(match)
    else:
        raise InputError(f"--input {text}: no such file or folder")


def _walk(folder: str, ignored: Counter[str]) -> Iterator[Entry]:
    def refuse(error: OSError) -> None:
        raise InputError(f"--input {folder}: {error.strerror}: {error.filename}")

    for root, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if name.startswith("."):
                continue
            if is_media(name):
                yield local_entry(os.path.join(root, name))
            else:
                ignored[suffix(name)] += 1


def _expand_remote(text: str, ignored: Counter[str]) -> Iterator[Entry]:
    folder, _, name = text.rpartition("/")
    bucket = text.split("/", 3)[2]
    if glob.has_magic(bucket):
        raise InputError(f"--input {text}: name one bucket; wildcards stand after it")
    if name and folder.count("/") >= 2:
        one = open_storage(folder).entry(name)
        if one is not None:
            yield Entry(text, one.bytes, str(one.mtime_ns))
            return
    if not glob.has_magic(text):
        storage = open_storage(text)
        found = list(_objects(storage.create()))
        if not found:
            raise InputError(f"--input {text}: no such object or prefix")
        yield from _media(found, storage.root, ignored)
        return
    # List from the last folder before the first wildcard.
    storage = open_storage(posixpath.dirname(re.split(r"[*?\[]", text, maxsplit=1)[0]))
    pattern = text.split("/")
    matched = False
    for entry in _objects(storage.create()):
        parts = entry.uri.split("/")
        if _matches(parts, pattern):
            matched = True
            yield entry
        elif held := next((n for n in range(4, len(parts)) if _matches(parts[:n], pattern)), 0):
            matched = True
            yield from _media([entry], "/".join(parts[:held]), ignored)
    if not matched:
        raise InputError(f"--input {text}: matches no object")


def _media(entries: Iterable[Entry], root: str, ignored: Counter[str]) -> Iterator[Entry]:
    """Yield what is named like a video or an image and count the rest, save what is hidden below `root`."""
    for entry in entries:
        if any(part.startswith(".") for part in entry.uri.removeprefix(root).split("/")):
            continue
        if is_media(entry.uri):
            yield entry
        else:
            ignored[suffix(entry.uri)] += 1


def _objects(storage: Storage) -> Iterator[Entry]:
    for found in storage.list():
        yield Entry(storage.address(found.path), found.bytes, str(found.mtime_ns))


def _matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Match part by part as `glob` does: `**` is any number of folders, nothing matches a hidden one."""
    if not pattern:
        return not parts
    head, *rest = pattern
    if head == "**":
        if not rest and len(parts) == 1 and not parts[0].startswith("."):
            return True
        down = bool(parts) and not parts[0].startswith(".") and _matches(parts[1:], pattern)
        return down or (bool(rest) and _matches(parts, rest))
    if not parts or (parts[0].startswith(".") and not head.startswith(".")):
        return False
    return fnmatch.fnmatchcase(parts[0], head) and _matches(parts[1:], rest)
