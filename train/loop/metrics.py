"""Where a run's numbers go: `log.jsonl` always, TensorBoard where it is installed, W&B where it is asked for.

One record a step, written by the first rank. A resumed run cuts off what was logged of steps that it makes
again.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from shards.errors import ConfigError

__all__ = ["RunLog"]

_NAME: Final = "log.jsonl"
_LOG = logging.getLogger(__name__)


class RunLog:
    """Writes records of steps. `start`: the step that a run goes on from; `wandb`: a project, or None."""

    def __init__(
        self, output: Path, start: int, *, wandb: str | None = None, config: Mapping[str, Any] | None = None
    ) -> None:
        output.mkdir(parents=True, exist_ok=True)
        self._path = output / _NAME
        _cut(self._path, start)
        self._file = self._path.open("a", encoding="utf-8")
        self._board = _tensorboard(output / "tensorboard", start)
        self._wandb = None if wandb is None else _wandb(wandb, output, config or {})

    def write(self, record: Mapping[str, Any]) -> None:
        """Write one record, which has a `step`; its numbers are shown, those in it by name, too."""
        self._file.write(json.dumps(record, allow_nan=False) + "\n")
        self._file.flush()
        step = int(record["step"])
        numbers = dict(_flat(record))
        if self._board is not None:
            for name, value in numbers.items():
                self._board.add_scalar(name, value, step)
        if self._wandb is not None:
            self._wandb.log(numbers, step=step)

    def close(self) -> None:
        """Write out what is kept back."""
        self._file.close()
        if self._board is not None:
            self._board.close()
        if self._wandb is not None:
            self._wandb.finish()


def _flat(record: Mapping[str, Any], prefix: str = "") -> list[tuple[str, float]]:
    found: list[tuple[str, float]] = []
    for name, value in record.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{prefix}{name}/")
        elif isinstance(value, int | float) and not isinstance(value, bool) and name != "step":
            found.append((prefix + name, float(value)))
    return found


def _cut(path: Path, start: int) -> None:
    """Keep the records of steps before `start`; a line that a crash cut short goes, too."""
    if not path.is_file():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            if json.loads(line)["step"] < start:
                kept.append(line + "\n")
        except ValueError:
            _LOG.warning("%s: a line was cut short; it is dropped", path)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text("".join(kept), encoding="utf-8")
    os.replace(partial, path)


def _tensorboard(folder: Path, start: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        _LOG.info("tensorboard is not installed: numbers go to %s alone", _NAME)
        return None
    return SummaryWriter(str(folder), purge_step=start or None)


def _wandb(project: str, output: Path, config: Mapping[str, Any]) -> Any:
    try:
        import wandb
    except ImportError as error:
        raise ConfigError("--wandb needs wandb: pip install wandb") from error
    return wandb.init(project=project, dir=str(output), config=dict(config), resume="allow")
