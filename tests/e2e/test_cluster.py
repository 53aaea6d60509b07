"""The same plan on Ray: one machine, three nodes, and whatever dies on them. Real clusters are started."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from clusters import NodeCluster
from media import write_video
from running import curate, environment, failures, rows, snapshot

pytestmark = pytest.mark.slow

PIPELINE = """
cluster:
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
    extra:
      stages: {"parts:Picky": {kill: killer}}
      resources: {cpus: 0.5, workers: 1}
  select: {name: main, where: sample_count is not null}
  pack: {shard_clips: 7}
"""
REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "clips"


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten sources, one of which kills whoever looks at its clips, and one that is no video."""
    folder = tmp_path_factory.mktemp("cluster-in")
    for n in range(10):
        name = "killer.mp4" if n == 4 else f"{n}.mp4"
        write_video(folder / name, [(50 + 10 * n, 3), (150, 3), (40, 5)], size=(320, 192), seed=n)
    (folder / "broken.mp4").write_bytes(b"no video")
    (folder / "p.yaml").write_text(PIPELINE)
    return folder


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeCluster]:
    with NodeCluster(tmp_path_factory.mktemp("nodes"), dashboard=True) as nodes:
        yield nodes


def arguments(inputs: Path, output: Path, *more: str | Path) -> list[str | Path]:
    return [
        "run", "cluster", "--pipelines", inputs / "p.yaml", "--input", inputs, "--output", output,
        "--max-failures", "50%", *more,
    ]  # fmt: skip


def finish(process: subprocess.Popen[bytes], log: Path, timeout_s: float = 300) -> tuple[int, str]:
    """Return the exit code of a driver and what it has said."""
    try:
        code = process.wait(timeout=timeout_s)
    finally:
        process.kill()
    return code, log.read_text(errors="replace")


@pytest.fixture(scope="module")
def local(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that one machine makes."""
    output = tmp_path_factory.mktemp("local") / "run"
    done = curate(*arguments(inputs, output, "--workers", "2"))
    assert done.returncode == 0, done.stdout + done.stderr
    return output


def test_a_killer_costs_three_attempts_and_one_row_for_each_clip_of_it(local: Path) -> None:
    lost = [row for row in failures(local) if row["pass"] == "extra"]
    assert {Path(row["source_uri"]).name for row in lost} == {"killer.mp4"}
    assert {row["attempts"] for row in lost} == {3}
    assert len(rows(local, "extra")) == len(rows(local, "clips")) - len(lost)


def test_ray_on_one_machine_makes_the_same_bytes(inputs: Path, local: Path, tmp_path: Path) -> None:
    done = curate(*arguments(inputs, tmp_path / "run", "--executor", "ray", "--workers", "2"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert snapshot(tmp_path / "run") == snapshot(local)


def test_three_nodes_make_the_same_bytes(
    inputs: Path, local: Path, cluster: NodeCluster, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    driver = cluster.driver(*arguments(inputs, tmp_path / "run", "--ray-address", cluster.address), log=log)
    served: set[int] = set()
    while driver.poll() is None:
        served |= {node for node in range(3) if cluster.workers(node)}
        time.sleep(0.1)
    code, text = finish(driver, log)
    assert code == 0, text
    assert snapshot(tmp_path / "run") == snapshot(local)
    assert len(served) > 1, "all the work was done on one node"
    assert curate("verify", tmp_path / "run").returncode == 0


def test_a_submitted_job_finds_the_cluster_and_is_not_misled_by_its_folder(
    inputs: Path, local: Path, cluster: NodeCluster, tmp_path: Path
) -> None:
    folder = tmp_path / "job"
    folder.mkdir()
    for name in ("curate", "train", "filters", "caption", "shards"):
        (folder / f"{name}.py").write_text("raise RuntimeError('the working directory hides a package')\n")
    shutil.copy(inputs / "p.yaml", folder)
    ray = Path(sys.executable).with_name("ray")
    submit = [ray, "job", "submit", "--address", f"http://{cluster.ip(0)}:{cluster.dashboard_port}"]
    command = ["--working-dir", folder, "--", Path(sys.executable).with_name("curate")]
    run = ["run", "cluster", "--pipelines", "p.yaml", "--input", inputs, "--output", tmp_path / "run"]

    def job(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            cluster.inside(0, *submit, *command, *run, *more),
            env=cluster.environment(), capture_output=True, text=True, timeout=240, check=False,
        )  # fmt: skip

    done = job("--max-failures", "50%")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "sources" in done.stdout
    assert f"manifest: {tmp_path}/run/shards/main/manifest.parquet" in done.stdout
    assert snapshot(tmp_path / "run") == snapshot(local)
    strict = job("--max-failures", "0")
    assert strict.returncode != 0
    assert "exit code 3" in strict.stdout
    typo = job("--set", "split.min=1")
    assert "exit code 2" in typo.stdout
    assert "unknown key 'min'" in typo.stdout


def test_a_driver_elsewhere_reaches_the_cluster_through_its_client_port(
    inputs: Path, local: Path, cluster: NodeCluster, tmp_path: Path
) -> None:
    address = f"ray://{cluster.ip(0)}:{cluster.client_port}"
    # Ray gives a client's server 30 s to start, which a busy machine may not do: then it is asked again.
    for log in (tmp_path / "log", tmp_path / "log2", tmp_path / "log3"):
        given = arguments(inputs, tmp_path / "run", "--ray-address", address)
        code, text = finish(cluster.driver(*given, log=log, node=1), log)
        if "Initialization failure from server" not in text:
            break
    assert code == 0, text
    assert snapshot(tmp_path / "run") == snapshot(local)


def test_what_the_cluster_cannot_do_is_said_at_once(
    inputs: Path, cluster: NodeCluster, tmp_path: Path
) -> None:
    def refused(*more: str) -> str:
        log = tmp_path / "refused"
        log.unlink(missing_ok=True)
        driver = cluster.driver(*arguments(inputs, tmp_path / "run", *more), log=log)
        code, text = finish(driver, log, 90)
        assert code == 2, text
        return text.splitlines()[-1]

    here = ("--ray-address", cluster.address)
    text = refused(*here, "--set", "extra.resources.gpus=2")
    assert "'extra': asks for 0.5 CPU, 2 GPU a worker" in text
    assert "room for 0" in text
    assert "room for 3" in refused(*here, "--set", "score.resources={min_workers: 4}")
    assert "no Ray cluster answers" in refused("--ray-address", f"{cluster.ip(0)}:1")
    assert "dashboard" in refused("--ray-address", f"http://{cluster.ip(0)}:{cluster.dashboard_port}")
    assert "expected HOST:6379" in refused("--ray-address", "nonsense")


def test_a_node_with_other_code_is_named(inputs: Path, tmp_path: Path) -> None:
    """A worker node on which another version of a package, or of ours, comes first on the path."""
    other = tmp_path / "other"
    info = other / "av-0.0.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: av\nVersion: 0.0.1\n")
    path = {"PYTHONPATH": f"{other}:{environment()['PYTHONPATH']}"}
    with NodeCluster(tmp_path, (1, 1), of_nodes={1: path}) as cluster:
        log = tmp_path / "log"
        here = ("--ray-address", cluster.address)
        driver = cluster.driver(*arguments(inputs, tmp_path / "run", *here), log=log)
        code, text = finish(driver, log)
        assert code == 0, text
        assert "other versions" in text
        assert "0.0.1 there" in text
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: cogcurate\nVersion: 0.0.1\n")
        info.rename(other / "cogcurate-0.0.1.dist-info")
        code, text = finish(cluster.driver(*arguments(inputs, tmp_path / "run2", *here), log=log), log)
        assert code == 2, text
        assert "runs other code than this driver (cogcurate 0.1.0 here, 0.0.1 there)" in text


def kill_one(cluster: NodeCluster, driver: subprocess.Popen[bytes], kind: str) -> str:
    """Kill a process of a kind; return its name, or "" when there is none just now."""
    if kind == "driver":
        driver.kill()
        driver.wait()
        return kind
    if kind == "raylet":
        node = random.choice([1, 2])
        cluster.lose(node)
        cluster.start(node)
        return f"raylet {node}"
    workers = [worker for node in range(3) for worker in cluster.workers(node)]
    if workers:
        random.choice(workers).kill()
    return kind if workers else ""


@pytest.mark.timeout(3000)
def test_killed_at_random_moments_a_cluster_makes_the_same_bytes(
    gold: Path, cluster: NodeCluster, tmp_path: Path
) -> None:
    kills = int(os.environ.get("CHAOS_KILLS", "3"))
    seed = int(os.environ.get("CHAOS_SEED", str(time.time_ns() % 10**6)))
    random.seed(seed)
    # Real clips too where it is asked for more: they take minutes.
    given = ["--input", gold, *(("--input", REAL) if kills > 3 and REAL.exists() else ())]
    settings = ["--set", "split.min_s=1.2", "--set", "split.sample_every_s=0.4", "--set", "unit_sources=8"]
    common = [*given, *settings, "--max-failures", "50%"]
    quiet, wild, log = tmp_path / "quiet", tmp_path / "wild", tmp_path / "log"
    started_s = time.monotonic()
    done = curate("run", *common, "--output", quiet, "--workers", "2", timeout_s=1200)
    span_s = time.monotonic() - started_s
    assert done.returncode == 0, done.stdout + done.stderr
    kinds = ("worker", "raylet", "driver")
    order = [*kinds, *random.choices(kinds, k=max(0, kills - 3))][:kills]
    told: list[str] = []
    kept: dict[Path, int] = {}

    def start() -> subprocess.Popen[bytes]:
        return cluster.driver("run", *common, "--output", wild, "--ray-address", cluster.address, log=log)

    driver = start()
    for kind in order:
        time.sleep(random.uniform(0.2, 1.5) * span_s / (kills + 1))
        while driver.poll() is None and not (name := kill_one(cluster, driver, kind)):
            time.sleep(0.2)
        if driver.poll() is not None and kind != "driver":
            assert driver.returncode == 0, log.read_text(errors="replace")[-3000:]
            name = f"{kind} (nothing was left to kill)"
        told.append(name)
        parts = {path: path.stat().st_mtime_ns for path in wild.glob("tables/c*/*/*.parquet")}
        assert all(parts[path] == stamp for path, stamp in kept.items()), "a committed unit was done again"
        kept = parts
        if driver.poll() is not None:
            driver = start()
    code, text = finish(driver, log, 1200)
    sys.stderr.write(f"cluster chaos: seed {seed}: {', '.join(told)}\n")
    assert code == 0, text[-3000:]
    assert snapshot(wild) == snapshot(quiet), f"seed {seed}: {told}"
    stamps = {path: path.stat().st_mtime_ns for path in kept}
    assert stamps == kept, "a committed unit was done again"
