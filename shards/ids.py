"""How a source and a clip are named: by hashes of content, never of place.

The same clip has the same id wherever its file lies. An id is 32 hex digits (128 bits) and holds no dot,
where WebDataset would split it.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

__all__ = ["CLIP_ID", "clip_id", "source_id"]

ID_DIGITS: Final = 32
CLIP_ID: Final = re.compile(r"[0-9a-f]{32}")


def source_id(content_sha256_hex: str) -> str:
    """Return a source's id: the first 32 hex digits of the SHA-256 of its bytes."""
    return content_sha256_hex[:ID_DIGITS]


def clip_id(source: str, stream: int, start_pts: int, end_pts: int) -> str:
    """Return the id of the clip `[start_pts, end_pts)` of stream `stream` of the source `source` (its id).

    The parts are joined by a character that none of them can hold, so no two different clips have one text.
    """
    text = f"{source}:{stream}:{start_pts}:{end_pts}"
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:ID_DIGITS]
