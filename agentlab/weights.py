"""Tensors on disk as safetensors: weights and the state of optimisers, checked by name and shape when they are read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from agentlab.artefact import write_file
from agentlab.errors import InputError


def save(path: Path, tensors: Mapping[str, Tensor], notes: Mapping[str, str] | None = None) -> None:
    """Writes named tensors atomically, with notes in the same file."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_file(path, safetensors.torch.save(plain, dict(notes or {})))


def load(path: Path) -> dict[str, Tensor]:
    """The named tensors in `path`; `InputError` when it is missing, truncated or garbled."""
    with _readable(path):
        return safetensors.torch.load(path.read_bytes())


def notes(path: Path) -> dict[str, str]:
    """The notes that were saved with the tensors in `path`; errors as those of `load`."""
    with _readable(path), safe_open(path, framework="pt") as file:
        return dict(file.metadata() or {})


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except (SafetensorError, ValueError, KeyError) as error:
        raise InputError(f"{path}: expected safetensors, found a truncated or garbled file ({error})") from error


def load_into(module: nn.Module, path: Path) -> None:
    """Puts the weights in `path` into `module`; `InputError` naming the first one missing, extra or misshapen."""
    fill(module, load(path), path)


def fill(module: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Puts `tensors`, which were read from `path`, into `module`; errors as those of `load_into`."""
    expected = module.state_dict()
    for name, tensor in expected.items():
        if name not in tensors:
            raise InputError(f"{path}: weight {name!r}: expected shape {list(tensor.shape)}, found none")
        if tensors[name].shape != tensor.shape:
            raise InputError(
                f"{path}: weight {name!r}: expected shape {list(tensor.shape)}, found {list(tensors[name].shape)}"
            )
    for name in tensors:
        if name not in expected:
            raise InputError(f"{path}: weight {name!r}: not a weight of this network")
    module.load_state_dict(tensors)


def prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under `prefix.name`."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix.`, without it."""
    return {name[len(prefix) + 1 :]: tensor for name, tensor in tensors.items() if name.startswith(f"{prefix}.")}


GROUPS = "groups"


def optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The tensors of an optimiser's state as `parameter index.name`, and the numbers of its groups as JSON."""
    content = optimizer.state_dict()
    numbers = [
        {name: value for name, value in group.items() if isinstance(value, int | float)}
        for group in content["param_groups"]
    ]
    groups = torch.frombuffer(bytearray(json.dumps(numbers).encode()), dtype=torch.uint8)
    state = content["state"]
    tensors = {f"{index}.{name}": value for index, values in state.items() for name, value in values.items()}
    return tensors | {GROUPS: groups}


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Gives an optimiser the state that `optimizer_state` took."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key != GROUPS:
            index, name = key.split(".", 1)
            state.setdefault(int(index), {})[name] = value
    groups = optimizer.state_dict()["param_groups"]
    numbers = json.loads(tensors[GROUPS].numpy().tobytes()) if GROUPS in tensors else [{}] * len(groups)
    groups = [group | kept for group, kept in zip(groups, numbers, strict=True)]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
