"""Lists of URIs: text, one a line; CSV or Parquet, a column of URIs and others that go with the clips."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from curate.sources.entries import LISTED, Entry, local_entry
from curate.sources.names import local_path, suffix, without_secrets
from shards.errors import ConfigError, InputError
from shards.schemas import CAPTIONS, CLIPS, SHOTS, SOURCES
from shards.storage import beside, is_remote

__all__ = ["LIST_SUFFIXES", "UriList", "read_list"]

LIST_SUFFIXES = frozenset({".csv", ".parquet", ".txt"})
_URI_NAMES = ("uri", "url", "path", "video", "source_uri")
_VERSION_NAMES = ("etag", "version")
_OWN = frozenset({*_URI_NAMES, *_VERSION_NAMES, "bytes"})
_TAKEN = frozenset(
    {*CLIPS.names, *SOURCES.names, *SHOTS.names, *CAPTIONS.names, "captions", "shard", "tar_offset"}
) - {"bytes"}


class UriList:
    """A list that has been read: its entries, and the columns that it carries."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._table = _read(uri)
        names = self._table.column_names
        self._key = next((name for name in _URI_NAMES if name in names), None)
        if self._key is None:
            raise InputError(
                f"--input {uri}: no column of URIs ({', '.join(_URI_NAMES)}); it has: {', '.join(names)}"
            )
        self._check_own()
        own = {self._key, "bytes", *_VERSION_NAMES}
        self.carried = pa.schema(
            [_carried(uri, field) for field in self._table.schema if field.name not in own]
        )
        for field in self.carried:
            place = names.index(field.name)
            # What is finer than a microsecond is cut off: no table of ours holds it.
            column = self._table.column(place).cast(field.type, safe=False)
            self._table = self._table.set_column(place, field, column)

    def _check_own(self) -> None:
        """Refuse URIs that are not text and sizes that are not whole numbers."""
        for name, is_right, kind in (
            (self._key, _is_text, "text"),
            ("bytes", pa.types.is_integer, "whole numbers"),
        ):
            if name in self._table.column_names:
                given = self._table.schema.field(name).type
                if not is_right(given) and not pa.types.is_null(given):
                    raise InputError(f"--input {self._uri}: column {name!r} is {given}, not {kind}")

    def entries(self) -> Iterator[Entry]:
        """Yield what is listed, in the list's order; local files are looked up at once."""
        table = self._table
        names = table.column_names
        version_name = next((name for name in _VERSION_NAMES if name in names), None)
        sized = "bytes" in names and version_name is not None
        for batch in table.to_batches(max_chunksize=65536):
            uris = batch.column(names.index(self._key)).to_pylist()
            sizes = batch.column(names.index("bytes")).to_pylist() if sized else None
            versions = batch.column(names.index(version_name)).to_pylist() if sized else None
            columns = [batch.column(names.index(name)).to_pylist() for name in self.carried.names]
            carried: Sequence[tuple[object, ...]] = (
                list(zip(*columns, strict=True)) if columns else [()] * len(uris)
            )
            for n, text in enumerate(uris):
                if not text:
                    raise InputError(f"--input {self._uri}: a row without a URI")
                uri = self._absolute(text)
                if (
                    sizes is not None
                    and versions is not None
                    and sizes[n] is not None
                    and versions[n] is not None
                ):
                    yield Entry(uri, int(sizes[n]), f"{LISTED}{versions[n]}", None, carried[n])
                elif is_remote(uri):
                    yield Entry(uri, None, "", None, carried[n])
                else:
                    yield local_entry(local_path(uri), carried[n])

    def _absolute(self, text: str) -> str:
        """Return an entry as a URI; a relative one is relative to the list."""
        if is_remote(text):
            if "@" in text.split("/", 3)[2]:
                raise ConfigError(
                    f"--input {self._uri}: {without_secrets(text)}: a URI holds no credentials; "
                    "put them into the environment or the client's files"
                )
            return text
        if text.startswith("file://"):
            return text
        if os.path.isabs(text):
            return os.path.normpath(text)
        if "://" in text:
            raise ConfigError(
                f"--input {self._uri}: {without_secrets(text)}: only s3://, gs:// and local files can be read"
            )
        if is_remote(self._uri):
            scheme, _, rest = self._uri.partition("://")
            return f"{scheme}://{posixpath.normpath(posixpath.join(posixpath.dirname(rest), text))}"
        return os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(local_path(self._uri))), text))


def read_list(uri: str) -> UriList:
    """Return the list at `uri`; raises InputError where it cannot be read, ConfigError for a wrong column."""
    return UriList(uri)


def _read(uri: str) -> pa.Table:
    storage, name = beside(uri if is_remote(uri) else local_path(uri))
    try:
        with storage.open_read(name) as file:
            if suffix(uri) == ".parquet":
                return pq.read_table(pa.PythonFile(file, mode="r"))
            if suffix(uri) == ".csv":
                return pacsv.read_csv(file)
            lines = (line.strip() for line in file.read().decode("utf-8-sig").splitlines())
            return pa.table({"uri": pa.array([x for x in lines if x and not x.startswith("#")], pa.string())})
    except (pa.ArrowException, OSError, UnicodeDecodeError) as exc:
        raise InputError(f"--input {uri}: not a readable list: {' '.join(str(exc).split())[:200]}") from exc


def _carried(uri: str, field: pa.Field) -> pa.Field:
    kind = field.type
    plain = (
        pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)
        or pa.types.is_date(kind) or pa.types.is_timestamp(kind)
    )  # fmt: skip
    if pa.types.is_null(kind) or _is_text(kind):
        kind, plain = pa.string(), True
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        kind = pa.timestamp("us", kind.tz)
    if not plain:
        raise ConfigError(
            f"--input {uri}: column {field.name!r} is {kind}: text, numbers, truth values and times go along"
        )
    if field.name in _TAKEN:
        raise ConfigError(
            f"--input {uri}: column {field.name!r} is one that the run writes itself; rename it"
        )
    return pa.field(field.name, kind, True, {"doc": "from the input list"})


def _is_text(kind: pa.DataType) -> bool:
    """Say whether a column is text, as it is or by reference to a dictionary."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))
