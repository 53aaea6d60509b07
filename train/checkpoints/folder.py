"""A model's folder as diffusers lays it out: `config.json`, and safetensors whole or in shards with an index.

Opening one reads headers alone, and says in one line what is wrong: no such folder, a folder of a pipeline,
pickled weights, shards that are missing or cut short, an index that does not agree with them.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from safetensors import SafetensorError, safe_open
from torch import Tensor

from shards.errors import InputError, IntegrityError

__all__ = ["STEM", "WeightFiles", "index_name", "listed", "read_config", "weights_name"]

STEM: Final = "diffusion_pytorch_model"
_SUFFIX: Final = ".safetensors"
_LOG = logging.getLogger(__name__)
_NAMED: Final = 5


def weights_name(variant: str | None = None, shard: str = "") -> str:
    """Return the name of a weights file: diffusion_pytorch_model.fp16-00001-of-00002.safetensors, say."""
    return f"{STEM}{f'.{variant}' if variant else ''}{shard}{_SUFFIX}"


def index_name(variant: str | None = None) -> str:
    """Return the name of the index of shards."""
    return f"{STEM}{_SUFFIX}.index.{f'{variant}.' if variant else ''}json"


def listed(names: Iterable[str]) -> str:
    """Return the first five of some names, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def read_config(folder: Path) -> dict[str, object]:
    """Return a model folder's `config.json`.

    Raises InputError where there is none, or it is no JSON object.
    """
    path = folder / "config.json"
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    if not path.is_file():
        if (folder / "model_index.json").is_file():
            raise InputError(
                f"{folder}: a whole pipeline; name the folder of one model in it, such as transformer"
            )
        raise InputError(f"{folder}: no config.json; is it a diffusers model?")
    return _object(path)


def _object(path: Path) -> dict[str, object]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: not JSON: {error}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: not a JSON object")
    return content


@dataclass(frozen=True, slots=True)
class WeightFiles:
    """All tensors of a folder: which file holds each, and its shape."""

    folder: Path
    files: Mapping[str, str]
    shapes: Mapping[str, tuple[int, ...]]
    dtypes: Mapping[str, str]
    """safetensors' names: F32, F16, BF16, …"""

    @classmethod
    def open(cls, folder: Path, variant: str | None = None) -> WeightFiles:
        """Read the headers of a folder's weights.

        Without `variant`: the plain ones, or the only variant there is.
        """
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder")
        index, single = _find(folder, variant)
        files = _indexed(folder / index) if index else None
        found: dict[str, str] = {}
        shapes: dict[str, tuple[int, ...]] = {}
        dtypes: dict[str, str] = {}
        for name in sorted(set(files.values())) if files is not None else [single]:
            for key, (shape, dtype) in _header(folder / name).items():
                if key in found:
                    raise IntegrityError(f"{folder}: {key} is in {found[key]} and in {name}")
                found[key], shapes[key], dtypes[key] = name, shape, dtype
        if files is not None and found != files:
            wrong = sorted(key for key in {*found, *files} if found.get(key) != files.get(key))
            raise IntegrityError(f"{folder}: the index does not agree with the shards on {listed(wrong)}")
        return cls(folder, found, shapes, dtypes)

    def read(self, key: str) -> Tensor:
        """Return one tensor, on the CPU."""
        with safe_open(self.folder / self.files[key], framework="pt") as file:
            return file.get_tensor(key)


def _find(folder: Path, variant: str | None) -> tuple[str, str]:
    """Return the name of the index, or an empty text and the name of the single file."""
    names = {path.name for path in folder.iterdir()}
    variants = _variants(names)
    if variant is None and not names & {index_name(), weights_name()} and len(variants) == 1:
        (variant,) = variants
        _LOG.info("%s: only has the variant %s, which is read", folder, variant)
    if index_name(variant) in names:
        return index_name(variant), ""
    if weights_name(variant) in names:
        return "", weights_name(variant)
    if variants:
        asked = f"no weights of variant {variant!r}" if variant else "no plain weights"
        raise InputError(f"{folder}: {asked}; there are the variants {', '.join(sorted(variants))}")
    if any(name.endswith((".bin", ".pt", ".ckpt")) for name in names):
        raise InputError(
            f"{folder}: has pickled weights alone, which can run code; save them as safetensors first"
        )
    raise InputError(f"{folder}: no {weights_name(variant)} and no {index_name(variant)}")


def _variants(names: Iterable[str]) -> set[str]:
    single = {
        name[len(STEM) + 1 : -len(_SUFFIX)]
        for name in names
        if name.startswith(f"{STEM}.") and name.endswith(_SUFFIX)
    }
    prefix = f"{STEM}{_SUFFIX}.index."
    indexed = {
        name[len(prefix) : -len(".json")]
        for name in names
        if name.startswith(prefix) and name.endswith(".json")
    }
    # Shards of a variant (fp16-00001-of-00002) are the index's; the plain index has no variant's name.
    return {name for name in single if name and "-of-" not in name} | (indexed - {"", "json"})


def _indexed(path: Path) -> dict[str, str]:
    """Return key → file name of an index, whose files are all there."""
    files = _object(path).get("weight_map")
    if not isinstance(files, dict) or not all(isinstance(name, str) for name in files.values()):
        raise InputError(f"{path}: no weight_map from keys to file names")
    names = sorted(set(files.values()))
    if strange := [name for name in names if Path(name).name != name]:
        raise InputError(f"{path}: names files outside its folder: {listed(strange)}")
    if missing := [name for name in names if not (path.parent / name).is_file()]:
        raise InputError(
            f"{path.parent}: {len(missing)} of {len(names)} shards are missing: {listed(missing)}"
        )
    return files


def _header(path: Path) -> dict[str, tuple[tuple[int, ...], str]]:
    try:
        with safe_open(path, framework="pt") as file:
            slices = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118
            return {key: (tuple(part.get_shape()), part.get_dtype()) for key, part in slices.items()}
    except SafetensorError as error:
        raise IntegrityError(f"{path}: cut short or no safetensors file: {error}") from None
