"""Fine-tuning a captioner on exported pairs, by TRL's SFTTrainer, whole or as LoRA (PEFT).

The loss is on the answer alone. A pair goes to the trainer as prompt and completion, not as one list of
messages: then the answer's tokens are known by construction, whatever the model's chat template. (TRL's
`assistant_only_loss` needs `{% generation %}` marks in it, which most published templates don't have.)

    OUT/checkpoints/   of the trainer, to go on from: the same command continues
    OUT/model/         weights, processor and chat template: what vLLM and transformers load
    OUT/adapter/       of LoRA, before it was merged into the model
    OUT/report.json    losses, seconds, versions, options

Memory on a GPU, 7 B parameters: LoRA about 20 GB and activations; whole, 16 bytes a parameter.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from caption.exporting import MANIFEST
from shards.errors import ConfigError, InputError

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["FinetuneOptions", "Tuned", "finetune"]

Method = Literal["lora", "full"]
_PACKAGES: Final = ("trl", "peft", "transformers", "torch", "datasets", "accelerate")
_LOSSES: Final = frozenset({"loss", "eval_loss", "step"})


@dataclass(frozen=True, slots=True)
class FinetuneOptions:
    """How it is trained. Steps count updates of the weights."""

    method: Method = "lora"
    epochs: float = 1.0
    max_steps: int = -1
    """-1: by epochs"""
    batch: int = 1
    """pairs at once on a device"""
    accumulate: int = 8
    """batches an update"""
    learning_rate: float = 1e-4
    warmup_share: float = 0.03
    weight_decay: float = 0.0
    lora_rank: int = 16
    lora_alpha: int = 32
    max_tokens: int | None = None
    """longer pairs are cut off; None: never"""
    gradient_checkpointing: bool = False
    save_steps: int = 500
    seed: int = 0
    workers: int = 0
    """processes that prepare pictures"""


@dataclass(frozen=True, slots=True)
class Tuned:
    """What came of it."""

    model: Path
    """what vLLM loads"""
    report: Path
    train_loss: float
    val_loss: float | None
    """None without pairs for validation"""
    seconds: float


def finetune(data: Path, kind: str, model: str, output: Path, options: FinetuneOptions) -> Tuned:
    """Train `model` (a path or a hub's name) on the pairs of `kind` under `data`, and save it to `output`.

    Goes on from the last checkpoint in `output` that the same options, data and model left. Under torchrun
    each process trains on a share of every batch, and the first one writes.

    Raises ConfigError where packages or the model are not to be had, or `output` is of other options;
    InputError where there are no pairs.
    """
    _require_packages()
    train, val = (_read(data, kind, split) for split in ("train", "val"))
    if not train:
        raise InputError(f"{data}: no pairs in {kind}/train.jsonl; `curate caption export-sft` writes them")
    from accelerate import PartialState

    state = PartialState()
    _continue_or_begin(output, model, kind, data, options, writes=state.is_main_process)
    state.wait_for_everyone()
    trainer, processor = _trainer(data, train, val, model, output, options)
    checkpoints = output / "checkpoints"
    started_s = time.perf_counter()
    result = trainer.train(resume_from_checkpoint=any(checkpoints.glob("checkpoint-*")) or None)
    seconds = time.perf_counter() - started_s
    val_loss = trainer.evaluate()["eval_loss"] if val else None
    if trainer.is_world_process_zero():
        _save(trainer, processor, model, output, options)
        losses = [{k: v for k, v in entry.items() if k in _LOSSES} for entry in trainer.state.log_history]
        report = {
            "model": model,
            "pairs": {"train": len(train), "val": len(val)},
            "steps": trainer.state.global_step,
            "train_loss": result.training_loss,
            "val_loss": val_loss,
            "seconds": round(seconds, 1),
            "parameters": sum(p.numel() for p in trainer.model.parameters()),
            "losses": [entry for entry in losses if len(entry) > 1],
            "versions": {name: metadata.version(name) for name in _PACKAGES},
            "options": asdict(options),
        }
        (output / "report.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    state.wait_for_everyone()
    return Tuned(output / "model", output / "report.json", result.training_loss, val_loss, seconds)


def _require_packages() -> None:
    missing = []
    for name in _PACKAGES:
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        raise ConfigError(
            f"fine-tuning needs {', '.join(missing)}: pip install 'cogcurate[finetune]', which has them"
        )


def _read(data: Path, kind: str, split: str) -> list[dict[str, Any]]:
    path = data / kind / f"{split}.jsonl"
    if not path.exists():
        if split == "train":
            raise InputError(f"{path}: not there; `curate caption export-sft` writes it")
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _continue_or_begin(
    output: Path, model: str, kind: str, data: Path, options: FinetuneOptions, *, writes: bool
) -> None:
    """Note what `output` is of, or check that what is there is of the same."""
    trained_on = (
        hashlib.sha256((data / MANIFEST).read_bytes()).hexdigest() if (data / MANIFEST).exists() else ""
    )
    said = {"model": model, "kind": kind, "data": trained_on, "options": asdict(options)}
    path = output / "begun.json"
    if path.exists():
        if json.loads(path.read_text(encoding="utf-8")) != said:
            raise ConfigError(f"{output}: begun with other options, data or model; name another folder")
    elif writes:
        if output.exists() and any(output.iterdir()):
            raise ConfigError(f"{output}: not empty, and no fine-tuning that could be continued")
        output.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")


def _trainer(
    data: Path,
    train: list[dict[str, Any]],
    val: list[dict[str, Any]],
    model: str,
    output: Path,
    options: FinetuneOptions,
) -> tuple[Any, Any]:
    import torch
    from peft import LoraConfig
    from transformers import set_seed
    from transformers.trainer_utils import get_last_checkpoint
    from trl import SFTConfig, SFTTrainer

    set_seed(options.seed)
    cuda = torch.cuda.is_available()
    sees = any(pair["images"] for pair in train)
    # Trainer loads a checkpoint by the names of parameters in memory, and passes over what it does not find;
    # saved ones are the published ones, which differ for Qwen2.5-VL. So whole weights are loaded here.
    last = get_last_checkpoint(str(output / "checkpoints")) if (output / "checkpoints").is_dir() else None
    weights = last if last is not None and options.method == "full" else model
    network, processor = _loaded(weights, sees, half=cuda and options.method == "lora")
    config = SFTConfig(
        output_dir=str(output / "checkpoints"),
        num_train_epochs=options.epochs,
        max_steps=options.max_steps,
        per_device_train_batch_size=options.batch,
        per_device_eval_batch_size=options.batch,
        gradient_accumulation_steps=options.accumulate,
        gradient_checkpointing=options.gradient_checkpointing,
        learning_rate=options.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=options.warmup_share,
        weight_decay=options.weight_decay,
        max_length=options.max_tokens,
        bf16=cuda,
        use_cpu=not cuda,
        logging_steps=10,
        save_steps=options.save_steps,
        save_total_limit=2,
        eval_strategy="no",
        report_to="none",
        seed=options.seed,
        data_seed=options.seed,
        dataloader_num_workers=options.workers,
        dataloader_pin_memory=cuda,
        dataset_num_proc=None,
        disable_tqdm=True,
    )
    lora = LoraConfig(
        task_type="CAUSAL_LM",
        r=options.lora_rank,
        lora_alpha=options.lora_alpha,
        lora_dropout=0.0,
        target_modules="all-linear",
    )
    trainer = SFTTrainer(
        model=network,
        args=config,
        train_dataset=_dataset(data, train, sees),
        eval_dataset=_dataset(data, val, sees) if val else None,
        processing_class=processor,
        peft_config=lora if options.method == "lora" else None,
    )
    return trainer, processor


def _loaded(model: str, sees: bool, *, half: bool) -> tuple[Any, Any]:
    """Return model and processor (or tokenizer); whole models train in float32, under autocast on a GPU."""
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, AutoProcessor, AutoTokenizer

    try:
        processor = (AutoProcessor if sees else AutoTokenizer).from_pretrained(model)
        auto = AutoModelForImageTextToText if sees else AutoModelForCausalLM
        network = auto.from_pretrained(model, dtype=torch.bfloat16 if half else torch.float32)
    except (OSError, ValueError) as exc:
        reason = " ".join(str(exc).split())[:200]
        raise ConfigError(
            f"{model}: cannot be loaded ({reason}); download the model and give its folder as --model"
        ) from exc
    return network, processor


def _dataset(data: Path, pairs: list[dict[str, Any]], sees: bool) -> Dataset:
    """Return prompts and completions; pictures are opened when they are needed."""
    from datasets import Dataset, Image, List

    rows = [
        {
            "prompt": pair["messages"][:-1],
            "completion": pair["messages"][-1:],
            **({"images": [str(data / name) for name in pair["images"]]} if sees else {}),
        }
        for pair in pairs
    ]
    dataset = Dataset.from_list(rows)
    return dataset.cast_column("images", List(Image())) if sees else dataset


def _save(trainer: Any, processor: Any, model: str, output: Path, options: FinetuneOptions) -> None:
    """Write what vLLM loads: whole weights, in the precision of the model that was begun with."""
    import torch
    from transformers import AutoConfig

    dtype = getattr(AutoConfig.from_pretrained(model), "dtype", None) or torch.bfloat16
    network = trainer.accelerator.unwrap_model(trainer.model)
    if options.method == "lora":
        network.save_pretrained(output / "adapter")
        network = network.merge_and_unload()
    network.to(dtype).save_pretrained(output / "model")
    processor.save_pretrained(output / "model")
