"""Whether a captioner got stuck: the same caption at a large share of a run's clips.

A model that has collapsed, refuses, or gets no pictures says one thing of everything, and every one of its
captions may look good by itself. Captions are equal when they are but for case, space and punctuation; those
without text are equal, too. Counted are those of one variant and one model, over the whole run. What an
engine describes by measurements is rightly alike for clips that are: its pass has no limits.

Cost: a million captions of 60 words take 12 CPU s and 150 MB, which may spill.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa

from shards.condition import connect
from shards.run import Part, RunFiles, RunInfo, SpikeLimits
from shards.tables import iter_batches

__all__ = ["Spike", "passes_with_limits", "run_spikes", "spikes"]

COLUMNS: Final = ("variant", "caption_model", "caption")
_SHOWN: Final = 100
# Letters and numbers of any script.
_KEY: Final = r"md5_number(trim(regexp_replace(lower(coalesce(caption, '')), '[^\pL\pN]+', ' ', 'g')))"


@dataclass(frozen=True, slots=True)
class Spike:
    """A caption that too many clips have."""

    variant: str
    caption_model: str
    caption: str
    """as it first stands; empty where there is no text"""
    equal: int
    captions: int
    """of the variant and model"""

    def __str__(self) -> str:
        text = " ".join(self.caption.split())
        text = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
        said = f"the caption {text!r}" if text else "no text"
        share = self.equal / self.captions
        return (
            f"{said} stands at {self.equal} of {self.captions} clips ({share:.0%}) in the variant "
            f"{self.variant!r} by {self.caption_model}"
        )


def spikes(
    read: Callable[[], Iterable[pa.Table]], limits: SpikeLimits, scratch: Path | None = None
) -> list[Spike]:
    """Return the caption of each variant and model that more than `limits` allow have, if any; sorted.

    Args:
        read: returns tables with the columns of COLUMNS, the same ones each time; called a second time only
            when there is a spike, for its text.
        limits: share and least number.
        scratch: folder to spill into.
    """
    with connect(scratch) as connection:
        connection.execute("create table said (variant text, model text, key uhugeint, n bigint)")
        for table in read():
            connection.register("t", table)
            connection.execute(
                f"insert into said select variant, caption_model, {_KEY} as key, count(*) from t group by all"
            )
        found = connection.execute(
            """
            with equal as (select variant, model, key, sum(n)::bigint as n from said group by all),
                 most as (select variant, model, arg_max(key, (n, key)) as key, max(n) as n, sum(n) as total
                          from equal group by all)
            select variant, model, key, n, total::bigint from most
            where n > $share * total and total >= $least order by all
            """,
            {"share": limits.share, "least": limits.least},
        ).fetchall()
        if not found:
            return []
        texts: dict[tuple[str, str, int], str] = {}
        for table in read():
            connection.register("t", table)
            for variant, model, key, _, _ in found:
                if (variant, model, key) in texts:
                    continue
                rows = connection.execute(
                    "select coalesce(caption, '') from t "
                    f"where variant = ? and caption_model = ? and {_KEY} = ? limit 1",
                    [variant, model, key],
                ).fetchall()
                if rows:
                    texts[variant, model, key] = rows[0][0]
    return [
        Spike(variant, model, texts[variant, model, key], equal, captions)
        for variant, model, key, equal, captions in found
    ]


def passes_with_limits(info: RunInfo) -> list[str]:
    """Return the passes whose captions are to be looked at."""
    return [name for name, current in info.passes.items() if current.spikes is not None]


def run_spikes(run: RunFiles, info: RunInfo, pass_name: str) -> list[Spike]:
    """Return the spikes in what a pass has committed so far; none where it has no limits."""
    current = info.passes[pass_name]
    if current.spikes is None:
        return []
    parts = run.parts(info, "captions")
    with run.storage.scratch() as scratch:
        return spikes(lambda: _read(run, parts), current.spikes, scratch)


def _read(run: RunFiles, parts: Iterable[Part]) -> Iterator[pa.Table]:
    for part in parts:
        for batch in iter_batches(run.storage, part.path, list(COLUMNS)):
            yield pa.Table.from_batches([batch])
