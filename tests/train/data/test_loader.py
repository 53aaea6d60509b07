"""Planned packs as tensors: the same whoever loads them, without what cannot be read."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from numbered_clips import FILMS, Cut, cut, render, write_manifest

from shards.errors import ConfigError, InputError
from train.data import Clips, LatentCache, LatentEncoder, Loader, caption_of, loader, vae_digest
from train.data.encode import video_of
from train.data.filling import fill, share_of
from train.plan import PlannedClip, PlannedPack, PlannedStep, View
from train.text import WordEncoder
from train.vae import Vae, VaeConfig

TEXT = WordEncoder(length=24, width=8)


@pytest.fixture(scope="module")
def cuts(tmp_path_factory: pytest.TempPathFactory) -> list[Cut]:
    path = render(tmp_path_factory.mktemp("films"), FILMS[0])
    return [cut(path, first, first + 40) for first in (0, 8, 17, 25, 30, 45)]


@pytest.fixture
def manifest(cuts: list[Cut], tmp_path: Path) -> Path:
    return write_manifest(tmp_path / "shards", cuts)


@pytest.fixture(scope="module")
def latents() -> LatentEncoder:
    return LatentEncoder(small_vae(), dtype="float32")


def small_vae(seed: int = 0, **changes: Any) -> Vae:
    torch.manual_seed(seed)
    config = VaeConfig(
        block_out_channels=(8, 8, 8, 8), layers_per_block=1, norm_num_groups=4, latent_channels=4,
        sample_height=32, sample_width=32,
    )  # fmt: skip
    return Vae(replace(config, **changes))


def planned(row: int, visit: int = 0, caption: int | None = 0) -> PlannedClip:
    view = View(0.1 * visit, 8.0, 5, 32, 48)
    return PlannedClip(row, visit, view, caption, 24 + 2 * 2 * 3, 1.0, 500)


def step(number: int, rows: int = 6) -> PlannedStep:
    packs = [
        PlannedPack(
            tuple(planned((5 * number + 2 * at + k) % rows, number % 4, (None, 0, 1)[k]) for k in (0, 1))
        )
        for at in range(3)
    ]
    return PlannedStep(number, 0, tuple(packs))


STEPS = [step(number) for number in range(6)]


def loaded(batches: Loader, steps: list[PlannedStep] = STEPS) -> list[Any]:
    found = []
    for one in steps:
        for pack in batches.load(one, (2, 0)):
            found += [
                None if clip is None else (clip.clip_id, clip.mean_CTHW, clip.logvar_CTHW, clip.text_UE)
                for clip in pack.clips
            ]
    return found


def equal(one: list[Any], other: list[Any]) -> bool:
    def flat(found: list[Any]) -> list[Any]:
        return [part for clip in found for part in (clip or (None,))]

    pairs = list(zip(flat(one), flat(other), strict=True))
    return all(torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b for a, b in pairs)


def open_loader(manifest: Path, latents: LatentEncoder, **changes: Any) -> Loader:
    return Loader(Clips([str(manifest)]), TEXT, latents, **({"workers": 2} | changes))


def test_the_same_whoever_loads(manifest: Path, latents: LatentEncoder, tmp_path: Path) -> None:
    coming = [(one, (2, 0)) for one in STEPS]
    with open_loader(manifest, latents, workers=1) as plain:
        wanted = loaded(plain)
    assert None not in wanted
    assert len({clip[0] for clip in wanted}) == 6
    cache = partial(LatentCache, tmp_path / "cache", latents.space)
    for changes in (
        {"coming": coming, "workers": 3},
        {"coming": coming[1::2], "ahead": 1},  # not what is asked for
        {"coming": coming, "cache": cache},
        {"coming": coming, "cache": cache},
    ):
        if "cache" in changes:
            changes["cache"] = cache()
        with open_loader(manifest, latents, **changes) as other:
            assert equal(loaded(other), wanted)
            assert other.stats.clips == 24
            cached = other.stats.cached
    assert cached == 24  # the last one made none


def test_latents_are_the_vaes(manifest: Path) -> None:
    vae = small_vae(scaling_factor=2.0)
    encoder = LatentEncoder(vae, dtype="float32")
    with open_loader(manifest, encoder) as batches:
        frames_THWC = batches.frames(planned(3))
        mean, logvar = batches.latents(planned(3)).video
    posterior = vae.encode(video_of(frames_THWC))
    assert video_of(frames_THWC).shape == (1, 3, 5, 32, 48)
    torch.testing.assert_close(mean, posterior.mean[0] * 2)
    assert logvar is not None
    torch.testing.assert_close(logvar.exp(), posterior.logvar[0].exp() * 4)


def test_digests_tell_vaes_apart() -> None:
    ones = [small_vae(), small_vae(1), small_vae(scaling_factor=2.0), small_vae().bfloat16()]
    assert len({vae_digest(vae) for vae in ones}) == 4
    assert vae_digest(small_vae()) == vae_digest(small_vae())
    with pytest.raises(ConfigError, match="float32, bfloat16"):
        LatentEncoder(small_vae(), dtype="float16")


def test_captions(manifest: Path, latents: LatentEncoder) -> None:
    with open_loader(manifest, latents) as batches:
        clips = batches.load(
            PlannedStep(0, 0, (PlannedPack(tuple(planned(4, 0, c) for c in (0, 1, None))),)), [0]
        )
        row = Clips([str(manifest)]).row(4)
    texts = [TEXT.encode([text])[0] for text in ("b-frames from 30", "clip 4", "")]
    (pack,) = clips
    assert all(torch.equal(clip.text_UE, text) for clip, text in zip(pack.clips, texts, strict=True) if clip)
    assert caption_of(row, 1) == "clip 4"
    with pytest.raises(ConfigError, match="clip clip004: it has no caption 2"):
        caption_of(row, 2)


def test_a_corrupt_member_in_the_middle(
    manifest: Path, latents: LatentEncoder, caplog: pytest.LogCaptureFixture
) -> None:
    with open_loader(manifest, latents) as batches:
        wanted = loaded(batches)
    row = Clips([str(manifest)]).row(2)
    with (manifest.parent / row.shard).open("r+b") as tar:
        tar.seek(row.offset + row.bytes // 2)
        tar.write(b"\xff" * 64)
    with caplog.at_level(logging.WARNING), open_loader(manifest, latents) as batches:
        found = loaded(batches)
        failed = batches.stats.failed
    assert failed == sum(clip[0] == "clip002" for clip in wanted) > 1
    assert equal(found, [None if clip[0] == "clip002" else clip for clip in wanted])
    (record,) = caplog.records
    assert "clip clip002 cannot be read" in record.getMessage()
    assert "00000.tar" in record.getMessage()


def test_a_clip_that_does_not_decode(manifest: Path, latents: LatentEncoder, cuts: list[Cut]) -> None:
    """Its bytes are those of the manifest, and no video."""
    write_manifest(manifest.parent, [replace(cuts[0], data=b"no video"), *cuts[1:]])
    with open_loader(manifest, latents) as batches:
        (pack,) = batches.load(PlannedStep(0, 0, (PlannedPack((planned(0), planned(1))),)), [0])
    assert pack.clips[0] is None
    assert pack.clips[1] is not None


def test_a_shard_cut_short(manifest: Path, latents: LatentEncoder) -> None:
    shard = manifest.parent / "00001.tar"
    row = Clips([str(manifest)]).row(3)
    assert row.shard == shard.name
    with shard.open("r+b") as tar:
        tar.truncate(row.offset + 10)
    with open_loader(manifest, latents) as batches:
        (pack,) = batches.load(PlannedStep(0, 0, (PlannedPack((planned(1), planned(3), planned(5))),)), [0])
    assert [clip is None for clip in pack.clips] == [False, True, True]


def test_shards_that_moved(manifest: Path, latents: LatentEncoder) -> None:
    shard = manifest.parent / "00001.tar"
    shard.rename(manifest.parent / "elsewhere.tar")
    with (
        open_loader(manifest, latents) as batches,
        pytest.raises(InputError, match=f"{shard}: no such shard"),
    ):
        loaded(batches)


def test_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no manifest at"):
        Clips([str(tmp_path / "manifest.parquet")])
    pq.write_table(pa.table({"clip_id": ["a"]}), tmp_path / "manifest.parquet")
    with pytest.raises(InputError, match="no column 'shard'"):
        Clips([str(tmp_path / "manifest.parquet")])


def test_rows_of_several_manifests(cuts: list[Cut], tmp_path: Path) -> None:
    paths = [str(write_manifest(tmp_path / name, cuts[:count])) for name, count in (("a", 2), ("b", 3))]
    clips = Clips(paths)
    assert len(clips) == 5
    assert [clips.row(n).clip_id for n in range(5)] == ["clip000", "clip001", "clip000", "clip001", "clip002"]
    assert [clips.row(n).manifest for n in range(5)] == [paths[0]] * 2 + [paths[1]] * 3
    assert clips.read(clips.row(4)) == cuts[2].data
    with pytest.raises(IndexError):
        clips.row(5)


def test_work_ahead_is_bounded(
    manifest: Path, latents: LatentEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No more is begun than asked for and `ahead`, however long the plan; held-out steps disturb nothing."""
    decoded, gate = [], threading.Event()

    def counted(*args: Any) -> np.ndarray:
        gate.wait()
        decoded.append(args)
        return np.zeros((5, 32, 48, 3), np.uint8)

    monkeypatch.setattr(loader, "decode", counted)
    planned_so_far: list[int] = []

    def plan() -> Iterator[tuple[PlannedStep, tuple[int, ...]]]:
        for number in range(1000):
            planned_so_far.append(number)
            yield step(number), (0, 1, 2)

    with open_loader(manifest, latents, coming=plan(), ahead=4) as batches:
        assert planned_so_far == [0, 1]
        gate.set()
        batches.load(step(0), (0, 1, 2))
        batches.load(PlannedStep(-1, 0, step(9).packs), (0, 1, 2))
        assert len(planned_so_far) <= 4
        batches.load(step(1), (0, 1, 2))
    assert len(decoded) <= 2 * (9 + 4 + 2)


def test_over_http(manifest: Path, latents: LatentEncoder) -> None:
    """Manifest and shards behind a server that answers ranges: the same tensors, and no shard read whole."""
    asked: list[str] = []

    class Ranges(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            span = self.headers.get("Range")
            data = Path(self.translate_path(self.path)).read_bytes()
            asked.append(f"{self.path} {span}")
            if span is not None:
                first, last = (int(end) for end in span.removeprefix("bytes=").split("-"))
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
                data = data[first : last + 1]
            else:
                self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None: ...

    with open_loader(manifest, latents) as batches:
        wanted = loaded(batches)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Ranges, directory=manifest.parent)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        uri = f"http://127.0.0.1:{server.server_port}/manifest.parquet"
        try:
            with Loader(Clips([uri]), TEXT, latents, workers=2) as batches:
                assert equal(loaded(batches), wanted)
        finally:
            server.shutdown()
            thread.join()
    assert {one for one in asked if one.endswith(" None")} == {"/manifest.parquet None"}


def test_filling_by_shares(manifest: Path, latents: LatentEncoder, tmp_path: Path) -> None:
    """Three processes' shares are disjoint and whole; what is there is not made again."""
    shares = [[clip for _, mine in share_of(STEPS, rank, 3) for clip in mine] for rank in range(3)]
    keys = [(clip.row, clip.view.key) for mine in shares for clip in mine]
    assert (
        len(keys) == len(set(keys)) == len({(clip.row, clip.view.key) for one in STEPS for clip in one.clips})
    )
    cache = partial(LatentCache, tmp_path / "cache", latents.space)
    for mine in [*shares, shares[0]]:
        with open_loader(manifest, latents, cache=cache()) as batches:
            outcomes = [outcome for _, outcome in fill(batches, mine, 2)]
    assert outcomes == ["there"] * len(shares[0])
    with open_loader(manifest, latents, cache=cache()) as batches:
        loaded(batches)
        assert batches.stats.cached == 24
