"""The engine `vllm`: vLLM in this process's care, all requests in one running batch.

`AsyncLLM` runs the model in processes of its own, the same in a Ray actor as in a plain worker. Requests join
and leave its batch token by token, whatever clip or unit they are of; none waits for another. System texts
and pictures seen before come from the prefix cache. Sampling is seeded by request, but sums depend on what
else is in the batch: two runs may differ in the words, not in the rows.

Cost: a start of one to several minutes; per request, decoding its pictures (in a thread) and its prompt.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from importlib.util import find_spec
from time import perf_counter
from typing import Any, ClassVar

from pydantic import Field

from caption.chat import Seen, UnreadableError, chat_of, look_at, spoken
from caption.engine import Answer, Request, Status
from caption.hub import load_speaker, picture_tokens
from caption.models import ModelOptions, Sees, describe_model, find_model
from caption.vllm_guard import mark_owner
from curate.records import Options
from shards.errors import ConfigError, WorkerLostError

__all__ = ["VllmEngine", "VllmOptions"]

_ENDED: Mapping[str | None, Status] = {"stop": "ok", "length": "truncated"}


class VllmOptions(ModelOptions):
    """A model, and how vLLM runs it."""

    dtype: str = Field("auto", description="bfloat16, float16, float32; auto: the checkpoint's")
    # Below: not dumped, so not in the fingerprint. They decide how fast captions come, not what they say.
    tensor_parallel_size: int = Field(1, ge=1, exclude=True, description="GPUs that share one copy")
    gpu_memory_utilization: float = Field(
        0.9, gt=0, le=1, exclude=True, description="share of a GPU's memory"
    )
    max_num_seqs: int | None = Field(None, ge=1, exclude=True, description="requests in the batch at most")
    enforce_eager: bool = Field(False, exclude=True, description="no CUDA graphs: a faster start")


class VllmEngine:
    """Continuous batching by vLLM."""

    version: ClassVar[int] = 1
    rule_based: ClassVar[bool] = False
    Options: ClassVar[type[Options]] = VllmOptions
    needs: ClassVar[frozenset[str]] = frozenset({"samples"})

    def __init__(self, options: VllmOptions) -> None:
        """Find the model; ConfigError where there is no such preset or folder, or vLLM is not installed."""
        self.options = options
        self._found = find_model(options, "vllm")
        if find_spec("vllm") is None:
            raise ConfigError("the engine 'vllm' needs vLLM: install cogcurate[vllm] where the GPUs are")
        self._model, self._digests = describe_model(self._found)
        self._sees: Sees = "text"
        self._context = 0
        self._speaker: Any = None
        self._llm: Any = None

    @property
    def model(self) -> str:
        """The name on the hub with the revision, or a folder's name and digest."""
        return self._model

    def digests(self) -> Mapping[str, str]:
        """Return the weights' digest (a hub's name and revision), and how the model is asked."""
        return self._digests

    def counts(self) -> Mapping[str, float]:
        """Return nothing: all that vLLM counts is in the answers."""
        return {}

    def setup(self) -> None:
        """Start vLLM; ConfigError where the model cannot be had or does not fit."""
        # The worker has threads: a forked child could inherit a lock that nobody will release.
        os.environ.setdefault("VLLM_WORKER_MULTIPROC_METHOD", "spawn")
        os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
        mark_owner()
        self._speaker, self._sees = load_speaker(self._found, "vllm")
        if self._found.max_model_len is not None and self._sees != "text":
            self._check_room(self._found.max_model_len)
        self._llm = self._start()
        self._context = self._llm.model_config.max_model_len

    def _start(self) -> Any:
        from vllm import AsyncEngineArgs
        from vllm.v1.engine.async_llm import AsyncLLM

        found, options = self._found, self.options
        limits = {} if options.max_num_seqs is None else {"max_num_seqs": options.max_num_seqs}
        try:
            arguments = {
                "model": found.model,
                "revision": found.revision,
                "tokenizer_revision": found.revision,
                "dtype": options.dtype,
                "max_model_len": found.max_model_len,
                "trust_remote_code": found.trust_remote_code,
                "mm_processor_kwargs": found.mm_processor_kwargs or None,
                "tensor_parallel_size": options.tensor_parallel_size,
                "gpu_memory_utilization": options.gpu_memory_utilization,
                "enforce_eager": options.enforce_eager,
                "enable_prefix_caching": True,
                **limits,
                **found.extra,
            }
            return AsyncLLM.from_engine_args(AsyncEngineArgs(**arguments))
        except TypeError as exc:
            raise ConfigError(f"engine.vllm.extra: {_line(exc)}") from exc
        except (ValueError, OSError, RuntimeError) as exc:
            raise ConfigError(
                f"vLLM cannot run {self._model}: {_line(exc)}; if memory is short (its log says so), lower "
                "max_model_len or max_num_seqs, set gpu_memory_utilization, or share it among GPUs by "
                "tensor_parallel_size"
            ) from exc

    def _check_room(self, context: int) -> None:
        """Refuse a context that cannot hold one picture and a few words."""
        needed = picture_tokens(self._speaker, self._found.image_px)
        if needed is not None and needed >= context:
            raise ConfigError(
                f"engine.vllm.max_model_len: {context} tokens cannot hold one picture, which takes {needed}; "
                "raise it, or lower engine.vllm.image_px"
            )

    async def generate(self, request: Request) -> Answer:
        """Answer a request. Raises ConfigError for pictures to a text model, WorkerLostError."""
        from vllm.exceptions import VLLMClientError
        from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

        if self._llm is None:
            raise RuntimeError("VllmEngine.generate before setup")
        if request.pictures and self._sees == "text":
            raise ConfigError(
                f"{self._model} sees no pictures, but the template {request.template!r} shows some"
            )
        began = perf_counter()
        try:
            prompt, params = await asyncio.to_thread(self._prepare, request)
        except UnreadableError as exc:
            return Answer(request.id, "error", "", self._model, message=str(exc))
        prepared_s = perf_counter() - began
        last: Any = None
        try:
            async for output in self._llm.generate(prompt, params, request.id):
                last = output
        except EngineDeadError as exc:
            raise WorkerLostError(f"vLLM has died while it ran {self._model}; its log says why") from exc
        except VLLMClientError as exc:
            return Answer(request.id, "error", "", self._model, message=self._refusal(exc))
        except EngineGenerateError as exc:
            return Answer(request.id, "error", "", self._model, message=_line(exc.__cause__ or exc))
        return self._answer(request, last, prepared_s)

    def _prepare(self, request: Request) -> tuple[dict[str, Any], Any]:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

        seen = look_at(request, self._sees, self._found.image_px)
        text = self._speaker.apply_chat_template(
            chat_of(request, seen), tokenize=False, add_generation_prompt=True, **self._found.chat
        )
        prompt: dict[str, Any] = {"prompt": text}
        if shown := _shown(seen):
            prompt["multi_modal_data"] = shown
        schema = None if request.schema is None else StructuredOutputsParams(json=dict(request.schema))
        params = SamplingParams(
            seed=request.seed,
            max_tokens=request.max_tokens,
            temperature=request.temperature,
            structured_outputs=schema,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        return prompt, params

    def _refusal(self, exc: Exception) -> str:
        text = _line(exc)
        if "length" not in text:
            return text
        return f"{text} (max_model_len is {self._context}: raise it, or lower image_px)"

    def _answer(self, request: Request, output: Any, prepared_s: float) -> Answer:
        done = output.outputs[0]
        text = spoken(done.text, self._found.answer_after)
        status = _ENDED.get(done.finish_reason, "error")
        metrics = output.metrics
        return Answer(
            output.request_id,
            "empty" if status == "ok" and not text.strip() else status,
            text,
            self._model,
            prompt_tokens=len(output.prompt_token_ids),
            tokens=len(done.token_ids),
            cached_tokens=output.num_cached_tokens,
            prepared_s=prepared_s,
            queued_s=max(0.0, metrics.scheduled_ts - metrics.queued_ts) if metrics else 0.0,
            message="" if status != "error" else f"vLLM ended {request.id} with {done.finish_reason!r}",
        )

    async def stop(self) -> None:
        """End vLLM's processes while its tasks still have a loop to be cancelled on."""
        await asyncio.to_thread(self.close)
        await asyncio.sleep(0)

    def close(self) -> None:
        """End vLLM's processes."""
        llm, self._llm = self._llm, None
        if llm is not None:
            llm.shutdown()


def _shown(seen: Seen) -> dict[str, Any]:
    from PIL import Image

    if seen.video_THWC is not None:
        return {"video": [(seen.video_THWC, seen.video_metadata())]}
    # As arrays, pictures would be taken for tensors with the channels first.
    return {"image": [Image.fromarray(picture) for picture in seen.pictures]} if seen.pictures else {}


def _line(exc: BaseException) -> str:
    """Return the error's message as one line."""
    return " ".join(str(exc).split()) or type(exc).__name__
