"""Captions against embeddings, with a small encoder that is loaded as a real one is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_clip import clip_of, jpeg, make_encoder, picture

from caption.alignment import COLUMNS, build_aligner
from curate.registry import known
from filters.clip import ClipFeatures, ClipOptions, TextAligner, TextOptions
from filters.clip.text import cosine, pieces
from shards.errors import ConfigError

open_clip = pytest.importorskip("open_clip")

SHORT = "A dog runs along a beach."
LONG = " ".join(f"A dog passes house number {number} and barks at the gate." for number in range(12))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_encoder(tmp_path_factory.mktemp("clip") / "tiny", context=40)


@pytest.fixture(scope="module")
def rows(folder: Path) -> list[Any]:
    """Two clips as the stage `clip` writes them."""
    stage = ClipFeatures(ClipOptions(model=f"local-dir:{folder}", device="cpu"))
    stage.setup()
    try:
        clips = [clip_of(f"c{n}", [jpeg(picture(n)), jpeg(picture(n + 7))]) for n in range(2)]
        return list(stage.process(clips))
    finally:
        stage.close()


def similar(folder: Path, texts: list[str], rows: list[Any], **options: Any) -> list[float | None]:
    aligner = TextAligner(TextOptions(model=f"local-dir:{folder}", device="cpu", **options))
    aligner.setup()
    try:
        return aligner.similarity(
            texts, [row["embedding"] for row in rows], [row["embedding_model"] for row in rows]
        )
    finally:
        aligner.close()


def test_it_is_the_cosine_that_open_clip_gives(folder: Path, rows: list[Any]) -> None:
    import torch

    model, _, _ = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    tokenize = open_clip.get_tokenizer(f"local-dir:{folder}")
    found = similar(folder, [SHORT, SHORT], rows)
    for row, value in zip(rows, found, strict=True):
        with torch.no_grad():
            text = model.eval().encode_text(tokenize([SHORT]), normalize=True)[0].double().numpy()
        image = np.asarray(row["embedding"], np.float64)
        assert value == pytest.approx(float(text @ image / np.linalg.norm(image)), abs=1e-5)
    assert found[0] != found[1]


def test_the_end_of_a_long_caption_counts(folder: Path, rows: list[Any]) -> None:
    tokenize = open_clip.get_tokenizer(f"local-dir:{folder}")
    other = LONG.replace("number 11", "number 99")
    assert (tokenize([LONG]) == tokenize([other])).all()  # the encoder alone does not see it
    one, two = similar(folder, [LONG, other], [rows[0], rows[0]])
    assert one != two
    assert similar(folder, [SHORT], rows[:1])[0] not in (one, two)


@pytest.mark.parametrize("batch", [2, 5])
def test_company_does_not_matter(folder: Path, rows: list[Any], batch: int) -> None:
    texts = [SHORT, LONG, "A cat sits.", SHORT, "Rain."]
    every = [rows[n % 2] for n in range(5)]
    whole = similar(folder, texts, every)
    alone = [similar(folder, [text], [row])[0] for text, row in zip(texts, every, strict=True)]
    assert whole == alone
    assert similar(folder, texts, every, batch=batch) == pytest.approx(alone, abs=1e-6)
    assert similar(folder, texts, every, batch=batch)[3:] == similar(
        folder, texts[3:], every[3:], batch=batch
    )


def test_nothing_to_compare_is_none(folder: Path, rows: list[Any]) -> None:
    name = rows[0]["embedding_model"]
    without = {"embedding": None, "embedding_model": name}
    nothing = {"embedding": None, "embedding_model": None}
    found = similar(folder, ["", "...", SHORT, SHORT, SHORT], [rows[0], rows[0], without, nothing, rows[0]])
    assert found[:4] == [None] * 4
    assert found[4] is not None
    assert similar(folder, [], []) == []


def test_embeddings_of_another_encoder_are_refused(tmp_path: Path, rows: list[Any]) -> None:
    other = make_encoder(tmp_path / "tiny", seed=1, context=40)
    with pytest.raises(
        ConfigError, match=r"embeddings are of tiny@\w{8}, and the texts' would be of tiny@"
    ) as e:
        similar(other, [SHORT], rows[:1])
    assert "\n" not in str(e.value)


def test_what_decides_is_in_the_digests(folder: Path, tmp_path: Path) -> None:
    other = make_encoder(tmp_path / "tiny", seed=1, context=40)
    digests = [TextAligner(TextOptions(model=f"local-dir:{path}")).digests() for path in (folder, other)]
    assert digests[0] != digests[1]


def test_it_is_found_by_name(folder: Path) -> None:
    assert known("aligner")["clip"] == "filters.clip:TextAligner"
    aligner = build_aligner({"clip": {"model": f"local-dir:{folder}", "device": "cpu"}})
    assert isinstance(aligner, TextAligner)
    assert build_aligner(None) is None
    assert set(ClipFeatures(ClipOptions(model=f"local-dir:{folder}")).provides.names) >= COLUMNS


@pytest.mark.parametrize(
    ("named", "says"),
    [
        ({"clap": {}}, r"unknown aligner 'clap'; did you mean 'clip'\?"),
        ({"clip": {}}, r"aligner.clip.model: Field required"),
        ({"clip": {"model": "local-dir:/nowhere"}}, r"no open_clip_config.json there"),
        ({"clip": {"model": "ViT-L-14-quickgelu", "width": 3}}, r"unknown key 'width'"),
        ({}, r"aligner: name exactly one"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(named: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        build_aligner(named)
    assert "\n" not in str(caught.value)


def test_before_setup_and_after_a_failed_one(folder: Path, tmp_path: Path) -> None:
    import shutil

    import torch

    threads = torch.get_num_threads()
    with pytest.raises(RuntimeError, match="before setup"):
        TextAligner(TextOptions(model=f"local-dir:{folder}")).similarity([], [], [])
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / "open_clip_pytorch_model.bin").write_bytes(b"no weights")
    aligner = TextAligner(TextOptions(model=f"local-dir:{copy}", device="cpu"))
    with pytest.raises(ConfigError, match="does not fit copy") as caught:
        aligner.setup()
    assert "\n" not in str(caught.value)
    aligner.close()
    assert torch.get_num_threads() == threads


@given(
    st.lists(st.sampled_from(["A dog.", "A cat sits!", "Is it?", "…", "x" * 30 + ".", "Rain"]), max_size=12)
)
def test_pieces_hold_every_sentence_once_and_fit(sentences: list[str]) -> None:
    text = " ".join(sentences)
    found = pieces(text, lambda piece: len(piece) <= 20)
    assert " ".join(found).replace("…", "").split() == text.replace("…", "").split()
    assert all(len(piece) <= 20 or len(piece.split(". ")) == 1 for piece in found)


def test_cosine() -> None:
    one, other = np.array([1.0, 0.0]), np.array([1.0, 1.0])
    assert cosine(one, other) == pytest.approx(2**-0.5)
    assert cosine(one, one * 5) == 1.0
    assert cosine(one, -one) == -1.0
    assert cosine(one, np.zeros(2)) is None
