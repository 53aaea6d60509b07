"""Ray: finding a cluster, its nodes, actors and calls, and its metrics. The one module that imports it.

Ray retries nothing here: actors have no restarts and calls no retries, because what to do about a death is
the schedule's business. An actor's class travels by value and settles its path before it imports anything
of ours, so that nothing in a working directory hides the packages.
"""

from __future__ import annotations

import logging
import os
import pickle
import signal
import socket
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import ray
from ray.exceptions import ActorUnavailableError, OutOfMemoryError, RayError, RayTaskError
from ray.util.metrics import Counter
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from curate.executors.cluster import ActorLostError, CallError, Node
from curate.executors.pools import NodeShape, Shape
from curate.tasks import Done
from curate.versions import CODE, describe_code, differences
from curate.worker import WorkerSpec
from shards.errors import ConfigError

__all__ = ["RayCluster", "connect", "disconnect"]

_REACH_S = 5.0
_PROBE_S = 60.0
_NODES_EVERY_S = 5.0
_NODE_DIED = "its node has died"


def connect(address: str | None) -> None:
    """Join the cluster at `address`, or the one that Ray finds by itself, or start one on this machine.

    Ray looks at RAY_ADDRESS (set inside a job), then for a cluster running on this machine. Raises
    ConfigError when nobody answers.
    """
    wanted = address or os.environ.get("RAY_ADDRESS")
    if wanted:
        _reach(wanted)
    terminate = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(
            address=wanted,
            log_to_driver=False,
            logging_level=logging.ERROR,
            include_dashboard=None if wanted else False,
        )
    except (ConnectionError, RuntimeError, ValueError) as exc:
        first = str(exc).strip().splitlines()[0] if str(exc).strip() else type(exc).__name__
        raise ConfigError(f"no Ray cluster at {wanted or 'this machine'}: {first}") from exc
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, terminate)  # Ray's own handler ends the driver with the code 15


def disconnect() -> None:
    """Leave the cluster; one that `connect` started ends."""
    ray.shutdown()


def _reach(address: str) -> None:
    """Raise ConfigError at once where Ray would try for a minute."""
    if address in ("auto", "local"):
        return
    if address.startswith("http"):
        raise ConfigError(
            f"--ray-address {address}: this is a dashboard's address; submit to it with "
            f"`ray job submit --address {address} -- curate run …`, or give HOST:6379 or ray://HOST:10001"
        )
    parts = urlsplit(address if "://" in address else f"//{address}")
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port:
        raise ConfigError(f"--ray-address {address}: expected HOST:6379 or ray://HOST:10001")
    try:
        socket.create_connection((host, port), timeout=_REACH_S).close()
    except OSError as exc:
        reason = exc.strerror or str(exc)
        raise ConfigError(f"--ray-address {address}: no Ray cluster answers there ({reason})") from exc


class RayCluster:
    """The cluster that this process has joined."""

    def __init__(self, spec: WorkerSpec) -> None:
        # Bytes, not objects: an actor unpickles them only after its path is settled.
        self._spec = ray.put(pickle.dumps(spec))
        self._run = spec.root
        self._counters = _counters()
        self._nodes: list[Node] = []
        self._looked_s = float("-inf")

    def nodes(self, *, fresh: bool = False) -> Sequence[Node]:
        """Return the machines that are alive, as seen a few seconds ago unless `fresh`."""
        if fresh or monotonic() - self._looked_s > _NODES_EVERY_S:
            self._looked_s = monotonic()
            self._nodes = [_node(raw) for raw in ray.nodes() if raw["Alive"]]
        return self._nodes

    def check_nodes(self, witnesses: Sequence[str]) -> list[str]:
        """Compare what every node has with what is here; return what differs in versions, a line a node.

        Raises ConfigError when a node has other code of ours, or none, or does not see one of the files
        `witnesses` of this machine.
        """
        probe = ray.remote(num_cpus=0, max_retries=0)(_probe())
        asked = {
            probe.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False)).remote(
                list(witnesses)
            ): node
            for node in self.nodes(fresh=True)
        }
        ready, silent = ray.wait(list(asked), num_returns=len(asked), timeout=_PROBE_S)
        notes = [f"{asked[call].host}: has not answered in {_PROBE_S:.0f} s" for call in silent]
        for call in ready:
            host = asked[call].host
            try:
                code, unseen = ray.get(call)
                other = differences(describe_code(), code)
            except RayTaskError as exc:
                raise ConfigError(f"{host}: cannot import cogcurate: {_last_line(exc)}") from exc
            except RayError as exc:
                notes.append(f"{host}: {_last_line(exc)}")
                continue
            if any(text.startswith((CODE, "cogcurate")) for text in other):
                raise ConfigError(
                    f"{host} runs other code than this driver ({'; '.join(other)}): install the same "
                    "cogcurate on every node"
                )
            if unseen:
                raise ConfigError(
                    f"{host} does not see {unseen[0]}: on a cluster, input and output lie in object storage "
                    "(s3://, gs://) or on a file system that every node mounts at the same path"
                )
            if other:
                notes.append(f"{host} has other versions, results may differ: {'; '.join(other)}")
        return notes

    def start(self, name: str, shape: Shape, avoided: Collection[str]) -> Any:
        """Ask for an actor on any node but the `avoided` ones and return its handle at once."""
        options: dict[str, Any] = {"label_selector": {"ray.io/node-id": f"!in({','.join(sorted(avoided))})"}}
        return (
            _actor_class()
            .options(
                name=name,
                num_cpus=shape.cpus,
                num_gpus=shape.gpus,
                memory=shape.memory or None,
                max_concurrency=shape.in_flight,
                max_restarts=0,
                max_task_retries=0,
                **(options if avoided else {}),
            )
            .remote(self._spec)
        )

    def call(self, handle: Any, method: str, *arguments: object, label: str = "") -> Any:
        """Call a method of an actor and return the call at once; `label` is one of few.

        Ray keeps about 15 KB for each name that it has ever seen (100,000 units with names of their own grew
        the driver by 1.5 GB; with the pass's name, by 20 MB).
        """
        bound = getattr(handle, method)
        return (bound.options(name=label) if label else bound).remote(*arguments)

    def ready(self, calls: Sequence[Any], timeout_s: float, *, everything: bool = False) -> Sequence[Any]:
        """Return the calls that have ended, after at most `timeout_s`: once one has, or `everything` has."""
        calls = list(calls)
        count = len(calls) if everything else 1
        ready, rest = ray.wait(calls, num_returns=count, timeout=timeout_s, fetch_local=False)
        if ready and rest:
            ready, _ = ray.wait(calls, num_returns=len(calls), timeout=0, fetch_local=False)
        return list(ready)

    def answer(self, call: Any) -> Any:
        """Return what a call returned; raises ActorLostError or CallError."""
        try:
            return ray.get(call)
        except RayTaskError as exc:
            raise CallError(_last_line(exc), str(exc)) from exc
        except RayError as exc:
            text = str(exc)
            # No field says it, and what Ray writes of a worker's death alone speaks of "node deaths", too.
            with_node = not isinstance(exc, ActorUnavailableError) and _NODE_DIED in text
            memory = isinstance(exc, OutOfMemoryError) or "running low on memory" in text
            how = "killed for memory" if memory else "lost with its node" if with_node else "killed"
            raise ActorLostError(how, with_node=with_node) from exc

    def kill(self, handle: Any) -> None:
        """End an actor by force; no error if it is gone."""
        ray.kill(handle)

    def describe_load(self) -> str:
        """Return what is free: "free now: 0 of 6 CPU, 0 of 1 GPU"."""
        free, has = ray.available_resources(), ray.cluster_resources()
        kinds = [kind for kind in ("CPU", "GPU") if has.get(kind)]
        return "free now: " + ", ".join(f"{free.get(k, 0):g} of {has[k]:g} {k}" for k in kinds)

    def count(self, pass_name: str, done: Done) -> None:
        """Add a committed unit to the cluster's metrics."""
        counts = done.counts
        for name, amount in {
            "clips": counts.get("computed", counts.get("rows", 0)),
            "failures": counts.get("failures", counts.get("failed", 0)),
            "video_seconds": counts.get("video_s", 0),
            "decode_seconds": done.seconds.get("decode", 0),
        }.items():
            if amount:
                self._counters[name].inc(amount, {"pass": pass_name, "run": self._run})


def _counters() -> dict[str, Counter]:
    meanings = {
        "clips": "clips committed",
        "failures": "sources and clips that failed",
        "video_seconds": "seconds of video in the clips committed",
        "decode_seconds": "seconds spent decoding",
    }
    return {
        name: Counter(f"cogcurate_{name}", description=meaning, tag_keys=("pass", "run"))
        for name, meaning in meanings.items()
    }


def _node(raw: Mapping[str, Any]) -> Node:
    has = raw["Resources"]
    shape = NodeShape(has.get("CPU", 0), has.get("GPU", 0), has.get("memory", 0))
    return Node(raw["NodeID"], raw["NodeManagerHostname"], shape)


def _last_line(exc: Exception) -> str:
    lines = str(exc).strip().splitlines()
    return lines[-1] if lines else type(exc).__name__


# What follows is pickled by value, being defined inside a function: a worker runs it before it imports
# anything of ours.


def _probe() -> Callable[[list[str]], tuple[Mapping[str, str], list[str]]]:
    """Return the function that says what is installed on a node, and which files it does not see."""

    def describe(witnesses: list[str]) -> tuple[Mapping[str, str], list[str]]:
        import os

        import _cogcurate

        _cogcurate.settle_path()
        from curate.versions import describe_code

        return describe_code(), [path for path in witnesses if not os.path.exists(path)]

    return describe


@cache
def _actor_class() -> Any:
    """Return the actor's class."""

    class CurateWorker:
        def __init__(self, spec: bytes) -> None:
            import pickle

            import _cogcurate

            _cogcurate.settle_path()
            from curate.executors.host import Host

            self._host = Host(pickle.loads(spec))

        def load(self, names: Sequence[str]) -> tuple[str, object]:
            return str(ray.get_runtime_context().get_node_id()), self._host.load(names)

        def run(self, task: object) -> object:
            return self._host.run(task)  # type: ignore[arg-type]

        @ray.method(concurrency_group="control")  # type: ignore[untyped-decorator]
        def progress(self) -> object:
            return self._host.progress()

        @ray.method(concurrency_group="control")  # type: ignore[untyped-decorator]
        def leave(self) -> None:
            self._host.close()

    return ray.remote(concurrency_groups={"control": 1})(CurateWorker)
