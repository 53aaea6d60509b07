"""What a file's name says: whether it is taken for a video or an image, and which path opens a URI."""

from __future__ import annotations

import os
import posixpath
from urllib.parse import unquote, urlsplit

__all__ = [
    "IMAGE_SUFFIXES",
    "VIDEO_SUFFIXES",
    "is_media",
    "is_video",
    "local_path",
    "suffix",
    "without_secrets",
]

VIDEO_SUFFIXES = frozenset(
    f".{name}"
    for name in [
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
        "mj2",
        "mkv",
        "mov",
        "mp4",
        "mpeg",
        "mpg",
        "mts",
        "mxf",
        "nut",
        "ogm",
        "ogv",
        "qt",
        "rm",
        "rmvb",
        "ts",
        "vob",
        "webm",
        "wmv",
        "y4m",
    ]
)
IMAGE_SUFFIXES = frozenset({".avif", ".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})


def suffix(name: str) -> str:
    """Return the suffix of a file's name, in small letters."""
    return posixpath.splitext(name)[1].lower()


def is_video(name: str) -> bool:
    """Say whether a file is named like a video."""
    return suffix(name) in VIDEO_SUFFIXES


def is_media(name: str) -> bool:
    """Say whether a file is named like a video or an image."""
    return is_video(name) or suffix(name) in IMAGE_SUFFIXES


def local_path(uri: str) -> str:
    """Return the path that opens a local `uri`."""
    if uri.startswith("file://"):
        return os.fsdecode(unquote(urlsplit(uri).path, errors="surrogateescape"))
    return uri


def without_secrets(uri: str) -> str:
    """Return a URI as a message may show it: without user, password and signature."""
    scheme, _, rest = uri.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path.partition('?')[0]}"
