"""The engine `transformers`: a model in this process, for one GPU or a CPU, and for small models.

Requests that wait are run together, a batch at a time, in a thread; nothing joins a running batch (that is
what `vllm` is for). Each row draws with a generator of its own, seeded by its request, so what it draws does
not depend on its neighbours. The sums do, in their last bits, as padding changes with the batch: a near tie
between two words may fall otherwise.

Cost: the slowest answer of a batch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.util import find_spec
from time import perf_counter
from typing import Any, ClassVar

from pydantic import Field

from caption.chat import Seen, UnreadableError, chat_of, look_at, spoken
from caption.engine import Answer, Request
from caption.hub import load_speaker, missing_model
from caption.models import ModelOptions, Sees, describe_model, find_model
from curate.records import Options
from shards.errors import ConfigError

__all__ = ["TransformersEngine", "TransformersOptions"]


class TransformersOptions(ModelOptions):
    """A model, and how it is run."""

    dtype: str = Field("auto", description="bfloat16, float16, float32; auto: the checkpoint's")
    # Below: not dumped, so not in the fingerprint. They decide how fast captions come, not what they say.
    device: str | None = Field(
        None, exclude=True, description="cpu, cuda, cuda:1; null: a GPU if there is one"
    )
    batch_size: int = Field(8, ge=1, exclude=True, description="requests run together at most")
    collect_ms: float = Field(5, ge=0, exclude=True, description="a batch waits so long for others to join")


@dataclass(slots=True)
class _Waiting:
    request: Request
    seen: Seen
    prepared_s: float
    answer: asyncio.Future[Answer]
    since_s: float = field(default_factory=perf_counter)

    @property
    def kind(self) -> str:
        """What can be in one batch: videos go alone, as processors take one rate for all."""
        if self.seen.video_THWC is not None:
            return f"video {self.request.id}"
        return "pictures" if self.seen.pictures else "text"


class TransformersEngine:
    """Batches of what is waiting, by transformers' `generate`."""

    version: ClassVar[int] = 1
    rule_based: ClassVar[bool] = False
    Options: ClassVar[type[Options]] = TransformersOptions
    needs: ClassVar[frozenset[str]] = frozenset({"samples"})

    def __init__(self, options: TransformersOptions) -> None:
        """Find the model; ConfigError where there is no such preset or folder, or a package is missing."""
        self.options = options
        self._found = find_model(options, "transformers")
        if find_spec("transformers") is None:
            raise ConfigError("the engine 'transformers' needs transformers: install cogcurate[transformers]")
        self._model, self._digests = describe_model(self._found)
        self._sees: Sees = "text"
        self._speaker: Any = None
        self._net: Any = None
        self._thread: ThreadPoolExecutor | None = None
        self._queue: asyncio.Queue[_Waiting] | None = None
        self._server: asyncio.Task[None] | None = None

    @property
    def model(self) -> str:
        """The name on the hub with the revision, or a folder's name and digest."""
        return self._model

    def digests(self) -> Mapping[str, str]:
        """Return the weights' digest (a hub's name and revision), and how the model is asked."""
        return self._digests

    def counts(self) -> Mapping[str, float]:
        """Return nothing: all that is counted is in the answers."""
        return {}

    def setup(self) -> None:
        """Load the model; ConfigError where it cannot be had or does not fit."""
        import torch

        self._speaker, self._sees = load_speaker(self._found, "transformers")
        from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

        family = AutoModelForCausalLM if self._sees == "text" else AutoModelForImageTextToText
        found = self._found
        device = self.options.device or ("cuda" if torch.cuda.is_available() else "cpu")
        try:
            net = family.from_pretrained(
                found.model,
                revision=found.revision,
                trust_remote_code=found.trust_remote_code,
                dtype=self.options.dtype,
                **found.extra,
            )
            self._net = net.eval().to(device)
        except torch.OutOfMemoryError as exc:
            raise ConfigError(
                f"{device} has too little memory for {self._model}: name a smaller model, or the engine vllm "
                "with tensor_parallel_size"
            ) from exc
        except (OSError, ValueError) as exc:
            missing_model(found, "transformers", exc)
        tokenizer = getattr(self._speaker, "tokenizer", self._speaker)
        tokenizer.padding_side = "left"
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
        self._thread = ThreadPoolExecutor(1, "transformers")

    async def generate(self, request: Request) -> Answer:
        """Answer a request. Raises ConfigError for pictures to a text model."""
        if self._thread is None:
            raise RuntimeError("TransformersEngine.generate before setup")
        if request.pictures and self._sees == "text":
            raise ConfigError(
                f"{self._model} sees no pictures, but the template {request.template!r} shows some"
            )
        began = perf_counter()
        try:
            seen = await asyncio.to_thread(look_at, request, self._sees, self._found.image_px)
        except UnreadableError as exc:
            return Answer(request.id, "error", "", self._model, message=str(exc))
        loop = asyncio.get_running_loop()
        if self._server is None:
            self._queue = asyncio.Queue()
            self._server = loop.create_task(self._serve(self._queue))
        assert self._queue is not None
        waiting = _Waiting(request, seen, perf_counter() - began, loop.create_future())
        self._queue.put_nowait(waiting)
        return await waiting.answer

    async def _serve(self, queue: asyncio.Queue[_Waiting]) -> None:
        loop = asyncio.get_running_loop()
        kept: list[_Waiting] = []
        while True:
            if not kept:
                kept.append(await queue.get())
                await asyncio.sleep(self.options.collect_ms / 1000)
            while not queue.empty():
                kept.append(queue.get_nowait())
            kept = [
                waiting for waiting in kept if not waiting.answer.done()
            ]  # nobody waits for the cancelled
            batch = [w for w in kept if w.kind == kept[0].kind][: self.options.batch_size]
            kept = [waiting for waiting in kept if waiting not in batch]
            if not batch:
                continue
            try:
                answers = await loop.run_in_executor(self._thread, self._run, batch)
            except Exception as exc:  # each of those who wait must hear of it
                for waiting in batch:
                    if not waiting.answer.done():
                        waiting.answer.set_exception(exc)
                continue
            for waiting, answer in zip(batch, answers, strict=True):
                if not waiting.answer.done():
                    waiting.answer.set_result(answer)

    def _run(self, batch: Sequence[_Waiting]) -> list[Answer]:
        import torch

        began = perf_counter()
        inputs = self._inputs(batch).to(self._net.device)
        length = inputs["input_ids"].shape[1]
        limit = self._found.max_model_len or getattr(
            self._net.config.get_text_config(), "max_position_embeddings", None
        )
        if limit is not None and length >= limit:
            if len(batch) > 1:
                return [answer for waiting in batch for answer in self._run([waiting])]
            message = (
                f"a prompt of {length} tokens, but max_model_len is {limit}: raise it, or lower image_px"
            )
            return [Answer(batch[0].request.id, "error", "", self._model, message=message)]
        room = max(waiting.request.max_tokens for waiting in batch)
        prepared_s = (perf_counter() - began) / len(batch)
        with torch.inference_mode():
            written = self._net.generate(
                **inputs,
                do_sample=False,
                max_new_tokens=room if limit is None else min(room, limit - length),
                logits_processor=[_sampler([waiting.request for waiting in batch], self._net.device)],
                temperature=None,
                top_p=None,
                top_k=None,
            )[:, length:]
        lengths = inputs["attention_mask"].sum(1).tolist()
        return [
            self._answer(waiting, row, tokens, began - waiting.since_s, prepared_s)
            for waiting, row, tokens in zip(batch, written.tolist(), lengths, strict=True)
        ]

    def _inputs(self, batch: Sequence[_Waiting]) -> Any:
        chats = [chat_of(_told(waiting.request), waiting.seen) for waiting in batch]
        texts = [
            self._speaker.apply_chat_template(
                chat, tokenize=False, add_generation_prompt=True, **self._found.chat
            )
            for chat in chats
        ]
        shown: dict[str, Any] = {}
        if pictures := [picture for waiting in batch for picture in waiting.seen.pictures]:
            shown = {"images": pictures, "input_data_format": "channels_last"}
        elif batch[0].seen.video_THWC is not None:
            metadata = batch[0].seen.video_metadata()
            metadata.pop("do_sample_frames")
            shown = {
                "videos": [batch[0].seen.video_THWC],
                "video_metadata": [metadata],
                "do_sample_frames": False,
                "input_data_format": "channels_last",
            }
        options = self._found.mm_processor_kwargs if shown else {}
        return self._speaker(text=texts, padding=True, return_tensors="pt", **shown, **options)

    def _answer(
        self, waiting: _Waiting, row: Sequence[int], tokens: int, queued_s: float, prepared_s: float
    ) -> Answer:
        request = waiting.request
        ends = self._net.generation_config.eos_token_id
        ends = set(ends if isinstance(ends, list) else [ends])
        said = list(row[: request.max_tokens])
        end = next((place for place, token in enumerate(said) if token in ends), None)
        text = self._speaker.decode(said[:end], skip_special_tokens=True)
        text = spoken(text, self._found.answer_after)
        return Answer(
            request.id,
            "truncated" if end is None else "ok" if text.strip() else "empty",
            text,
            self._model,
            prompt_tokens=tokens,
            tokens=len(said) if end is None else end + 1,
            prepared_s=waiting.prepared_s + prepared_s,
            queued_s=queued_s,
        )

    async def stop(self) -> None:
        """End the task that collects batches; what waits is cancelled."""
        server, self._server = self._server, None
        if server is not None:
            server.cancel()
            await asyncio.gather(server, return_exceptions=True)

    def close(self) -> None:
        """Let go of the model, after the batch that runs."""
        if self._thread is not None:
            self._thread.shutdown()
        self._thread = self._net = self._speaker = None


def _told(request: Request) -> Request:
    """Return the request with its schema in words: `generate` cannot be held to one, the recipe checks."""
    if request.schema is None:
        return request
    import json
    from dataclasses import replace

    return replace(
        request, prompt=f"{request.prompt}\nAnswer with JSON that follows {json.dumps(request.schema)}"
    )


def _sampler(requests: Sequence[Request], device: Any) -> Any:
    """Return a logits processor after which the greatest score is a draw at each request's temperature.

    Adding Gumbel noise to log-probabilities and taking the greatest draws from the distribution; the noise is
    of a CPU generator a row, so seeds mean the same on every device.
    """
    import torch
    from transformers import LogitsProcessor

    generators = [torch.Generator().manual_seed(request.seed) for request in requests]

    class Draw(LogitsProcessor):  # type: ignore[misc]
        def __call__(self, _input_ids: Any, scores: Any) -> Any:
            rows = []
            for request, generator, row in zip(requests, generators, scores.float(), strict=True):
                if request.temperature > 0:
                    uniform = torch.rand(row.shape, generator=generator).clamp_(1e-12, 1 - 1e-7)
                    gumbel = -torch.log(-torch.log(uniform)).to(device)
                    rows.append(row / request.temperature + gumbel)
                else:
                    rows.append(row)
            return torch.stack(rows)

    return Draw()
