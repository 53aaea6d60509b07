"""How many tokens the T5 tokenizer makes of a caption: the text encoder of the generator has a limit.

CogVideoX's encoder is T5-v1.1-XXL, and of a caption beyond 226 tokens (the end token is one) it does not see
the end. The count needs the tokenizer's file alone: `tokenizer.json`, read by the package `tokenizers`, or
`spiece.model`, read by `sentencepiece`. Both come to the same.

Cost: 0.1 ms a caption of 60 words; 0.1 s to load.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from shards.errors import ConfigError

__all__ = ["TokenCounter", "open_counter"]

_JSON: Final = "tokenizer.json"
_PIECES: Final = "spiece.model"
_ADVICE: Final = "`hf download google/t5-v1_1-xxl spiece.model` gets T5-v1.1-XXL's"


class TokenCounter:
    """A tokenizer that counts; loaded when it is first asked."""

    def __init__(self, path: Path) -> None:
        """Read the file's digest; ConfigError where it, or the package that reads it, is not there."""
        self._path = path
        self._count: Callable[[str], int] | None = None
        package = "sentencepiece" if path.suffix == ".model" else "tokenizers"
        if find_spec(package) is None:
            raise ConfigError(
                f"t5_tokenizer: {path.name} is read by {package}, which is not installed; "
                "install cogcurate[captions]"
            )
        try:
            self.digest = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as exc:
            raise ConfigError(f"t5_tokenizer: {path} cannot be read ({exc.strerror})") from exc

    def load(self) -> None:
        """Load the tokenizer; ConfigError where the file holds none."""
        try:
            self._count = (_with_pieces if self._path.suffix == ".model" else _with_json)(self._path)
        except Exception as exc:  # a wrong file shows in many ways, all of them the user's to mend
            reason = " ".join(str(exc).split())[:200]
            raise ConfigError(f"t5_tokenizer: {self._path}: not a tokenizer ({reason})") from exc

    def count(self, text: str) -> int:
        """Return the number of tokens, the end token included."""
        if self._count is None:
            self.load()
        assert self._count is not None
        return self._count(text)


def open_counter(named: str | None) -> TokenCounter | None:
    """Return the counter of the tokenizer `named`; None for None.

    Args:
        named: a folder, a file, or a repository of the model hub that is in this machine's cache.

    Raises ConfigError, in one line that says what to download, where there is no such tokenizer.
    """
    if named is None:
        return None
    path = Path(named).expanduser()
    if path.is_file():
        return TokenCounter(path)
    if path.is_dir():
        for name in (_JSON, _PIECES):
            if (path / name).is_file():
                return TokenCounter(path / name)
        raise ConfigError(f"t5_tokenizer: {path}: neither {_JSON} nor {_PIECES} is there; {_ADVICE}")
    found = _in_cache(named)
    if found is None:
        raise ConfigError(
            f"t5_tokenizer: {named!r} is neither here nor in the model hub's cache on this machine; {_ADVICE}"
        )
    return TokenCounter(found)


def _in_cache(named: str) -> Path | None:
    """Return the tokenizer's file of a repository that is in the model hub's cache."""
    if find_spec("huggingface_hub") is None:
        return None
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    for name in (_JSON, _PIECES):
        try:
            found = try_to_load_from_cache(named, name)
        except HFValidationError:
            return None
        if isinstance(found, str):
            return Path(found)
    return None


def _with_json(path: Path) -> Callable[[str], int]:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    # What the file says of cutting and filling is for training: everything is to be counted.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return lambda text: len(tokenizer.encode(text).ids)


def _with_pieces(path: Path) -> Callable[[str], int]:
    from sentencepiece import SentencePieceProcessor

    processor = SentencePieceProcessor(model_file=str(path))
    # T5 ends every text with </s>, which the file's own encoding leaves out.
    return lambda text: len(processor.encode(text)) + 1
