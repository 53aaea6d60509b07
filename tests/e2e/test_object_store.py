"""`curate run` from and to an S3 protocol server, well and badly behaved; lists, tars and carried columns."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from clusters import NodeCluster
from media import write_video
from object_store import BUCKET, KINDS, Faults, ObjectStore
from running import COMMAND, environment, failures, rows

PIPELINE = """
small:
  unit_sources: 2
  passes:
    split:
      stages:
        split:
          min_s: 1.5
          max_s: 4
          sample_every_s: 0.5
          detector: {"parts:JumpDetector": {}}
          signals: {"parts:MeanLuma": {}}
    score:
      where: mean_luma > 60
      stages: {"parts:SampleCount": {}}
  select: {name: main, where: sample_count is not null}
  pack: {shard_clips: 3}
"""


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for n in range(5):
        write_video(folder / f"{n} +%.mp4", [(50 + 20 * n, 3), (150, 3)], seed=n)
    (folder / "broken.mp4").write_bytes(b"no video")
    (folder / "p.yaml").write_text(PIPELINE)
    return folder


@pytest.fixture(scope="module")
def store(videos: Path) -> Iterator[ObjectStore]:
    with ObjectStore(Faults()) as server:
        server.upload(videos, "raw")
        yield server


@pytest.fixture(autouse=True)
def _well_behaved(store: ObjectStore) -> Iterator[None]:
    yield
    assert store.faults is not None
    store.faults.stop()


class Runner:
    """Runs the pipeline with the store's environment."""

    def __init__(self, store: ObjectStore, videos: Path) -> None:
        self.store, self.yaml = store, videos / "p.yaml"

    def command(self, given: str | Path, output: str | Path, *more: str) -> list[str]:
        options = ["--pipelines", self.yaml, "--input", given, "--output", output, "--max-failures", "2"]
        return [sys.executable, "-c", COMMAND, "run", "small", *map(str, options), *more]

    def __call__(
        self, given: str | Path, output: str | Path, *more: str, **env: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(given, output, *more),
            env={**environment(), **self.store.environment, **env},
            capture_output=True, text=True, timeout=400, check=False,
        )  # fmt: skip

    def curate(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", COMMAND, *arguments],
            env={**environment(), **self.store.environment},
            capture_output=True, text=True, timeout=400, check=False,
        )  # fmt: skip


@pytest.fixture(scope="module")
def run(store: ObjectStore, videos: Path) -> Runner:
    return Runner(store, videos)


@pytest.fixture(scope="module")
def quiet(store: ObjectStore, run: Runner) -> dict[str, str]:
    """The snapshot of an undisturbed run from and to the store."""
    done = run(f"s3://{BUCKET}/raw", f"s3://{BUCKET}/quiet")
    assert done.returncode == 0, done.stderr
    assert len(store.snapshot("quiet")) > 20
    return store.snapshot("quiet")


def index(folder: Path, *columns: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(folder / "index.parquet", columns=list(columns)).to_pylist()
    return rows


def test_clips_are_those_of_a_local_run(
    store: ObjectStore, run: Runner, quiet: dict[str, str], videos: Path, tmp_path: Path
) -> None:
    done = run(videos, tmp_path / "here")
    assert done.returncode == 0, done.stderr
    here = {row["clip_id"]: row["sha256"] for row in index(tmp_path / "here", "clip_id", "sha256")}
    (tmp_path / "there.parquet").write_bytes(store.objects("quiet")["index.parquet"])
    table = pq.read_table(tmp_path / "there.parquet")
    assert dict(zip(*(table[c].to_pylist() for c in ("clip_id", "sha256")), strict=True)) == here
    assert all(uri.startswith(f"s3://{BUCKET}/raw/") for uri in table["source_uri"].to_pylist())
    checked = run.curate("verify", f"s3://{BUCKET}/quiet")
    assert checked.returncode == 0, checked.stdout
    again = run(f"s3://{BUCKET}/raw", f"s3://{BUCKET}/quiet")
    assert "nothing was computed" in again.stdout
    assert quiet == store.snapshot("quiet")


def test_ray_makes_the_same_objects(store: ObjectStore, run: Runner, quiet: dict[str, str]) -> None:
    done = run(f"s3://{BUCKET}/raw", f"s3://{BUCKET}/ray", "--executor", "ray", "--workers", "2")
    assert done.returncode == 0, done.stderr
    assert store.snapshot("ray") == quiet


def test_errors_slow_answers_and_broken_connections_change_nothing(
    store: ObjectStore, run: Runner, quiet: dict[str, str]
) -> None:
    assert store.faults is not None
    faults = store.faults
    faults.error_500, faults.slow = 0.04, 0.02
    faults.drop_before = faults.drop_head = faults.drop_middle = 0.03
    done = run(f"s3://{BUCKET}/raw", f"s3://{BUCKET}/flaky")
    assert done.returncode == 0, done.stderr
    assert all(faults.injected[kind] > 3 for kind in KINDS if kind != "denied")
    assert store.snapshot("flaky") == quiet
    assert store.unfinished() == 0


def test_a_killed_worker_and_driver_leave_whole_objects(
    store: ObjectStore, run: Runner, quiet: dict[str, str]
) -> None:
    """SIGKILL a worker, then the driver, while the store misbehaves; run again: the same objects."""
    assert store.faults is not None
    store.faults.error_500, store.faults.drop_middle = 0.03, 0.03
    command = run.command(f"s3://{BUCKET}/raw", f"s3://{BUCKET}/killed", "--workers", "2")
    env = {**environment(), **store.environment}
    with subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as driver:
        try:
            while not (workers := [c for c in psutil.Process(driver.pid).children() if c.children()]):
                assert driver.poll() is None
            workers[0].kill()
            while not any(".parquet" in key for key in store.objects("killed")):
                assert driver.poll() is None
        finally:
            driver.kill()
    done = run(f"s3://{BUCKET}/raw", f"s3://{BUCKET}/killed")
    assert done.returncode == 0, done.stderr
    assert store.snapshot("killed") == quiet


def test_a_lost_node_and_a_killed_driver_leave_whole_objects(
    store: ObjectStore, run: Runner, quiet: dict[str, str], tmp_path: Path
) -> None:
    """SIGKILL a raylet, then the driver, while the store misbehaves; submit again: the same objects."""
    assert store.faults is not None
    store.faults.error_500, store.faults.drop_middle = 0.03, 0.03
    log = tmp_path / "log"
    with NodeCluster(tmp_path, loopback=True, variables=store.environment) as cluster:

        def submit() -> subprocess.Popen[bytes]:
            arguments = run.command(f"s3://{BUCKET}/raw", f"s3://{BUCKET}/lost")[3:]
            return cluster.driver(*arguments, "--ray-address", cluster.address, log=log)

        driver = submit()
        while not (busy := [node for node in (1, 2) if cluster.workers(node)]):
            assert driver.poll() is None, log.read_text()
        cluster.lose(busy[0])
        cluster.start(busy[0])
        while not any(".parquet" in key for key in store.objects("lost")):
            assert driver.poll() is None, log.read_text()
        driver.kill()
        driver.wait()
        assert submit().wait(300) == 0, log.read_text()
    assert store.snapshot("lost") == quiet


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system takes root")
def test_a_full_disk_on_one_node_leaves_the_work_to_the_others(
    store: ObjectStore, run: Runner, quiet: dict[str, str], tmp_path: Path
) -> None:
    small, log = tmp_path / "small", tmp_path / "log"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", small], check=False).returncode:
        pytest.skip("mounting is not allowed here")
    full = {1: {"CURATE_SCRATCH": str(small)}}
    arguments = run.command(f"s3://{BUCKET}/raw", f"s3://{BUCKET}/full")[3:]
    try:
        with NodeCluster(tmp_path, loopback=True, variables=store.environment, of_nodes=full) as cluster:
            driver = cluster.driver(*arguments, "--ray-address", cluster.address, log=log)
            assert driver.wait(300) == 0, log.read_text()
    finally:
        subprocess.run(["umount", small], check=True)
    assert "disk full in" in log.read_text()
    assert store.snapshot("full") == quiet


def test_a_source_above_the_spool_is_read_by_range(store: ObjectStore, run: Runner, tmp_path: Path) -> None:
    large = tmp_path / "large"
    write_video(large / "large.mp4", [(60, 40), (160, 40)], size=(640, 480), seed=9)
    assert (large / "large.mp4").stat().st_size > 2**20
    uri = store.upload(large, "large")
    for name, spool in (("spooled", "1 GiB"), ("ranges", "1 MiB")):
        done = run(uri, tmp_path / name, "--set", f"split.resources.spool_bytes={spool}")
        assert done.returncode == 0, done.stderr
    spooled, ranges = (index(tmp_path / name, "clip_id", "sha256") for name in ("spooled", "ranges"))
    assert spooled == ranges
    assert len(spooled) > 10


def test_columns_of_a_list_go_along_and_dead_entries_cost_a_row_each(
    store: ObjectStore, run: Runner, videos: Path, tmp_path: Path
) -> None:
    table = pa.table(
        {
            "url": ["0 +%.mp4", f"s3://{BUCKET}/raw/1 +%.mp4", str(videos / "2 +%.mp4"), "gone.mp4"],
            "license": ["cc0", "cc-by", "cc0", "cc0"],
            "views": [10, 20, None, 40],
        }
    )
    pq.write_table(table, tmp_path / "list.parquet")
    store.client.put_object(
        Bucket=BUCKET, Key="raw/list.parquet", Body=(tmp_path / "list.parquet").read_bytes()
    )
    where = "score.where=license = 'cc0' and mean_luma > 1"
    done = run(f"s3://{BUCKET}/raw/list.parquet", tmp_path / "run", "--set", where)
    assert done.returncode == 0, done.stderr
    found = index(tmp_path / "run", "source_uri", "license", "views", "sample_count")
    assert {(Path(r["source_uri"]).name[0], r["license"], r["views"]) for r in found} == {
        ("0", "cc0", 10), ("1", "cc-by", 20), ("2", "cc0", None),
    }  # fmt: skip
    assert all((r["sample_count"] is not None) == (r["license"] == "cc0") for r in found)
    (dead,) = failures(tmp_path / "run")
    assert dead["source_uri"] == f"s3://{BUCKET}/raw/gone.mp4"
    assert "no such object" in dead["message"]
    manifest = pq.read_table(tmp_path / "run/shards/main/manifest.parquet")
    assert set(manifest["license"].to_pylist()) == {"cc0"}
    assert run.curate("verify", str(tmp_path / "run")).returncode == 0


def test_a_tar_of_videos_is_a_source_a_member(
    store: ObjectStore, run: Runner, videos: Path, tmp_path: Path
) -> None:
    tar = tmp_path / "set" / "00000.tar"
    tar.parent.mkdir()
    with tarfile.open(tar, "w") as file:
        for n in range(3):
            file.add(videos / f"{n} +%.mp4", f"{n}.mp4")
            file.add(videos / "p.yaml", f"{n}.json")
    store.upload(tar.parent, "set")
    made = []
    for name, uri in (("near", str(tar)), ("far", f"s3://{BUCKET}/set/*.tar")):
        done = run(uri, tmp_path / name)
        assert done.returncode == 0, done.stderr
        made.append(index(tmp_path / name, "clip_id", "sha256"))
        assert {r["source_uri"].rpartition("#")[2] for r in rows(tmp_path / name, "sources")} == {
            "0.mp4", "1.mp4", "2.mp4",
        }  # fmt: skip
    assert made[0] == made[1]
    assert len(made[0]) == 6


@pytest.mark.parametrize(
    ("given", "output", "words"),
    [
        (f"s3://{BUCKET}/nothing", "run", ("nothing", "no such object or prefix")),
        ("s3://no-such-bucket/raw", "run", ("no bucket 'no-such-bucket'",)),
        (f"s3://{BUCKET}/raw", "s3://no-such-bucket/run", ("--output", "no bucket 'no-such-bucket'")),
        (f"s3://key:hush@{BUCKET}/raw", "run", ("holds no credentials",)),
        ("ftp://host/raw", "run", ("ftp:// cannot be read",)),
        (f"s3://{BUCKET}/raw/*.avi", "run", ("matches no object",)),
    ],
)
def test_wrong_places_are_one_line(
    run: Runner, tmp_path: Path, given: str, output: str, words: tuple[str, ...]
) -> None:
    done = run(given, output if "://" in output else tmp_path / output)
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert all(word in line for word in words), line
    assert "hush" not in line


def test_refused_credentials_and_a_dead_endpoint_are_said_soon(
    store: ObjectStore, run: Runner, tmp_path: Path
) -> None:
    assert store.faults is not None
    given = f"s3://{BUCKET}/raw"
    store.faults.denied = 1.0
    for output in (tmp_path / "run", f"s3://{BUCKET}/denied"):
        done = run(given, output)
        assert done.returncode == 2, done.stderr
        (line,) = done.stderr.splitlines()
        assert "access denied" in line
        assert "check the credentials" in line
    store.faults.denied = 0.0
    done = run(given, tmp_path / "run", AWS_ENDPOINT_URL="http://127.0.0.1:9")
    assert done.returncode == 1, done.stderr
    assert "the store failed" in done.stderr
    assert "not-so-secret" not in done.stdout + done.stderr


def test_no_credential_is_written_anywhere(store: ObjectStore, quiet: dict[str, str]) -> None:
    for key, data in store.objects("quiet").items():
        assert key in quiet or key.startswith("metrics") or key == "index.parquet"
        assert b"not-so-secret" not in data
        assert b"127.0.0.1" not in data or key.endswith(".tar")
