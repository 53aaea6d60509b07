"""Processes of vLLM that end with their owner, without vLLM."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import psutil

from caption.vllm_guard import OWNER, end_with_owner

ENGINE = "from caption.vllm_guard import end_with_owner; end_with_owner(); print('up', flush=True); input()"


def engine(owner: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", ENGINE],
        env=os.environ | {OWNER: owner},
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def up(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def end(process: subprocess.Popen[str]) -> int:
    with process:
        process.communicate("\n", timeout=10)
    return process.returncode


def test_it_ends_with_its_owner() -> None:
    owner = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with owner:
        process = engine(f"{owner.pid} {psutil.Process(owner.pid).create_time()}")
        assert up(process) == "up\n"
        owner.kill()
        assert process.wait(10) == 1
        end(process)


def test_it_does_not_begin_when_the_owner_has_gone_or_the_number_is_another_process() -> None:
    for owner in (f"{os.getpid()} 12.5", "4194303 12.5"):
        process = engine(owner)
        assert up(process) == ""
        assert end(process) == 1


def test_without_an_owner_nothing_is_watched() -> None:
    process = engine("")
    assert up(process) == "up\n"
    assert end(process) == 0


def test_vllm_knows_it() -> None:
    (found,) = entry_points(group="vllm.general_plugins", name="cogcurate")
    assert found.load() is end_with_owner
