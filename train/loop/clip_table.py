"""The loss of each clip each time it was trained on, as Parquet: which data is hard.

`OUTPUT/losses/step-00000000-rank-00000.parquet` and so on: each rank writes its clips when a checkpoint is
begun, under the step that its rows begin with. After a resume the same files are written again, so a row
stands there once. SQL reads them together: `read_parquet('OUTPUT/losses/*.parquet')`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

__all__ = ["ClipTable"]

_SCHEMA: Final = pa.schema(
    [("clip_id", pa.string()), ("step", pa.int64()), ("timestep", pa.int32()), ("loss", pa.float32())]
)


class ClipTable:
    """Collects this rank's rows."""

    def __init__(self, output: Path, rank: int) -> None:
        self._folder, self._rank = output / "losses", rank
        self._rows: list[tuple[str, int, int, float]] = []

    def add(self, clip_id: str, step: int, timestep: int, loss: float) -> None:
        """Note one clip of a step."""
        self._rows.append((clip_id, step, timestep, loss))

    def cut(self, step: int) -> None:
        """Remove the files of steps from here on: a run that resumes here writes them again."""
        for path in self._folder.glob("step-*.parquet"):
            if int(path.name.split("-")[1]) >= step:
                path.unlink()

    def write(self) -> Path | None:
        """Write the rows there are to a file of their own, and forget them; None where there are none."""
        if not self._rows:
            return None
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"step-{self._rows[0][1]:08d}-rank-{self._rank:05d}.parquet"
        partial = path.with_name(f".{path.name}.partial")
        columns = [
            pa.array(values, field.type)
            for values, field in zip(zip(*self._rows, strict=True), _SCHEMA, strict=True)
        ]
        pq.write_table(pa.Table.from_arrays(columns, schema=_SCHEMA), partial)
        partial.replace(path)
        self._rows.clear()
        return path
