"""vLLM's own OpenAI-compatible server over a small model, on a free port of this machine."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from urllib.error import URLError
from urllib.request import urlopen

__all__ = ["QUIET", "Server", "serve"]

QUIET = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
"""so that vLLM and the hub's client speak to nobody"""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs."""

    url: str
    """with /v1"""
    model: str
    """the name that it serves it under"""
    pid: int
    """leads a process group of its own, so that a test can kill all of it"""

    def kill(self) -> None:
        """End it as a crash would."""
        os.killpg(self.pid, signal.SIGKILL)


@contextmanager
def serve(
    model: Path, log: Path, *arguments: str, name: str = "tiny", wait_s: float = 420
) -> Iterator[Server]:
    """Run the server until the block ends; its output goes to `log`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        *(sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(model)),
        *("--served-model-name", name, "--host", "127.0.0.1", "--port", str(port)),
        *("--max-model-len", "2048", "--max-num-seqs", "8", "--enforce-eager"),
        *("--gpu-memory-utilization", "0.1", *arguments),
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, env=os.environ | QUIET, start_new_session=True
        )
    try:
        _wait(f"http://127.0.0.1:{port}/health", process, log, wait_s)
        yield Server(f"http://127.0.0.1:{port}/v1", name, process.pid)
    finally:
        _end(process)


def _wait(url: str, process: subprocess.Popen[bytes], log: Path, wait_s: float) -> None:
    until_s = monotonic() + wait_s
    while monotonic() < until_s:
        try:
            with urlopen(url, timeout=5):
                return
        except (URLError, OSError):
            if process.poll() is not None:
                break
            sleep(0.5)
    raise RuntimeError(f"no server at {url}: {log.read_text(errors='replace')[-3000:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    for sign, patience_s in ((signal.SIGTERM, 20.0), (signal.SIGKILL, 10.0)):
        try:
            os.killpg(process.pid, sign)
        except ProcessLookupError:
            break
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            continue
    process.wait()
