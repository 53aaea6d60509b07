"""What became of the sources: the yield funnel, and where the time went."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow.compute as pc
from rich.table import Table

from curate.driver import Totals
from shards.run import NO_CLIP, PURGED, RunFiles
from shards.tables import iter_batches, read_parts, read_table

__all__ = ["Funnel", "measure_funnel", "render_funnel", "render_seconds"]


@dataclass(slots=True)
class Funnel:
    """Counts and seconds of video from the sources to the selection."""

    sources: int = 0
    source_s: float = 0.0
    duplicates: int = 0
    purged: int = 0
    unreadable: int = 0
    """of which nothing could be used"""
    damaged: int = 0
    """read in part"""
    no_clip: int = 0
    """read whole, without a shot of `min_s`"""
    shots: int = 0
    clips: int = 0
    clips_s: float = 0.0
    copied: int = 0
    preroll_share: float = 0.0
    """of the copied clips' stored frames, the share that is there only to decode the others"""
    captioned: int = 0
    captioned_s: float = 0.0
    selected: int | None = None
    selected_s: float = 0.0
    failed_sources: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    """error class → rows"""

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return asdict(self)


def measure_funnel(run: RunFiles, selection: str | None) -> Funnel:
    """Return the funnel of a run as its tables say it now; `selection` names a manifest."""
    info = run.info()
    funnel = Funnel()
    _sources(run, funnel)
    shots = run.parts(info, "shots")
    if shots:
        kinds = read_parts(run.storage, [part.path for part in shots], ["shot"])
        funnel.shots = kinds.num_rows
    failed: set[str] = set()
    classes: Counter[str] = Counter()
    for name in info.passes:
        for part in run.failures(info, name):
            rows = read_table(run.storage, part.path, ["source_uri", "error"])
            failed |= {uri for uri in rows["source_uri"].to_pylist() if uri}
            classes.update(rows["error"].to_pylist())
    funnel.failed_sources, funnel.failures = len(failed), dict(sorted(classes.items()))
    _clips(run, funnel)
    if selection is not None:
        funnel.selected = 0
        for batch in iter_batches(run.storage, run.manifest_path(selection), ["duration_s"]):
            funnel.selected += batch.num_rows
            funnel.selected_s += pc.sum(batch["duration_s"]).as_py() or 0.0
    return funnel


def _sources(run: RunFiles, funnel: Funnel) -> None:
    parts = run.parts(run.info(), "sources")
    for row in read_parts(run.storage, [p.path for p in parts]).to_pylist() if parts else ():
        funnel.sources += 1
        error = row["error"]
        if row["duplicate_of"] is not None:
            funnel.duplicates += 1
        elif error == PURGED:
            funnel.purged += 1
        elif row["source_id"] is None:
            funnel.unreadable += 1
        else:
            funnel.source_s += row["duration_s"] or 0.0
            if error is not None and error.startswith(NO_CLIP):
                funnel.no_clip += 1
            elif error is not None:
                funnel.damaged += 1


def _clips(run: RunFiles, funnel: Funnel) -> None:
    columns = ["duration_s", "cut", "frames", "preroll_frames", "postroll_frames"]
    kept = stored = 0
    captions = "caption" in read_schema_names(run)
    for batch in iter_batches(run.storage, "index.parquet", columns + ["caption"] * captions):
        funnel.clips += batch.num_rows
        funnel.clips_s += pc.sum(batch["duration_s"]).as_py() or 0.0
        for row in batch.to_pylist():
            if row["cut"] == "copy":
                funnel.copied += 1
                kept += row["frames"]
                stored += row["frames"] + (row["preroll_frames"] or 0) + (row["postroll_frames"] or 0)
            if captions and row["caption"]:
                funnel.captioned += 1
                funnel.captioned_s += row["duration_s"]
    funnel.preroll_share = 1 - kept / stored if stored else 0.0


def read_schema_names(run: RunFiles) -> list[str]:
    """Return the columns of the index."""
    from shards.tables import part_schema

    return list(part_schema(run.storage, "index.parquet").names)


def render_funnel(funnel: Funnel) -> Table:
    """Return the funnel as a table."""
    table = Table(title="yield", title_justify="left", box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    table.add_column("count", justify="right")
    table.add_column("video", justify="right")
    table.add_column("of the video read", justify="right")
    table.add_column("")
    whole_s = funnel.source_s or 1.0

    def row(name: str, count: int, seconds: float | None, note: str = "") -> None:
        video = "" if seconds is None else _duration(seconds)
        share = "" if seconds is None else f"{seconds / whole_s:.1%}"
        table.add_row(name, str(count), video, share, note)

    lost = {
        "duplicate": funnel.duplicates,
        "unreadable": funnel.unreadable,
        "damaged": funnel.damaged,
        "purged": funnel.purged,
        "without a shot long enough": funnel.no_clip,
    }
    row("sources", funnel.sources, funnel.source_s, ", ".join(f"{n} {what}" for what, n in lost.items() if n))
    row("shots", funnel.shots, None)
    transcoded = funnel.clips - funnel.copied
    note = f"{funnel.copied} copied ({funnel.preroll_share:.0%} of their frames pre- and post-roll)"
    row("clips", funnel.clips, funnel.clips_s, f"{note}, {transcoded} transcoded")
    row("captioned", funnel.captioned, funnel.captioned_s)
    if funnel.selected is not None:
        row("selected", funnel.selected, funnel.selected_s)
    return table


def render_seconds(totals: Totals) -> Table:
    """Return where this invocation's worker time went, against the bare decode."""
    table = Table(
        title="where the time went", title_justify="left", box=None, pad_edge=False, header_style="bold"
    )
    for name in ("pass", "step"):
        table.add_column(name)
    for name in ("seconds", "share", "× decode"):
        table.add_column(name, justify="right")
    total_s = sum(sum(steps.values()) for steps in totals.seconds.values()) or 1.0
    decode_s = sum(steps.get("decode", 0.0) for steps in totals.seconds.values())
    for pass_name, steps in totals.seconds.items():
        for step, seconds in sorted(steps.items(), key=lambda item: -item[1]):
            ratio = f"{seconds / decode_s:.2f}" if decode_s else ""
            table.add_row(pass_name, step, f"{seconds:.1f}", f"{seconds / total_s:.0%}", ratio)
    return table


def _duration(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    if minutes < 1:
        return f"{rest:.1f} s"
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02.0f} s"
