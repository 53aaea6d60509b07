"""Size `full`: an open_clip encoder before a Hugging Face language model with LoRA, both made on the spot."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from running import curate, rows
from tiny_clip import jpeg, make_encoder, picture

from filters.commands import eval as evaluating
from filters.commands.showing import Bars
from filters.commands.train import run as run_train
from filters.labels import LABELS
from filters.labels.building import build, pick_device
from filters.labels.checkpoint import read_checkpoint
from filters.labels.config import EncoderConfig, LanguageConfig, ModelConfig, recipe
from filters.labels.frozen_encoder import FrozenEncoder
from filters.labels.hub_language import HubLanguage, find_language
from shards.errors import ConfigError

torch = pytest.importorskip("torch")
pytest.importorskip("open_clip")
pytest.importorskip("peft")


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `encoder`, a ViT of two layers, and `lm`, a Qwen2 of two."""
    from tiny_models import make_lm

    folder = tmp_path_factory.mktemp("parts")
    make_encoder(folder / "encoder", width=48)
    make_lm(folder / "lm")
    return folder


def settings(parts: Path) -> list[str]:
    return [
        f"model.encoder.model=local-dir:{parts / 'encoder'}", "model.encoder.pretrained=null",
        "model.encoder.grid=2", f"model.language.model={parts / 'lm'}", "model.language.lora_rank=2",
        "model.frames=3", "model.width=48", "model.heads=4", "model.queries=4", "batch=4", "max_steps=2",
        "seed=1",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def language(parts: Path) -> HubLanguage:
    torch.manual_seed(0)
    return HubLanguage(LanguageConfig(model=str(parts / "lm"), lora_rank=2), torch.float32)


def test_tokens_are_the_pooled_vector_and_the_patches_in_a_grid(parts: Path) -> None:
    config = EncoderConfig(model=f"local-dir:{parts / 'encoder'}", grid=2)
    encoder = FrozenEncoder(config, pick_device("cpu"), batch=2)
    jpegs = [jpeg(picture(seed)) for seed in range(3)]
    try:
        features = encoder.encode(jpegs)
        tokens = features.tokens
        assert not len(features.sights)
        assert tokens.shape == (3, 1 + 2 * 2, 64)
        assert tokens.dtype == np.float16
        assert encoder.width == 64
        np.testing.assert_array_equal(encoder.encode(jpegs[2:]).tokens[0], tokens[2])
        import io

        import open_clip
        from PIL import Image

        model, _, prepare = open_clip.create_model_and_transforms(f"local-dir:{parts / 'encoder'}")
        with torch.no_grad():
            shown = prepare(Image.open(io.BytesIO(jpegs[0])))[None]
            pooled = model.eval().encode_image(shown, normalize=True)[0].numpy()
    finally:
        encoder.close()
    np.testing.assert_allclose(tokens[0, 0, :48], pooled * 8, atol=5e-3)
    assert not tokens[0, 0, 48:].any()
    assert len(np.unique(tokens[0, 1:], axis=0)) == 4


def test_only_adapters_learn_and_every_label_has_its_own(language: HubLanguage) -> None:
    learned = [name for name, value in language.named_parameters() if value.requires_grad]
    assert learned
    assert all("lora_" in name for name in learned)
    assert all(any(f".{label}." in name for name in learned) for label in LABELS)
    video = torch.randn(2, 4, language.width)
    language.ask(video).sum().backward()
    # B begins at nothing, so A has no gradient yet.
    reached = [
        name for name, value in language.named_parameters() if value.grad is not None and value.grad.any()
    ]
    assert reached == [name for name in learned if "lora_B" in name]
    language.zero_grad()


def test_an_adapter_changes_its_label_alone(language: HubLanguage) -> None:
    video = torch.randn(2, 4, language.width)
    with torch.no_grad():
        before = language.ask(video)
        changed = [
            value for name, value in language.named_parameters() if "lora_B" in name and ".lecture." in name
        ]
        for value in changed:
            value.add_(0.3)
        after = language.ask(video)
        for value in changed:
            value.sub_(0.3)
    same = [bool(torch.equal(one, two)) for one, two in zip(before.T, after.T, strict=True)]
    assert same == [label != "lecture" for label in LABELS]


def test_the_answer_is_that_of_the_last_position_of_the_prompt(parts: Path, language: HubLanguage) -> None:
    """Against the model's own words, without adapters, of a prompt whose video tokens are words, too."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(parts / "lm")
    model = AutoModelForCausalLM.from_pretrained(parts / "lm")
    middle = tokenizer("some words", return_tensors="pt").input_ids
    asked = "\nQuestion: Is the video dominated by text? Answer yes or no.\nAnswer:"
    yes, no = (tokenizer(word).input_ids for word in (" yes", " no"))
    shared = next(n for n, (one, two) in enumerate(zip(yes, no, strict=False)) if one != two)
    ids = torch.cat(
        [tokenizer("Video: ", return_tensors="pt").input_ids, middle,
         tokenizer(asked, return_tensors="pt").input_ids, torch.tensor([yes[:shared]]).long()], dim=1,
    )  # fmt: skip
    with torch.no_grad():
        logits = model(ids).logits[0, -1]
        ours = language.ask(model.get_input_embeddings()(middle))[:, LABELS.index("text")]
    assert float(ours[0]) == pytest.approx(float(logits[yes[shared]] - logits[no[shared]]), abs=1e-4)


def test_frame_tokens_of_the_encoder_reach_the_answer(parts: Path) -> None:
    model = recipe("full", settings(parts)).model
    assert isinstance(model, ModelConfig)
    torch.manual_seed(0)
    network = build(model, 64).eval()
    tokens, present = torch.randn(2, 3, 5, 64).half(), torch.ones(2, 3, dtype=torch.bool)
    odds = network(tokens, present)
    assert odds.shape == (2, len(LABELS))
    assert not torch.allclose(odds, network(tokens.flip(1), present))


def test_a_language_model_that_is_not_here_is_one_line() -> None:
    with pytest.raises(
        ConfigError, match="is not on this machine; run `hf download nobody/nothing`"
    ) as caught:
        find_language("nobody/nothing")
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_two_steps_an_evaluation_and_a_labelled_run(labelled: Path, parts: Path, tmp_path: Path) -> None:
    bars = Bars(Console(quiet=True))
    labels, run, model = labelled / "labels.csv", str(labelled / "run"), tmp_path / "model"
    run_train(labels, run, model, recipe("full", settings(parts)), bars)
    report = json.loads((model / "report.json").read_text())
    assert report["history"][-1]["steps"] == 2
    checkpoint = read_checkpoint(model)
    assert set(checkpoint.digests) == {"encoder", "language"}
    # The trained part alone: the 3 MB of the language model stay where they are.
    assert (model / "model.safetensors").stat().st_size < 1_000_000
    found = evaluating.run(labels, run, model, tmp_path / "eval", bars, split="all")
    assert found.clips == 40
    shutil.copytree(labelled / "run", tmp_path / "run")
    pipelines = tmp_path / "p.yaml"
    pipelines.write_text((labelled / "p.yaml").read_text().replace("MODEL", str(model)))
    done = curate(
        "run", "labelled", "--pipelines", pipelines, "--input", labelled / "in", "--output", tmp_path / "run",
        "--workers", "1",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    table = rows(tmp_path / "run", "labels")
    assert {row["label_model"] for row in table} == {checkpoint.name}
    assert len({row["label_text"] for row in table}) > 30
    # Another encoder of the same shape is not the one that it was trained with.
    make_encoder(tmp_path / "other", width=48, seed=9)
    shutil.rmtree(parts / "encoder")
    shutil.copytree(tmp_path / "other", parts / "encoder")
    with pytest.raises(ConfigError, match="trained with another encoder"):
        read_checkpoint(model)
