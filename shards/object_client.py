"""The client of a bucket, from what the environment says: endpoint, region, credentials, time limits."""

from __future__ import annotations

import os
from datetime import timedelta
from functools import cache
from urllib.parse import urlsplit

import pyarrow.fs as pafs

from shards.errors import ConfigError

__all__ = ["connect", "endpoint"]

# Without a byte for so long, an answer is given up and asked for again.
SILENCE_S = 10.0
CONNECT_S = 5.0


def endpoint() -> str:
    """Return the endpoint that the environment names, as the AWS tools read it; pyarrow reads none."""
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""


@cache
def connect(scheme: str, bucket: str, endpoint: str) -> pafs.FileSystem:
    """Return the file system of a bucket; one a process, for its connections are shared by threads."""
    if scheme == "gs":
        emulator = os.environ.get("STORAGE_EMULATOR_HOST", "")
        at = urlsplit(emulator if "://" in emulator else f"http://{emulator}")
        return pafs.GcsFileSystem(
            anonymous=bool(emulator),
            scheme=at.scheme if emulator else None,
            endpoint_override=at.netloc or None,  # pyarrow's client does not read that variable
            retry_time_limit=timedelta(seconds=120),
        )
    parts = urlsplit(endpoint)
    if "@" in parts.netloc:
        raise ConfigError("AWS_ENDPOINT_URL: an endpoint holds no credentials")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if region is None and not endpoint:
        try:
            region = pafs.resolve_s3_region(bucket)
        except OSError:
            region = None  # the client's own way of finding it then says what is wrong
    return pafs.S3FileSystem(
        region=region,
        scheme=parts.scheme or None,
        endpoint_override=parts.netloc or None,
        allow_delayed_open=True,  # what fits one part is one PutObject
        background_writes=False,
        connect_timeout=CONNECT_S,
        request_timeout=SILENCE_S,
        # The client's own strategies share a budget among all calls, which a bad minute uses up.
        retry_strategy=pafs.AwsDefaultS3RetryStrategy(max_attempts=1),
    )
