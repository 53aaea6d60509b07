"""What a pipeline says in the YAML: its options, checked one by one; `plan` checks them together."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field, field_validator, model_validator

from curate.config import Size, Sql
from curate.records import Options
from shards.errors import ConfigError
from shards.run import safe_name

__all__ = ["PackOptions", "PassOptions", "PipelineOptions", "Resources", "SelectOptions"]


class Resources(Options):
    """What a pass may use. Never part of a fingerprint."""

    workers: int | None = Field(
        None, ge=1, description="at most so many; null: one a core here, as many as fit on a Ray cluster"
    )
    min_workers: int = Field(0, ge=0, description="Ray: kept even when nothing waits, and asked for at once")
    cpus: float = Field(1.0, ge=0, description="Ray: CPUs of a worker")
    gpus: float = Field(0.0, ge=0, description="Ray: GPUs of a worker; 0.5: two of them share one")
    memory: Size = Field(0, ge=0, description="Ray: bytes of memory that a worker reserves; 0: not said")
    in_flight: int = Field(2, ge=1, description="units in one worker: what one reads hides behind another")
    attempts: int = Field(3, ge=1, description="tries of a unit or a source before it is given up")
    stall_limit_s: float = Field(60.0, gt=0, description="a decoder silent for so long is killed")
    time_limit_s: float = Field(6 * 3600.0, gt=0, description="a source may take so long in all")
    unit_limit_s: float = Field(
        24 * 3600.0, gt=0, description="a worker whose unit takes longer is killed, and the unit tried again"
    )
    spool_bytes: Size = Field(
        8 * 2**30, ge=2**20, description="sources from elsewhere that a worker has on disk at once"
    )
    address_space: Size = Field(6 * 2**30, ge=2**28, description="a decoder may map so many bytes")

    @model_validator(mode="after")
    def _consistent(self) -> Resources:
        if self.workers is not None and self.min_workers > self.workers:
            raise ValueError(f"min_workers ({self.min_workers}) is above workers ({self.workers})")
        if self.gpus > 1 and not self.gpus.is_integer():
            raise ValueError(f"gpus ({self.gpus}): above 1 it must be whole")
        return self


class PassOptions(Options):
    """One pass in the YAML."""

    stages: dict[str, Any]
    where: Sql | None = None
    resources: Resources = Resources()

    @field_validator("stages", mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        if isinstance(value, list):
            return dict.fromkeys(value)
        return value


def _selection_name(name: str) -> str:
    try:
        return safe_name(name)
    except ConfigError as exc:
        raise ValueError(str(exc)) from exc


class SelectOptions(Options):
    """The selection that a run ends with."""

    name: Annotated[str, AfterValidator(_selection_name)] = "main"
    where: Sql = "true"
    preset: str | None = Field(None, description="one of the file's `selections`, in place of `where`")

    @model_validator(mode="after")
    def _one_condition(self) -> SelectOptions:
        if self.preset is not None and "where" in self.model_fields_set:
            raise ValueError("give `where` or `preset`, not both")
        return self


class PackOptions(Options):
    """How shards are filled."""

    shard_bytes: Size = Field(512 * 2**20, ge=1)
    shard_clips: int = Field(10_000, ge=1)


class PipelineOptions(Options):
    """One pipeline in the YAML."""

    description: str = ""
    unit_bytes: Size = Field(256 * 2**20, ge=1)
    unit_sources: int = Field(16, ge=1)
    passes: dict[str, Any]
    select: SelectOptions | None = None
    pack: PackOptions = PackOptions()
