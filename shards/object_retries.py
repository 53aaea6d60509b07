"""Calls to an object store: what went wrong on the way is tried again, what is left is said in one line."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic, sleep
from typing import TypeVar
from urllib.parse import urlsplit

from shards.errors import InputError, StorageError

__all__ = ["SourceBrokeError", "again", "missing"]

ATTEMPTS = 8
# No attempt is begun later than this after the first.
PATIENCE_S = 60.0
_REFUSED = re.compile(
    r"ACCESS_DENIED|HTTP status 40[13]|INVALID_ACCESS_KEY|SIGNATURE_DOES_NOT_MATCH|UNRECOGNIZED_CLIENT|"
    r"INVALID_CLIENT_TOKEN|EXPIRED_TOKEN|PERMISSION_DENIED|UNAUTHENTICATED|credentials",
    re.IGNORECASE,
)
_NO_BUCKET = re.compile(r"NO_SUCH_BUCKET|bucket does not exist|INVALID_BUCKET", re.IGNORECASE)
_T = TypeVar("_T")


class SourceBrokeError(StorageError):
    """The local file of a put cannot be read; the store is not to blame, asking it again is no use."""


def missing(address: str) -> StorageError:
    """Return the error of an object that should be there."""
    advice = "the run is incomplete or was changed; run the pass that writes it again"
    return StorageError(f"no such object while reading {address!r}: {advice}")


def again(doing: str, address: str, call: Callable[[], _T]) -> _T:
    """Return what `call` does; what the network or the server did wrong is tried again.

    `doing` and `address` are for the message: "reading", "s3://bucket/key". Pauses are of growing random
    length. Raises StorageError, and InputError where asking again is no use: no bucket, access denied.
    """
    begin_s = monotonic()
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with _clear(doing, address):
                return call()
        except SourceBrokeError:
            raise
        except StorageError as exc:
            pause_s = random.uniform(0, min(2**attempt / 4, 16))
            late = monotonic() - begin_s + pause_s > PATIENCE_S
            if attempt == ATTEMPTS or late or isinstance(exc.__cause__, FileNotFoundError):
                raise
        sleep(pause_s)
    raise AssertionError  # the last attempt returns or raises


@contextmanager
def _clear(doing: str, address: str) -> Iterator[None]:
    """Turn what pyarrow raises into one line that says what to do, and whose fault it is."""
    try:
        yield
    except FileNotFoundError as exc:
        raise missing(address) from exc
    except OSError as exc:
        text = " ".join(str(exc).split())
        where = f"while {doing} {address!r}"
        if _NO_BUCKET.search(text):
            raise InputError(f"there is no bucket {urlsplit(address).netloc!r}, {where}") from exc
        if _REFUSED.search(text):
            raise InputError(
                f"access denied {where}: check the credentials in the environment and what they allow"
            ) from exc
        reason = re.sub(r"\(Request ID:[^)]*\)|curlCode: \d+, ", "", text)
        reason = reason.rpartition("AWS Error ")[2].partition("; Details:")[0].strip()
        raise StorageError(f"the store failed {where}: {reason}") from exc
