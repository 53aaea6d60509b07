"""How a module's tensors are named and cut in a file, where they are not the same.

One kind of rule is enough: along an axis, some tensors of the module one after another are some of the
file's one after another. One to one it renames; one to many it splits what the module holds fused; many to
one it merges what the module holds apart (the channels of an adapter). What no rule names has the same name
on both sides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Joined", "Shapes", "all_rules", "key_faults", "shape_faults"]

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Joined:
    """`cat(module tensors, axis) == cat(file tensors, axis)`; one of the two sides is a single tensor.

    A fused tensor of the module is cut into equal parts on the way out.
    """

    module: tuple[str, ...]
    file: tuple[str, ...]
    axis: int = 0

    def __post_init__(self) -> None:
        if min(len(self.module), len(self.file)) != 1:
            raise ValueError(f"one of both sides must be a single tensor: {self.module}, {self.file}")


def all_rules(module: Shapes, rules: Sequence[Joined]) -> tuple[Joined, ...]:
    """Return the rules, and one more for each of the module's tensors that they don't name.

    Raises ValueError where a rule names a tensor that the module has not, or two name the same one.
    """
    named = [key for rule in rules for key in rule.module]
    if len(named) != len(set(named)) or not set(named) <= set(module):
        raise ValueError(
            f"rules name tensors twice, or ones that the module has not: {sorted(set(named) - set(module))}"
        )
    return (*rules, *(Joined((key,), (key,)) for key in module if key not in set(named)))


def key_faults(file: Shapes, rules: Sequence[Joined]) -> tuple[list[str], list[str]]:
    """Return the keys that are missing in a file, and those that the module has no place for."""
    wanted = {key for rule in rules for key in rule.file}
    return sorted(wanted - set(file)), sorted(set(file) - wanted)


def shape_faults(module: Shapes, file: Shapes, rules: Sequence[Joined]) -> list[str]:
    """Return a phrase for each rule whose two sides differ in shape. All keys must be there."""
    return [
        f"{' + '.join(rule.file)} is {theirs}, the model's {ours}"
        for rule in rules
        if (theirs := _joined(file, rule.file, rule.axis))
        != (ours := _joined(module, rule.module, rule.axis))
    ]


def _joined(shapes: Shapes, keys: Sequence[str], axis: int) -> tuple[int, ...] | str:
    """Return the shape of tensors one after another; as text where they do not fit together."""
    if len(keys) == 1:
        return shapes[keys[0]]
    parts = [shapes[key] for key in keys]
    across = {(*part[:axis], *part[axis + 1 :]) for part in parts}
    if len(across) != 1 or len({len(part) for part in parts}) != 1 or axis >= len(parts[0]):
        return " + ".join(map(str, parts))
    (rest,) = across
    return (*rest[:axis], sum(part[axis] for part in parts), *rest[axis:])
