"""Which files an open_clip encoder is made of, found without loading it and without a network.

An encoder that is not on this machine is an error of the plan, which says what to download and where to name
it: many workers fetching gigabytes at once, in the middle of a run, help nobody. An architecture's JSON is
read from the package's folder, since importing open_clip takes seconds; only its table of tags needs that.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from curate.registry import nearest
from shards.errors import ConfigError

__all__ = ["EncoderFiles", "file_digest", "find_encoder", "installed"]

HUB: Final = "hf-hub:"
FOLDER: Final = "local-dir:"
_CONFIG: Final = "open_clip_config.json"
# In the order in which open_clip looks for them.
_WEIGHTS: Final = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
_ELSEWHERE: Final = (
    f"; or download them elsewhere and name the folder (`model: {FOLDER}…`) or the file (`pretrained: …`)"
)


@dataclass(frozen=True, slots=True)
class EncoderFiles:
    """An encoder as open_clip's loader wants it named, and what it is."""

    model: str
    """a built-in architecture, or `local-dir:` and a folder"""
    weights: Path
    name: str
    """for people and columns: architecture or folder, and tag or file; no folder of this machine"""
    width: int
    """of the embedding"""
    config: str
    """the architecture as JSON, keys sorted"""
    preprocess: Mapping[str, Any] = field(default_factory=dict)
    """what is said of the images that the weights were trained on"""

    @property
    def is_folder(self) -> bool:
        """Whether config, weights and preprocessing come from one folder."""
        return self.model.startswith(FOLDER)

    def digest(self) -> str:
        """Return SHA-256 over the architecture and the file of weights, hex."""
        whole = hashlib.sha256(self.config.encode())
        whole.update(json.dumps(self.preprocess, sort_keys=True).encode())
        whole.update(file_digest(self.weights).encode())
        return whole.hexdigest()

    def full_name(self) -> str:
        """Return the name and the beginning of the digest: the column `embedding_model`."""
        return f"{self.name}@{self.digest()[:8]}"


def installed(package: str) -> Path:
    """Return the folder of a package of the extra `clip`, without importing it."""
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise ConfigError(f"{package} is not installed; install cogcurate[clip]")
    return Path(found.submodule_search_locations[0])


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, hex; ConfigError where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be read ({exc.strerror})") from exc


def find_encoder(model: str, pretrained: str | None) -> EncoderFiles:
    """Return the files of `model`.

    Args:
        model: an architecture that open_clip has built in; `local-dir:` and a folder with its config and
            weights; or `hf-hub:` and a repository that is in the Hugging Face cache of this machine.
        pretrained: of a built-in architecture: a file of weights, or a tag that is in the cache.

    Raises ConfigError in one line that says what is missing and what to do.
    """
    package = installed("open_clip")
    if model.startswith((HUB, FOLDER)):
        if pretrained is not None:
            raise ConfigError(f"clip: {model!r} brings its weights along; leave `pretrained` out")
        if model.startswith(FOLDER):
            folder = Path(model.removeprefix(FOLDER)).expanduser()
            return _in_folder(folder, folder.resolve().name)
        return _in_hub_cache(model.removeprefix(HUB))
    configs = {path.stem: path for path in (package / "model_configs").glob("*.json")}
    if model not in configs:
        raise ConfigError(f"clip: open_clip has no model {model!r}; {nearest(model, list(configs))}")
    if pretrained is None:
        raise ConfigError(
            f"clip: `pretrained` of {model} is missing: a tag of open_clip's, or a file of weights"
        )
    config = _read_config(configs[model])
    path = Path(pretrained).expanduser()
    if path.is_file():
        return _files(model, path, f"{model}/{path.name}", config)
    return _tagged(model, pretrained, config)


def _files(
    model: str, weights: Path, name: str, config: Any, preprocess: Mapping[str, Any] | None = None
) -> EncoderFiles:
    try:
        width = int(config["embed_dim"])
    except (KeyError, TypeError, ValueError):
        raise ConfigError(
            f"clip: the config of {name} is not one of open_clip's: it has no embed_dim"
        ) from None
    return EncoderFiles(model, weights, name, width, json.dumps(config, sort_keys=True), preprocess or {})


def _read_config(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise ConfigError(f"clip: {path} cannot be read as JSON ({exc})") from exc


def _in_folder(folder: Path, name: str) -> EncoderFiles:
    if not (folder / _CONFIG).is_file():
        raise ConfigError(
            f"clip: {folder}: no {_CONFIG} there; download the whole repository of an open_clip model"
        )
    weights = next((folder / file for file in _WEIGHTS if (folder / file).is_file()), None)
    if weights is None:
        raise ConfigError(f"clip: {folder}: no weights there; {' or '.join(_WEIGHTS)} is wanted")
    config = _read_config(folder / _CONFIG)
    if not isinstance(config, dict) or "model_cfg" not in config:
        raise ConfigError(f"clip: {folder / _CONFIG} has no 'model_cfg'; it is not a config of open_clip's")
    return _files(f"{FOLDER}{folder}", weights, name, config["model_cfg"], config.get("preprocess_cfg"))


def _cached(repository: str, file: str) -> Path | None:
    """Return a file of a repository if it is in the cache of this machine."""
    installed("huggingface_hub")
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(repository, file)
    except HFValidationError as exc:
        raise ConfigError(f"clip: {HUB}{repository}: {' '.join(str(exc).split())}") from exc
    return Path(found) if isinstance(found, str) else None


def _in_hub_cache(repository: str) -> EncoderFiles:
    config = _cached(repository, _CONFIG)
    if config is None or not any(_cached(repository, file) for file in _WEIGHTS):
        raise ConfigError(
            f"clip: {HUB}{repository} is not on this machine; run `hf download {repository}`{_ELSEWHERE}"
        )
    # A snapshot in the cache is a folder like any other; naming it keeps the loader off the network.
    return _in_folder(config.parent, repository)


def _tagged(model: str, tag: str, config: Any) -> EncoderFiles:
    """Return the files behind one of open_clip's tags."""
    from open_clip import get_pretrained_cfg, list_pretrained_tags_by_model

    about = get_pretrained_cfg(model, tag)
    if not about:
        raise ConfigError(
            f"clip: pretrained {tag!r} is neither a file nor a tag of {model}; "
            f"{nearest(tag, list(list_pretrained_tags_by_model(model)))}"
        )
    if bool(about.get("quick_gelu")) != bool(config.get("quick_gelu")):
        other = model.removesuffix("-quickgelu") if config.get("quick_gelu") else f"{model}-quickgelu"
        raise ConfigError(
            f"clip: the weights {tag!r} belong to {other}, which has another activation than {model}"
        )
    repository, _, file = str(about.get("hf_hub", "")).rpartition("/")
    if not repository:
        raise ConfigError(f"clip: {model} {tag!r} is in no repository: download it{_ELSEWHERE}")
    names = (file,) if file else _WEIGHTS
    weights = next((path for name in names if (path := _cached(repository, name))), None)
    if weights is None:
        raise ConfigError(
            f"clip: the weights of {model} {tag!r} are not on this machine; "
            f"run `hf download {repository}`{_ELSEWHERE}"
        )
    about = {key: about[key] for key in ("mean", "std", "interpolation", "resize_mode") if key in about}
    return _files(model, weights, f"{model}/{tag}", config, about)
