"""The caption pass: the recipe's questions about each clip to the engines, and what comes back as rows.

Requests run concurrently on one event loop that lives as long as the worker, whatever unit or clip they are
of, with a bounded number in flight: nothing waits for the slowest of a batch. The order of the answers does
not matter, their ids do: an answer that names another request is not used. Samples that are not those that
the clip's row knows stop the pass. A caption on the wrong clip is worse than none.

Memory: the samples of the clips of the calls under way.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import pyarrow as pa

from caption.alignment import COLUMNS as ALIGNER_COLUMNS
from caption.alignment import build_aligner
from caption.canaries import Canary
from caption.canary_watch import CanaryWatch
from caption.checks import Checked, Checker
from caption.engine import Answer, Engine, Picture, Request, Status
from caption.engines import build_engine
from caption.ledger import Ledger
from caption.loop import LoopThread
from caption.options import CaptionOptions
from caption.recipe import ATTEMPTS, Recipe, Reply, Shot, request_seed
from caption.sameness import earlier_neighbours
from caption.template import Template, load_templates
from curate.records import Clip, Failure, Options, Outcome, Row, Sample, Stage
from curate.tally import Tally
from shards.errors import ClipError, ConfigError, IntegrityError
from shards.schemas import CAPTIONS

__all__ = ["Caption", "CaptionError", "CaptionOptions", "digest_samples", "request_seed"]

_ARTIFACTS = frozenset({"samples", "media"})
# What requests and checks read of a clip, whatever the engine.
_COLUMNS = frozenset({"source_id", "start_s", "duration_s", "samples_sha256"})
_MEASURED = frozenset({"camera"})


class CaptionError(ClipError):
    """The engine could not caption a clip."""


class Caption(Stage):
    """Captions of clips, one row a variant."""

    version: ClassVar[int] = 2
    provides: ClassVar[pa.Schema] = pa.schema([field for field in CAPTIONS if field.name != "clip_id"])
    Options: ClassVar[type[Options]] = CaptionOptions
    concurrent: ClassVar[bool] = True

    def __init__(
        self, options: CaptionOptions, engine: Engine | None = None, summarizer: Engine | None = None
    ) -> None:
        """Check engines and prompts; `engine` and `summarizer` take the place of those in `options`."""
        super().__init__(options)
        captioner = engine if engine is not None else build_engine(options.engine)
        if summarizer is None and options.summarizer is not None:
            summarizer = build_engine(options.summarizer, "summarizer")
        self._engines: dict[str, Engine] = {"captioner": captioner, "summarizer": summarizer or captioner}
        self._variants = dict(options.variants)
        self._templates = load_templates(self._variants.values(), options.prompts)
        once = [name for name, template in self._templates.items() if self._by_rules(template)]
        checks = options.checks
        if len(once) == len(self._templates):
            # No model's words are judged, so none is needed that knows languages.
            checks = checks.model_copy(update={"language": None})
        self._checker = Checker(checks)
        self._recipe = Recipe(self._templates, seed=options.seed, judge=self._judge, once=once)
        self._aligner = build_aligner(options.aligner)
        self._aligning = threading.Lock()
        if options.canaries and self._by_rules(self._templates[next(iter(self._variants.values()))]):
            raise ConfigError(
                "caption.canaries: sentences by rules see no shapes; name a model, or leave it out"
            )
        self._canaries = CanaryWatch(options.canaries, options.min_canaries_right, options.seed)
        measured = {"camera"} if any("{measured}" in t.prompt for t in self._templates.values()) else set()
        aligned = ALIGNER_COLUMNS if self._aligner is not None else frozenset()
        needs = frozenset().union(*(engine.needs for engine in self._used()), measured)
        self._columns = sorted(needs - _ARTIFACTS)
        self._needs = needs | _COLUMNS | aligned | {"samples"}
        self._concurrency = options.concurrency
        self._slots: asyncio.Semaphore | None = None
        self._loop: LoopThread | None = None
        self._ledger = Ledger()
        self._counted: Mapping[str, float] = {}

    @property
    def needs(self) -> frozenset[str]:  # type: ignore[override]  # the engines decide
        """Columns and artifacts read: the engines' and the requests'."""
        return self._needs

    def digests(self) -> Mapping[str, str]:
        """Return what besides the options decides the captions: engines, their models, prompts."""
        digests = {f"prompt {name}": template.digest for name, template in self._templates.items()}
        digests |= {f"checks {name}": digest for name, digest in self._checker.digests().items()}
        for role, engine in self._engines.items():
            if engine is self._engines["captioner"] and role != "captioner":
                continue
            digests[role] = json.dumps([type(engine).__qualname__, engine.version, engine.model])
            digests |= {f"{role} model {name}": digest for name, digest in engine.digests().items()}
        if self._aligner is not None:
            digests["aligner"] = str(self._aligner.version)
            digests |= {f"aligner {name}": digest for name, digest in self._aligner.digests().items()}
        return digests

    def setup(self) -> None:
        """Start the event loop and load the engines' models."""
        self._loop = LoopThread()
        self._slots = asyncio.Semaphore(self._concurrency)
        for engine in self._used():
            engine.setup()
        if self._aligner is not None:
            self._aligner.setup()

    def process(self, clips: Sequence[Clip]) -> Sequence[Outcome]:
        """Return a tuple of rows for each clip, in the order of the variants, or why there are none.

        Raises IntegrityError where the samples belong to another clip. Several threads may call it.
        """
        if self._loop is None:
            raise RuntimeError("Caption.process before setup")
        shots, digests = [], []
        for clip in clips:
            samples = clip.samples()
            digests.append(digest_samples(samples))
            if digests[-1] != clip.row["samples_sha256"]:
                raise IntegrityError(
                    f"clip {clip.clip_id}: its samples are not those that were written; "
                    "run `curate verify` to find the damaged file"
                )
            shots.append(self._shot(clip, samples))
        canaries = self._canaries.draw(len(clips))
        self._ledger.entered()
        try:
            told = self._loop.run(self._tell([*shots, *map(self._canary_shot, canaries)]))
        except BaseExceptionGroup as exc:
            # The first is the cause; the group would hide its class from whoever tells errors apart.
            raise _first(exc) from exc
        finally:
            self._ledger.left(len(clips))
        self._judge_canaries(canaries, told[len(shots) :])
        outcomes = [self._outcome(*replied) for replied in zip(told, digests, strict=False)]
        return self._aligned(clips, outcomes)

    def counts(self) -> Mapping[str, float]:
        """Return requests, tokens, seconds, and what the engines count, since the last call."""
        counts = Tally()
        counts.add(self._ledger.take())
        now = Tally()
        for engine in self._used():
            now.add(engine.counts())
        with self._aligning:
            before, self._counted = self._counted, now
        counts.add({name: number - before.get(name, 0.0) for name, number in now.items()})
        return counts

    def close(self) -> None:
        """Close the engines, then their loop."""
        for engine in self._used():
            if self._loop is not None:
                self._loop.run(engine.stop())
            engine.close()
        if self._aligner is not None:
            self._aligner.close()
        if self._loop is not None:
            self._loop.close()
            self._loop = None

    def _used(self) -> list[Engine]:
        """Return the engines that some template is for, each once."""
        roles = {template.options.engine for template in self._templates.values()}
        found = {id(self._engines[role]): self._engines[role] for role in sorted(roles)}
        return list(found.values())

    def _shot(self, clip: Clip, samples: Sequence[Sample]) -> Shot:
        start_s = clip.row["start_s"]
        pictures = tuple(Picture(sample.time_s - start_s, sample.jpeg) for sample in samples)
        measured = {name: clip.row[name] for name in self._columns}
        return Shot(clip.clip_id, clip.row["source_id"], clip.row["duration_s"], pictures, measured)

    def _canary_shot(self, canary: Canary) -> Shot:
        measured = dict.fromkeys(self._columns)
        return Shot(canary.id, canary.id, canary.duration_s, canary.pictures, measured)

    def _judge_canaries(self, canaries: Sequence[Canary], told: Sequence[Mapping[str, list[Reply]]]) -> None:
        """Keep the score by the first variant; BlindError where it is too low."""
        name = next(iter(self._variants.values()))
        for canary, replies in zip(canaries, told, strict=True):
            right = self._canaries.note(canary, replies[name][0].text)
            self._ledger.note("canaries")
            self._ledger.note("canaries_right", right)
        self._canaries.check()

    def _aligned(self, clips: Sequence[Clip], outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
        """Return the outcomes with `alignment`, where there is an aligner."""
        if self._aligner is None:
            return outcomes
        filled: list[Outcome] = []
        rows = [outcome if isinstance(outcome, tuple) else () for outcome in outcomes]
        of = [clip for clip, group in zip(clips, rows, strict=True) for _ in group]
        texts = [row["caption"] or "" for group in rows for row in group]
        embeddings, models = ([clip.row[name] for clip in of] for name in ("embedding", "embedding_model"))
        with self._aligning:
            numbers = iter(self._aligner.similarity(texts, embeddings, models))
        for outcome, group in zip(outcomes, rows, strict=True):
            with_numbers = tuple({**row, "alignment": next(numbers)} for row in group)
            filled.append(with_numbers if isinstance(outcome, tuple) else outcome)
        return filled

    async def _tell(self, shots: Sequence[Shot]) -> list[dict[str, list[Reply]]]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._recipe.run(shot, self._ask)) for shot in shots]
        told = [task.result() for task in tasks]
        for name in dict.fromkeys(self._variants.values()):
            template = self._templates[name]
            if template.options.prose and not self._by_rules(template):
                await self._tell_apart(shots, told, name)
        return told

    async def _tell_apart(
        self, shots: Sequence[Shot], told: Sequence[dict[str, list[Reply]]], name: str
    ) -> None:
        """Ask again for captions that say what those of the clip before say, and mark what stays so."""
        template = self._templates[name]
        for at, before in enumerate(earlier_neighbours([shot.source_id for shot in shots])):
            (reply,) = told[at][name]
            neighbours = [told[place][name][0].text or "" for place in before]
            if reply.status != "ok" or not neighbours:
                continue
            checked = self._judge(template, reply.status, reply.text, neighbours)
            if "same_as_neighbour" in checked.problems and reply.asked < ATTEMPTS:
                reply = await self._recipe.again(shots[at], told[at], name, self._ask)
                checked = self._judge(template, reply.status, reply.text, neighbours)
            told[at][name] = [replace(reply, checked=checked)]

    async def _ask(self, request: Request, template: Template) -> Answer:
        """Put a request to its engine; an answer that names another one is none."""
        assert self._slots is not None
        engine = self._engines[template.options.engine]
        async with self._slots:
            self._ledger.began()
            answer = None
            try:
                answer = await engine.generate(request)
            finally:
                self._ledger.ended(answer)
        if answer.id == request.id:
            return answer
        self._ledger.note("wrong_ids")
        message = f"the engine answered for another request, {answer.id[:200]!r}"
        return Answer(request.id, "error", "", engine.model, message=message)

    def _by_rules(self, template: Template) -> bool:
        return self._engines[template.options.engine].rule_based

    def _judge(
        self, template: Template, status: Status, text: str | None, neighbours: Sequence[str] = ()
    ) -> Checked:
        """Check an answer; of one that is no prose, or is written by rules, the status alone decides."""
        checked = self._checker.check(
            text, status, max_words=template.options.max_words, neighbours=neighbours
        )
        if template.options.prose and not self._by_rules(template):
            return checked
        problems = () if status == "ok" else (status,)
        return replace(checked, problems=problems, caption_ok=not problems)

    def _outcome(self, replies: Mapping[str, list[Reply]], digest: str) -> Outcome:
        rows = []
        for variant, name in self._variants.items():
            reply = replies[name][0]
            if reply.status == "error":
                reason = reply.answer.message or "an answer that does not follow its schema"
                return Failure.of(CaptionError(f"{variant}: {reason}"))
            rows.append(self._row(variant, reply, replies, digest))
        return tuple(rows)

    def _row(self, variant: str, reply: Reply, replies: Mapping[str, list[Reply]], digest: str) -> Row:
        parts = [part for name in self._read_by(reply.template) for part in replies[name]]
        models = dict.fromkeys(part.answer.model for part in [*parts, reply])
        return {
            "variant": variant,
            "caption": reply.text,
            "status": reply.status,
            "caption_model": " + ".join(models),
            **reply.checked.columns(),
            "alignment": None,
            "request_id": reply.answer.id,
            "asked": reply.asked,
            "prompt_tokens": reply.answer.prompt_tokens,
            "generated_tokens": reply.answer.tokens,
            "parts": [
                {"template": part.template, "time_s": part.time_s, "text": part.text, "status": part.status}
                for part in parts
            ],
            "samples_digest": digest,
        }

    def _read_by(self, name: str) -> list[str]:
        """Return the templates whose answers stand in that one, directly or not, each before its reader."""
        found: dict[str, None] = {}
        for read in self._templates[name].reads:
            found |= dict.fromkeys([*self._read_by(read), read])
        return list(found)


def digest_samples(samples: Sequence[Sample]) -> str:
    """Return the hex SHA-256 of the JPEGs one after another: the clips table's `samples_sha256`."""
    digest = hashlib.sha256()
    for sample in samples:
        digest.update(sample.jpeg)
    return digest.hexdigest()


def _first(exc: BaseException) -> BaseException:
    while isinstance(exc, BaseExceptionGroup):
        exc = exc.exceptions[0]
    return exc
