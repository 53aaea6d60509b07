"""Prompt templates: fields are checked, values are filled in."""

from __future__ import annotations

import pytest

from caption.template import FIELDS, Template, load_template, prompt_values
from curate.records import Sample
from shards.errors import ConfigError


@pytest.mark.parametrize("variant", ["dense", "short"])
def test_packaged_prompts_render(variant: str) -> None:
    samples = tuple(Sample(10.0 + n, b"") for n in range(3))
    prompt = load_template(variant).render(prompt_values(10.0, 3.04, samples))
    assert "0.0, 1.0, 2.0" in prompt
    assert "3.0 seconds" in prompt
    assert "{" not in prompt


def test_values_cover_the_fields() -> None:
    assert set(prompt_values(0.0, 1.0, ())) == set(FIELDS)


def test_unknown_variant_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'dense'"):
        load_template("dens")
    with pytest.raises(ConfigError, match="no prompt"):
        load_template("../engine")


def test_unknown_field_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"unknown field \{duration\}; did you mean 'duration_s'"):
        Template("x", "lasts {duration} seconds")


@pytest.mark.parametrize("text", ["{", "a } b", "{0}", "{}"])
def test_stray_braces_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="prompt 'x'"):
        Template("x", text)


def test_doubled_braces_are_braces() -> None:
    assert Template("x", '{{"seconds": {duration_s}}}').render({"duration_s": "2.0"}) == '{"seconds": 2.0}'
