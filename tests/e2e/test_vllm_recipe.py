"""The whole recipe by real vLLM with small random models, in-process and served, over gold and real clips."""

from __future__ import annotations

import json
import os
import re
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from running import ROOT, curate, failures, rows
from vllm_server import QUIET, Server

pytestmark = [pytest.mark.vllm, pytest.mark.slow, pytest.mark.timeout(1800)]
if find_spec("vllm") is None:
    pytest.skip("needs vLLM: make setup-vllm", allow_module_level=True)

REAL = ROOT.parent / "shared" / "data" / "clips"
# The models are random: what they say is checked like anything else, and may all be alike.
PIPELINE = """
cut:
  passes: &passes
    split:
      stages:
        split:
          min_s: 2
          sample_every_s: 0.6
          sample_px: 112
          detector: {shots: {}}
          signals: {"parts:Tripod": {}}
direct:
  passes:
    <<: *passes
    caption: &caption
      resources: {workers: 1, in_flight: 4}
      stages:
        caption: &options
          engine: {vllm: {model: VLM, <<: *small}}
          summarizer: {vllm: {model: LM, <<: *small}}
          variants: {dense: summary, short: short}
          spikes: {max_equal_share: 1}
served:
  passes:
    <<: *passes
    caption:
      <<: *caption
      stages:
        caption:
          <<: *options
          engine: {openai: {base_url: URL, model: tiny}}
          summarizer: null
"""
SMALL = "{max_model_len: 2048, max_num_seqs: 16, enforce_eager: true, gpu_memory_utilization: 0.15}"
PIPELINE = PIPELINE.replace("*small", SMALL)


@pytest.fixture(scope="module")
def run(gold: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run over the gold corpus, and the real clips where they are, that has no captions."""
    folder = tmp_path_factory.mktemp("recipe")
    inputs = [word for path in (gold, REAL) if path.is_dir() for word in ("--input", path)]
    (folder / "cut.yaml").write_text(PIPELINE)
    done = curate(
        "run", "cut", "--pipelines", folder / "cut.yaml", *inputs,
        "--output", folder / "run", "--max-failures", "50%", timeout_s=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder / "run"


def caption(run: Path, pipeline: str, **values: object) -> subprocess.CompletedProcess[str]:
    text = PIPELINE
    for name, value in values.items():
        text = text.replace(name, json.dumps(str(value)))
    path = run.parent / f"{pipeline}.yaml"
    path.write_text(text)
    os.environ.update(QUIET)
    words = ["caption", run, "--pipeline", pipeline, "--pipelines", path, "--max-failures", "100%"]
    return curate(*words, timeout_s=1500)


def check(run: Path) -> list[dict[str, Any]]:
    """Return the captions, after checking that each clip has its own, or a failure."""
    clips = {row["clip_id"]: row for row in rows(run, "clips")}
    captions = rows(run, "captions")
    lost = {row["clip_id"]: row["message"] for row in failures(run) if row["pass"] == "caption"}
    # Models that know nothing often say nothing: then there is nothing to sum up, and that is a failure row.
    silent = re.compile(r"dense: no usable answer to '(short|frame)' \((no text|empty)\)")
    assert [message for message in lost.values() if not silent.fullmatch(message)] == []
    assert len(clips) - len(lost) > 40
    assert sorted((row["clip_id"], row["variant"]) for row in captions) == sorted(
        (ident, variant) for ident in clips.keys() - lost.keys() for variant in ("dense", "short")
    )
    for row in captions:
        assert row["request_id"].startswith(f"{row['clip_id']}/")
        assert row["samples_digest"] == clips[row["clip_id"]]["samples_sha256"]
        assert row["prompt_tokens"] > 0
        if row["variant"] == "dense":
            expected = clips[row["clip_id"]]["duration_s"]
            times = [part["time_s"] for part in row["parts"] if part["template"] == "frame"]
            assert len(times) >= max(1, int(expected / 2.5))
    assert curate("verify", run).returncode == 0
    return captions


def test_the_whole_recipe_in_process_and_served(run: Path, tiny_folder: Path, vllm_server: Server) -> None:
    done = caption(run, "served", URL=vllm_server.url)
    assert done.returncode == 0, done.stderr
    served = {(row["clip_id"], row["variant"]): row for row in check(run)}
    done = caption(run, "direct", VLM=tiny_folder / "vlm", LM=tiny_folder / "lm")
    assert done.returncode == 0, done.stderr
    direct = {(row["clip_id"], row["variant"]): row for row in check(run)}
    # The same clips and the same questions; what another batch makes of them may differ.
    both = direct.keys() & served.keys()
    assert len(both) > 40
    for key in both:
        row = direct[key]
        assert row["samples_digest"] == served[key]["samples_digest"]
        assert row["request_id"].rpartition("/")[0] == served[key]["request_id"].rpartition("/")[0]
    shorts = [key for key in both if key[1] == "short" and direct[key]["asked"] == served[key]["asked"]]
    equal = sum(direct[key]["prompt_tokens"] == served[key]["prompt_tokens"] for key in shorts)
    assert equal >= 0.99 * len(shorts)
