"""Small checkpoints made on the spot, which transformers and vLLM load like downloaded ones.

Real architectures (Qwen2.5-VL, Qwen2) with random weights, a byte-level BPE tokenizer trained here and a chat
template. They know nothing; what they say is a salad of words. It ends by itself, though: a constant channel
of the embedding speaks for the end-of-turn token, so that many an answer ends after some `ANSWER_TOKENS`
tokens, greedy or sampled. The same arguments give the same weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
)

__all__ = ["ANSWER_TOKENS", "BENCHMARK", "TINY", "Size", "make_lm", "make_vlm", "train_tokenizer"]

ANSWER_TOKENS = 20
"""about as long is an answer of random weights"""

_SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)

_TEXT = (
    "The camera follows a red ball rolling slowly across a wooden floor, then pans left and zooms in on it.",
    "A woman in a blue coat walks along the beach at sunset while waves break behind her.",
    "Two dogs run through tall green grass; a white house stands in the background under a cloudy sky.",
    "Describe this picture in one sentence. What moves, and how does the camera move? Answer in English.",
    "At 2.0 seconds a small yellow square moves from left to right over a dark gray background.",
    "Sum up these descriptions of frames in chronological order, in at most 100 words.",
    "0 1 2 3 4 5 6 7 8 9 10 12 16 24 25 30 48 60 100 circle triangle square star black white green orange",
)

# One turn after another; a video or picture stands where its content part stands.
_CHAT_TEMPLATE = """\
{%- for message in messages -%}
<|im_start|>{{ message.role }}
{% if message.content is string -%}
{{ message.content }}
{%- else -%}
{%- for part in message.content -%}
{%- if part.type in ("image", "image_url") -%}
<|vision_start|><|image_pad|><|vision_end|>
{%- elif part.type in ("video", "video_url") -%}
<|vision_start|><|video_pad|><|vision_end|>
{%- elif part.type == "text" -%}
{{ part.text }}
{%- endif -%}
{%- endfor -%}
{%- endif -%}
<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}
<|im_start|>assistant
{% endif -%}
"""


@dataclass(frozen=True, slots=True)
class Size:
    """Of the language model, and of the eye before it. vLLM on a CPU wants heads of 32 channels or more."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    intermediate: int
    vocabulary: int
    vision_hidden: int
    vision_layers: int
    context: int = 4096


TINY = Size(128, 2, 4, 2, 256, 640, 64, 2)
"""0.7 million parameters"""
BENCHMARK = Size(768, 18, 12, 4, 2304, 4096, 192, 4)
"""above 100 million, so that the model is the limit and not Python"""


def train_tokenizer(size: Size, text: Iterable[str] = _TEXT) -> PreTrainedTokenizerFast:
    """Return a byte-level BPE tokenizer of `size.vocabulary` entries at most, with the chat template."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    bpe.train_from_iterator(
        text,
        trainers.BpeTrainer(
            vocab_size=size.vocabulary,
            special_tokens=list(_SPECIAL),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens=list(_SPECIAL[1:]),
        model_max_length=size.context,
        padding_side="left",
        chat_template=_CHAT_TEMPLATE,
    )


def make_vlm(directory: Path, size: Size = TINY, *, seed: int = 0, text: Iterable[str] = _TEXT) -> Path:
    """Save a Qwen2.5-VL with its processor to `directory`, in float32, and return it."""
    tokenizer = train_tokenizer(size, text)
    token = tokenizer.convert_tokens_to_ids
    config = Qwen2_5_VLConfig(
        text_config=_text_config(size, tokenizer)
        | {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": _sections(size)}},
        vision_config={
            "depth": size.vision_layers,
            "hidden_size": size.vision_hidden,
            "intermediate_size": 2 * size.vision_hidden,
            "num_heads": max(1, size.vision_hidden // 32),
            "out_hidden_size": size.hidden,
            "fullatt_block_indexes": [size.vision_layers - 1],
            "initializer_range": size.vision_hidden**-0.5,
        },
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
        tie_word_embeddings=False,
    )
    torch.manual_seed(seed)
    model = Qwen2_5_VLForConditionalGeneration(config)
    _save(model, model.model.language_model.embed_tokens, model.lm_head, tokenizer, directory)
    pixels = {"shortest_edge": 28 * 28, "longest_edge": 448 * 448}
    Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessor(size=pixels),
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(size={**pixels, "longest_edge": 16 * 448 * 448}),
        chat_template=_CHAT_TEMPLATE,
    ).save_pretrained(directory)
    return directory


def make_lm(directory: Path, size: Size = TINY, *, seed: int = 0, text: Iterable[str] = _TEXT) -> Path:
    """Save a Qwen2 language model with its tokenizer to `directory`, in float32, and return it."""
    tokenizer = train_tokenizer(size, text)
    torch.manual_seed(seed)
    config = Qwen2Config(
        **_text_config(size, tokenizer),
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        tie_word_embeddings=False,
    )
    model = Qwen2ForCausalLM(config)
    _save(model, model.model.embed_tokens, model.lm_head, tokenizer, directory)
    tokenizer.save_pretrained(directory)
    return directory


def _text_config(size: Size, tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": size.hidden,
        "intermediate_size": size.intermediate,
        "num_hidden_layers": size.layers,
        "num_attention_heads": size.heads,
        "num_key_value_heads": size.kv_heads,
        "max_position_embeddings": size.context,
        # Untrained layers of the usual 0.02 add next to nothing: answers would not depend on the prompt.
        "initializer_range": size.hidden**-0.5,
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }


def _sections(size: Size) -> list[int]:
    """Return how many of a head's rotary pairs turn with time, height and width: 16, 24, 24 of 64."""
    pairs = size.hidden // size.heads // 2
    return [pairs - 2 * (3 * pairs // 8), 3 * pairs // 8, 3 * pairs // 8]


def _save(
    model: PreTrainedModel,
    embedding: torch.nn.Embedding,
    head: torch.nn.Linear,
    tokenizer: PreTrainedTokenizerFast,
    directory: Path,
) -> None:
    _let_answers_end(model, embedding, head, tokenizer)
    ends = tokenizer.eos_token_id
    model.generation_config = GenerationConfig(eos_token_id=ends, pad_token_id=tokenizer.pad_token_id)
    model.save_pretrained(directory)


@torch.no_grad()
def _let_answers_end(
    model: PreTrainedModel,
    embedding: torch.nn.Embedding,
    head: torch.nn.Linear,
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    """Spread the logits like a trained model's and lift the end of the turn to a share of 1/ANSWER_TOKENS.

    Logits of words come out as N(0, 3²); the greatest of V of them lies near 3·√(2 ln V)·0.88 (V of some
    hundreds). End-of-turn beats it once in ANSWER_TOKENS with a head start of that less 1.64 deviations.
    Single bytes and other special tokens never win: an answer is a salad of words.
    """
    spread = 3.0
    hidden = embedding.weight.shape[1]
    embedding.weight.normal_(std=1.0)
    embedding.weight[:, 0] = hidden**0.5 / 2
    head.weight.normal_(std=spread / hidden**0.5)
    head.weight[:, 0] = 0.0
    prompt = torch.arange(len(_SPECIAL), len(_SPECIAL) + 64)[None]
    constant = model(input_ids=prompt, output_hidden_states=True).hidden_states[-1][..., 0].mean()
    names = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    words = [i for i, name in enumerate(names) if i >= len(_SPECIAL) and len(name) > 1]
    greatest = spread * (2 * math.log(len(words))) ** 0.5 * 0.88
    head.weight[[i for i in range(len(names)) if i not in set(words)], 0] = -50.0 / constant
    head.weight[tokenizer.eos_token_id, 0] = (greatest - 1.64 * spread) / constant
