"""Near-duplicates over a whole run: re-encoded, scaled, cropped, mirrored, marked and trimmed copies.

Candidates come from the hashes of samples (`filters.neighbours`), each is verified sample by sample
(`filters.alignment`), and clips are grouped about the one that is kept: every member is verified against it,
so groups don't chain. From best to worst (larger picture, longer, higher bit rate, lowest id) a clip joins
the best kept clip that it is a copy of, or is kept itself. The result depends on the set of clips alone,
not on their order.

Not found: pictures cut on one side only, turned, or framed; a trimmed copy of a fast shot whose samples lie
half a second beside the original's. Wrongly found: motion that repeats before a fixed camera (walkers on one
path, loops), the more so the shorter the clips; colours are not looked at. Clips of one set in which nothing
moves are copies to this, as they are to the eye.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from curate.records import Options
from filters.alignment import Candidates, copies
from filters.neighbours import Samples, near_samples
from filters.phash import BLOCK_BYTES, HASH_BYTES, VIEWS
from shards.schemas import column

__all__ = ["NEEDS", "PROVIDES", "DuplicatesOptions", "assign", "group_duplicates", "ranked", "samples_of"]

NEEDS: Final = frozenset({"clip_id", "width", "height", "duration_s", "bytes", "phash", "phash_blocks"})
PROVIDES: Final = pa.schema(
    [
        column("dup_group", pa.string(), doc="clip_id of the clip kept of a group; null of a clip by itself"),
        column("dup_keep", pa.bool_(), doc="true of the clip kept of a group, and of a clip by itself"),
    ]
)


class DuplicatesOptions(Options):
    """What counts as a copy."""

    near_bits: int = Field(76, ge=0, le=128, description="bits of 256 in which one sample may differ")
    max_bits: int = Field(76, ge=0, le=128, description="mean bits in which the samples may differ")
    min_agreement: float = Field(
        0.7, ge=0, le=1, description="correlation of what changes in both clips, over many samples"
    )
    still_levels: float = Field(
        0.75, ge=0, description="mean change of blocks, in levels of 255, below which a clip stands still"
    )
    still_bits: int = Field(40, ge=0, le=128, description="like max_bits, between clips that stand still")
    min_overlap: float = Field(0.5, gt=0, le=1, description="share of the shorter clip that must agree")
    bucket: int = Field(64, ge=1, description="clips with one key that a sample is compared with at most")


def group_duplicates(clips: pa.Table, options: DuplicatesOptions) -> pa.Table:
    """Return `clip_id`, `dup_group`, `dup_keep` of each clip, in the order of `clips`, which holds `NEEDS`.

    A clip without a usable sample is in no group and kept.
    """
    order = ranked(clips)
    samples, first = samples_of(clips, order)
    links: list[npt.NDArray[np.int64]] = []
    for view, mirrored, pairs in near_samples(samples, max_bits=options.near_bits, bucket=options.bucket):
        same = copies(
            samples,
            first,
            Candidates(pairs, view, mirrored),
            max_bits=options.max_bits,
            min_agreement=options.min_agreement,
            still_levels=options.still_levels,
            still_bits=options.still_bits,
            min_overlap=options.min_overlap,
        )
        links.append(pairs[same])
    keeper = assign(len(order), np.concatenate(links) if links else np.empty((0, 2), np.int64))
    return _columns(clips, order, keeper)


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


def assign(clips: int, links_P2: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the kept clip of each of `clips`, ranked from best to worst; itself where it is kept.

    In rank order a clip joins the best kept clip that it is linked with, or is kept.
    """
    low, high = links_P2.min(1, initial=clips), links_P2.max(1, initial=0)
    keeper = np.arange(clips)
    # By the worse clip, then by the better: when a clip's turn comes, all better ones are settled.
    for place in np.lexsort((low, high)).tolist():
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
