"""What an error of a store says of the source that was asked for."""

from __future__ import annotations

from shards.errors import ClipError, InputError, SourceError, StorageError, TransferError

__all__ = ["clip_error"]


def clip_error(exc: InputError | StorageError) -> ClipError:
    """Return the failure of a source: it is not to be had, or its store does not answer today."""
    refused = isinstance(exc, InputError) or isinstance(exc.__cause__, FileNotFoundError | PermissionError)
    return SourceError(f"cannot be read: {exc}") if refused else TransferError(f"cannot be fetched: {exc}")
