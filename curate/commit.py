"""How a unit of a pass becomes visible: media first, then failures and tables, last the commit table.

Whoever sees the last part sees everything; a worker killed before leaves files that the next one overwrites
with the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import pyarrow as pa

from curate.plan import PassPlan
from curate.records import Failure, Row
from curate.tasks import Done, Task
from shards import tables
from shards.errors import IntegrityError, StageError
from shards.run import RunFiles
from shards.schemas import FAILURES
from shards.storage import Storage
from shards.tables import rows_to_table
from shards.tar import FileDigest

__all__ = ["commit_unit", "failure_row", "failures_path", "write_metrics"]


def failures_path(pass_: PassPlan, unit: str) -> str:
    """Return where the failures of a unit of a pass are."""
    return RunFiles.failures_path(pass_.fp8, pass_.name, unit)


def failure_row(
    task: Task, stage: str, source_uri: str, clip_id: str | None, failure: Failure, attempts: int
) -> Row:
    """Return a row of the failures table."""
    return {
        "pass": task.pass_name,
        "unit": task.unit.id,
        "stage": stage,
        "source_uri": source_uri,
        "clip_id": clip_id,
        "error": failure.error,
        "message": failure.message,
        "attempts": attempts,
    }


def commit_unit(
    storage: Storage,
    pass_: PassPlan,
    unit: str,
    parts: Mapping[str, tuple[pa.Schema, Sequence[Row]]],
    failures: Sequence[Row],
    *,
    counts: Mapping[str, int],
    files: Mapping[str, FileDigest] | None = None,
    more: Mapping[str, str] | None = None,
) -> None:
    """Write the parts of a unit in the order given; the last one is the commit.

    The commit's metadata holds `counts`, the digests of `files` and whatever is in `more`.
    Raises StageError when a stage returned what its `provides` does not allow.
    """
    metadata = {"unit": unit, "pass": pass_.name, "fingerprint": pass_.fingerprint}
    if failures:
        tables.write_table(storage, failures_path(pass_, unit), rows_to_table(failures, FAILURES), metadata)
    else:
        storage.delete(failures_path(pass_, unit))
    commit = metadata | {key: str(value) for key, value in counts.items()}
    commit |= more or {}
    if pass_.where is not None:
        commit["where"] = pass_.where
    if files is not None:
        commit["files"] = json.dumps({path: asdict(digest) for path, digest in sorted(files.items())})
    for name, (schema, rows) in parts.items():
        try:
            table = rows_to_table(rows, schema, name)
        except IntegrityError as exc:
            stages = ", ".join(stage.name for stage in pass_.stages)
            raise StageError(f"pass {pass_.name!r} ({stages}) broke its `provides`: {exc}") from exc
        path = tables.table_path(name, pass_.fp8, unit)
        tables.write_table(storage, path, table, commit if name == pass_.table else metadata)


def write_metrics(storage: Storage, pass_: PassPlan, unit: str, done: Done) -> None:
    """Write what a unit took; not part of the commit."""
    data = {
        "pass": pass_.name,
        "fingerprint": pass_.fingerprint,
        "unit": unit,
        "counts": done.counts,
        "seconds": done.seconds,
    }
    text = json.dumps(data, indent=1, sort_keys=True) + "\n"
    storage.write(RunFiles.metrics_path(pass_.name, unit), text.encode())
