"""`curate caption upsample` over the echo server, which lets its answers be chosen."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest
import typer
from echoes import digest, proof, prose
from faulty_server import ServerProcess
from typer.testing import CliRunner, Result

from caption.checks import Checker, CheckOptions
from caption.commands.upsample import pipeline_engine, read_picture, upsample
from caption.engine import Answer, Request
from caption.upsample import TOO_SHORT, Upsampled, Upsampler, load_upsampling
from curate.records import Options
from shards.errors import ConfigError, InputError

GOOD = (
    "A small brown dog with white paws runs across a wide sandy beach toward the water. It jumps over a low "
    "wave, shakes the drops from its coat and turns back to its owner, a man in a blue jacket who throws a "
    "red ball high into the air. The sun stands low over the sea and the light is golden. The camera follows "
    "the dog from the side."
)


class Scripted:
    """Answers by a function of the request."""

    version: ClassVar[int] = 1
    rule_based: ClassVar[bool] = False
    Options: ClassVar[type[Options]] = Options
    needs: ClassVar[frozenset[str]] = frozenset()
    model = "scripted"

    def __init__(self, answer: Callable[[Request], str | Answer]) -> None:
        self._answer = answer
        self.requests: list[Request] = []
        self.in_flight = self.most_in_flight = 0

    def digests(self) -> Mapping[str, str]:
        return {}

    def setup(self) -> None:
        return None

    async def generate(self, request: Request) -> Answer:
        self.requests.append(request)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        # Those that came later are answered first.
        await asyncio.sleep(0.02 / len(self.requests))
        self.in_flight -= 1
        answer = self._answer(request)
        return answer if isinstance(answer, Answer) else Answer(request.id, "ok", answer, self.model)

    def counts(self) -> Mapping[str, float]:
        return {}

    async def stop(self) -> None:
        return None

    def close(self) -> None:
        return None


@pytest.fixture(scope="module")
def checker() -> Checker:
    return Checker(CheckOptions())


def results(engine: Scripted, checker: Checker, prompts: list[str], **options: Any) -> list[Upsampled]:
    async def run() -> list[Upsampled]:
        template = load_upsampling(with_picture="jpeg" in options)
        return [result async for result in Upsampler(engine, template, checker, **options).run(prompts)]

    return asyncio.run(run())


def tries(request: Request) -> int:
    return int(request.id.rpartition("/")[2])


def test_results_come_in_the_order_of_the_prompts(checker: Checker) -> None:
    prompts = [f"dog number {n}" for n in range(40)]
    engine = Scripted(lambda request: GOOD.replace("dog", request.prompt.split("\n")[0][6:]))
    done = results(engine, checker, prompts, in_flight=7)
    assert [result.prompt for result in done] == prompts
    assert [result.prompt in str(result.caption) for result in done] == [True] * 40
    assert {result.ok for result in done} == {True}
    assert engine.most_in_flight == 7


def test_a_bad_caption_is_asked_for_once_more_with_another_seed(checker: Checker) -> None:
    engine = Scripted(lambda request: GOOD if tries(request) == 2 else "A dog runs.")
    (done,) = results(engine, checker, ["dog"])
    first, second = engine.requests
    assert (done.caption, done.ok, done.asked) == (GOOD, True, 2)
    assert first.seed != second.seed
    assert first.id != second.id
    assert second.temperature >= first.temperature > 0


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("A dog runs.", TOO_SHORT),
        (f"{GOOD} {GOOD.replace('dog', 'cat')}", "too_long"),
        ("Ein kleiner brauner Hund mit weißen Pfoten läuft über den Strand zum Wasser. " * 3, "language"),
        (f"The video shows a dog. {GOOD}", "opening"),
        ("", "empty"),
    ],
)
def test_what_stays_bad_is_said(checker: Checker, text: str, problem: str) -> None:
    engine = Scripted(lambda _: text)
    (done,) = results(engine, checker, ["dog"])
    assert not done.ok
    assert problem in done.problems
    assert done.asked == 2
    assert len(engine.requests) == 2


def test_a_poor_caption_is_better_than_none(checker: Checker) -> None:
    engine = Scripted(lambda request: "A dog runs." if tries(request) == 1 else "")
    (done,) = results(engine, checker, ["dog"])
    assert (done.caption, done.problems, done.asked) == ("A dog runs.", (TOO_SHORT,), 2)


def test_a_prompt_gets_the_same_request_wherever_in_the_file_it_stands(checker: Checker) -> None:
    engine = Scripted(lambda _: GOOD)
    results(engine, checker, ["a dog", "a cat", "a dog"])
    dog, cat, again = sorted(engine.requests, key=lambda request: request.id)
    assert dog.seed == again.seed != cat.seed
    assert len({request.id for request in engine.requests}) == 3


def test_another_prompts_caption_is_not_taken(checker: Checker) -> None:
    def mixed_up(request: Request) -> Answer:
        answer = Answer(request.id, "ok", GOOD, "scripted")
        return replace(answer, id="prompt-9/upsample/1") if "cat" in request.prompt else answer

    dog, cat = results(Scripted(mixed_up), checker, ["a dog", "a cat"])
    assert dog.ok
    assert (cat.caption, cat.status, cat.ok) == (None, "error", False)
    assert "answered for 'prompt-9/upsample/1'" in cat.message


def test_braces_in_a_prompt_are_left_as_they_are(checker: Checker) -> None:
    engine = Scripted(lambda _: GOOD)
    results(engine, checker, ["a {wish} {0}"])
    assert "a {wish} {0}" in engine.requests[0].prompt


def test_the_templates_examples_pass_their_own_checks(checker: Checker) -> None:
    for with_picture in (False, True):
        template = load_upsampling(with_picture=with_picture)
        examples = [
            line.removeprefix("Caption: ")
            for line in template.system.splitlines()
            if line.startswith("Caption: ")
        ]
        assert examples
        for example in examples:
            assert checker.check(example, "ok", max_words=template.options.max_words).problems == ()
            assert len(example.split()) >= 60


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("---\nsees: nothing\n---\nx\n---\n{wisch}", "unknown field {wisch}; did you mean 'wish'?"),
        ("---\nsees: nothing\n---\nx\n---\nno field", "has no field {wish}"),
        ("---\nsees: clip\n---\nx\n---\n{wish}", "sees: expected nothing"),
    ],
)
def test_templates_of_ones_own_are_checked(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "upsample.md").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_upsampling(with_picture=False, folder=tmp_path)
    assert said in str(caught.value)


# --- the command ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """An echo server with faults, whose sentences pass for captions, and its log."""
    log = tmp_path_factory.mktemp("server") / "requests.jsonl"
    faults = "error_500=0.1,drop_middle=0.1,malformed=0.1,wrong_id=0.1,truncated=0.05"
    arguments = ["--faults", faults, "--seed", "2", "--style", "prose", "--log", str(log)]
    with ServerProcess(*arguments) as process:
        yield process.base_url, log


def command(*arguments: str | Path) -> Result:
    app = typer.Typer()
    app.command()(upsample)
    return CliRunner().invoke(app, [str(argument) for argument in arguments], standalone_mode=False)


def engine(base_url: str) -> str:
    return json.dumps({"openai": {"base_url": base_url, "model": "echo", "backoff_s": 0.01, "attempts": 20}})


def logged(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def caption_for(seen: Mapping[str, Any]) -> str:
    """Return what the server says to a request without pictures."""
    return prose(proof(seen["id"], [], seen["prompt"], seen["body"]["seed"]))


def test_one_prompt_comes_back_as_text(server: tuple[str, Path]) -> None:
    url, log = server
    done = command("red ball", "--engine", engine(url))
    assert (done.return_value, done.stderr) == (0, "")
    assert done.stdout == f"{caption_for(logged(log)[-1])}\n"


def test_what_is_not_good_is_said_and_told_by_the_exit_code(server: tuple[str, Path]) -> None:
    url, log = server
    done = command("red ball", "--engine", engine(url), "--min-words", "90", "--seed", "7")
    assert done.return_value == 3
    assert done.stderr == "'red ball': too_short\n"
    assert done.stdout.startswith(("A ", "An ", "Two "))
    assert [row["id"].rpartition("/")[2] for row in logged(log)][-1] == "2"


def test_a_file_of_prompts_comes_back_as_json_lines(server: tuple[str, Path], tmp_path: Path) -> None:
    url, log = server
    prompts = [f"red ball {n}" for n in range(60)]
    (tmp_path / "prompts.txt").write_text("\n\n".join(prompts) + "\n")
    output = tmp_path / "captions.jsonl"
    done = command("--file", tmp_path / "prompts.txt", "--engine", engine(url), "--output", output)
    assert (done.stdout, done.exception) == ("", None)
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert [row["prompt"] for row in rows] == prompts
    # Each caption is what the server says to that prompt, whatever went wrong on the way.
    said: dict[str, set[str]] = {}
    for seen in logged(log):
        prompt = seen["prompt"].removeprefix("Wish: ").removesuffix("\nCaption:")
        said.setdefault(prompt, set()).add(caption_for(seen))
    assert [row["caption"] in said[row["prompt"]] for row in rows] == [True] * 60
    assert {row["asked"] for row in rows} == {1, 2}
    assert [row["ok"] for row in rows].count(True) >= 55
    assert {row["model"] for row in rows} == {"echo"}
    assert {seen["system"] for seen in logged(log)} == {load_upsampling(with_picture=False).system}


def test_image_to_video_sends_the_picture(server: tuple[str, Path], tmp_path: Path) -> None:
    url, log = server
    jpeg = cv2.imencode(".jpg", np.full((36, 64, 3), 90, np.uint8))[1].tobytes()
    (tmp_path / "first.jpg").write_bytes(jpeg)
    command("it rolls away", "--image", tmp_path / "first.jpg", "--engine", engine(url))
    last = json.loads(log.read_text().splitlines()[-1])
    assert last["pictures"] == [digest(jpeg)]
    assert last["system"] == load_upsampling(with_picture=True).system


def test_an_engine_that_cannot_write_it() -> None:
    exception = command("red ball", "--engine", "signals").exception
    assert isinstance(exception, ConfigError)
    assert "upsample" in str(exception)


def test_a_picture_that_is_no_jpeg_is_made_one(tmp_path: Path) -> None:
    picture = np.full((36, 64, 3), (10, 200, 30), np.uint8)
    cv2.imwrite(str(tmp_path / "first.png"), picture)
    jpeg = read_picture(tmp_path / "first.png")
    assert digest(jpeg).endswith("64x36")
    back = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert np.abs(back.astype(int) - picture).max() <= 3


def test_the_engine_of_a_pipeline(tmp_path: Path) -> None:
    file = tmp_path / "pipelines.yaml"
    file.write_text(
        "mine:\n  passes:\n    split:\n      stages: {split: {}}\n"
        "    caption:\n      stages:\n        caption:\n"
        "          engine: {openai: {base_url: 'http://a/v1', model: eye}}\n"
        "          summarizer: {openai: {base_url: 'http://a/v1', model: pen}}\n"
        "bare:\n  passes: {split: {stages: [split]}}\n"
    )
    assert pipeline_engine("mine", file, [], sees=True)["openai"]["model"] == "eye"
    assert pipeline_engine("mine", file, [], sees=False)["openai"]["model"] == "pen"
    changed = pipeline_engine("mine", file, ["caption.summarizer.openai.model=quill"], sees=False)
    assert changed["openai"]["model"] == "quill"
    for name, said in [("bare", "captions nothing"), ("mien", "did you mean 'mine'?")]:
        with pytest.raises(ConfigError, match=said.replace("?", r"\?")):
            pipeline_engine(name, file, [], sees=False)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give a PROMPT or --file"),
        (["x", "--file", "y"], "give a PROMPT or --file"),
        (["  "], "PROMPT: is empty"),
        (["x", "--engine", "{"], "--engine: "),
        (["x", "--engine", "[1]"], "--engine: expected"),
        (["x", "--engine", "{opnai: {}}"], "did you mean 'openai'?"),
        (["--file", "/nowhere/prompts.txt"], "/nowhere/prompts.txt: cannot be read"),
        (["x", "--image", "/nowhere/first.jpg"], "/nowhere/first.jpg: cannot be read"),
        (["x", "--image", __file__], "is no picture that can be decoded"),
    ],
)
def test_wrong_arguments(arguments: list[str], said: str) -> None:
    exception = command(*arguments).exception
    assert isinstance(exception, ConfigError | InputError)
    assert said in str(exception)
    assert "\n" not in str(exception)
