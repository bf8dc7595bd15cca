"""Which tensors of a model may be multiplied by any factor without changing what it gives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

FACTORS = (2.0, 0.5)
"""What tensors are multiplied by to see what that changes; what is saturated shows when it shrinks."""
TOLERANCE = 0.02
"""The most that a factor of a scale-invariant tensor changes, as a share of what another direction of it changes; more
than nothing, for normalisation adds a small constant to the variance it divides by."""
TRIES = 3
"""How often that is tried."""
SIZES = (28, 32, 64, 84, 96, 128, 224, *range(1, 257))
"""Heights, and widths, that are tried for the images of a convolutional model."""

Inputs = tuple[Any, ...]


@torch.no_grad()
def scale_invariant_parameters(model: nn.Module, inputs: Inputs) -> dict[str, nn.Parameter]:
    """The parameters of which twice or half as much leaves `model(*inputs)` as it is, by name.

    Each is doubled and halved, and set to another direction to see whether it matters at all: one that does nothing is
    not among them. That is tried several times, each with other values of biases and the like. The model
    runs in training mode, as it does when it learns, and is left as it was.
    """
    found = dict(model.named_parameters())
    for seed in range(TRIES):
        with _untouched(model):
            generator = torch.Generator().manual_seed(seed)
            _wake(model, generator)
            as_it_is = _outputs(model, inputs)
            found = {
                name: parameter
                for name, parameter in found.items()
                if parameter.is_floating_point() and _is_invariant(model, inputs, as_it_is, parameter, generator)
            }
    return found


def _wake(model: nn.Module, generator: torch.Generator) -> None:
    """Changes biases, scales and whatever is constant, so that their effect is seen: it may be small at first."""
    for parameter in model.parameters():
        is_constant = parameter.is_floating_point() and bool((parameter == parameter.flatten()[0]).all())
        if parameter.is_floating_point() and (parameter.dim() < 2 or is_constant):
            parameter.add_(_noise(parameter, generator))


def _is_invariant(
    model: nn.Module, inputs: Inputs, as_it_is: list[Tensor], parameter: nn.Parameter, generator: torch.Generator
) -> bool:
    kept = parameter.clone()
    scaled = max(_change(as_it_is, _outputs_with(model, inputs, parameter, factor * kept)) for factor in FACTORS)
    direction = _noise(kept, generator)
    direction *= kept.norm() / direction.norm()
    turned = _change(as_it_is, _outputs_with(model, inputs, parameter, direction))
    parameter.copy_(kept)
    return turned > 0 and scaled <= TOLERANCE * turned


def _noise(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator).to(like)


def guess_inputs(model: nn.Module) -> Inputs:
    """Random inputs that fit the model's first layer.

    Raises `ValueError` when none of those tried does: the caller has to give some.
    """
    for inputs in _candidates(model):
        try:
            with torch.no_grad(), _untouched(model):
                model(*inputs)
        except (RuntimeError, TypeError, IndexError, ValueError):
            continue
        return inputs
    raise ValueError(f"probe: expected inputs for {type(model).__name__}, whose shape cannot be told from its layers")


def _candidates(model: nn.Module) -> Iterator[Inputs]:
    first = next(iter(model.parameters()), torch.empty(0))
    generator = torch.Generator().manual_seed(0)
    for layer in model.modules():
        if isinstance(layer, nn.Embedding):
            yield (torch.randint(layer.num_embeddings, (8, 4), generator=generator).to(first.device),)
            return
        shapes = _input_shapes(layer)
        yield from ((torch.randn(shape, generator=generator).to(first),) for shape in shapes)
        if shapes:
            return


def _input_shapes(layer: Any) -> list[tuple[int, ...]]:
    """Shapes of inputs that a layer may be meant for; none for a layer that tells nothing of its inputs."""
    if isinstance(layer, nn.modules.conv._ConvNd):
        return [(8, layer.in_channels, *[size] * len(layer.kernel_size)) for size in SIZES]
    if isinstance(layer, nn.RNNBase):
        return [(8, 4, layer.input_size)]
    if isinstance(layer, nn.MultiheadAttention):
        return [(8, 4, layer.embed_dim)]
    return [(8, layer.in_features)] if isinstance(getattr(layer, "in_features", None), int) else []


@contextmanager
def _untouched(model: nn.Module) -> Iterator[None]:
    """Lets a model run in training mode; after that, mode, parameters, buffers and random numbers are as before."""
    modes = [(module, module.training) for module in model.modules()]
    kept = [(tensor, tensor.detach().clone()) for tensor in (*model.parameters(), *model.buffers())]
    with torch.random.fork_rng({tensor.device for tensor, _ in kept if tensor.is_cuda}):
        torch.manual_seed(0)
        model.train()
        try:
            yield
        finally:
            for module, training in modes:
                module.training = training
            with torch.no_grad():
                for tensor, value in kept:
                    tensor.copy_(value)


def _outputs_with(model: nn.Module, inputs: Inputs, parameter: nn.Parameter, value: Tensor) -> list[Tensor]:
    parameter.copy_(value)
    return _outputs(model, inputs)


def _outputs(model: nn.Module, inputs: Inputs) -> list[Tensor]:
    """What the model gives, with the same dropout each time."""
    torch.manual_seed(0)
    return list(_tensors(model(*inputs)))


def _tensors(outputs: Any) -> Iterator[Tensor]:
    if isinstance(outputs, Tensor):
        yield outputs.double()
    elif isinstance(outputs, Mapping | Sequence):
        parts: Iterable[Any] = outputs.values() if isinstance(outputs, Mapping) else outputs
        for part in parts:
            yield from _tensors(part)


def _change(before: list[Tensor], after: list[Tensor]) -> float:
    return sum(float((new - old).norm()) for old, new in zip(before, after, strict=True))
