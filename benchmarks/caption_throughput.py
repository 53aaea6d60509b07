"""Output tokens a second of the caption pass against a bare loop over the same requests to the same vLLM.

    python benchmarks/caption_throughput.py [--model NAME] [--clips 32] [--rounds 3] [--set K=V]

The first run of the recipe (short, frames, summary, re-asks) warms up and writes down every request. Then
the two take turns, caches emptied before each: the pass asks as it does in a run; the loop hands all
requests, with pictures decoded and prompts written beforehand, to vLLM at once, as nothing in them depends on
another any more. Without --model, a random Qwen2.5-VL of 128 million parameters: enough for the engine, not
Python, to be the limit. Its answers are noise, and most are asked for again.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import cv2
import numpy as np
import yaml

from caption.engine import Answer, Request
from caption.options import CaptionOptions
from caption.stage import Caption, digest_samples
from caption.vllm_engine import VllmEngine, VllmOptions
from curate.records import Clip, Sample

EVERY_S = 2.0


class Recording:
    """vLLM, and what it was asked."""

    def __init__(self, engine: VllmEngine) -> None:
        self._engine = engine
        self.requests: list[Request] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    async def generate(self, request: Request) -> Answer:
        """Note the request and have it answered."""
        self.requests.append(request)
        return await self._engine.generate(request)


def clip(number: int, samples: int) -> Clip:
    """Return a clip of shapes that move, whose pictures no other clip has."""
    rng = np.random.default_rng(number)
    found = []
    for sample in range(samples):
        image_HWC = np.full((252, 448, 3), rng.integers(0, 255, 3), np.uint8)
        for _ in range(6):
            center = (int(rng.integers(448)), int(rng.integers(252)))
            cv2.circle(image_HWC, center, int(rng.integers(10, 60)), rng.integers(0, 255, 3).tolist(), -1)
        found.append(Sample(sample * EVERY_S, cv2.imencode(".jpg", image_HWC)[1].tobytes()))
    row = {
        "clip_id": f"clip{number:04}", "source_id": f"source{number:04}", "start_s": 0.0,
        "duration_s": samples * EVERY_S, "samples_sha256": digest_samples(found), "camera": "static",
    }  # fmt: skip
    return Clip(row, lambda: tuple(found), bytes)


async def bare(engine: VllmEngine, prepared: Sequence[tuple[str, dict[str, Any], Any]]) -> int:
    """Return the tokens that came back of all requests at once."""

    async def one(name: str, prompt: dict[str, Any], params: Any) -> int:
        tokens = 0
        async for output in engine._llm.generate(prompt, params, name):
            tokens = len(output.outputs[0].token_ids)
        return tokens

    return sum(await asyncio.gather(*(one(*each) for each in prepared)))


async def forget(engine: VllmEngine) -> None:
    """Empty vLLM's caches of prefixes, of processed pictures and of what the eye saw."""
    await engine._llm.reset_mm_cache()
    await engine._llm.reset_encoder_cache()
    await engine._llm.reset_prefix_cache()


def measure(model: str, clips: int, samples: int, rounds: int, options: dict[str, Any]) -> None:
    """Print both rates of each round, and what the pass counted."""
    engine = VllmEngine(VllmOptions.model_validate({"model": model, **options}))
    recording = Recording(engine)
    stage = Caption(
        CaptionOptions.model_validate({"variants": {"dense": "summary", "short": "short"}}),
        engine=recording,
    )
    began = perf_counter()
    stage.setup()
    try:
        print(f"{engine.model}: ready after {perf_counter() - began:.0f} s", flush=True)
        footage = [clip(number, samples) for number in range(clips)]
        loop = stage._loop
        assert loop is not None
        began = perf_counter()
        stage.process(footage)
        told = stage.counts()
        print(
            f"warm-up: {told['requests']:.0f} requests, {told['generated_tokens']:.0f} tokens in "
            f"{perf_counter() - began:.0f} s",
            flush=True,
        )
        requests, recording.requests = recording.requests, []
        prepared = [(request.id, *engine._prepare(request)) for request in requests]
        ratios = []
        for number in range(rounds):
            loop.run(forget(engine))
            began = perf_counter()
            tokens = loop.run(bare(engine, prepared))
            bare_rate = tokens / (perf_counter() - began)
            loop.run(forget(engine))
            began = perf_counter()
            stage.process(footage)
            seconds = perf_counter() - began
            told = stage.counts()
            rate = told["generated_tokens"] / seconds
            ratios.append(rate / bare_rate)
            print(
                f"round {number}: bare {bare_rate:.1f} tokens/s ({len(prepared)} requests, {tokens} tokens), "
                f"pass {rate:.1f} tokens/s ({told['requests']:.0f} requests, "
                f"{told['generated_tokens']:.0f} tokens), ratio {ratios[-1]:.3f}; "
                f"in flight {told['in_flight_s'] / told['caption_s']:.1f}, "
                f"queued {told['queued_s'] / told['requests']:.2f} s and "
                f"prepared {told['prepared_s'] / told['requests'] * 1000:.1f} ms a request, "
                f"prefix cache {told.get('cached_tokens', 0) / told['prompt_tokens']:.0%} of prompt tokens, "
                f"idle {told.get('idle_s', 0) / told['caption_s']:.1%}, {clips / seconds * 3600:.0f} clips/h",
                flush=True,
            )
        print(f"ratio, median of {rounds}: {statistics.median(ratios):.3f}")
    finally:
        stage.close()


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model")
    parser.add_argument("--clips", type=int, default=32)
    parser.add_argument("--samples", type=int, default=3, help="of each clip, two seconds apart")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], help="an option of the engine")
    told = parser.parse_args()
    options = {key: yaml.safe_load(value) for key, _, value in (each.partition("=") for each in told.set)}
    if told.model is not None:
        measure(told.model, told.clips, told.samples, told.rounds, options)
        return
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from tiny_models import BENCHMARK, make_vlm

    small = {"max_model_len": 2048, "max_num_seqs": 16, "enforce_eager": True, "gpu_memory_utilization": 0.15}
    with tempfile.TemporaryDirectory() as folder:
        model = make_vlm(Path(folder) / "random-128m", BENCHMARK)
        measure(str(model), told.clips, told.samples, told.rounds, small | options)


if __name__ == "__main__":
    main()
