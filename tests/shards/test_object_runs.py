"""What a user of object stores gets wrong, and the rest of the package over them."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from fake_run import make_run, video_decoder
from object_store import Faults, ObjectStore

from shards import object_client
from shards.errors import ConfigError, InputError
from shards.gc import gc
from shards.index import build_index
from shards.packing import pack
from shards.purge import purge
from shards.reader import ManifestReader
from shards.run import RunFiles
from shards.scratch import SCRATCH
from shards.selection import select
from shards.storage import Storage, at_hand, beside, open_storage
from shards.tables import read_table
from shards.verify import verify

pytestmark = pytest.mark.usefixtures("refused_client", "s3_environment")


@pytest.fixture(scope="module")
def refused_client() -> Iterator[subprocess.Popen[str]]:
    """A process that asks where nobody listens; nearly all of it is waiting, so that is done meanwhile."""
    script = (
        "import time; from shards.errors import StorageError; from shards.storage import open_storage\n"
        "begun_s = time.monotonic()\n"
        "try: open_storage('s3://bucket/run').create()\n"
        "except StorageError as exc: print(time.monotonic() - begun_s, exc)\n"
    )
    variables = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ACCESS_KEY_ID": "key"}
    variables |= {"AWS_SECRET_ACCESS_KEY": "not-so-secret", "AWS_DEFAULT_REGION": "us-east-1"}
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, env=os.environ | variables, stdout=subprocess.PIPE, text=True) as child:
        yield child
        child.kill()


# -- what a user gets wrong -------------------------------------------------------------------------------


def test_a_bucket_that_is_not_there_is_named(tmp_path: Path) -> None:
    other = open_storage("s3://no-such-bucket/run")
    path = tmp_path / "source"
    path.write_bytes(b"0123456789")
    for attempt in (other.create, lambda: other.write("x", b"x"), lambda: other.put(path, "x")):
        with pytest.raises(InputError, match="there is no bucket 'no-such-bucket'"):
            attempt()


@pytest.mark.parametrize("given", [True, False], ids=["refused", "missing"])
def test_denied_access_is_said_without_the_secret(
    given: bool, storage: Storage, faults: Faults, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    storage.write("x", b"x")
    if not given:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
        object_client.connect.cache_clear()
    other = open_storage(storage.root)
    faults.denied = 1.0
    asked = sum(faults.requests.values())
    for attempt in (
        other.create,
        lambda: other.read("x"),
        lambda: other.write("y", b"y"),
        lambda: list(other.list()),
        lambda: other.delete("x"),
        lambda: other.entry("x"),
    ):
        with pytest.raises(InputError, match=r"^access denied while .*check the credentials") as caught:
            attempt()
        assert "\n" not in str(caught.value)
        assert "not-so-secret" not in str(caught.value) + str(caught.value.__cause__)
    assert sum(faults.requests.values()) - asked < 20, "it is no use to ask again"
    object_client.connect.cache_clear()


@pytest.mark.parametrize("uri", ["s3://user:hush@bucket/run", "s3://a/b:hush@c@bucket/run", "gs://u:hush@b"])
def test_credentials_in_a_uri_are_refused_and_not_repeated(uri: str) -> None:
    if uri.count("/") > 3:
        assert open_storage(uri).root == uri  # an `@` in the prefix is only a letter
        return
    with pytest.raises(ConfigError, match="a URI holds no credentials") as caught:
        open_storage(uri)
    assert "hush" not in str(caught.value)
    assert "user" not in str(caught.value)


def test_credentials_in_the_endpoint_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://user:hush@127.0.0.1:9")
    with pytest.raises(ConfigError, match="an endpoint holds no credentials") as caught:
        open_storage("s3://bucket/run")
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("uri", ["s3://", "gs:///x"])
def test_a_uri_without_a_bucket_is_refused(uri: str) -> None:
    with pytest.raises(ConfigError, match=r"expected (s3|gs)://bucket/prefix"):
        open_storage(uri)


# -- the rest of the package over it ----------------------------------------------------------------------


def test_it_goes_to_other_processes(storage: Storage) -> None:
    storage.write("x", b"here")
    sent: Storage = pickle.loads(pickle.dumps(storage))
    assert sent.root == storage.root
    assert sent.read("x") == b"here"
    assert b"secret" not in pickle.dumps(storage)


def test_beside_and_at_hand(storage: Storage, tmp_path: Path) -> None:
    storage.write("clips/a.tar", b"abc")
    manifest = storage.address("shards/x/manifest.parquet")
    other, name = beside(manifest, "../../clips/a.tar")
    assert other.read(name) == b"abc"
    other, name = beside(tmp_path / "manifest.parquet", storage.address("clips/a.tar"))
    assert other.read(name) == b"abc"
    (tmp_path / "local").write_bytes(b"local")
    other, name = beside(manifest, str(tmp_path / "local"))
    assert other.read(name) == b"local"
    near, name = at_hand(storage, "clips/a.tar", tmp_path)
    assert Path(near.root, name).read_bytes() == b"abc"
    assert at_hand(open_storage(tmp_path), "local", tmp_path)[1] == "local"


def contents(run: RunFiles) -> dict[str, bytes]:
    """Return every file but the index, a cache that knows when its parts were written."""
    paths = [entry.path for entry in run.storage.list() if entry.path != "index.parquet"]
    return {path: run.storage.read(path) for path in paths}


def through(run: RunFiles) -> dict[str, Any]:
    """Do to `run` what the commands do, and return what came of it."""
    seen: dict[str, Any] = {"index": read_table(run.storage, build_index(run)).to_pylist()}
    select(run, "caption is not null", "packed")
    select(run, "true", "loose")
    result = pack(run, "packed", shard_clips=4)
    seen["packed"] = (result.clips, result.shards)
    root = run.storage.address("")
    seen["verified"] = [str(problem) for problem in verify(root, decode=video_decoder)]
    for name in ("packed", "loose"):
        reader = ManifestReader(run.storage.address(run.manifest_path(name)), verify=True)
        seen[name] = [(sample.row["clip_id"], sample.media) for sample in reader]
    seen["files"] = contents(run)
    run.storage.write("clips/5555aaaa/u000-000009.tar", b"nobody points here")
    seen["collected"] = gc(run)
    purged = purge(run, "videos/u000-0.mp4")
    seen["purged"] = purged.clips
    seen["afterwards"] = [str(problem) for problem in verify(root, decode=video_decoder, workers=2)]
    seen["left"] = contents(run)
    return seen


def test_a_run_in_the_store_is_the_run_on_the_disk(store: ObjectStore, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", units=2)
    shutil.copytree(tmp_path / "run", tmp_path / "copy")
    there = RunFiles.open(store.upload(tmp_path / "copy", "whole"))
    here, remote = through(run), through(there)
    assert here["verified"] == here["afterwards"] == []
    assert here["collected"]
    assert here["purged"] == 3
    assert list(here) == list(remote)
    for step, value in here.items():
        assert remote[step] == value, step
    with suppress(FileNotFoundError):
        assert list((tmp_path / "scratch" / SCRATCH).iterdir()) == []


# -- last, for it was begun first -------------------------------------------------------------------------


def test_an_endpoint_that_nobody_serves_is_given_up(refused_client: subprocess.Popen[str]) -> None:
    said, _ = refused_client.communicate(timeout=60)
    seconds, _, message = said.partition(" ")
    assert float(seconds) < 60
    assert message.startswith("the store failed while looking for 's3://bucket/run': ")
    assert message.count("\n") == 1
    assert "secret" not in message
