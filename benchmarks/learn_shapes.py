"""A captioner that knows nothing learns the rendered shapes, by the product's own commands.

    python benchmarks/learn_shapes.py OUT [--count 4000] [--steps 2000] [--engine vllm|transformers]

footage → run → export-sft → finetune (an untrained Qwen2.5-VL of 0.8 million parameters) → captions of clips
that it never saw → eval against the truth. Ends with 1 where fewer than nine in ten are right word for word.
Run again, it goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from time import perf_counter

TESTS = Path(__file__).parents[1] / "tests"
HELD_OUT = 300
WANTED = 0.9
OFFLINE = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "OMP_NUM_THREADS": "1"}
ENGINES = {
    "vllm": {"image_px": 84, "max_model_len": 512, "enforce_eager": True, "gpu_memory_utilization": 0.1},
    "transformers": {"image_px": 84, "batch_size": 16},
}


def curate(*words: str | Path) -> None:
    """Run a command of curate and say how long it took; its failure ends this."""
    began = perf_counter()
    print("$ curate", *words, flush=True)
    command = [Path(sys.executable).with_name("curate"), *map(str, words)]
    if code := subprocess.run(command, env=os.environ | OFFLINE, check=False).returncode:
        sys.exit(code)
    print(f"  {perf_counter() - began:.0f} s", flush=True)


def cut(output: Path, count: int, seed: int) -> Path:
    """Render clips into `output` and cut them into a run there; return the run."""
    if not (output / "set" / "truth.jsonl").exists():
        curate(
            "footage", output / "set", "--set", "shapes", "--plain", "--count", str(count),
            "--seed", str(seed), "--size-px", "84", "--frames", "26",
        )  # fmt: skip
    curate(
        "run", "shapes", "--pipelines", TESTS / "caption" / "shapes.yaml",
        "--input", output / "set" / "*.tar", "--output", output / "run",
    )  # fmt: skip
    return output / "run"


def main() -> None:
    """Learn, and show what was learned."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--count", type=int, default=4000, help="clips to learn from")
    parser.add_argument("--steps", type=int, default=2000, help="of 16 clips each")
    parser.add_argument("--engine", choices=sorted(ENGINES), default="vllm")
    told = parser.parse_args()
    output: Path = told.output
    prompts = TESTS / "caption" / "prompts"
    learning = cut(output / "train", told.count, seed=1)
    held_out = cut(output / "test", HELD_OUT, seed=2)
    curate(
        "caption", "export-sft", learning, "--output", output / "pairs", "--template", "shape",
        "--prompts", prompts, "--captions", output / "train" / "set" / "truth.jsonl", "--test", "0",
    )  # fmt: skip
    base = output / "base"
    if not base.exists():
        sys.path[:0] = [str(TESTS), str(TESTS / "caption")]
        from shape_model import make_shape_model

        make_shape_model(base)
    curate(
        "caption", "finetune", output / "pairs", "--model", base, "--output", output / "tuned",
        "--method", "full", "--batch", "16", "--accumulate", "1", "--lr", "1.5e-3", "--weight-decay", "0.05",
        "--max-steps", str(told.steps), "--workers", "1", "--save-steps", "200",
    )  # fmt: skip
    engine = json.dumps({told.engine: {"model": str(output / "tuned" / "model"), **ENGINES[told.engine]}})
    curate(
        "caption", "run", held_out, "--pipeline", "shapes",
        "--pipelines", TESTS / "caption" / "shapes.yaml", "--workers", "1",
        "--set", f"caption.engine={engine}", "--set", f"caption.prompts={prompts}",
        "--set", "caption.variants={dense: shape}",
    )  # fmt: skip
    truth = output / "test" / "set" / "truth.jsonl"
    curate(
        "caption", "eval", held_out, "--truth", truth, "--output", output / "page",
        "--by", "direction", "--by", "shape", "--by", "color",
    )  # fmt: skip
    found = json.loads((output / "page" / "eval.json").read_text(encoding="utf-8"))
    exact = found["near"][str(held_out)]["exact"]
    print(f"right word for word: {exact:.3f} of {found['clips']} clips that it never saw")
    sys.exit(exact < WANTED)


if __name__ == "__main__":
    main()
