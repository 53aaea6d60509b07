"""Folders, globs and single files, on this machine or in an object store."""

from __future__ import annotations

import fnmatch
import glob
import os
import posixpath
import re
from collections import Counter
from collections.abc import Iterator

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
    if glob.has_magic(text):
        # List from the last folder before the first wildcard.
        plain = re.split(r"[*?\[]", text, maxsplit=1)[0]
        found = list(_objects(open_storage(posixpath.dirname(plain))))
        matches = [entry for entry in found if _matches(entry.uri, text)]
        if not matches:
            raise InputError(f"--input {text}: matches no object")
        yield from matches
        return
    folder, _, name = text.rpartition("/")
    if name and folder.count("/") >= 2:
        one = open_storage(folder).entry(name)
        if one is not None:
            yield Entry(text, one.bytes, str(one.mtime_ns))
            return
    storage = open_storage(text)
    storage.create()
    found = list(_objects(storage))
    if not found:
        raise InputError(f"--input {text}: no such object or prefix")
    for entry in found:
        if any(part.startswith(".") for part in entry.uri.removeprefix(storage.root).split("/")):
            continue
        if is_media(entry.uri):
            yield entry
        else:
            ignored[suffix(entry.uri)] += 1


def _objects(storage: Storage) -> Iterator[Entry]:
    for found in storage.list():
        yield Entry(storage.address(found.path), found.bytes, str(found.mtime_ns))


def _matches(uri: str, pattern: str) -> bool:
    """Match as `glob` does: `*` stays within a folder, `**` does not."""
    parts = [
        r"(?:[^/]+/)*" if part == "**" else fnmatch.translate(part)[4:-3].replace(".*", "[^/]*") + "/"
        for part in pattern.split("/")
    ]
    if pattern.endswith("**"):
        parts[-1] = r"(?:[^/]+/)+"
    return re.fullmatch("".join(parts), uri + "/") is not None
