"""Near-duplicates over a million clips, simulated: `python benchmarks/near_duplicates.py [CLIPS]`.

Prints CPU seconds, peak memory, and how many of the planted copies were found, wrong joins beside. The clips
are drawn from random pictures, between which their traces move: a tenth are copies (hash bits flipped, levels
shifted and noisy, all trimmed by up to a second, some mirrored, some cropped), a twentieth are shots of 200
sets before a fixed camera, that is distinct clips with nearly equal pictures. `--library` times an index of
faiss (to be installed) instead, over the same hashes of whole pictures.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from filters.crops import Crop, crop_matrix
from filters.duplicates import DuplicatesOptions, group_duplicates
from filters.phash import HASH_BYTES, MIRRORED, VIEWS, PerceptualHash
from filters.portrait import SIDE
from filters.trace import RATE, pack

COPIES, SETS, SET_CLIPS = 0.1, 200, 0.05
FLIPPED = 0.1
CROPPED = Crop(0.04, 0.04, 0.04, 0.04)

Levels = npt.NDArray[np.float32]


def flip(random: np.random.Generator, hashes: npt.NDArray[np.uint8], share: float) -> npt.NDArray[np.uint8]:
    """Return the hashes with about a `share` of their bits flipped: 1/2, 1/4, 1/8 or 1/16."""
    noise = random.integers(0, 256, hashes.shape, np.uint8)
    while share < 0.5:
        noise &= random.integers(0, 256, hashes.shape, np.uint8)
        share *= 2
    return hashes ^ noise


def pictures(random: np.random.Generator, count: int) -> Levels:
    """Return smooth random pictures (count, 32, 32) about 0, of a deviation of 30 levels."""
    at = np.arange(SIDE)
    waves = np.cos(np.pi * np.outer(at, at + 0.5) / SIDE).astype(np.float32)
    power = (1 / (1 + np.add.outer(at, at)) ** 1.5).astype(np.float32)
    spectrum = random.standard_normal((count, SIDE, SIDE), np.float32) * power
    spectrum[:, 0, 0] = 0
    shown: Levels = waves.T @ spectrum @ waves
    return shown * (30 / shown.std((1, 2), keepdims=True))


def blocks_of(portraits_N32: Levels) -> Levels:
    """Return the block means (N, 64) of portraits."""
    means: Levels = portraits_N32.reshape(-1, 8, 4, 8, 4).mean((2, 4)).reshape(-1, 64)
    return means


def batch(
    random: np.random.Generator, sizes: npt.NDArray[np.int64], sets: npt.NDArray[np.int64], seed: int
) -> tuple[npt.NDArray[np.uint8], Levels, Levels]:
    """Return hashes (samples, 3, 32), blocks (samples, 64) and portraits (clips, 32, 32) of clips.

    `sets` is -1 of a clip in a set of its own.
    """
    clip = np.repeat(np.arange(len(sizes)), sizes)
    hashes = random.integers(0, 256, (len(sizes), len(VIEWS), HASH_BYTES), np.uint8)
    portraits = pictures(random, len(sizes))
    shared = np.random.default_rng(seed)
    set_hashes = shared.integers(0, 256, (SETS, len(VIEWS), HASH_BYTES), np.uint8)
    set_portraits = pictures(shared, SETS)
    inside = sets >= 0
    hashes[inside], portraits[inside] = set_hashes[sets[inside]], set_portraits[sets[inside]]
    moving = blocks_of(pictures(random, len(clip))) * 0.15
    return flip(random, hashes[clip], 1 / 16), blocks_of(portraits)[clip] + moving, portraits


def simulate(clips: int, seed: int = 0) -> Iterator[tuple[pa.Table, npt.NDArray[np.int64]]]:
    """Yield tables of clips and, for each clip, the number of the clip that it is a copy of (or its own)."""
    random = np.random.default_rng(seed)
    step = 20_000
    for start in range(0, clips, step):
        count = min(step, clips - start)
        originals = count - int(count * COPIES)
        sizes = random.integers(4, 9, originals)
        sets = np.where(random.random(originals) < SET_CLIPS, random.integers(0, SETS, originals), -1)
        hashes, blocks, portraits = batch(random, sizes, sets, seed)
        of = random.integers(0, originals, count - originals)
        ends = np.cumsum(sizes)
        take = np.concatenate([np.arange(ends[n] - sizes[n], ends[n]) for n in of] or [np.empty(0, np.int64)])
        copied, shown = flip(random, hashes[take], 1 / 16), blocks[take] * 0.9 + 8
        shown = shown + random.standard_normal(shown.shape, np.float32)
        pictured = portraits[of] * 0.9 + 8 + random.standard_normal((len(of), SIDE, SIDE), np.float32)
        kinds = random.integers(0, 3, len(of))
        kind = np.repeat(kinds, sizes[of])
        copied[kind == 1] ^= MIRRORED
        shown[kind == 1] = shown[kind == 1].reshape(-1, 8, 8)[:, :, ::-1].reshape(-1, 64)
        pictured[kinds == 1] = pictured[kinds == 1][:, :, ::-1]
        shown[kind == 2] = shown[kind == 2] @ crop_matrix(CROPPED, False, 8).T / 1024
        whole = pictured[kinds == 2].reshape(-1, SIDE * SIDE)
        pictured[kinds == 2] = (whole @ crop_matrix(CROPPED, False, SIDE).T / 1024).reshape(-1, SIDE, SIDE)
        # The original's middle view is what the cropped copy shows whole.
        copied[kind == 2, 0] = flip(random, hashes[take][kind == 2, 1], 1 / 16)
        sizes = np.concatenate((sizes, sizes[of]))
        yield (
            _table(
                start,
                sizes,
                np.concatenate((hashes, copied)),
                np.concatenate((blocks, shown)),
                np.concatenate((portraits, pictured)),
                originals,
            ),
            (start + np.concatenate((np.arange(originals), of))),
        )


def trace(blocks_S64: Levels, portrait: Levels, late: int) -> bytes:
    """Return the trace of a clip that moves from each of the blocks to the next, `late` steps cut off."""
    at = np.arange(late, (len(blocks_S64) - 1) * RATE + 1) / RATE
    before = np.minimum(at.astype(int), len(blocks_S64) - 2)
    share = (at - before)[:, None]
    steps = blocks_S64[before] * (1 - share) + blocks_S64[before + 1] * share
    shown = np.clip(np.rint(portrait + 128), 0, 255).astype(np.uint8)
    return pack(np.clip(steps, 0, 255), shown.ravel())


def _table(
    start: int,
    sizes: npt.NDArray[np.int64],
    hashes: npt.NDArray[np.uint8],
    blocks: Levels,
    portraits: Levels,
    originals: int,
) -> pa.Table:
    starts = np.concatenate(([0], np.cumsum(sizes)))
    traces = [
        trace(blocks[low:high] + 128, portraits[number], number % RATE if number >= originals else 0)
        for number, (low, high) in enumerate(pairwise(starts))
    ]
    offsets = pa.array(np.concatenate(([0], np.cumsum(sizes))).astype(np.int32))
    levels = np.clip(np.rint(blocks + 128), 0, 255).astype(np.uint8)
    columns = []
    for data, field in ((hashes, "phash"), (levels, "phash_blocks")):
        kind = PerceptualHash.provides.field(field).type
        values = pa.Array.from_buffers(kind.value_type, len(data), [None, pa.py_buffer(data.tobytes())])
        columns.append(pa.ListArray.from_arrays(offsets, values))
    count = len(sizes)
    width = np.where(np.arange(count) < originals, 1920, 1280).astype(np.int32)
    return pa.table(
        {
            "clip_id": [f"{number:032x}" for number in range(start, start + count)],
            "width": width,
            "height": np.full(count, 720, np.int32),
            "duration_s": sizes.astype(float),
            "bytes": np.full(count, 1_000_000),
            "phash": columns[0],
            "phash_blocks": columns[1],
            "trace": pa.array(traces, pa.binary()),
        }
    )


def library(name: str, clips: pa.Table) -> None:
    """Time a library's search for the hashes of whole pictures within 40 bits, over all samples."""
    values = clips["phash"].combine_chunks()
    flat = pa.concat_arrays(values.chunks) if isinstance(values, pa.ChunkedArray) else values
    data = np.frombuffer(flat.flatten().buffers()[1], np.uint8).reshape(-1, HASH_BYTES * len(VIEWS))
    whole = np.ascontiguousarray(data[:, :HASH_BYTES])
    import faiss

    faiss.omp_set_num_threads(1)
    started = time.process_time()
    made = {
        "flat": lambda: faiss.IndexBinaryFlat(256),
        "multihash": lambda: faiss.IndexBinaryMultiHash(256, 10, 24),
        "ivf": lambda: faiss.IndexBinaryIVF(faiss.IndexBinaryFlat(256), 256, 1024),
    }[name]()
    if name == "ivf":
        made.train(whole[:50_000])
        made.nprobe = 8
    made.add(whole)
    pairs = int(made.range_search(whole, 41)[0][-1]) if name != "ivf" else 0
    if name == "ivf":
        pairs = int((made.search(whole, 8)[0] <= 40).sum())
    print(f"{name}: {len(whole)} hashes, {pairs} pairs, CPU {time.process_time() - started:.1f} s, {_peak()}")


def _peak() -> str:
    return f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB"


def main() -> None:
    """Simulate, group, compare with what was planted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", type=int, nargs="?", default=1_000_000)
    parser.add_argument("--library", choices=("flat", "multihash", "ivf"))
    options = parser.parse_args()
    parts = list(simulate(options.clips))
    clips = pa.concat_tables([table for table, _ in parts])
    of = np.concatenate([copy_of for _, copy_of in parts])
    del parts
    print(f"{clips.num_rows} clips, {clips.nbytes / 2**30:.2f} GiB of columns, {_peak()}")
    if options.library:
        library(options.library, clips)
        return
    started = time.process_time()
    groups = group_duplicates(clips, DuplicatesOptions())
    spent = time.process_time() - started
    kept = groups["dup_group"].to_pylist()
    rows = np.array([number if ident is None else int(ident, 16) for number, ident in enumerate(kept)])
    planted = of != np.arange(len(of))
    found = int((rows[planted] == of[planted]).sum())
    wrong = int((of[rows] != of).sum())
    print(f"CPU {spent:.1f} s, {_peak()}; copies found {found} of {planted.sum()}, wrong joins {wrong}")


if __name__ == "__main__":
    main()
