"""Training `nano` on rendered clips: what it must reach, going on after a kill, and what comes of it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from labelled import SIGNALS, SMALL, write_labels
from rich.console import Console
from running import COMMAND, curate, environment, rows

from curate.records import Clip, Failure
from filters.commands import eval as evaluating
from filters.commands.bench import run as run_bench
from filters.commands.showing import Bars
from filters.commands.train import run as run_train
from filters.labels import LABELS
from filters.labels.building import build, pick_device
from filters.labels.checkpoint import load_model, read_checkpoint, round_weights, write_checkpoint
from filters.labels.config import recipe
from filters.labels.forest import Examples, grow
from filters.labels.lite_encoder import MAPS
from filters.labels.measured import quantile_edges
from filters.labels.planting import size_of
from filters.labels.probe import pooled_width
from filters.labels.reader import Maps
from filters.labels.stage import LabelOptions, Labels
from filters.videollama import ASIDE
from shards.errors import ConfigError, InputError

torch = pytest.importorskip("torch")

WIDTH = 640
"""of the shipped encoder's tokens"""


def bars() -> Bars:
    return Bars(Console(quiet=True))


@pytest.fixture(scope="module")
def trained(labelled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint trained on the rendered clips."""
    output = tmp_path_factory.mktemp("trained") / "model"
    run_train(labelled / "labels.csv", str(labelled / "run"), output, recipe("nano", SMALL), bars())
    return output


# -- what it learns ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_pages_and_streets_are_told_apart_on_sources_never_seen(labelled: Path, trained: Path) -> None:
    """Some labels ask for pages and some for streets: only who reads the question answers them all."""
    report = json.loads((trained / "report.json").read_text())
    assert report["clips"] == {"train": 30, "val": 6, "test": 4}
    assert report["parameters"] < 600_000
    found = evaluating.run(
        labelled / "labels.csv", str(labelled / "run"), trained, trained.parent / "eval", bars(), split="all"
    )
    for label in LABELS:
        result = found.labels[label]
        assert result is not None
        assert result.scores.balanced_accuracy == 1.0, label
    test = report["test"]["labels"]
    assert {test[label]["scores"]["balanced_accuracy"] for label in LABELS} == {1.0}


@pytest.mark.slow
def test_the_card_and_the_evaluation_say_what_they_are_of(labelled: Path, trained: Path) -> None:
    card = (trained / "README.md").read_text()
    checkpoint = read_checkpoint(trained)
    assert checkpoint.weights_sha256 in card
    assert checkpoint.labels_sha256 in card
    assert "| balanced accuracy | 1.000" in card
    output = trained.parent / "auto"
    evaluating.run(labelled / "labels.csv", str(labelled / "run"), trained, output, bars())
    said = json.loads((output / "eval.json").read_text())
    assert said["split"] == "test"
    assert said["clips"] == 4
    assert (output / "index.html").read_text().startswith("<!doctype html>")
    assert (output / "mistakes.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.slow
def test_the_worst_mistakes_are_shown(labelled: Path, trained: Path) -> None:
    """Answers turned round: every clip is a mistake."""
    lines = (labelled / "labels.csv").read_text().splitlines()
    turned = [line.replace(",yes,", ",?,").replace(",no,", ",yes,").replace(",?,", ",no,") for line in lines]
    path = labelled / "turned.csv"
    path.write_text("\n".join(turned) + "\n")
    output = trained.parent / "turned"
    found = evaluating.run(path, str(labelled / "run"), trained, output, bars())
    assert found.clips == 40
    assert len(found.mistakes) == 10
    assert all((m.probability >= 0.5) == (m.answer == "no") for m in found.mistakes)
    page = (output / "index.html").read_text()
    assert page.count("<article>") == 10
    assert page.count("src='data:image/jpeg;base64,") >= 20


# -- unbroken and broken ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_killed_after_an_epoch_it_ends_as_an_unbroken_one(labelled: Path, tmp_path: Path) -> None:
    chosen = recipe("nano", [*SMALL, "epochs=3"])
    labels, run = labelled / "labels.csv", str(labelled / "run")
    run_train(labels, run, tmp_path / "whole", chosen, bars())

    class KilledError(Exception):
        pass

    class Killing(Bars):
        def epoch(self, epoch: object) -> None:
            raise KilledError(epoch)

    with pytest.raises(KilledError):
        run_train(labels, run, tmp_path / "broken", chosen, Killing(Console(quiet=True)))
    assert not (tmp_path / "broken" / "model.safetensors").exists()
    run_train(labels, run, tmp_path / "broken", chosen, bars())
    whole, broken = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "broken"))
    assert whole == broken
    with pytest.raises(ConfigError, match="begun with another recipe"):
        run_train(labels, run, tmp_path / "whole", recipe("nano", [*SMALL, "epochs=4"]), bars())


@pytest.mark.parametrize("kind", ["no class", "unknown", "measure"])
def test_labels_that_cannot_be_learned_from_are_refused(labelled: Path, tmp_path: Path, kind: str) -> None:
    first = next((labelled / "in").iterdir())
    said = dict.fromkeys(LABELS, "yes")
    settings, says = list(SMALL), "editing: no clip in it is answered 'no'"
    path = write_labels(labelled / f"{kind}.csv", {f"in/{first.name}": said})
    if kind == "unknown":
        path = write_labels(labelled / "u.csv", {"in/nothing.mp4": said})
        says = "has no clip 'in/nothing.mp4'"
    if kind == "measure":
        settings, says = [*SMALL, "model.signals=[text_area]"], "no column 'text_area', which the classifier"
    with pytest.raises(InputError, match=says):
        run_train(path, str(labelled / "run"), tmp_path / "m", recipe("nano", settings), bars())


@pytest.mark.slow
def test_two_processes_learn_one_model(labelled: Path, tmp_path: Path) -> None:
    words = [word for text in (*SMALL, "epochs=3") for word in ("--set", text)]
    torchrun = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "--no-python",
    ]
    train = [sys.executable, "-c", COMMAND, "filters", "train", str(labelled / "labels.csv")]
    done = subprocess.run(
        [*torchrun, *train, "--clips", str(labelled / "run"), "--output", str(tmp_path / "model"), *words],
        env=environment(), capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("epoch 3:") == 1
    report = json.loads((tmp_path / "model" / "report.json").read_text())
    # Seven updates of four clips, two to a process; the last two of thirty would leave one without.
    assert [epoch["steps"] for epoch in report["history"]] == [7, 14, 21]
    assert read_checkpoint(tmp_path / "model").name == report["model"]


# -- checkpoints ------------------------------------------------------------------------------------------


def checkpoint(folder: Path, seed: int = 3) -> Path:
    torch.manual_seed(seed)
    model = recipe("nano", SMALL).model
    network = build(model, WIDTH)
    assert network.signal_tokens is not None
    edges = quantile_edges(np.random.default_rng(0).random((50, len(SIGNALS)), np.float32), model.signal_bins)
    network.signal_tokens.get_buffer("edges").copy_(torch.from_numpy(edges))
    rng = np.random.default_rng(1)
    some, yes = rng.random((40, len(SIGNALS)), np.float32), rng.integers(0, 2, (40, len(LABELS)))
    told = torch.from_numpy(rng.random((40, pooled_width(WIDTH, 1)), np.float32))
    maps = Maps(torch.randn(40, 2, *MAPS).half(), torch.ones(40, 2) > 0)
    has = np.zeros((40, 0), np.float32)
    sources = [str(n) for n in range(len(some))]
    examples = Examples(some, told, maps, yes.astype(np.float32), has, sources)
    size = size_of(model, WIDTH)
    network.forest = grow(examples, model.trees, size, drop_signal=0.2, reader_epochs=1, seed=0)
    temperatures = {label: 1.0 + n / 10 for n, label in enumerate(LABELS)}
    exact = {name: value.clone() for name, value in network.named_parameters()}
    round_weights(network)
    for name, value in network.named_parameters():
        torch.testing.assert_close(value, exact[name], rtol=1e-3, atol=1e-7)
    write_checkpoint(
        folder, network, model, temperatures=temperatures, feature_width=WIDTH, seed=7, labels_sha256="ab"
    )
    torch.save(network.state_dict(), folder / "whole.pt")
    return folder


def test_a_checkpoint_holds_every_bit(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "c")
    said = read_checkpoint(folder)
    assert said.temperatures == pytest.approx((1.0, 1.1, 1.2, 1.3, 1.4, 1.5))
    assert said.name == f"nano@{said.weights_sha256[:8]}"
    loaded = load_model(said, pick_device("cpu")).state_dict()
    for name, value in torch.load(folder / "whole.pt", weights_only=True).items():
        # What training alone uses is not kept.
        assert name.startswith(ASIDE) or torch.equal(loaded[name], value), name


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda c: c["labels"].reverse(), "a checkpoint of the labels screenshot, text"),
        (lambda c: c["labels"].append("sport"), "a checkpoint of the labels editing.*sport"),
        (lambda c: c["questions"].update(text="Is it text?"), "another question for 'text'"),
        (lambda c: c.update(weights_sha256="0" * 64), "the two do not belong together"),
        (lambda c: c["model"].update(wide=3), "unknown key 'wide'"),
        (lambda c: c["model"].update(width=32), "not the weights of the model"),
        (lambda c: c.pop("temperatures"), "not a checkpoint's"),
        (lambda c: c.update(format=9), "format 9"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused_in_one_line(
    tmp_path: Path, change: object, says: str
) -> None:
    folder = checkpoint(tmp_path / "c")
    said = json.loads((folder / "config.json").read_text())
    change(said)  # type: ignore[operator]
    (folder / "config.json").write_text(json.dumps(said))
    with pytest.raises(ConfigError, match=says) as caught:
        load_model(read_checkpoint(folder), pick_device("cpu"))
    assert "\n" not in str(caught.value)


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "c")
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "model.safetensors").write_bytes(data)
    with pytest.raises(ConfigError, match="do not belong together"):
        Labels(LabelOptions(model=folder))
    with pytest.raises(ConfigError, match=r"no config\.json there"):
        Labels(LabelOptions(model=tmp_path))


# -- the label pass ---------------------------------------------------------------------------------------


def test_the_pass_writes_the_table_labels(labelled: Path, tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "c")
    shutil.copytree(labelled / "run", tmp_path / "run")
    pipelines = tmp_path / "p.yaml"
    pipelines.write_text((labelled / "p.yaml").read_text().replace("MODEL", str(folder)))
    done = curate(
        "run", "labelled", "--pipelines", pipelines, "--input", labelled / "in", "--output", tmp_path / "run",
        "--workers", "1",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    table = rows(tmp_path / "run", "labels")
    assert len(table) == 40
    assert list(table[0]) == ["clip_id", *(f"label_{label}" for label in LABELS), "label_model"]
    assert {row["label_model"] for row in table} == {read_checkpoint(folder).name}
    values = np.array([[row[f"label_{label}"] for label in LABELS] for row in table])
    assert ((values > 0) & (values < 1)).all()
    cost = run_bench(str(tmp_path / "run"), folder, 5)
    assert cost.clips == 5
    assert cost.split_clips == 40
    assert cost.clip_ms > 0
    told = curate("bench", "filters", tmp_path / "run", "--model", folder, "--clips", "2")
    assert told.returncode == 0, told.stderr
    assert read_checkpoint(folder).name in told.stdout


def test_a_clip_without_samples_has_nulls_and_one_without_jpegs_fails(tmp_path: Path) -> None:
    from sampled_clips import clip, scene

    stage = Labels(LabelOptions(model=checkpoint(tmp_path / "c"), device="cpu"))
    assert stage.needs == {"samples", "frames", *SIGNALS}
    threads = torch.get_num_threads()
    stage.setup()
    image = clip(scene("street"))
    image = Clip({**image.row, "frames": 1}, image.samples, image.media)
    none, bad, good, alone, still = stage.process(
        [clip(), clip(b"not one"), clip(scene("street")), clip(scene("street")), image]
    )
    stage.close()
    assert torch.get_num_threads() == threads
    assert none == {"label_model": stage._checkpoint.name}
    assert isinstance(bad, Failure)
    assert bad.error == "PictureError"
    assert good == alone
    assert isinstance(good, dict)
    assert set(good) == set(stage.provides.names)
    # An image cannot move, and is not blamed for it.
    assert good["label_static"] is not None
    assert still == good | {"label_static": None}


def test_other_weights_are_another_fingerprint(tmp_path: Path) -> None:
    one, two = (Labels(LabelOptions(model=checkpoint(tmp_path / str(n), n))) for n in range(2))
    assert one.digests()["about"] == two.digests()["about"]
    assert one.digests()["weights"] != two.digests()["weights"]
