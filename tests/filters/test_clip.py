"""The stage `clip`, with a small encoder that is loaded as a real one is."""

from __future__ import annotations

import io
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from tiny_clip import MEAN, clip_of, jpeg, make_encoder, make_head, picture

from curate.records import Clip, Failure
from filters.clip import ClipFeatures, ClipOptions
from filters.clip.stage import unit_mean
from filters.spread import spread
from shards.tables import rows_to_table

open_clip = pytest.importorskip("open_clip")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_encoder(tmp_path_factory.mktemp("clip") / "tiny")


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_head(tmp_path_factory.mktemp("head") / "sa_linear.pth")


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    """Five clips of 1, 7, 3, 2 and 5 samples, one of them black."""
    pictures = [jpeg(picture(seed)) for seed in range(17)]
    black = jpeg(np.zeros((448, 600, 3), np.uint8))
    spans = ([black], pictures[:7], pictures[7:10], pictures[10:12], pictures[12:])
    return [clip_of(f"c{number}", span) for number, span in enumerate(spans)]


def options(folder: Path, **more: Any) -> ClipOptions:
    return ClipOptions(model=f"local-dir:{folder}", device="cpu", **more)


def run(chosen: ClipOptions, clips: list[Clip]) -> tuple[list[Any], ClipFeatures]:
    """Return outcomes and the stage that gave them, whose encoder still has its counters."""
    stage = ClipFeatures(chosen)
    stage.setup()
    encoder = stage.encoder
    try:
        outcomes = list(stage.process(clips))
    finally:
        stage.close()
    stage.encoder = encoder
    return outcomes, stage


@pytest.fixture(scope="module")
def alone(folder: Path, head: Path, clips: list[Clip]) -> list[Any]:
    """What each clip gives when the encoder sees one picture at a time."""
    return run(options(folder, head=head), clips)[0]


# -- what comes out ---------------------------------------------------------------------------------------


def test_a_row_has_a_unit_embedding_a_rating_and_who_made_them(
    folder: Path, head: Path, alone: list[Any], clips: list[Clip]
) -> None:
    stage = ClipFeatures(options(folder, head=head))
    assert stage.provides.field("embedding").type == pa.list_(pa.float16(), 512)
    table = rows_to_table([{"clip_id": clip.clip_id, **row} for clip, row in zip(clips, alone, strict=True)],
                          pa.schema([("clip_id", pa.string()), *stage.provides]))  # fmt: skip
    lengths = [np.linalg.norm(row) for row in table["embedding"].to_pylist()]
    assert lengths == pytest.approx([1.0] * 5, abs=1e-3)
    digests = stage.digests()
    assert set(table["embedding_model"].to_pylist()) == {f"tiny@{digests['encoder'][:8]}"}
    assert set(table["aesthetic_model"].to_pylist()) == {
        f"laion-sa_linear@{digests['head'][:8]} tiny@{digests['encoder'][:8]}"
    }
    assert len(set(table["aesthetic"].to_pylist())) == 5


def test_embedding_and_rating_are_those_of_open_clip_and_the_head(
    folder: Path, head: Path, clips: list[Clip], alone: list[Any]
) -> None:
    import torch

    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    state = torch.load(head, weights_only=True)
    for clip, row in zip(clips, alone, strict=True):
        images = [preprocess(Image.open(io.BytesIO(sample.jpeg))) for sample in clip.samples()]
        with torch.no_grad():
            units = model.eval().encode_image(torch.stack(images), normalize=True)
            rating = torch.nn.functional.linear(units, state["weight"], state["bias"]).mean()
        mean = units.mean(0)
        assert row["aesthetic"] == pytest.approx(float(rating), abs=1e-4)
        np.testing.assert_allclose(row["embedding"], (mean / mean.norm()).numpy(), atol=2e-4)


def test_pictures_are_prepared_as_open_clip_does(folder: Path) -> None:
    """On sizes that crop and scale in either direction, gray and palette too; and by hand from its parts."""
    stage = ClipFeatures(options(folder))
    stage.setup()
    assert stage.encoder is not None
    encoder = stage.encoder
    whole = open_clip.create_model_and_transforms(f"local-dir:{folder}")[2]
    by_hand = open_clip.image_transform(224, is_train=False, mean=MEAN, std=(0.25,) * 3)
    for size in ((796, 448), (448, 796), (224, 224), (120, 90), (225, 223), (1920, 448)):
        data = jpeg(picture(sum(size), size))
        ours = encoder._prepare(data)
        assert ours.shape == (3, 224, 224)
        for theirs in (whole, by_hand):
            assert (ours == theirs(Image.open(io.BytesIO(data)))).all()
    gray = io.BytesIO()
    Image.fromarray(picture(5)).convert("L").save(gray, "JPEG")
    assert (encoder._prepare(gray.getvalue()) == whole(Image.open(gray))).all()
    stage.close()


# -- one pass, and what it may not depend on --------------------------------------------------------------


def test_each_sample_is_encoded_once_in_batches_that_cross_clips(folder: Path, clips: list[Clip]) -> None:
    _, stage = run(options(folder, batch=8), clips)
    assert stage.encoder is not None
    assert (stage.encoder.images, stage.encoder.batches) == (18, 3)
    _, stage = run(options(folder, batch=8, frames=2), clips)
    assert stage.encoder is not None
    assert (stage.encoder.images, stage.encoder.batches) == (1 + 2 * 4, 2)


@pytest.mark.parametrize("batch", [1, 8])
def test_a_clip_does_not_depend_on_its_company(
    folder: Path, head: Path, clips: list[Clip], batch: int
) -> None:
    chosen = options(folder, head=head, batch=batch)
    together, _ = run(chosen, clips)
    backwards, _ = run(chosen, clips[::-1])
    assert backwards[::-1] == together
    for clip, row in zip(clips, together, strict=True):
        assert run(chosen, [clip])[0] == [row]


def test_threads_change_nothing_and_are_given_back(
    folder: Path, head: Path, clips: list[Clip], alone: list[Any]
) -> None:
    import torch

    before, running = torch.get_num_threads(), threading.active_count()
    try:
        for number in (1, 2):
            torch.set_num_threads(number)
            assert run(options(folder, head=head, threads=4), clips)[0] == alone
            assert torch.get_num_threads() == number
            assert threading.active_count() == running
    finally:
        torch.set_num_threads(before)


def test_bfloat16_is_the_same_but_for_rounding(folder: Path, clips: list[Clip], alone: list[Any]) -> None:
    rounded, _ = run(options(folder, precision="bfloat16", batch=4), clips)
    assert all(np.dot(a["embedding"], b["embedding"]) > 0.999 for a, b in zip(alone, rounded, strict=True))
    assert [row["embedding"] for row in rounded] != [row["embedding"] for row in alone]


def test_how_fast_is_not_in_the_fingerprint(folder: Path) -> None:
    dumped = options(folder, batch=3, threads=2).model_dump()
    assert dumped == options(folder).model_dump()
    assert {"model", "frames", "precision"} <= set(dumped)


def test_samples_are_spread_evenly() -> None:
    samples = clip_of("x", [bytes([n]) for n in range(10)]).samples()
    assert [s.time_s for s in spread(samples, 2)] == [2, 7]
    assert [s.time_s for s in spread(samples, 3)] == [1, 5, 8]
    assert spread(samples, 10) == list(samples)


# -- bad input --------------------------------------------------------------------------------------------


def test_a_damaged_sample_fails_its_clip_alone(
    folder: Path, head: Path, clips: list[Clip], alone: list[Any]
) -> None:
    good = clips[1].samples()[0].jpeg
    bad = [clip_of("a", [good, good[:900]]), clip_of("b", [b"no JPEG"]), clip_of("c", [])]
    outcomes, _ = run(options(folder, head=head, batch=4), [clips[2], *bad, clips[3]])
    assert [outcome.error for outcome in outcomes[1:4]] == ["EncoderError"] * 3
    assert "readable" in outcomes[2].message
    assert "no samples" in outcomes[3].message
    assert not isinstance(outcomes[0], Failure)
    assert not isinstance(outcomes[4], Failure)
    assert outcomes[0]["aesthetic"] == pytest.approx(alone[2]["aesthetic"], abs=1e-4)


def test_vectors_that_cancel_out_have_no_direction() -> None:
    assert unit_mean(np.zeros(4)) is None
    assert unit_mean(np.array([0.0, 0.3])) == [0.0, 1.0]


@pytest.mark.slow
def test_a_built_in_architecture_loads_weights_from_a_file(tmp_path: Path) -> None:
    import torch

    torch.manual_seed(0)
    model = open_clip.create_model("ViT-S-32-alt")
    path = tmp_path / "small.pt"
    torch.save(model.state_dict(), path)
    del model
    data = jpeg(picture(1))
    chosen = ClipOptions(model="ViT-S-32-alt", pretrained=str(path), device="cpu")
    (row,), stage = run(chosen, [clip_of("a", [data])])
    assert row["embedding_model"] == f"ViT-S-32-alt/small.pt@{stage.digests()['encoder'][:8]}"
    loaded, preprocess = open_clip.create_model_from_pretrained("ViT-S-32-alt", str(path))
    with torch.no_grad():
        pixels = preprocess(Image.open(io.BytesIO(data)))[None]
        wanted = loaded.eval().encode_image(pixels, normalize=True)[0].numpy()
    np.testing.assert_allclose(row["embedding"], wanted, atol=2e-4)
