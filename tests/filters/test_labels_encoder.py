"""The encoder that is shipped: that it is the published network, and what its tokens are."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
timm = pytest.importorskip("timm")

from sampled_clips import scene  # noqa: E402
from tiny_clip import jpeg  # noqa: E402

from filters.labels.building import encoder_digest, open_encoder  # noqa: E402
from filters.labels.config import LITE, EncoderConfig  # noqa: E402
from filters.labels.efficientnet import EfficientNetLite, folded  # noqa: E402
from filters.labels.encoders import Encoder  # noqa: E402
from filters.labels.lite_encoder import LiteEncoder  # noqa: E402
from filters.labels.pictures import PictureError  # noqa: E402


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return open_encoder(EncoderConfig(model=LITE, looks=1), torch.device("cpu"))


@pytest.mark.parametrize("size", [(128, 224), (96, 160), (75, 131)])
def test_it_does_what_timms_network_does(size: tuple[int, int]) -> None:
    """With random weights and statistics of normalization, also where padding is uneven."""
    torch.manual_seed(0)
    theirs = timm.create_model("tf_efficientnet_lite0").eval()
    for name, value in theirs.state_dict().items():
        if name.endswith(("running_mean", "running_var")):
            value.copy_(torch.rand_like(value) + 0.5)
    ours = EfficientNetLite().eval()
    ours.load_state_dict(folded(theirs))
    pictures = torch.rand(2, 3, *size) * 255
    with torch.no_grad():
        wanted, found = theirs.forward_features((pictures - 127) / 128), ours(pictures)
    assert [one.shape[1] for one in found] == [16, 24, 40, 80, 112, 192, 320, 1280]
    torch.testing.assert_close(found[-1], wanted, rtol=1e-3, atol=1e-4)


def test_the_shipped_weights_have_learned_to_see() -> None:
    """Features of one scene's moments are alike and those of two scenes are not: cosines."""
    config = EncoderConfig(model=LITE)
    encoder = open_encoder(config, torch.device("cpu"))
    told = []
    for name in ("street", "page"):
        features = encoder.encode([jpeg(scene(name, time_s)) for time_s in (0.0, 1.0)])
        told += list(features.tokens[:, -2:].reshape(2, -1).astype(np.float32))
    norm = np.stack([one / np.linalg.norm(one) for one in told])
    alike = norm @ norm.T
    assert min(alike[0, 1], alike[2, 3]) > alike[:2, 2:].max() + 0.3


def test_tokens_are_cells_and_the_whole_close_looks_first(encoder: Encoder) -> None:
    jpegs = [jpeg(scene("street", float(time_s))) for time_s in range(3)]
    features = encoder.encode(jpegs)
    config = EncoderConfig(model=LITE, looks=1)
    assert features.tokens.shape == (4, config.cells, encoder.width)
    assert features.tokens.dtype == np.float16
    assert np.isfinite(features.sights).all()
    assert len(np.unique(features.tokens[1, :16], axis=0)) == 16
    alone = encoder.encode(jpegs[2:])
    np.testing.assert_allclose(
        alone.tokens[-1].astype(float), features.tokens[3].astype(float), rtol=0.01, atol=0.02
    )
    assert not np.array_equal(features.tokens[0], features.tokens[1])


def test_a_mark_in_one_corner_changes_its_cell_most(encoder: Encoder) -> None:
    plain = scene("street")
    marked = plain.copy()
    marked[: len(plain) // 5, : plain.shape[1] // 5] = (0, 0, 255)
    one, two = (
        encoder.encode([jpeg(picture)]).tokens[1, :16].astype(np.float32) for picture in (plain, marked)
    )
    assert np.linalg.norm(one - two, axis=1).argmax() == 0


def test_what_is_no_jpeg_is_an_error_and_the_digest_is_the_weights(encoder: Encoder) -> None:
    with pytest.raises(PictureError):
        encoder.encode([b"no picture"])
    assert encoder.digest == encoder_digest(EncoderConfig(model=LITE))
    closed = LiteEncoder(EncoderConfig(model=LITE), torch.device("cpu"))
    closed.close()
    with pytest.raises(RuntimeError, match="after close"):
        closed.encode([jpeg(scene("street"))])
