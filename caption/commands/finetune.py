"""`curate caption finetune`: a captioner trained on exported pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from caption.finetuning import FinetuneOptions, Tuned
from shards.errors import ConfigError

__all__ = ["finetune", "run"]


def run(data: Path, model: str, output: Path, kind: str, options: FinetuneOptions) -> Tuned:
    """Train `model` on the pairs of `kind` in `data`, and save it to `output`."""
    from caption.finetuning import finetune as train

    return train(data, kind, model, output, options)


def finetune(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="what `curate caption export-sft` wrote")],
    *,
    model: Annotated[str, typer.Option(metavar="PATH|NAME", help="to begin with: a folder, or a hub's name")],
    output: Annotated[Path, typer.Option(metavar="DIR", help="where to; continues what was begun there")],
    kind: Annotated[str, typer.Option(metavar="dense|summary", help="which pairs")] = "dense",
    method: Annotated[str, typer.Option(metavar="lora|full", help="what of the model is trained")] = "lora",
    epochs: Annotated[float, typer.Option(min=0, help="times that every pair is seen")] = 1.0,
    max_steps: Annotated[int, typer.Option(help="updates at most, in the place of --epochs")] = -1,
    batch: Annotated[int, typer.Option(min=1, help="pairs at once on a device")] = 1,
    accumulate: Annotated[int, typer.Option(min=1, help="batches an update")] = 8,
    learning_rate: Annotated[
        float, typer.Option("--lr", min=0, help="after warm-up; falls as a cosine")
    ] = 1e-4,
    warmup: Annotated[float, typer.Option(min=0, max=0.99, help="share of the updates")] = 0.03,
    weight_decay: Annotated[float, typer.Option(min=0)] = 0.0,
    lora_rank: Annotated[int, typer.Option(min=1)] = 16,
    lora_alpha: Annotated[int, typer.Option(min=1)] = 32,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="longer pairs are cut off")] = None,
    gradient_checkpointing: Annotated[
        bool, typer.Option("--gradient-checkpointing", help="less memory, a third more time")
    ] = False,
    save_steps: Annotated[int, typer.Option(min=1, help="updates between checkpoints")] = 500,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    workers: Annotated[int, typer.Option(min=0, help="processes that prepare pictures")] = 0,
) -> int:
    """Train a captioner, or a summarizer, on exported pairs; the loss is on the answers alone.

    DIR/model then holds what vLLM loads: `engine: { vllm: { model: DIR/model } }`. LoRA is merged into it,
    and kept beside it in DIR/adapter. One CPU or GPU; several GPUs by
    `torchrun --nproc-per-node N --no-python curate caption finetune …`, each with a copy of the model. Run
    again after an interruption, it goes on from the last checkpoint. Needs the extra `finetune`.
    """
    if kind not in ("dense", "summary"):
        raise ConfigError(f"--kind {kind}: expected dense or summary")
    if method not in ("lora", "full"):
        raise ConfigError(f"--method {method}: expected lora or full")
    options = FinetuneOptions(
        method="full" if method == "full" else "lora",
        epochs=epochs,
        max_steps=max_steps,
        batch=batch,
        accumulate=accumulate,
        learning_rate=learning_rate,
        warmup_share=warmup,
        weight_decay=weight_decay,
        lora_rank=lora_rank,
        lora_alpha=lora_alpha,
        max_tokens=max_tokens,
        gradient_checkpointing=gradient_checkpointing,
        save_steps=save_steps,
        seed=seed,
        workers=workers,
    )
    tuned = run(data, model, output, kind, options)
    val = "" if tuned.val_loss is None else f", {tuned.val_loss:.4f} on val"
    typer.echo(f"loss {tuned.train_loss:.4f} on train{val}; {tuned.seconds:.0f} s")
    typer.echo(str(tuned.model))
    return 0
