"""A causal language model of Hugging Face's behind the Q-Former, with a LoRA adapter for each label.

The prompt is plain text around the video tokens, and the answer the logit of " yes" less that of " no" at its
last position: of the first token in which the two differ; what they share before it is part of the prompt.
Base weights are frozen; an adapter (Hu et al., arXiv 2106.09685) is what a label has of its own. Nothing is
fetched: a name must be in the cache of this machine.
"""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from filters.labels.config import LanguageConfig
from filters.labels.questions import LABELS, QUESTIONS
from shards.errors import ConfigError

__all__ = ["HubLanguage", "find_language", "language_digest"]

_BEFORE: Final = "Video: "
_AFTER: Final = "\nQuestion: {question} Answer yes or no.\nAnswer:"


def find_language(model: str) -> Path:
    """Return the folder of a language model; ConfigError in one line where it is not on this machine."""
    for package in ("transformers", "peft", "accelerate"):
        if find_spec(package) is None:
            raise ConfigError(f"labels: {package} is not installed; install cogcurate[labels-large]")
    folder = Path(model).expanduser()
    if (folder / "config.json").is_file():
        return folder
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(model, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError, OSError) as exc:
        raise ConfigError(
            f"labels: the language model {model} is not on this machine; run `hf download {model}`, or "
            "download it elsewhere and name the folder (`model.language.model=…`)"
        ) from exc


def language_digest(folder: Path) -> str:
    """Return SHA-256 over a model's configuration, weights and tokenizer, hex."""
    whole = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix in {".json", ".safetensors", ".bin", ".model"}:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            whole.update(f"{path.name} {digest}\n".encode())
    return whole.hexdigest()


class HubLanguage(nn.Module):
    """Asks a language model each label's question, through that label's adapter."""

    def __init__(self, config: LanguageConfig, dtype: torch.dtype) -> None:
        """Load model and tokenizer; the adapters begin as no change."""
        super().__init__()
        from peft import LoraConfig, get_peft_model
        from transformers import AutoModelForCausalLM, AutoTokenizer

        folder = find_language(config.model)
        try:
            model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, local_files_only=True)
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError) as exc:
            reason = " ".join(str(exc).split())[:200]
            raise ConfigError(f"labels: {folder}: not a causal language model ({reason})") from exc
        model.requires_grad_(False)
        self.width = int(model.get_input_embeddings().embedding_dim)
        self._adapted = config.lora_rank > 0
        if self._adapted:
            lora = LoraConfig(
                task_type="CAUSAL_LM",
                r=config.lora_rank,
                lora_alpha=config.lora_alpha,
                lora_dropout=0.0,
                target_modules="all-linear",
            )
            model = get_peft_model(model, lora, adapter_name=LABELS[0])
            for label in LABELS[1:]:
                model.add_adapter(label, lora)
        self.model = model
        self._let_adapters_learn()

        def ids(text: str, special: bool = False) -> Tensor:
            return torch.tensor(tokenizer(text, add_special_tokens=special)["input_ids"])

        self.register_buffer("before", ids(_BEFORE, special=True), persistent=False)
        yes, no = ids(" yes").tolist(), ids(" no").tolist()
        shared = next((n for n, (one, two) in enumerate(zip(yes, no, strict=False)) if one != two), None)
        if shared is None:
            raise ConfigError(f"labels: {folder}: its tokenizer does not tell ' yes' from ' no'")
        self._yes, self._no = yes[shared], no[shared]
        for label, question in QUESTIONS.items():
            after = torch.cat([ids(_AFTER.format(question=question)), torch.tensor(yes[:shared]).long()])
            self.register_buffer(f"after_{label}", after, persistent=False)

    def _let_adapters_learn(self) -> None:
        """PEFT freezes every adapter but the one in use; here all of them are used in one step."""
        for name, value in self.model.named_parameters():
            if "lora_" in name:
                value.requires_grad_(True)

    def ask(self, video_BQD: Tensor) -> Tensor:
        """Return the log-odds of yes against no to each label's question, float32 (B, L)."""
        return torch.stack([self._answer(video_BQD, label) for label in range(len(LABELS))], dim=1)

    def _answer(self, video_BQD: Tensor, label: int) -> Tensor:
        """Return the log-odds (B,) of one label."""
        if self._adapted:
            self.model.set_adapter(LABELS[label])
            self._let_adapters_learn()
        embed = self.model.get_input_embeddings()
        count = len(video_BQD)
        before = embed(self.get_buffer("before")).expand(count, -1, -1)
        after = embed(self.get_buffer(f"after_{LABELS[label]}")).expand(count, -1, -1)
        tokens_BND = torch.cat([before, video_BQD.to(before.dtype), after], dim=1)
        logits_BV = self.model(inputs_embeds=tokens_BND, logits_to_keep=1, use_cache=False).logits[:, -1]
        odds_B: Tensor = (logits_BV[:, self._yes] - logits_BV[:, self._no]).float()
        return odds_B
