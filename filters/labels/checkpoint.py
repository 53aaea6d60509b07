"""A trained classifier in a folder: what was trained, what it was trained for, and how sure it may be.

    DIR/model.safetensors   trained weights, float16; frozen encoder and language model stay where they are
    DIR/config.json         labels, questions, model, temperatures, digests
    DIR/README.md           model card

`config.json` names the SHA-256 of the weights and of the frozen parts. Loading checks all of them: a
checkpoint of other labels, of other questions, or beside another encoder says nothing that could be trusted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from curate.config import validate
from filters.clip.weights import file_digest
from filters.labels.building import build, encoder_digest
from filters.labels.config import ModelConfig
from filters.labels.questions import LABELS, QUESTIONS
from shards.errors import ConfigError

if TYPE_CHECKING:
    from filters.videollama import VideoLlama

__all__ = ["SHIPPED", "Checkpoint", "load_model", "read_checkpoint", "round_weights", "write_checkpoint"]

SHIPPED: Final = Path(__file__).parent / "nano"
WEIGHTS: Final = "model.safetensors"
CONFIG: Final = "config.json"
_FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What `config.json` says; the weights are loaded apart."""

    folder: Path
    model: ModelConfig
    temperatures: tuple[float, ...]
    """by label: log-odds are divided by it"""
    feature_width: int
    """of the frozen encoder's tokens"""
    weights_sha256: str
    seed: int
    """of the split by source"""
    labels_sha256: str
    """of the labels file that it was trained on"""
    digests: Mapping[str, str]
    """of the frozen parts"""
    start: str | None = None
    """name of the checkpoint that it learned on from"""

    @property
    def name(self) -> str:
        """Return what the column `label_model` says: size and the beginning of the weights' digest."""
        return f"{self.model.size}@{self.weights_sha256[:8]}"


def frozen_digests(model: ModelConfig) -> dict[str, str]:
    """Return the digests of the frozen parts; ConfigError where one is not on this machine."""
    digests = {"encoder": encoder_digest(model.encoder)}
    if model.language is not None:
        from filters.labels.hub_language import find_language, language_digest

        digests["language"] = language_digest(find_language(model.language.model))
    return digests


def round_weights(network: VideoLlama) -> None:
    """Round what was learned to float16, in which it is stored: what is judged then is what is kept."""
    import torch

    with torch.no_grad():
        for value in network.parameters():
            if value.requires_grad:
                value.copy_(value.half())


def write_checkpoint(
    folder: Path,
    network: VideoLlama,
    model: ModelConfig,
    *,
    temperatures: Mapping[str, float],
    feature_width: int,
    seed: int,
    labels_sha256: str,
    start: str | None = None,
) -> Checkpoint:
    """Write weights (`round_weights` comes before) and configuration; the configuration last, atomically."""
    from safetensors.torch import save

    folder.mkdir(parents=True, exist_ok=True)
    weights = save(_trained_state(network), {"format": "pt"})
    (folder / WEIGHTS).write_bytes(weights)
    digests = frozen_digests(model)
    said = {
        "format": _FORMAT,
        "labels": list(LABELS),
        "questions": QUESTIONS,
        "model": model.model_dump(mode="json"),
        "temperatures": {label: temperatures[label] for label in LABELS},
        "feature_width": feature_width,
        "split_seed": seed,
        "labels_sha256": labels_sha256,
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        "frozen_sha256": digests,
        "start": start,
    }
    scratch = folder / f"{CONFIG}.part"
    scratch.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    scratch.replace(folder / CONFIG)
    return read_checkpoint(folder)


def read_checkpoint(folder: Path) -> Checkpoint:
    """Return the checkpoint in `folder`.

    Raises ConfigError in one line where there is none, or it is of other labels, questions or weights, or was
    trained with an encoder or language model other than those that its names now stand for.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise ConfigError(f"labels: {folder}: no {CONFIG} there; `curate filters train` writes a checkpoint")
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        if said["format"] != _FORMAT:
            raise ConfigError(f"labels: {path}: format {said['format']!r}; this version reads {_FORMAT}")
        _check_labels(path, said)
        checkpoint = Checkpoint(
            folder,
            validate(ModelConfig, said["model"], f"{path}: model"),
            tuple(float(said["temperatures"][label]) for label in LABELS),
            int(said["feature_width"]),
            said["weights_sha256"],
            int(said["split_seed"]),
            said["labels_sha256"],
            said["frozen_sha256"],
            said.get("start"),
        )
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise ConfigError(f"labels: {path}: not a checkpoint's ({type(exc).__name__}: {exc})") from exc
    found = file_digest(folder / WEIGHTS)
    if found != checkpoint.weights_sha256:
        raise ConfigError(
            f"labels: {folder / WEIGHTS}: SHA-256 {found[:8]}…, and {CONFIG} says "
            f"{checkpoint.weights_sha256[:8]}…; the two do not belong together"
        )
    for part, digest in frozen_digests(checkpoint.model).items():
        if checkpoint.digests.get(part) != digest:
            raise ConfigError(
                f"labels: {folder}: trained with another {part} than the one that is here "
                f"({str(checkpoint.digests.get(part))[:8]}…, not {digest[:8]}…)"
            )
    return checkpoint


def load_model(checkpoint: Checkpoint, device: Any) -> VideoLlama:
    """Return the network with its weights on `device`, for use and not for training."""
    import torch
    from safetensors.torch import load_file

    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    network = build(checkpoint.model, checkpoint.feature_width, dtype)
    if checkpoint.model.trees:
        from filters.labels.forest import SignalForest
        from filters.labels.planting import size_of

        network.forest = SignalForest(
            len(LABELS), checkpoint.model.trees, size_of(checkpoint.model, checkpoint.feature_width)
        )
    state = load_file(checkpoint.folder / WEIGHTS)
    wanted = _trained_state(network)
    shapes = {name: value.shape for name, value in state.items()}
    if shapes != {name: value.shape for name, value in wanted.items()}:
        raise ConfigError(f"labels: {checkpoint.folder / WEIGHTS}: not the weights of the model in {CONFIG}")
    network.load_state_dict(state, strict=False)
    network.to(device).eval()
    return network


def _trained_state(network: VideoLlama) -> dict[str, Any]:
    """Return what was learned and is used: trained parameters, and the signals' quantiles."""
    from filters.videollama import ASIDE

    learned = {name: value.requires_grad for name, value in network.named_parameters()}
    frozen = {name for name, learns in learned.items() if not learns}
    return {
        name: (value.half() if name in learned else value).detach().cpu().contiguous()
        for name, value in network.state_dict().items()
        if name not in frozen
        and not name.startswith(ASIDE)
        and not (name.startswith("language.model.") and "lora_" not in name)
    }


def _check_labels(path: Path, said: Mapping[str, Any]) -> None:
    if tuple(said["labels"]) != LABELS:
        raise ConfigError(
            f"labels: {path}: a checkpoint of the labels {', '.join(said['labels'])}; "
            f"these are wanted, in this order: {', '.join(LABELS)}"
        )
    if dict(said["questions"]) != QUESTIONS:
        other = next(label for label in LABELS if said["questions"].get(label) != QUESTIONS[label])
        raise ConfigError(f"labels: {path}: trained on another question for {other!r}; train it again")
