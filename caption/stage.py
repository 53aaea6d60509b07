"""The caption pass: requests to an engine, and what comes back as rows.

Each clip is one request a variant. They run concurrently on an event loop that lives as long as the worker
(an engine's connections and queues belong to it), with a bounded number in flight; the order of the answers
does not matter, their ids do. A result with another clip's id stops the pass, and so do samples that are not
those that the clip's row knows: a caption on the wrong clip is worse than none.

Memory: the samples of the clips of one call.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pyarrow as pa
from pydantic import Field, model_validator

from caption.engine import CaptionRequest, CaptionResult, Engine
from caption.template import Template, load_template, prompt_values
from curate.config import validate
from curate.records import Clip, Failure, Options, Outcome, Row, Sample, Stage
from curate.registry import resolve
from shards.errors import ClipError, IntegrityError
from shards.schemas import CAPTIONS

__all__ = ["Caption", "CaptionError", "CaptionOptions", "digest_samples", "request_seed"]

_ARTIFACTS = frozenset({"samples", "media"})
# What requests and checks read of a clip, whatever the engine.
_COLUMNS = frozenset({"start_s", "duration_s", "samples_sha256"})


class CaptionError(ClipError):
    """The engine could not caption a clip."""


class CaptionOptions(Options):
    """What is asked, and of whom."""

    engine: dict[str, Any] = Field({"signals": {}}, description="one engine's name: its options")
    variants: tuple[str, ...] = Field(("dense",), min_length=1, description="files of caption/prompts")
    seed: int = Field(0, ge=0)
    # Not dumped, so not in the fingerprint: it decides how fast captions come, not what they say.
    concurrency: int = Field(64, ge=1, exclude=True, description="requests in flight at most")

    @model_validator(mode="after")
    def _consistent(self) -> CaptionOptions:
        if len(self.engine) != 1:
            raise ValueError("engine: name exactly one")
        if len(set(self.variants)) < len(self.variants):
            raise ValueError("variants: one is named twice")
        return self


class Caption(Stage):
    """Captions of clips, one row a variant."""

    version: ClassVar[int] = 1
    provides: ClassVar[pa.Schema] = pa.schema([field for field in CAPTIONS if field.name != "clip_id"])
    Options: ClassVar[type[Options]] = CaptionOptions

    def __init__(self, options: CaptionOptions, engine: Engine | None = None) -> None:
        """Check engine and prompts; `engine` takes the place of the one that `options` names."""
        super().__init__(options)
        self._concurrency = options.concurrency
        self._seed = options.seed
        self._engine = engine if engine is not None else _build(options.engine)
        self._templates = [load_template(variant) for variant in options.variants]
        self._columns = sorted(self._engine.needs - _ARTIFACTS)
        self._runner: asyncio.Runner | None = None

    @property
    def needs(self) -> frozenset[str]:  # type: ignore[override]  # the engine decides
        """Columns and artifacts read: the engine's and the requests'."""
        return self._engine.needs | _COLUMNS | {"samples"}

    def digests(self) -> Mapping[str, str]:
        """Return what besides the options decides the captions: engine, its models, prompts."""
        engine = self._engine
        about = [type(engine).__qualname__, engine.version, engine.model]
        prompts = {
            f"prompt {template.variant}": hashlib.sha256(template.text.encode()).hexdigest()
            for template in self._templates
        }
        models = {f"model {name}": digest for name, digest in engine.digests().items()}
        return {"engine": json.dumps(about), **prompts, **models}

    def setup(self) -> None:
        """Load the engine's model and make its event loop."""
        self._runner = asyncio.Runner()
        self._engine.setup()

    def process(self, clips: Sequence[Clip]) -> Sequence[Outcome]:
        """Return a tuple of rows for each clip, in the order of the variants, or why there are none.

        Raises IntegrityError where a result or the samples belong to another clip.
        """
        if self._runner is None:
            raise RuntimeError("Caption.process before setup")
        return self._runner.run(self._caption_all(clips))

    def close(self) -> None:
        """Close the engine, then its loop."""
        self._engine.close()
        if self._runner is not None:
            self._runner.close()
            self._runner = None

    async def _caption_all(self, clips: Sequence[Clip]) -> list[Outcome]:
        slots = asyncio.Semaphore(self._concurrency)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._caption(clip, slots)) for clip in clips]
        except BaseExceptionGroup as exc:
            # The first is the cause; the group would hide its class from whoever tells errors apart.
            raise exc.exceptions[0] from exc
        return [task.result() for task in tasks]

    async def _caption(self, clip: Clip, slots: asyncio.Semaphore) -> Outcome:
        # Storage may be far away: other clips' requests go on meanwhile.
        samples = await asyncio.to_thread(clip.samples)
        digest = digest_samples(samples)
        if digest != clip.row["samples_sha256"]:
            raise IntegrityError(
                f"clip {clip.clip_id}: its samples are not those that were written; "
                "run `curate verify` to find the damaged file"
            )
        rows = []
        for template in self._templates:
            request = self._request(clip, template, samples)
            async with slots:
                result = await self._engine.generate(request)
            if result.clip_id != request.clip_id:
                raise IntegrityError(
                    f"clip {request.clip_id}: {self._engine.model} answered for {result.clip_id!r}; "
                    "the engine mixes up its requests"
                )
            if result.status == "error":
                return Failure.of(CaptionError(f"{template.variant}: {result.message or 'no reason given'}"))
            rows.append(_row(request, result, digest))
        return tuple(rows)

    def _request(self, clip: Clip, template: Template, samples: tuple[Sample, ...]) -> CaptionRequest:
        values = prompt_values(clip.row["start_s"], clip.row["duration_s"], samples)
        return CaptionRequest(
            clip_id=clip.clip_id,
            variant=template.variant,
            prompt=template.render(values),
            samples=samples,
            seed=request_seed(self._seed, clip.clip_id, template.variant),
            measured={name: clip.row[name] for name in self._columns},
        )


def digest_samples(samples: Sequence[Sample]) -> str:
    """Return the hex SHA-256 of the JPEGs one after another: the clips table's `samples_sha256`."""
    digest = hashlib.sha256()
    for sample in samples:
        digest.update(sample.jpeg)
    return digest.hexdigest()


def request_seed(seed: int, clip_id: str, variant: str) -> int:
    """Return the seed of one request, 0 to 2**31 - 1: the same however the clips are batched."""
    digest = hashlib.sha256(f"{seed}/{clip_id}/{variant}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def _row(request: CaptionRequest, result: CaptionResult, digest: str) -> Row:
    text = result.text.strip()
    status = "empty" if result.status == "ok" and not text else result.status
    return {
        "variant": request.variant,
        "caption": text or None,
        "status": status,
        "caption_ok": status == "ok",
        "caption_model": result.model,
        "words": len(text.split()),
        "tokens": result.tokens,
        "samples_digest": digest,
    }


def _build(named: Mapping[str, Any]) -> Engine:
    """Return the engine that the options name; ConfigError where it is unknown or its options are wrong."""
    (name, raw), *_ = named.items()
    cls = resolve("engine", name)
    engine: Engine = cls(validate(cls.Options, raw, f"engine.{name}"))
    return engine
