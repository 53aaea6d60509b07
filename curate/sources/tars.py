"""A WebDataset of videos: each video in a tar is a source, read by range from where it lies."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator

from curate.sources.entries import Entry, file_state
from curate.sources.names import is_video, local_path
from shards.errors import InputError
from shards.storage import beside

__all__ = ["MEMBER", "members"]

MEMBER = "#"


def members(uri: str) -> Iterator[Entry]:
    """Yield the videos in the tar at `uri`, in its order. Cost: its headers, one read-ahead at a time."""
    try:
        _, version = file_state(uri)
        storage, name = beside(local_path(uri) if "://" not in uri else uri)
        with storage.open_read(name) as file, tarfile.open(fileobj=file, mode="r:") as tar:
            for member in tar:
                if (
                    member.isfile()
                    and is_video(member.name)
                    and not os.path.basename(member.name).startswith(".")
                ):
                    yield Entry(f"{uri}{MEMBER}{member.name}", member.size, version, member.offset_data)
    except FileNotFoundError as exc:
        raise InputError(f"--input {uri}: no such file") from exc
    except (tarfile.TarError, OSError) as exc:
        raise InputError(
            f"--input {uri}: not a readable tar ({exc}); compressed ones cannot be read by range"
        ) from exc
