"""How many workers each pool should have: pure arithmetic over queues, bounds and what the cluster holds.

A pool is the workers of one shape (CPUs, GPUs, memory, bounds). Passes of equal shape share one: on a small
cluster the later pass would otherwise wait for the earlier one's workers to end, or pay for its own start.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from curate.pipeline import Resources
from curate.plan import PassPlan
from shards.errors import ConfigError

__all__ = ["NodeShape", "Shape", "check_fit", "count_fitting", "form_pools", "wanted_workers"]


@dataclass(frozen=True, slots=True)
class Shape:
    """What a worker of a pool takes, and how many there may be."""

    cpus: float
    gpus: float
    memory: int
    in_flight: int
    min_workers: int
    workers: int | None
    """None: as many as fit on the cluster as it is now"""

    @classmethod
    def of(cls, resources: Resources, cap: int | None) -> Shape:
        """Return the shape that a pass asks for; `cap` is what the user allows on top (`--workers`)."""
        limit = min((n for n in (resources.workers, cap) if n is not None), default=None)
        low = resources.min_workers if limit is None else min(resources.min_workers, limit)
        return cls(resources.cpus, resources.gpus, resources.memory, resources.in_flight, low, limit)

    def __str__(self) -> str:
        parts = [f"{self.cpus:g} CPU"]
        parts += [f"{self.gpus:g} GPU"] if self.gpus else []
        parts += [f"{self.memory / 2**30:.3g} GiB of memory"] if self.memory else []
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class NodeShape:
    """What a machine of the cluster has in all."""

    cpus: float
    gpus: float
    memory: float

    def __str__(self) -> str:
        gpus = f", {self.gpus:g} GPU" if self.gpus else ""
        return f"{self.cpus:g} CPU{gpus}, {self.memory / 2**30:.1f} GiB"


def form_pools(passes: Sequence[PassPlan], cap: int | None) -> dict[Shape, list[str]]:
    """Return shape → names of the passes whose tasks its workers take, in the order of the passes."""
    pools: dict[Shape, list[str]] = {}
    for pass_ in passes:
        pools.setdefault(Shape.of(pass_.resources, cap), []).append(pass_.name)
    return pools


def count_fitting(shape: Shape, nodes: Sequence[NodeShape]) -> int:
    """Return how many workers of `shape` the nodes hold, if they hold nothing else."""
    return sum(_fits(shape, node) for node in nodes)


def _fits(shape: Shape, node: NodeShape) -> int:
    asked = [(shape.cpus, node.cpus), (shape.gpus, node.gpus), (shape.memory, node.memory)]
    limits = [int(has / needs + 1e-6) for needs, has in asked if needs > 0]
    return min(limits, default=int(node.cpus))


def wanted_workers(shape: Shape, fitting: int, waiting: int, running: int, *, growing: bool = False) -> int:
    """Return how many workers a pool should have for `waiting` and `running` tasks.

    One a task, between the bounds. An upper bound is asked for even above what fits: a cluster that grows by
    itself learns of it that way. Without one, as many as fit, and twice as many of a cluster that is
    `growing`: each time it has grown, more are asked for.
    """
    most = shape.workers if shape.workers is not None else max(1, fitting) * (2 if growing else 1)
    return max(shape.min_workers, min(most, waiting + running))


def check_fit(shape: Shape, names: Sequence[str], nodes: Sequence[NodeShape]) -> None:
    """Raise ConfigError when the nodes cannot hold one worker of `names`, or not `min_workers` of them."""
    fitting = count_fitting(shape, nodes)
    if fitting >= max(1, shape.min_workers):
        return
    passes = " and ".join(repr(name) for name in names)
    many = f"{shape.min_workers} workers at least, " if shape.min_workers > 1 else ""
    kinds = ", ".join(f"{n} × ({node})" for node, n in Counter(map(str, nodes)).items()) or "none"
    raise ConfigError(
        f"pass {passes}: asks for {many}{shape} a worker, and the cluster has room for {fitting} "
        f"(nodes: {kinds}); "
        f"ask for less with --set {names[0]}.resources.…, or give a cluster that grows by itself time with "
        "--wait-for-nodes SECONDS"
    )
