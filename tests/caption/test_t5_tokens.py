"""Counting tokens, with small T5-like tokenizers trained on the spot."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from captions import GOOD

from caption.checks import Checker, CheckOptions
from caption.t5_tokens import open_counter
from shards.errors import ConfigError

tokenizers = pytest.importorskip("tokenizers")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A unigram model with T5's normaliser, marker of words, and end token."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace("  ", " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    special = ["<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(
        vocab_size=400, special_tokens=special, unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(GOOD, trainer)
    end = ("</s>", tokenizer.token_to_id("</s>"))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[end]
    )
    tokenizer.enable_truncation(16)
    tokenizer.enable_padding(length=16)
    folder = tmp_path_factory.mktemp("t5")
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def test_all_tokens_are_counted_and_the_end(folder: Path) -> None:
    counter = open_counter(str(folder))
    assert counter is not None
    plain = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    plain.no_truncation()
    plain.no_padding()
    for text in GOOD:
        pieces = plain.encode(text, add_special_tokens=False).tokens
        assert counter.count(text) == len(pieces) + 1
    assert max(map(counter.count, GOOD)) > 100
    assert counter.count("") == 1


def test_a_file_of_sentencepiece_counts_the_same_as_itself_and_the_end(tmp_path: Path) -> None:
    spm = pytest.importorskip("sentencepiece")
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("\n".join(GOOD))
    spm.SentencePieceTrainer.train(
        input=str(corpus), model_prefix=str(tmp_path / "spiece"), vocab_size=300, pad_id=0, eos_id=1,
        unk_id=2, bos_id=-1, minloglevel=2,
    )  # fmt: skip
    counter = open_counter(str(tmp_path))
    assert counter is not None
    processor = spm.SentencePieceProcessor(model_file=str(tmp_path / "spiece.model"))
    for text in GOOD:
        assert counter.count(text) == len(processor.encode(text, add_eos=True))


def test_the_limit_is_on_tokens(folder: Path) -> None:
    text = "A tram passes."
    counter = open_counter(str(folder / "tokenizer.json"))
    assert counter is not None
    tokens = counter.count(text)
    for limit, problems in ((tokens, ()), (tokens - 1, ("too_many_tokens",))):
        checker = Checker(CheckOptions(t5_tokenizer=str(folder), max_tokens=limit))
        found = checker.check(text, "ok")
        assert (found.tokens, found.problems) == (tokens, problems)
    assert Checker(CheckOptions()).check(text, "ok").tokens is None


def test_the_digest_is_the_files(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = tmp_path / "other/tokenizer.json"
    other.write_bytes((folder / "tokenizer.json").read_bytes())
    digests = [Checker(CheckOptions(t5_tokenizer=str(path))).digests() for path in (folder, other)]
    assert digests[0] == digests[1]
    assert set(digests[0]) == {"T5 tokenizer", "language model"}
    other.write_bytes(other.read_bytes() + b"\n")
    assert Checker(CheckOptions(t5_tokenizer=str(other))).digests() != digests[0]
    assert set(Checker(CheckOptions()).digests()) == {"language model"}


@pytest.mark.parametrize(
    ("named", "says"),
    [
        ("google/t5-v1_1-xxl", r"neither here nor in the model hub's cache.*`hf download google/t5-v1_1-xxl"),
        ("/nowhere/at all", r"neither here nor in the model hub's cache.*`hf download"),
        ("{empty}", r"neither tokenizer.json nor spiece.model is there; `hf download"),
    ],
)
def test_a_tokenizer_that_is_not_there(
    named: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if pytest.importorskip("huggingface_hub"):
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(ConfigError, match=says) as caught:
        Checker(CheckOptions(t5_tokenizer=named.format(empty=tmp_path)))
    assert "\n" not in str(caught.value)


def test_a_tokenizer_in_the_hubs_cache_is_found(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("huggingface_hub")
    repository = tmp_path / "models--someone--t5"
    (repository / "snapshots/abc").mkdir(parents=True)
    (repository / "snapshots/abc/tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes())
    (repository / "refs").mkdir()
    (repository / "refs/main").write_text("abc")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    found, there = open_counter("someone/t5"), open_counter(str(folder))
    assert found is not None
    assert there is not None
    assert found.digest == there.digest


@pytest.mark.parametrize("name", ["tokenizer.json", "spiece.model"])
def test_a_file_that_holds_no_tokenizer(name: str, tmp_path: Path) -> None:
    if name == "spiece.model":
        pytest.importorskip("sentencepiece")
    (tmp_path / name).write_bytes(random.Random(0).randbytes(100))
    counter = open_counter(str(tmp_path))
    assert counter is not None
    with pytest.raises(ConfigError, match=rf"{name}: not a tokenizer") as caught:
        counter.load()
    assert "\n" not in str(caught.value)
