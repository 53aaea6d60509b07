"""Prompts: one text file a variant in `prompts/`, whose fields are checked before anything runs.

A field is written `{name}`; braces that are meant as such are doubled. The text of a template is part of the
pass's fingerprint: whoever edits one captions anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from string import Formatter

from curate.records import Sample
from curate.registry import nearest
from shards.errors import ConfigError

__all__ = ["FIELDS", "Template", "load_template", "prompt_values"]

FIELDS = ("duration_s", "pictures", "times_s")
"""length of the clip, number of its samples, and their times from its start, in seconds"""


@dataclass(frozen=True, slots=True)
class Template:
    """A prompt with fields."""

    variant: str
    text: str

    def __post_init__(self) -> None:
        try:
            names = [name for _, name, _, _ in Formatter().parse(self.text) if name is not None]
        except ValueError as exc:
            raise ConfigError(
                f"prompt {self.variant!r}: {exc}; double a brace that is meant as such"
            ) from exc
        for name in names:
            if name not in FIELDS:
                raise ConfigError(
                    f"prompt {self.variant!r}: unknown field {{{name}}}; {nearest(name, list(FIELDS))}"
                )

    def render(self, values: Mapping[str, str]) -> str:
        """Return the prompt with `values` for its fields."""
        return self.text.format_map(values)


def load_template(variant: str) -> Template:
    """Return the template of `variant`; ConfigError where there is none, or a field is unknown."""
    folder = files(__package__) / "prompts"
    known = {entry.name.removesuffix(".txt") for entry in folder.iterdir() if entry.name.endswith(".txt")}
    if variant not in known:
        raise ConfigError(f"no prompt for the caption variant {variant!r}; {nearest(variant, sorted(known))}")
    return Template(variant, (folder / f"{variant}.txt").read_text(encoding="utf-8").strip())


def prompt_values(start_s: float, duration_s: float, samples: tuple[Sample, ...]) -> dict[str, str]:
    """Return the values of FIELDS for a clip that begins at `start_s` on the clock of its samples."""
    return {
        "duration_s": f"{duration_s:.1f}",
        "pictures": str(len(samples)),
        "times_s": ", ".join(f"{sample.time_s - start_s:.1f}" for sample in samples),
    }
