"""Which files make an encoder and a head, and what is said of those that do not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_clip import make_encoder, make_head

from filters.clip import ClipFeatures, ClipOptions
from filters.clip.head import load_head
from filters.clip.weights import find_encoder
from shards.errors import ConfigError

HEADS = Path(__file__).resolve().parents[3] / "shared/data/laion_heads"
pytest.importorskip("open_clip")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_encoder(tmp_path_factory.mktemp("clip") / "tiny")


def options(folder: Path, **more: Any) -> ClipOptions:
    return ClipOptions(model=f"local-dir:{folder}", device="cpu", **more)


@pytest.mark.parametrize(
    ("model", "pretrained", "says"),
    [
        (
            "ViT-L-14-quickgelu",
            "openai",
            r"`hf download timm/vit_large_patch14_clip_224.openai`.*local-dir",
        ),
        ("ViT-L-14", "openai", r"belong to ViT-L-14-quickgelu"),
        ("ViT-L-14-quickgelu", "laion2b_s32b_b82k", r"neither a file nor a tag.*known: "),
        ("ViT-L-14-quickgelu", None, r"`pretrained` of ViT-L-14-quickgelu is missing"),
        ("ViT-L-15", "openai", r"no model 'ViT-L-15'; did you mean 'ViT-L-"),
        ("hf-hub:laion/nothing-here", None, r"`hf download laion/nothing-here`.*`model: local-dir:…`"),
        ("hf-hub:not a name/at all/x", None, r"hf-hub:not a name"),
        ("local-dir:/nowhere", None, r"/nowhere: no open_clip_config.json there; download the whole"),
        ("local-dir:/nowhere", "openai", r"brings its weights along"),
    ],
)
def test_an_encoder_that_is_not_there_is_told_in_a_line(
    model: str, pretrained: str | None, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ConfigError, match=says) as caught:
        find_encoder(model, pretrained)
    assert "\n" not in str(caught.value)


def test_a_folder_without_weights_or_with_others(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / "open_clip_pytorch_model.bin").write_bytes(b"no weights")
    stage = ClipFeatures(options(copy))
    with pytest.raises(ConfigError, match=r"open_clip_pytorch_model.bin does not fit copy") as caught:
        stage.setup()
    stage.close()
    assert "\n" not in str(caught.value)
    (copy / "open_clip_pytorch_model.bin").unlink()
    with pytest.raises(ConfigError, match="no weights there"):
        find_encoder(f"local-dir:{copy}", None)
    (copy / "open_clip_config.json").write_text("{}")
    (copy / "open_clip_model.safetensors").touch()
    with pytest.raises(ConfigError, match="no 'model_cfg'"):
        find_encoder(f"local-dir:{copy}", None)


def test_weights_of_another_architecture_do_not_load(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    config = json.loads((copy / "open_clip_config.json").read_text())
    config["model_cfg"]["vision_cfg"]["width"] = 128
    (copy / "open_clip_config.json").write_text(json.dumps(config))
    stage = ClipFeatures(options(copy))
    with pytest.raises(ConfigError, match=r"does not fit copy.*size mismatch"):
        stage.setup()
    stage.close()


def test_a_hub_repository_in_the_cache_is_used_without_a_network(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The layout of the Hugging Face cache: refs and snapshots."""
    repository = tmp_path / "models--someone--tiny"
    shutil.copytree(folder, repository / "snapshots/abc")
    (repository / "refs").mkdir()
    (repository / "refs/main").write_text("abc")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    found = find_encoder("hf-hub:someone/tiny", None)
    assert found.name == "someone/tiny"
    assert found.digest() == find_encoder(f"local-dir:{folder}", None).digest()


def test_the_digest_covers_weights_architecture_and_preprocessing(folder: Path, tmp_path: Path) -> None:
    seen = {find_encoder(f"local-dir:{folder}", None).digest()}
    copy = shutil.copytree(folder, tmp_path / "copy")
    assert find_encoder(f"local-dir:{copy}", None).digest() in seen
    config = json.loads((copy / "open_clip_config.json").read_text())
    config["preprocess_cfg"]["std"] = [0.3, 0.3, 0.3]
    (copy / "open_clip_config.json").write_text(json.dumps(config))
    seen.add(find_encoder(f"local-dir:{copy}", None).digest())
    config["model_cfg"]["quick_gelu"] = True
    (copy / "open_clip_config.json").write_text(json.dumps(config))
    seen.add(find_encoder(f"local-dir:{copy}", None).digest())
    with (copy / "open_clip_pytorch_model.bin").open("ab") as file:
        file.write(b"x")
    seen.add(find_encoder(f"local-dir:{copy}", None).digest())
    assert len(seen) == 4


# -- heads ------------------------------------------------------------------------------------------------


def test_a_head_of_another_width_is_refused_before_anything_runs(folder: Path, tmp_path: Path) -> None:
    other = make_head(tmp_path / "wide.pth", 768)
    with pytest.raises(ConfigError, match=r"embeddings 768 wide, and those of tiny are 512 wide") as caught:
        ClipFeatures(options(folder, head=other))
    assert "\n" not in str(caught.value)


def test_what_is_no_head_is_refused(folder: Path, tmp_path: Path) -> None:
    import torch

    path = tmp_path / "head.pth"
    for state in (
        {"weight": torch.zeros(1, 4)},
        {"weight": torch.zeros(4), "bias": torch.zeros(1)},
        {"weight": torch.zeros(1, 4), "bias": torch.zeros(1), "more": torch.zeros(1)},
        [1, 2],
    ):
        torch.save(state, path)
        with pytest.raises(ConfigError, match="not a linear head"):
            load_head(path)
    torch.save({"weight": torch.full((1, 4), torch.nan), "bias": torch.zeros(1)}, path)
    with pytest.raises(ConfigError, match="no numbers"):
        load_head(path)
    path.write_bytes(b"text")
    with pytest.raises(ConfigError, match="not a linear head"):
        load_head(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_head(tmp_path / "none.pth")
    assert folder.exists()


class _Evil:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("touched"),))


def test_nothing_in_a_head_is_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.chdir(tmp_path)
    torch.save({"weight": _Evil(), "bias": torch.zeros(1)}, "head.pth")
    with pytest.raises(ConfigError, match="not a linear head"):
        load_head(Path("head.pth"))
    assert not Path("touched").exists()


@pytest.mark.real
@pytest.mark.skipif(not HEADS.is_dir(), reason="LAION's heads are not beside the project")
def test_laions_heads_give_the_published_ratings() -> None:
    head = load_head(HEADS / "sa_0_4_vit_l_14_linear.pth")
    assert head.width == 768
    vectors = [np.load(HEADS / f"vit_l_14_embeddings/rating{n}.npy")[0] for n in range(10)]
    wanted = [-2.458, -0.138, 1.895, 3.585, 5.100, 6.470, 7.787, 9.048, 10.226, 11.304]
    assert [round(head.rating(vector), 3) for vector in vectors] == wanted
    small = load_head(HEADS / "sa_0_4_vit_b_32_linear.pth")
    assert small.width == 512
    assert small.rating(np.zeros(512, np.float32)) == small.bias
