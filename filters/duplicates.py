"""Near-duplicates over a whole run: re-encoded, scaled, cropped, mirrored, marked and trimmed copies.

Of clips in which something changes, candidates come from their traces (`filters.moments`) and from their
portraits (`filters.framings`), and each pair is verified by what changes in both at one offset in time
(`filters.lockstep`). Of pictures, and of clips in which nothing changes, the hashes of samples give
candidates (`filters.neighbours`) and decide (`filters.alignment`). Clips are grouped about the one that is
kept: every member is verified against it, so groups don't chain. From best to worst (larger picture, longer,
higher bit rate, lowest id) a clip joins that one of the kept clips that it agrees with best, or is kept
itself. The result depends on the set of clips alone, not on their order.

Not found: pictures turned or framed, cut by more than an eighth of a side, or cut where only small things
move. Wrongly found: motion that repeats exactly before a fixed camera (loops); colours are not looked at.
Clips of one set in which nothing moves are copies to this, as they are to the eye.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from curate.records import Options
from filters.alignment import Candidates, copies
from filters.framings import near_framings
from filters.lockstep import Bounds, in_lockstep
from filters.moments import near_moments
from filters.neighbours import Samples, merged, near_samples
from filters.phash import BLOCK_BYTES, HASH_BYTES, VIEWS
from filters.traces import Traces
from shards.schemas import column

__all__ = ["NEEDS", "PROVIDES", "DuplicatesOptions", "assign", "group_duplicates", "ranked", "samples_of"]

NEEDS: Final = frozenset(
    {"clip_id", "width", "height", "duration_s", "bytes", "phash", "phash_blocks", "trace"}
)
PROVIDES: Final = pa.schema(
    [
        column("dup_group", pa.string(), doc="clip_id of the clip kept of a group; null of a clip by itself"),
        column("dup_keep", pa.bool_(), doc="true of the clip kept of a group, and of a clip by itself"),
    ]
)


Links: TypeAlias = tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]
"""pairs (pairs, 2) of ranks of copies, and how well each agrees"""


class DuplicatesOptions(Options):
    """What counts as a copy."""

    near_bits: int = Field(76, ge=0, le=128, description="bits of 256 in which two samples may differ")
    min_like: float = Field(0.7, ge=0, le=1, description="correlation of two moments that may be the same")
    min_framed: float = Field(
        0.9, ge=0, le=1, description="the same of a mean picture and a window of one it may be a crop of"
    )
    min_hint: float = Field(
        0.45,
        ge=0,
        le=1,
        description="correlation, at some steps, of what changes in clips that may be copies",
    )
    min_agreement: float = Field(0.87, ge=0, le=1, description="correlation of what changes in both clips")
    min_crop_agreement: float = Field(
        0.65, ge=0, le=1, description="the same, where the one picture clearly is a crop of the other"
    )
    min_picture: float = Field(
        0.9, ge=0, le=1, description="correlation of the clips' mean pictures, in one half"
    )
    still_levels: float = Field(
        0.25, ge=0, description="mean change of blocks, in levels of 255, up to which a clip stands still"
    )
    still_bits: int = Field(40, ge=0, le=128, description="bits in which clips that stand still may differ")
    min_overlap: float = Field(0.5, gt=0, le=1, description="share of the shorter clip that must agree")
    bucket: int = Field(64, ge=1, description="clips with one key that a clip is compared with at most")


def group_duplicates(clips: pa.Table, options: DuplicatesOptions) -> pa.Table:
    """Return `clip_id`, `dup_group`, `dup_keep` of each clip, in the order of `clips`, which holds `NEEDS`.

    A clip with neither a trace that changes nor a usable sample is in no group and kept.
    """
    order = ranked(clips)
    traces = Traces(clips["trace"], order)
    still = traces.changes() <= options.still_levels
    links = [*_moving(traces, options), *_still(clips, order, still, options)]
    pairs, agreed = (np.concatenate(part) for part in zip(*links, strict=True))
    keeper = assign(len(order), pairs, agreed)
    return _columns(clips, order, keeper)


def _moving(traces: Traces, options: DuplicatesOptions) -> Iterator[Links]:
    """Yield links of clips that change alike."""
    bounds = Bounds(
        min_agreement=options.min_agreement,
        min_crop_agreement=options.min_crop_agreement,
        min_picture=options.min_picture,
        min_overlap=options.min_overlap,
    )
    by_moments = near_moments(
        traces,
        min_like=options.min_like,
        min_hint=options.min_hint,
        min_overlap=options.min_overlap,
        bucket=options.bucket,
    )
    by_framings = near_framings(traces, min_framed=options.min_framed, bucket=options.bucket)
    for mirrored, codes in zip((False, True), zip(by_moments, by_framings, strict=True), strict=True):
        pairs = np.stack(np.divmod(merged(codes), max(1, len(traces))), axis=1)
        agreed = in_lockstep(traces, pairs, mirrored, bounds)
        yield pairs[agreed > 0], agreed[agreed > 0]


def _still(
    clips: pa.Table,
    order: npt.NDArray[np.int64],
    still: npt.NDArray[np.bool_],
    options: DuplicatesOptions,
) -> Iterator[Links]:
    """Yield links of clips, of those in which nothing changes, that look alike."""
    rank = np.flatnonzero(still)
    samples, first = samples_of(clips, order[rank])
    for view, mirrored, pairs in near_samples(samples, max_bits=options.near_bits, bucket=options.bucket):
        same = copies(
            samples,
            first,
            Candidates(pairs, view, mirrored),
            max_bits=options.still_bits,
            min_overlap=options.min_overlap,
        )
        yield rank[pairs[same]], np.ones(np.count_nonzero(same))


def ranked(clips: pa.Table) -> npt.NDArray[np.int64]:
    """Return the rows of `clips` from best to worst: area, duration, bit rate, lowest id."""
    seconds = pc.fill_null(clips["duration_s"], 0.0)
    size = pc.cast(clips["bytes"], pa.float64())
    keys = pa.table(
        {
            "area": pc.multiply(pc.cast(clips["width"], pa.int64()), pc.cast(clips["height"], pa.int64())),
            "duration_s": seconds,
            "rate": pc.divide(size, pc.max_element_wise(seconds, 1e-3)),
            "clip_id": clips["clip_id"],
        }
    )
    by = [
        ("area", "descending"),
        ("duration_s", "descending"),
        ("rate", "descending"),
        ("clip_id", "ascending"),
    ]
    return np.asarray(pc.sort_indices(keys, sort_keys=by), np.int64)


def samples_of(clips: pa.Table, order: npt.NDArray[np.int64]) -> tuple[Samples, npt.NDArray[np.int64]]:
    """Return the usable samples of the clips in that order, and where each clip's begin (one more: the end).

    Null samples are left out, and so the places of the others move: a copy's do likewise.
    """
    hashes, usable, counts = _flat(clips["phash"], HASH_BYTES * len(VIEWS))
    blocks, _, _ = _flat(clips["phash_blocks"], BLOCK_BYTES)
    starts = np.cumsum(counts) - counts
    sizes = counts[order]
    take = np.repeat(starts[order] - (np.cumsum(sizes) - sizes), sizes) + np.arange(sizes.sum())
    clip = np.repeat(np.arange(len(order), dtype=np.int32), sizes)
    kept = usable[take]
    take, clip = take[kept], clip[kept]
    words = hashes[take].view(np.uint64).reshape(-1, len(VIEWS), HASH_BYTES // 8)
    return Samples(words, blocks[take], clip), np.searchsorted(clip, np.arange(len(order) + 1))


def _flat(
    column_: pa.ChunkedArray, width: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Return the bytes of a column of lists (values, width), which are valid, and how many each row has."""
    lists = column_.combine_chunks()
    if isinstance(lists, pa.ChunkedArray):
        lists = pa.concat_arrays(lists.chunks) if lists.num_chunks else pa.array([], column_.type)
    values = lists.flatten()
    data = np.frombuffer(values.buffers()[1] or b"", np.uint8)
    data = data[values.offset * width : (values.offset + len(values)) * width].reshape(-1, width)
    counts: Any = pc.fill_null(pc.list_value_length(lists), 0)
    return data, np.asarray(values.is_valid()), np.asarray(counts).astype(np.int64)


def assign(
    clips: int, links_P2: npt.NDArray[np.int64], agreed_P: npt.NDArray[np.float64]
) -> npt.NDArray[np.int64]:
    """Return the kept clip of each of `clips`, ranked from best to worst; itself where it is kept.

    In rank order a clip joins, of the better kept clips that it is linked with, the one that it agrees with
    best, or is kept.
    """
    low, high = links_P2.min(1, initial=clips), links_P2.max(1, initial=0)
    keeper = np.arange(clips)
    # By the worse clip: when its turn comes, all better ones are settled.
    for place in np.lexsort((low, -agreed_P, high)).tolist():
        better, worse = int(low[place]), int(high[place])
        if keeper[worse] == worse and keeper[better] == better:
            keeper[worse] = better
    return keeper


def _columns(clips: pa.Table, order: npt.NDArray[np.int64], keeper: npt.NDArray[np.int64]) -> pa.Table:
    """Return the result in the order of `clips`."""
    ids = clips["clip_id"].combine_chunks()
    kept_row = np.empty(len(order), np.int64)
    kept_row[order] = order[keeper]
    rows = np.arange(len(order))
    keep = kept_row == rows
    grouped = ~keep
    grouped[kept_row[~keep]] = True
    group = pc.if_else(pa.array(grouped), pc.take(clips["clip_id"], pa.array(kept_row)), None)
    return pa.table(
        [ids, pc.cast(group, pa.string()), pa.array(keep)],
        schema=pa.schema([clips.schema.field("clip_id"), *PROVIDES]),
    )
