"""Config and processor of a model from a folder, the hub or its cache; and what to do where there is none."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, NoReturn

import numpy as np

from caption.models import Preset, Sees
from shards.errors import ConfigError

__all__ = ["load_speaker", "missing_model", "picture_tokens"]


def load_speaker(found: Preset, engine: str) -> tuple[Any, Sees]:
    """Return what applies the chat template (a processor, or a tokenizer), and what prompts may hold.

    Raises ConfigError where the model cannot be had, or has no chat template.
    """
    if find_spec("transformers") is None:
        raise ConfigError(f"the engine {engine!r} needs transformers: install cogcurate[{engine}]")
    from transformers import AutoConfig, AutoProcessor, AutoTokenizer

    known = {"revision": found.revision, "trust_remote_code": found.trust_remote_code}
    try:
        config = AutoConfig.from_pretrained(found.model, **known)
        sees = found.sees or _sees(config)
        speaker: Any = None
        if sees != "text":
            try:
                speaker = AutoProcessor.from_pretrained(found.model, **known)
            except ValueError:  # a model with code of its own may come with a tokenizer alone
                speaker = None
        if getattr(speaker, "chat_template", None) is None:
            speaker = AutoTokenizer.from_pretrained(found.model, **known)
    except (OSError, ValueError) as exc:
        missing_model(found, engine, exc)
    if speaker.chat_template is None:
        raise ConfigError(f"{found.model} has no chat template: name a model that follows instructions")
    return speaker, sees


def _sees(config: Any) -> Sees:
    if getattr(config, "vision_config", None) is None:
        return "text"
    return "pictures" if getattr(config, "video_token_id", None) is None else "video"


def missing_model(found: Preset, engine: str, exc: Exception) -> NoReturn:
    """Raise the ConfigError that says how to get the model, or what is wrong with it."""
    what = " ".join(str(exc).split())
    if not isinstance(exc, OSError):
        raise ConfigError(f"{found.model} cannot be loaded: {what[:300]}") from exc
    revision = f" --revision {found.revision}" if found.revision else ""
    raise ConfigError(
        f"{found.model} is not on this machine and the hub cannot be asked ({what[:160]}); run "
        f"`hf download {found.model}{revision}` where there is a network, or point at a copy: "
        f"--set caption.engine.{engine}.model=/path/to/it"
    ) from exc


def picture_tokens(speaker: Any, image_px: int | None) -> int | None:
    """Return how many tokens a prompt with one square picture is; None where only the engine can tell."""
    if getattr(speaker, "image_processor", None) is None:
        return None
    side = image_px or 448
    chat = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "?"}]}]
    text = speaker.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    blank = np.zeros((side, side, 3), np.uint8)
    return len(speaker(text=[text], images=[blank], input_data_format="channels_last")["input_ids"][0])
