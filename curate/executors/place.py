"""Where a run's workers are: processes of this machine, or a Ray cluster, imported only when chosen."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from curate.executors.base import Executor
from curate.executors.local import LocalExecutor
from curate.plan import PassPlan
from curate.worker import WorkerSpec
from shards.errors import ConfigError

__all__ = ["ExecutorName", "Place", "choose_place"]

# Ray sets it for the driver of a submitted job.
_IN_RAY_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"


class ExecutorName(StrEnum):
    """What `--executor` takes."""

    LOCAL = "local"
    RAY = "ray"


@dataclass(frozen=True, slots=True)
class Place:
    """Where to run, and how much of it to use."""

    name: ExecutorName
    address: str | None
    workers: int | None
    patience_s: float

    @contextmanager
    def joined(self) -> Iterator[None]:
        """Be part of the cluster, if there is one; ConfigError, soon, when it cannot be reached."""
        if self.name is ExecutorName.LOCAL:
            yield
            return
        _use_token()
        try:
            from curate.executors import ray
        except ImportError as exc:
            raise ConfigError(
                f"--executor ray: {exc}; install it with `pip install 'cogcurate[ray]'`"
            ) from exc
        ray.connect(self.address)
        try:
            yield
        finally:
            ray.disconnect()

    @contextmanager
    def executor(
        self,
        spec: WorkerSpec,
        passes: Sequence[PassPlan],
        note: Callable[[str], None],
        witnesses: Sequence[str],
    ) -> Iterator[Executor]:
        """Yield an executor for `passes`, checked against what the cluster has; end its workers after.

        `witnesses` are local files that every worker must see.
        """
        executor: Executor
        if self.name is ExecutorName.LOCAL:
            executor = LocalExecutor(spec, self.workers or _count_workers(passes))
        else:
            from curate.executors.pooled import PooledExecutor
            from curate.executors.ray import RayCluster

            cluster = RayCluster(spec)
            for text in cluster.check_nodes(witnesses):
                note(text)
            executor = PooledExecutor(passes, cluster, cap=self.workers, patience_s=self.patience_s)
        try:
            yield executor
        finally:
            executor.close()


def choose_place(
    name: ExecutorName | None, address: str | None, workers: int | None, patience_s: float
) -> Place:
    """Return where to run: Ray when told so, given an address, or inside a Ray job."""
    if name is None:
        in_ray = address is not None or _IN_RAY_JOB in os.environ
        name = ExecutorName.RAY if in_ray else ExecutorName.LOCAL
    if name is ExecutorName.LOCAL and address is not None:
        raise ConfigError("--ray-address: goes with --executor ray")
    return Place(name, address, workers, patience_s)


def _use_token() -> None:
    """Show the token that Ray keeps for this user: a cluster started here asks for one by itself.

    Ray reads the mode when it is imported. A cluster without authentication does not mind.
    """
    kept = Path(os.environ.get("RAY_AUTH_TOKEN_PATH", Path.home() / ".ray" / "auth_token"))
    if "RAY_AUTH_TOKEN" in os.environ or kept.exists():
        os.environ.setdefault("RAY_AUTH_MODE", "token")


def _count_workers(passes: Sequence[PassPlan]) -> int:
    """Return one process a core, or the most that a pass asks for."""
    cores = len(os.sched_getaffinity(0))
    return max((pass_.resources.workers or cores for pass_ in passes), default=1)
