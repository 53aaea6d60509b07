"""A server of the S3 protocol, its faults, and a storage in it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from object_store import BUCKET, Faults, ObjectStore

from shards.storage import Storage, open_storage

_numbers = count()


@pytest.fixture(scope="module")
def store() -> Iterator[ObjectStore]:
    with ObjectStore(Faults(slow_s=0.1)) as server:
        yield server


@pytest.fixture
def faults(store: ObjectStore) -> Iterator[Faults]:
    assert store.faults is not None
    yield store.faults
    store.faults.stop()


@pytest.fixture
def s3_environment(store: ObjectStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CURATE_SCRATCH", str(tmp_path / "scratch"))


@pytest.fixture
def storage(s3_environment: None) -> Storage:
    assert s3_environment is None, "it stands in the environment"
    return open_storage(f"s3://{BUCKET}/a run/{next(_numbers)}").create()
