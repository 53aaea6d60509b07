"""Ray clusters of several machines on this one: a network namespace, an address and a folder each.

Where namespaces are not allowed, the raylets share the loopback address, each with its own folder.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil
from running import COMMAND, ROOT, environment

__all__ = ["NodeCluster", "namespaces_allowed"]

_RAY = Path(sys.executable).with_name("ray")
_NET = "10.233.71"
_STARTED = "Ray runtime started"
_STARTS = 3


def namespaces_allowed() -> bool:
    """Say whether this machine lets us make network namespaces."""
    if os.geteuid() != 0:
        return False
    name = f"curate-try{os.getpid()}"
    try:
        made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False)
        subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
    except FileNotFoundError:
        return False
    return made.returncode == 0


def _sh(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


class NodeCluster:
    """A head and more nodes, each with `cpus` CPUs; the first one is where drivers run."""

    def __init__(
        self,
        folder: Path,
        cpus: Sequence[int] = (1, 1, 1),
        *,
        dashboard: bool = False,
        loopback: bool = False,
        variables: Mapping[str, str] | None = None,
        of_nodes: Mapping[int, Mapping[str, str]] | None = None,
    ) -> None:
        """`loopback` keeps the nodes where a server on 127.0.0.1 is reached.

        `variables` are added to the environment of all nodes and drivers, `of_nodes` to that of one node.
        """
        self.folder = folder
        # Ray's sockets lie there: a path has 107 bytes at most, and pytest's folders are longer.
        self._temp = Path(tempfile.mkdtemp(prefix="cg"))
        self.cpus = list(cpus)
        self.namespaces = not loopback and namespaces_allowed()
        self._dashboard = dashboard
        self._variables = dict(variables or {})
        self._of_nodes = of_nodes or {}
        self._tag = f"cg{os.getpid() % 10000}{secrets.token_hex(2)}"
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._drivers: list[subprocess.Popen[bytes]] = []
        self.port = 6379 if self.namespaces else _free_port()
        self.client_port = 10001 if self.namespaces else _free_port()
        self.dashboard_port = 8265 if self.namespaces else _free_port()

    def __enter__(self) -> NodeCluster:
        try:
            if self.namespaces:
                self._make_network()
            for node in range(len(self.cpus)):
                self.start(node)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def address(self) -> str:
        """What `--ray-address` takes."""
        return f"{self.ip(0)}:{self.port}"

    def ip(self, node: int) -> str:
        """Return a node's address."""
        return f"{_NET}.{10 + node}" if self.namespaces else "127.0.0.1"

    def inside(self, node: int, *command: str | Path) -> list[str]:
        """Return `command` as it is run on a node."""
        prefix = ["ip", "netns", "exec", self._name(node)] if self.namespaces else []
        return [*prefix, *map(str, command)]

    def environment(self) -> dict[str, str]:
        """Return the environment of a node and of drivers on it."""
        return {
            **environment(),
            "RAY_health_check_initial_delay_ms": "1000",
            "RAY_health_check_period_ms": "1000",
            "RAY_health_check_timeout_ms": "2000",
            "RAY_health_check_failure_threshold": "5",
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": "0123456789abcdef0123456789abcdef",
            **self._variables,
        }

    def start(self, node: int) -> None:
        """Start a node, again if it was killed."""
        temp = self._temp / f"n{node}"
        common = [
            "start", "--block", "--disable-usage-stats", "--include-log-monitor=false",
            f"--temp-dir={temp}", f"--num-cpus={self.cpus[node]}", f"--node-ip-address={self.ip(node)}",
            f"--object-store-memory={100 * 2**20}",
        ]  # fmt: skip
        if node == 0:
            common += ["--head", f"--port={self.port}", f"--include-dashboard={self._dashboard}"]
            common += [f"--ray-client-server-port={self.client_port}"]
            common += [f"--dashboard-host={self.ip(0)}", f"--dashboard-port={self.dashboard_port}"]
        else:
            common += [f"--address={self.address}"]
        env = {**self.environment(), **self._of_nodes.get(node, {})}
        # Ray gives a node 30 s to register, which a busy machine may need more than once.
        for _attempt in range(_STARTS):
            seen = self._log(node).count(_STARTED)
            with (self.folder / f"n{node}.log").open("ab") as log:
                self._processes[node] = subprocess.Popen(
                    self.inside(node, _RAY, *common), env=env, stdout=log, stderr=log, start_new_session=True
                )
            if self._await(node, seen):
                return
        raise AssertionError(self._log(node))

    def _log(self, node: int) -> str:
        path = self.folder / f"n{node}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def _await(self, node: int, seen: int) -> bool:
        """Wait until a node says once more that it runs; return False where it ended instead."""
        deadline_s = time.monotonic() + 90
        while self._log(node).count(_STARTED) == seen:
            if self._processes[node].poll() is not None:
                return False
            assert time.monotonic() < deadline_s, self._log(node)
            time.sleep(0.2)
        return True

    def family(self, node: int) -> list[psutil.Process]:
        """Return the processes of a node."""
        try:
            top = psutil.Process(self._processes[node].pid)
            return [top, *top.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def raylet(self, node: int) -> psutil.Process | None:
        """Return a node's raylet, or None."""
        for process in self.family(node):
            with suppress(psutil.NoSuchProcess):  # a worker that ended since is no reason to look no further
                if process.name() == "raylet":
                    return process
        return None

    def workers(self, node: int) -> list[psutil.Process]:
        """Return a node's living actors of ours."""
        found = []
        for process in self.family(node):
            with suppress(psutil.NoSuchProcess):
                title = " ".join(process.cmdline())
                if title.startswith("ray::") and "CurateWorker" in title:
                    found.append(process)
        return found

    def lose(self, node: int) -> None:
        """Lose a node: SIGKILL its raylet; what it ran goes with it.

        Where the machine was so busy that a raylet missed its health checks, Ray has ended it: lost as well.
        """
        raylet = self.raylet(node)
        if raylet is not None:
            with suppress(psutil.NoSuchProcess):
                raylet.kill()
        self._processes[node].wait(timeout=60)

    def driver(self, *arguments: str | Path, log: Path, node: int = 0) -> subprocess.Popen[bytes]:
        """Start `curate` on a node, its output in `log`."""
        with log.open("ab") as out:
            driver = subprocess.Popen(
                self.inside(node, sys.executable, "-c", COMMAND, *arguments),
                env=self.environment(), stdout=out, stderr=out, cwd=ROOT,
            )  # fmt: skip
        self._drivers.append(driver)
        return driver

    def close(self) -> None:
        """End every process of the cluster, its drivers with it, and take the network away."""
        for driver in self._drivers:
            driver.kill()
            driver.wait()
        for node, process in reversed(self._processes.items()):
            family = self.family(node)
            for member in family:
                with suppress(psutil.NoSuchProcess):
                    member.kill()
            process.wait()
        shutil.rmtree(self._temp, ignore_errors=True)
        if self.namespaces:
            for node in range(len(self.cpus)):
                subprocess.run(["ip", "netns", "del", self._name(node)], capture_output=True, check=False)
            subprocess.run(["ip", "netns", "del", f"{self._tag}sw"], capture_output=True, check=False)

    def _name(self, node: int) -> str:
        return f"{self._tag}n{node}"

    def _make_network(self) -> None:
        """A namespace a node, and one more that holds the bridge between them: nothing outside sees it."""
        switch = f"{self._tag}sw"
        _sh("ip", "netns", "add", switch)
        _sh("ip", "-n", switch, "link", "add", "br0", "type", "bridge")
        _sh("ip", "-n", switch, "link", "set", "br0", "up")
        for node in range(len(self.cpus)):
            name, end = self._name(node), f"e{node}"
            _sh("ip", "netns", "add", name)
            _sh("ip", "-n", switch, "link", "add", end, "type", "veth", "peer", "name", "eth0", "netns", name)
            _sh("ip", "-n", switch, "link", "set", end, "master", "br0", "up")
            _sh("ip", "-n", name, "addr", "add", f"{self.ip(node)}/24", "dev", "eth0")
            _sh("ip", "-n", name, "link", "set", "eth0", "up")
            _sh("ip", "-n", name, "link", "set", "lo", "up")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
