"""From what the user names to the sources, in URI order: folders, globs, files, lists, tars of videos.

Each is local or in an object store. Cost: a look at every local file, a listing of every prefix, and one
request for each object of a list that does not say its `bytes` and `etag`.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa

from curate.records import Source
from curate.sources.duplicates import mark_duplicates
from curate.sources.entries import Entry, resolve
from curate.sources.lists import LIST_SUFFIXES, UriList
from curate.sources.names import IMAGE_SUFFIXES, VIDEO_SUFFIXES, local_path, suffix, without_secrets
from curate.sources.places import expand
from curate.sources.tars import all_members, members
from shards.errors import ConfigError, InputError
from shards.storage import is_remote

__all__ = ["IMAGE_SUFFIXES", "VIDEO_SUFFIXES", "Listing", "is_list", "list_sources", "local_path"]

# A dry run asks for the size of so many objects of a list, and takes the others for as large as their mean.
_ASKED = 1000
_ESTIMATE_ABOVE = 10 * _ASKED


@dataclass(frozen=True, slots=True)
class Listing:
    """The sources of a run, and what in the folders was passed over because of its name."""

    sources: tuple[Source, ...]
    ignored: dict[str, int]
    """suffix → how many files"""
    carried: pa.Schema = field(default_factory=lambda: pa.schema([]))
    """the columns of the lists that go along with the clips; `Source.carried` has the values"""
    estimated: int = 0
    """how many sources have a size that is only a guess"""


def list_sources(inputs: Sequence[str], *, estimate: bool = False) -> Listing:
    """Return every source under `inputs` in URI order, duplicates marked.

    A folder is searched to the bottom for files named like video or images; a file named by itself is taken
    whatever its name. With `estimate`, the sizes of objects in a long list are guessed from a sample, and
    their copies not looked for. Raises InputError when an input is not there or nothing is found.
    """
    ignored: Counter[str] = Counter()
    entries: list[Entry] = []
    lists: list[UriList] = []
    tars: list[str] = []
    for text in inputs:
        _refuse_other_schemes(text)
        for entry in expand(text, ignored):
            if is_list(entry.uri) and is_list(text):
                lists.append(UriList(entry.uri))
            elif is_list(entry.uri):
                ignored[suffix(entry.uri)] += 1
            elif suffix(entry.uri) == ".tar":
                tars.append(entry.uri)
            else:
                entries.append(entry)
    entries += all_members(tars)
    carried = _union([one.carried for one in lists])
    sources = list(resolve(entries))
    estimated = 0
    for one in lists:
        listed = list(_aligned(one, carried))
        unknown = [n for n, entry in enumerate(listed) if entry.bytes is None] if estimate else []
        if len(unknown) > _ESTIMATE_ABOVE:
            sources += _guess(listed, unknown)
            estimated += len(unknown) - _ASKED
        else:
            sources += resolve(_opened(listed))
    sources.sort(key=lambda source: source.uri)
    sources = [s for n, s in enumerate(sources) if n == 0 or s.uri != sources[n - 1].uri]
    if not sources:
        passed = ", ".join(f"{n} × {name or 'no suffix'}" for name, n in sorted(ignored.items()))
        raise InputError(
            f"no video or image in {', '.join(inputs)}"
            + (f" (not taken by their names: {passed})" if passed else "")
        )
    # An estimate of a long list asks the store nothing: a few copies hardly change it.
    unasked = estimate and len(sources) > _ESTIMATE_ABOVE and any(is_remote(s.uri) for s in sources)
    if not unasked:
        mark_duplicates(sources)
    return Listing(tuple(sources), dict(ignored), carried, estimated)


def is_list(text: str) -> bool:
    """Say whether an input is named like a list of URIs."""
    return suffix(text) in LIST_SUFFIXES


def _refuse_other_schemes(text: str) -> None:
    scheme = text.partition("://")[0] if "://" in text else "file"
    if scheme != "file" and not is_remote(text):
        raise ConfigError(
            f"--input {without_secrets(text)}: {scheme}:// cannot be read; s3://, gs:// and local paths can"
        )


def _union(schemas: Sequence[pa.Schema]) -> pa.Schema:
    fields: dict[str, pa.Field] = {}
    for schema in schemas:
        for column in schema:
            known = fields.setdefault(column.name, column)
            if known.type != column.type:
                raise ConfigError(
                    f"--input: column {column.name!r} is {known.type} in one list, {column.type} in another"
                )
    return pa.schema(list(fields.values()))


def _aligned(one: UriList, carried: pa.Schema) -> Iterator[Entry]:
    """Yield the entries of a list with their values in the order of all carried columns."""
    if one.carried.names == carried.names:
        yield from one.entries()
        return
    places = [one.carried.get_field_index(name) for name in carried.names]
    for entry in one.entries():
        yield replace(entry, carried=tuple(entry.carried[n] if n >= 0 else None for n in places))


def _opened(entries: Sequence[Entry]) -> Iterator[Entry]:
    """Yield entries of a list, a tar among them as its videos."""
    for entry in entries:
        if suffix(entry.uri) != ".tar":
            yield entry
            continue
        try:
            found = members(entry.uri)
        except InputError:
            yield entry  # dead: a source that will fail
            continue
        for member in found:
            yield replace(member, carried=entry.carried)


def _guess(entries: Sequence[Entry], unknown: Sequence[int]) -> list[Source]:
    """Return the sources of a list; most of the `unknown` entries are taken for as large as a few of them."""
    asked = random.Random(0).sample(unknown, _ASKED)
    known = dict(zip(asked, resolve([entries[n] for n in asked]), strict=True))
    mean = sum(source.bytes for source in known.values()) // _ASKED
    return [
        known.get(n)
        or Source(e.uri, mean if e.bytes is None else e.bytes, e.version, None, e.offset, e.carried)
        for n, e in enumerate(entries)
    ]
