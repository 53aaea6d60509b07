"""What a cluster must be able to do for the pooled executor. Ray does it in `curate.executors.ray`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from curate.executors.pools import NodeShape, Shape
from curate.tasks import Done

__all__ = ["ActorLostError", "CallError", "Cluster", "Node"]


@dataclass(frozen=True, slots=True)
class Node:
    """A machine that is alive."""

    id: str
    host: str
    shape: NodeShape


class ActorLostError(Exception):
    """An actor died, or cannot be reached any more; the text says how: "killed for memory"."""

    def __init__(self, how: str, *, with_node: bool) -> None:
        super().__init__(how)
        self.with_node = with_node


class CallError(Exception):
    """A method of an actor raised."""

    def __init__(self, message: str, trace: str) -> None:
        super().__init__(message)
        self.trace = trace


class Cluster(Protocol):
    """Starts actors, each a `Host`, and carries calls to them. Handles and calls are hashable and opaque."""

    def nodes(self, *, fresh: bool = False) -> Sequence[Node]:
        """Return the machines that are alive, as seen a few seconds ago unless `fresh`."""

    def start(self, name: str, shape: Shape, avoided: Collection[str]) -> Any:
        """Ask for an actor on any node but the `avoided` ones and return its handle at once."""

    def call(self, handle: Any, method: str, *arguments: object, label: str = "") -> Any:
        """Call a method of an actor and return the call at once.

        `label` is what it is called where the cluster shows its tasks.
        """

    def ready(self, calls: Sequence[Any], timeout_s: float, *, everything: bool = False) -> Sequence[Any]:
        """Return the calls that have ended, after at most `timeout_s`: once one has, or `everything` has."""

    def answer(self, call: Any) -> Any:
        """Return what a call returned; raises ActorLostError or CallError."""

    def kill(self, handle: Any) -> None:
        """End an actor by force; no error if it is gone."""

    def describe_load(self) -> str:
        """Return what is free: "free now: 0 of 6 CPU, 0 of 1 GPU"."""

    def count(self, pass_name: str, done: Done) -> None:
        """Add a committed unit to the cluster's metrics."""
