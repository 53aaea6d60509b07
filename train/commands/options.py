"""Options that several commands of `curate train` have, each with one wording."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

__all__ = ["Changes", "DecoderName", "Device", "Manifests", "MixAesthetics", "Preset", "Workers"]

Manifests: TypeAlias = Annotated[
    list[str], typer.Option(help="a manifest.parquet, or PATH@WEIGHT; may be given often")
]
Preset: TypeAlias = Annotated[
    str, typer.Option("--preset", "--recipe", help="name of a recipe, or a YAML file")
]
Changes: TypeAlias = Annotated[
    list[str] | None, typer.Option("--set", help="NAME=VALUE in the recipe, as in stages.0.steps=20")
]
MixAesthetics: TypeAlias = Annotated[
    bool, typer.Option("--mix-aesthetics", help="compare ratings of several aesthetic models")
]
Workers: TypeAlias = Annotated[int, typer.Option(min=1, help="threads that read and decode")]
DecoderName: TypeAlias = Annotated[str, typer.Option(help="av, torchcodec or decord")]
Device: TypeAlias = Annotated[str | None, typer.Option(help="cpu or cuda [default: cuda where it is]")]
