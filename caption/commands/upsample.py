"""`curate caption upsample`: short prompts into captions of the kind that the video model was trained on."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, TextIO

import cv2
import numpy as np
import typer
import yaml

from caption.checks import Checker, CheckOptions
from caption.engine import Engine
from caption.engines import build_engine
from caption.stage import Caption, CaptionOptions
from caption.upsample import MIN_WORDS, Upsampled, Upsampler, load_upsampling
from curate.config import load_yaml, override, packaged_pipelines, validate
from curate.pipeline import PassOptions
from curate.plan import whole_path
from curate.presets import SELECTIONS
from curate.registry import nearest, resolve
from shards.errors import ConfigError, InputError

__all__ = ["pipeline_engine", "read_picture", "run", "upsample"]

_INCOMPLETE = 3
_SHOWN = 5
_JPEG = b"\xff\xd8\xff"


def upsample(
    prompt: Annotated[
        str | None, typer.Argument(metavar="PROMPT", help="a few words, in any language")
    ] = None,
    *,
    file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="prompts, one a line, in place of PROMPT; -: stdin")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JSON lines, one a prompt, instead of standard output")
    ] = None,
    image: Annotated[
        Path | None, typer.Option(metavar="PICTURE", help="the video begins with it (image-to-video)")
    ] = None,
    engine: Annotated[
        str | None, typer.Option(metavar="YAML", help="who writes: '{openai: {base_url: …, model: …}}'")
    ] = None,
    pipeline: Annotated[
        str, typer.Option(help="without --engine: whose summarizer writes (with --image, whose captioner)")
    ] = "gpu",
    pipelines: Annotated[Path | None, typer.Option(help="another pipelines.yaml")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="A.B=C", help="override a value of the pipeline")
    ] = None,
    prompts: Annotated[
        Path | None, typer.Option(metavar="DIR", help="templates of your own: upsample.md, upsample_image.md")
    ] = None,
    min_words: Annotated[int, typer.Option(min=0, help="a shorter caption is asked for again")] = MIN_WORDS,
    language: Annotated[str, typer.Option(help="of the captions, ISO 639-1; any: not checked")] = "en",
    t5_tokenizer: Annotated[
        str | None, typer.Option(metavar="PATH", help="also check that a caption has at most 226 tokens")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="another seed, another caption")] = 0,
    in_flight: Annotated[int, typer.Option(min=1, help="prompts asked about at once")] = 64,
) -> int:
    """Turn a user's short prompt into a caption in the style of the training captions.

    A video model that was trained on long captions wants long prompts (CogVideoX, appendix E). The result is
    checked like a caption: length, language, wording, repetition; a bad one is asked for once more, with
    another seed. Exit code 3: some prompt has no good caption even so.
    """
    if (prompt is None) == (file is None):
        raise ConfigError("give a PROMPT or --file, one of them")
    template = load_upsampling(with_picture=image is not None, folder=prompts)
    checker = Checker(
        CheckOptions(language=None if language == "any" else language, t5_tokenizer=t5_tokenizer)
    )
    jpeg = None if image is None else read_picture(image)
    asked = read_prompts(file) if file is not None else [(prompt or "").strip()]
    if not all(asked):
        raise ConfigError("PROMPT: is empty")
    if engine is not None:
        chosen = build_engine(parse_engine(engine), "--engine")
    else:
        chosen = build_engine(pipeline_engine(pipeline, pipelines, settings or (), sees=image is not None))

    upsampler = Upsampler(
        chosen, template, checker, jpeg=jpeg, seed=seed, min_words=min_words, in_flight=in_flight
    )
    as_text = prompt is not None and output is None
    with _opened(output) as file_out:
        bad = run(chosen, upsampler, asked, lambda result: _write(file_out, result, as_text=as_text))
    for result in bad[:_SHOWN]:
        why = ", ".join(result.problems) + (f" ({result.message})" if result.message else "")
        typer.echo(f"{result.prompt[:60]!r}: {why}", err=True)
    if len(bad) > _SHOWN:
        typer.echo(f"… and {len(bad) - _SHOWN} more without a good caption", err=True)
    return _INCOMPLETE if bad else 0


def run(
    engine: Engine, upsampler: Upsampler, prompts: Iterable[str], take: Callable[[Upsampled], None]
) -> list[Upsampled]:
    """Set up the engine, give each result to `take`, in order, and return those that are not good."""

    async def ask_all() -> list[Upsampled]:
        bad = []
        try:
            async with aclosing(upsampler.run(prompts)) as results:
                async for result in results:
                    take(result)
                    if not result.ok:
                        bad.append(result)
        finally:
            await engine.stop()
        return bad

    try:
        engine.setup()
        return asyncio.run(ask_all())
    finally:
        engine.close()


def read_prompts(file: Path) -> list[str]:
    """Return the lines of a file that are not empty; "-" is standard input."""
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError(f"{file}: cannot be read ({exc})") from exc
    prompts = [line.strip() for line in text.splitlines() if line.strip()]
    if not prompts:
        raise InputError(f"{file}: holds no prompt")
    return prompts


def read_picture(path: Path) -> bytes:
    """Return the picture as a JPEG: its own bytes where it is one."""
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise InputError(f"{path}: cannot be read ({exc})") from exc
    picture_HWC = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if picture_HWC is None:
        raise InputError(f"{path}: is no picture that can be decoded")
    if data.startswith(_JPEG):
        return data
    _, encoded = cv2.imencode(".jpg", picture_HWC, [cv2.IMWRITE_JPEG_QUALITY, 95])
    jpeg: bytes = encoded.tobytes()
    return jpeg


def parse_engine(text: str) -> Mapping[str, Any]:
    """Return the mapping that `--engine` says in YAML."""
    try:
        named = yaml.safe_load(text)
    except yaml.YAMLError as exc:
        raise ConfigError(f"--engine: {' '.join(str(exc).split())}") from exc
    if isinstance(named, str):
        named = {named: {}}
    if not isinstance(named, dict):
        raise ConfigError("--engine: expected '{NAME: {option: value}}'")
    return named


def pipeline_engine(
    name: str, file: Path | None, settings: Sequence[str], *, sees: bool
) -> Mapping[str, Any]:
    """Return the mapping of the engine that a pipeline's caption stage names.

    The one that sees, or the one that sums up. Only that stage is checked: what else the pipeline needs may
    be missing here.
    """
    path = file or packaged_pipelines()
    known = load_yaml(path)
    known.pop(SELECTIONS, None)
    if name not in known:
        raise ConfigError(f"{path.name}: no pipeline {name!r}; {nearest(name, list(known))}")
    tree = override(known[name], settings, whole_path)
    for pass_name, raw in tree.get("passes", {}).items():
        where = f"{name}.passes.{pass_name}"
        for stage, options in validate(PassOptions, raw, where).stages.items():
            if resolve("stage", stage) is Caption:
                checked = validate(CaptionOptions, options, f"{where}.stages.{stage}")
                return checked.engine if sees or checked.summarizer is None else checked.summarizer
    raise ConfigError(f"{path.name}: the pipeline {name!r} captions nothing; give --engine")


@contextmanager
def _opened(path: Path | None) -> Iterator[TextIO]:
    if path is None:
        yield sys.stdout
        return
    try:
        file = path.open("w", encoding="utf-8")
    except OSError as exc:
        raise InputError(f"{path}: cannot be written ({exc})") from exc
    with file:
        yield file


def _write(file: TextIO, result: Upsampled, *, as_text: bool) -> None:
    line = result.caption if as_text else json.dumps(asdict(result), ensure_ascii=False)
    if line:
        file.write(f"{line}\n")
        file.flush()
