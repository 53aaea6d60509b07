"""What captioning asks of an encoder of texts and pictures: how well a caption fits what the clip shows.

The encoder is another package's (`filters` has one for CLIP) and is found by its name. It did the pictures
in an earlier pass, whose columns `embedding` and `embedding_model` it reads; the captions are left to do.
The number is the cosine of the two vectors: CLIPScore (Hessel et al., arXiv 2104.08718, section 3) without
its factor and its cut at zero. It compares captions of one clip, and captioners over the same clips; from
encoder to encoder it means another thing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

from curate.config import validate
from curate.records import Options
from curate.registry import resolve
from shards.errors import ConfigError

__all__ = ["COLUMNS", "Aligner", "build_aligner"]

COLUMNS = frozenset({"embedding", "embedding_model"})
"""read of a clip"""


class Aligner(Protocol):
    """Compares texts with what a clip's samples were encoded to. Built once a worker."""

    version: ClassVar[int]
    """raise it and captions are made again"""
    Options: ClassVar[type[Options]]

    def digests(self) -> Mapping[str, str]:
        """Name → digest of each model file that decides the numbers."""

    def setup(self) -> None:
        """Load the model, once a worker. ConfigError, of one line, where it cannot be had."""

    def similarity(
        self, texts: Sequence[str], embeddings: Sequence[Sequence[float] | None], models: Sequence[str | None]
    ) -> list[float | None]:
        """Return the cosine of each text and embedding, -1 to 1; None where either is nothing.

        `models` are what made the embeddings. ConfigError where that is not the encoder of this aligner.
        """

    def close(self) -> None:
        """Let go of everything; safe after a failed `setup`."""


def build_aligner(named: Mapping[str, Any] | None) -> Aligner | None:
    """Return the aligner that the options name, `{name: its options}`; None for None.

    Raises ConfigError where it is unknown, its options are wrong, or its files are missing.
    """
    if named is None:
        return None
    if len(named) != 1:
        raise ConfigError("aligner: name exactly one")
    ((name, raw),) = named.items()
    cls = resolve("aligner", name)
    aligner: Aligner = cls(validate(cls.Options, raw, f"aligner.{name}"))
    return aligner
