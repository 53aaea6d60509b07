"""A captioner that says one thing of everything fails the run."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
from fake_run import CAPTION, make_run
from hypothesis import given, settings
from hypothesis import strategies as st

from shards.caption_spikes import Spike, passes_with_limits, run_spikes, spikes
from shards.run import RunFiles, SpikeLimits
from shards.tables import part_metadata, read_table, table_path, write_table
from shards.verify import verify

FIFTH = SpikeLimits(0.2, 10)


def reader(texts: list[str | None], variant: str = "dense", model: str = "m") -> Callable[[], list[pa.Table]]:
    """Return what reads captions in three tables."""
    columns = {"variant": [variant] * len(texts), "caption_model": [model] * len(texts), "caption": texts}
    schema = pa.schema([(name, pa.string()) for name in columns])
    whole = pa.table(columns, schema=schema)
    third = -(-len(texts) // 3)
    return lambda: [whole.slice(at, third) for at in range(0, len(texts), max(1, third))]


def test_more_than_the_share_is_a_spike() -> None:
    others: list[str | None] = [f"Clip {number}." for number in range(80)]
    assert spikes(reader([*others, *["A dog."] * 20]), FIFTH) == []
    found = spikes(reader([*others[:79], *["A dog."] * 21]), FIFTH)
    assert found == [Spike("dense", "m", "A dog.", 21, 100)]
    assert str(found[0]) == (
        "the caption 'A dog.' stands at 21 of 100 clips (21%) in the variant 'dense' by m"
    )


def test_below_the_least_number_nothing_is() -> None:
    assert spikes(reader(["A dog."] * 9), FIFTH) == []
    assert spikes(reader(["A dog."] * 10), FIFTH) == [Spike("dense", "m", "A dog.", 10, 10)]
    assert spikes(reader([]), FIFTH) == []


def test_case_space_and_punctuation_do_not_count() -> None:
    texts = ["A dog, running.", "a dog  running", "A DOG\nrunning!", " a dog: running "] * 3
    assert [spike.equal for spike in spikes(reader(list(texts)), FIFTH)] == [12]
    assert spikes(reader([f"狗 {number}。" for number in range(12)]), FIFTH) == []
    assert [spike.caption for spike in spikes(reader(["狗。"] * 12), FIFTH)] == ["狗。"]


def test_no_text_is_as_equal_as_any() -> None:
    found = spikes(reader([None, "", " ", "..."] * 3), FIFTH)
    assert [spike.equal for spike in found] == [12]
    assert str(found[0]).startswith("no text stands at 12 of 12 clips (100%)")


def test_variants_and_models_are_looked_at_apart() -> None:
    varied: list[str | None] = [f"Clip {number}." for number in range(100)]
    tables = [*reader(varied)(), *reader(["A dog."] * 12, variant="short")(), *reader(varied, model="n")()]
    assert spikes(lambda: tables, FIFTH) == [Spike("short", "m", "A dog.", 12, 12)]


def test_a_long_caption_is_shown_in_part_and_on_one_line() -> None:
    text = str(Spike("dense", "m", "word\n" * 100, 5, 5))
    assert "\n" not in text
    assert len(text) < 200


@settings(max_examples=50)
@given(st.lists(st.sampled_from(["a", "b", "c", "d", None]), max_size=40), st.floats(0.05, 1))
def test_as_counted_by_hand(texts: list[str | None], share: float) -> None:
    counts = Counter(text or "" for text in texts)
    wanted = max(counts.values(), default=0)
    found = spikes(reader(texts), SpikeLimits(share, 5))
    if len(texts) >= 5 and wanted > share * len(texts):
        assert [(spike.equal, spike.captions) for spike in found] == [(wanted, len(texts))]
        assert counts[found[0].caption] == wanted
    else:
        assert found == []


# -- in a run ---------------------------------------------------------------------------------------------


def limited(run: RunFiles, limits: SpikeLimits | None) -> None:
    info = run.info()
    passes = {**info.passes, "caption": replace(info.passes["caption"], spikes=limits)}
    run.write_info(replace(info, passes=passes))


def say(run: RunFiles, text: str) -> None:
    """Give every dense caption of the run that text, in sealed parts."""
    said = {"caption": text, "words": len(text.split())}
    for unit in ("u000", "u001"):
        path = table_path("captions", CAPTION.fp8, unit)
        rows = read_table(run.storage, path)
        listed = [row | (said if row["variant"] == "dense" else {}) for row in rows.to_pylist()]
        metadata = part_metadata(run.storage, path)
        write_table(run.storage, path, pa.Table.from_pylist(listed, schema=rows.schema), metadata)


def test_verify_names_the_caption(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", units=2)
    say(run, "A dog.")
    assert run_spikes(run, run.info(), "caption") == []  # nobody asked
    assert verify(str(tmp_path / "run")) == []
    limited(run, SpikeLimits(0.5, 5))
    assert passes_with_limits(run.info()) == ["caption"]
    found = verify(str(tmp_path / "run"))
    assert [problem.path for problem in found] == [f"tables/captions/{CAPTION.fp8}"]
    assert "'A dog.' stands at 10 of 10 clips (100%) in the variant 'dense' by fake-1" in found[0].what
    limited(run, SpikeLimits(0.5, 11))
    assert verify(str(tmp_path / "run")) == []


def test_the_limits_are_recorded(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    limited(run, SpikeLimits(0.25, 7))
    assert run.info().passes["caption"].spikes == SpikeLimits(0.25, 7)
    stored = json.loads(run.storage.read("run.json"))
    assert stored["passes"]["caption"]["spikes"] == {"share": 0.25, "least": 7}
    assert stored["passes"]["split"]["spikes"] is None


def test_a_damaged_part_is_named_once(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    limited(run, SpikeLimits(0.5, 5))
    path = table_path("captions", CAPTION.fp8, "u000")
    whole = run.storage.read(path)
    run.storage.write(path, whole[: len(whole) // 2])
    assert [problem.path for problem in verify(str(tmp_path / "run"))] == [path]
