"""T5 as diffusers' pipeline reads it, and the word encoder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from diffusers import CogVideoXPipeline
from torch import Tensor
from transformers import ByT5Tokenizer, T5Config, T5EncoderModel

from shards.errors import ConfigError, InputError
from train.text import CachedText, T5Encoder, WordEncoder

TEXTS = ["a red ball rolls to the left", "", "ein Ball, größer", "long " * 20]


def small(seed: int = 0) -> T5EncoderModel:
    torch.manual_seed(seed)
    return T5EncoderModel(T5Config(vocab_size=384, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=2))


def test_t5_is_read_as_diffusers_does() -> None:
    model, tokenizer = small(), ByT5Tokenizer()
    theirs = CogVideoXPipeline(tokenizer, model, None, None, None)
    found = T5Encoder(model, tokenizer, 24).encode(TEXTS)
    assert found.shape == (4, 24, 32)
    for text, ours in zip(TEXTS, found, strict=True):
        expected, _ = theirs.encode_prompt(text, None, False, max_sequence_length=24)
        assert ((ours - expected[0]).norm() / expected.norm()).item() < 1e-5
    # No mask: what stands after the text is of the padded model, not zero.
    assert found[1].norm() > 1


def test_a_text_is_the_same_alone_and_beside_others() -> None:
    for encoder in (T5Encoder(small(), ByT5Tokenizer(), 24), WordEncoder(24, 32)):
        together = encoder.encode(TEXTS)
        for number, text in enumerate(TEXTS):
            assert torch.equal(encoder.encode([text])[0], together[number])


def test_digests_tell_encoders_apart() -> None:
    made = [
        T5Encoder(small(), ByT5Tokenizer(), 24),
        T5Encoder(small(), ByT5Tokenizer(), 25),
        T5Encoder(small(1), ByT5Tokenizer(), 24),
        T5Encoder(small().to(torch.bfloat16), ByT5Tokenizer(), 24),
        WordEncoder(24, 32),
        WordEncoder(24, 32, seed=1),
        WordEncoder(25, 32),
        WordEncoder(24, 34),
    ]
    digests = [encoder.digest for encoder in made]
    assert len(set(digests)) == len(digests)
    assert T5Encoder(small(), ByT5Tokenizer(), 24).digest == digests[0]


def test_words_say_which_stands_where() -> None:
    encoder = WordEncoder(4, 32)
    ab, ba, cut, empty = encoder.encode(["a ball", "ball a", "A ball, red and round", ""])
    assert not torch.equal(ab[:2], ba[:2])
    assert torch.equal(ab[:2], cut[:2])
    assert torch.equal(cut, encoder.encode(["a ball , red"])[0])
    assert torch.equal(ab[2:], empty[2:])
    assert torch.equal(encoder.encode(["a ball"]), WordEncoder(4, 32).encode(["a ball"]))
    assert not torch.equal(encoder.encode(["a ball"]), WordEncoder(4, 32, seed=1).encode(["a ball"]))
    same = encoder.encode(["Größer", "grösser", "größer!", "大"])[:, 0]
    assert torch.equal(same[0], same[1])
    assert torch.equal(same[0], same[2])
    assert not torch.equal(same[0], same[3])


@pytest.mark.parametrize("sizes", [{"length": 0}, {"width": 3}, {"seed": -1}, {"width": "8"}])
def test_word_encoders_that_cannot_be(sizes: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        WordEncoder(**sizes)


def test_no_encoder_is_said_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="download") as caught:
        T5Encoder.load(tmp_path)
    assert "\n" not in str(caught.value)


class Counting(WordEncoder):
    """Says what it was asked to encode."""

    def __init__(self, width: int = 32) -> None:
        super().__init__(8, width)
        self.asked: list[list[str]] = []

    def encode(self, texts: Sequence[str]) -> Tensor:
        self.asked.append(list(texts))
        return super().encode(texts)


def test_a_text_is_encoded_once(tmp_path: Path) -> None:
    encoder = Counting()
    cached = CachedText(encoder, tmp_path)
    texts = ["a", "b", "a", ""]
    assert torch.equal(cached.encode(texts), WordEncoder(8, 32).encode(texts))
    assert encoder.asked == [["a", "b", ""]]
    again = CachedText(encoder, tmp_path).encode(["b", "c"])
    assert torch.equal(again, WordEncoder(8, 32).encode(["b", "c"]))
    assert encoder.asked[1:] == [["c"]]
    # Another encoder reads nothing of it.
    other = Counting(34)
    assert CachedText(other, tmp_path).encode(["a"]).shape == (1, 8, 34)
    assert other.asked == [["a"]]
    assert not list(tmp_path.rglob("*.partial"))


def test_embeddings_keep_their_type(tmp_path: Path) -> None:
    cached = CachedText(T5Encoder(small().to(torch.bfloat16), ByT5Tokenizer(), 24), tmp_path)
    first, second = cached.encode(TEXTS), cached.encode(TEXTS)
    assert first.dtype == torch.bfloat16
    assert torch.equal(first, second)


@pytest.mark.parametrize("damage", [b"", b"no safetensors", None])
def test_a_broken_embedding_is_made_anew(
    tmp_path: Path, damage: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    encoder = Counting()
    cached = CachedText(encoder, tmp_path)
    whole = cached.encode(["a"])
    path = cached.path("a")
    path.write_bytes(path.read_bytes()[:-9] if damage is None else damage)
    assert torch.equal(cached.encode(["a"]), whole)
    assert encoder.asked == [["a"], ["a"]]
    assert "broken; it is made anew" in caplog.text
    assert torch.equal(CachedText(encoder, tmp_path).encode(["a"]), whole)
    assert len(encoder.asked) == 2
