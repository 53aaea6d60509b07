import dataclasses
import json
from pathlib import Path

import pytest

from shards.errors import ConfigError
from train.diffusion import PRESETS as DIFFUSIONS
from train.plan import transformer_config
from train.recipe_file import load_recipe, recipe_from, recipe_names


@pytest.mark.parametrize("name", recipe_names())
def test_shipped_recipes_are_whole(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.diffusion in DIFFUSIONS
    config = transformer_config(recipe)
    assert all(stage.tokens > config.text_length for stage in recipe.stages)
    again = recipe_from(json.loads(json.dumps(dataclasses.asdict(recipe))))
    assert again == recipe


def test_the_paper_s_stages() -> None:
    recipe = load_recipe("cogvideox-5b")
    assert [(stage.short_side, stage.max_seconds) for stage in recipe.stages] == [
        (256, 6), (480, 6), (768, 10), (768, 10),
    ]  # fmt: skip
    (best,) = recipe.stages[-1].thresholds
    assert (best.kind, best.value, best.bound) == ("quantile", 0.8, "min")


def test_the_documents_recipe_is_one(tmp_path: Path) -> None:
    text = Path(__file__).parents[2].joinpath("docs", "recipes.md").read_text(encoding="utf-8")
    path = tmp_path / "mine.yaml"
    path.write_text(text.partition("```yaml\n")[2].partition("```")[0], encoding="utf-8")
    recipe = load_recipe(str(path), ["stages.broad.steps=2000"])
    assert [len(stage.thresholds) for stage in recipe.stages] == [2, 2]


def test_changes_reach_their_place() -> None:
    changes = [
        "stages.fine-tune.steps=7", "stages.0.fps=[8, 16]", "optimizer.learning_rate=3e-4", "saving.keep=9",
        "optimizer.ema=null", "model_changes.layers=2", "stages.0.max_tokens=null", "stages.1.where=true",
    ]  # fmt: skip
    recipe = load_recipe("cogvideox-2b", changes)
    assert recipe.stages[3].steps == 7
    assert recipe.stages[0].fps == (8.0, 16.0)
    assert recipe.stages[0].max_tokens is None
    assert recipe.stages[1].where == "true"
    assert (recipe.optimizer.learning_rate, recipe.optimizer.ema, recipe.saving.keep) == (3e-4, None, 9)
    assert transformer_config(recipe).layers == 2
    assert load_recipe("cogvideox-2b").stages[3].steps != 7


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("optimizer.learnign_rate=1", "optimizer.learnign_rate: unknown; did you mean 'learning_rate'?"),
        ("stages.0.step=1", "stages.0.step: unknown; did you mean 'steps'?"),
        ("stages.last.steps=1", "no entry 'last'; there are small"),
        ("stages.0.steps=many", "stages.0.steps: a whole number is wanted, not 'many'"),
        ("stages.0.short_side=100", "stages.0.short_side: 100 is no multiple of 16"),
        ("stages.0.min_frames=10", "stages.0.min_frames: 10 is not of the form 4k+1"),
        ("stages.0.max_tokens=5000", "stages.0.max_tokens: 5000 is more than a pack's 1152"),
        ("precision=half", "precision: 'half'; one of float32, bfloat16 is wanted"),
        ("text_dropout=1.5", "text_dropout: 1.5 is no share"),
        ("optimizer.betas=[0.9]", "optimizer.betas: 2 values are wanted"),
        (
            "stages.0.thresholds=[{column: a, bound: min, kind: ramp}]",
            "thresholds.0.points: a ramp needs some",
        ),
        ("stages.0.thresholds=[{column: a, bound: min}]", "thresholds.0.value: is missing"),
        (
            "stages.0.thresholds=[{column: a, bound: min, kind: step, points: [[5, 1], [5, 2]]}]",
            "thresholds.0.points: their steps do not rise",
        ),
        ("stages.0.thresholds=[{column: a, bound: least, value: 1}]", "bound: 'least'; one of min, max"),
        ("optimizer", "--set optimizer: NAME=VALUE is wanted"),
        ("name.first=1", "there is nothing below"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(change: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_recipe("tiny", [change])
    assert message in str(caught.value)


def test_a_file_is_a_recipe(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "model: tiny\ndiffusion: tiny\nstages:\n"
        "  - {name: a, steps: 5, tokens: 600, packs: 1, short_side: 64, max_seconds: 2}\n"
    )
    recipe = load_recipe(str(path))
    assert (recipe.name, recipe.stages[0].steps) == ("mine", 5)
    path.write_text("model: tiny\n")
    with pytest.raises(ConfigError, match=r"mine\.yaml: diffusion: is missing"):
        load_recipe(str(path))
    path.write_text("a: [")
    with pytest.raises(ConfigError, match="is not YAML"):
        load_recipe(str(path))
    with pytest.raises(ConfigError, match="no recipe 'tinny': there are tiny, "):
        load_recipe("tinny")
