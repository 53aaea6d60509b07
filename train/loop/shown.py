"""What a person sees of a run: a progress line, and a trace of torch's profiler."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

__all__ = ["ProgressLine", "Tracer"]

_EVERY_S: Final = 30.0
_WARM: Final = 3
"""steps before a trace: compilation, caches, clocks"""


class ProgressLine:
    """Steps done, loss, tokens a second; on standard error, a context. `shown`: false shows nothing.

    On a terminal a bar; elsewhere a line at most every 30 s, and one at the end.
    """

    def __init__(self, total: int, done: int, *, shown: bool) -> None:
        console = Console(stderr=True, soft_wrap=True, highlight=False)
        self._total, self._told_s = total, time.monotonic()
        self._plain = console if shown and not console.is_terminal else None
        columns = (
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        )  # fmt: skip
        self._progress = Progress(*columns, console=console, disable=not shown or self._plain is not None)
        self._task = self._progress.add_task("training", total=total, completed=done)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, record: Mapping[str, Any]) -> None:
        """Show a step's record."""
        loss = "skipped" if "skipped" in record else f"loss {record['loss']:.4f}"
        words = (
            f"{record['stage']} · {loss} · {record['tokens_a_s']:,.0f} tokens/s · MFU {record['mfu']:.0%} · "
            f"wait {record['data_wait_share']:.1%}"
        )
        done = record["step"] + 1
        if self._plain is not None and (
            done == self._total or time.monotonic() - self._told_s > _EVERY_S or done == 1
        ):
            self._told_s = time.monotonic()
            self._plain.print(f"training {done}/{self._total} · {words}")
        self._progress.update(self._task, completed=done, description=words)


class Tracer:
    """Traces `steps` steps after the first three into OUTPUT/trace/; a context. 0: none."""

    def __init__(self, output: Path, steps: int, rank: int) -> None:
        self._profiler: Any = None
        if steps:
            path = output / "trace" / f"rank-{rank:05d}.json"

            def write(profiler: Any) -> None:
                path.parent.mkdir(parents=True, exist_ok=True)
                profiler.export_chrome_trace(str(path))

            schedule = torch.profiler.schedule(wait=_WARM - 1, warmup=1, active=steps, repeat=1)
            self._profiler = torch.profiler.profile(schedule=schedule, on_trace_ready=write)

    def __enter__(self) -> Self:
        if self._profiler is not None:
            self._profiler.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._profiler is not None:
            self._profiler.stop()

    def step(self) -> None:
        """Say that a step ended."""
        if self._profiler is not None:
            self._profiler.step()
