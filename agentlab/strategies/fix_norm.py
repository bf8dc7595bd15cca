"""Fixed norm: weights of which only the direction matters keep their size, so that one rate controls every step."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from agentlab.strategies.invariance import guess_inputs, scale_invariant_parameters

WATCHED_STEPS = 10
WATCHED = "watched"
"""In the group of a tensor that may turn out to be scale-invariant: its name, first norm, and what was seen so far."""
PERPENDICULAR = 3e-4
"""Without a model: tensors count as scale-invariant of which no gradient, in so many steps, had a larger cosine."""


class FixNorm(torch.optim.Optimizer):
    """Any torch optimiser, after whose steps scale-invariant tensors are put back to their norm (CN114078195B).

    `W <- W / ||W|| * Norm0`, worked out in float64. The learning rate of such tensors is the effective one: where steps
    grow with the gradient (SGD) the raw rate is `lr * Norm0^2`, else (Adam and its like) `lr * Norm0`, so that how
    large weights began changes nothing (FixNorm, arXiv 2103.15345). Other tensors learn as ever. Schedulers set `lr`
    as with any optimiser; it is to decay, for at a constant rate directions never settle.

    >>> import torch
    >>> from agentlab.strategies import FixNorm
    >>> model = torch.nn.Sequential(
    ...     torch.nn.Linear(1, 32, bias=False), torch.nn.LayerNorm(32), torch.nn.GELU(), torch.nn.Linear(32, 1))
    >>> optimizer = FixNorm(torch.optim.Adam(model.parameters(), lr=0.01), model)
    >>> scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 100)
    >>> x = torch.linspace(-1, 1, 64)[:, None]
    >>> for _ in range(100):
    ...     optimizer.zero_grad()
    ...     loss = (model(x) - x.sin()).square().mean()
    ...     loss.backward()
    ...     _ = optimizer.step()
    ...     scheduler.step()
    >>> [round(norm / model[0].weight.norm().item(), 6) for norm in optimizer.norms.values()]
    [1.0]
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer | Iterable[Any],
        model: nn.Module | None = None,
        *,
        probe: Any = None,
        normalise_update: bool = False,
        exponent: int | None = None,
        base: Callable[..., torch.optim.Optimizer] = torch.optim.Adam,
        **base_kwargs: Any,
    ) -> None:
        """`probe`: an input of the model, or a tuple of them, with which its tensors are tried; guessed unless given.

        With `normalise_update` each step of a scale-invariant tensor has the length `lr * Norm0 / sqrt(fan_in)`,
        whatever the optimiser made it (Hyperball, arXiv 2606.16899): a layer that begins at random then changes what it
        gives by about the share `lr` at most, so that one rate suits narrow and wide layers (arXiv 2310.17813).

        `exponent`: to which power of Norm0 the raw rate grows: 2 for an optimiser whose steps grow with the gradient, 1
        for one whose steps do not, 0 for one whose steps grow with the weights; told by its kind, if it is torch's own,
        and else taken to be 1.

        As Stable-Baselines3's `optimizer_class` it takes parameters in place of the optimiser, which is then
        `base(parameters, **base_kwargs)`. Without a model, tensors are those whose gradients in the first 10 steps are
        perpendicular to them, as those of scale-invariant ones are; until then steps are the optimiser's own, and then
        their norms are those they began with. A closure is called once a step.

        Raises `ValueError` for rates not above 0, for weight decay of a scale-invariant tensor, for one of norm 0 or
        not float32 or float64, when there is none, when the model's inputs cannot be guessed, and for L-BFGS, whose
        one step is in all tensors together.
        """
        if not isinstance(optimizer, torch.optim.Optimizer):
            optimizer = base(optimizer, **base_kwargs)
        elif base_kwargs:
            raise TypeError(f"expected no options of an optimiser that is there already, found {sorted(base_kwargs)}")
        if isinstance(optimizer, torch.optim.LBFGS):
            raise ValueError("optimizer: expected one with a step of its own for each tensor, found LBFGS")
        if exponent not in (None, 0, 1, 2):
            raise ValueError(f"exponent: expected 0, 1 or 2, found {exponent}")
        for group in optimizer.param_groups:
            if not 0 < group["lr"] < math.inf:
                raise ValueError(f"lr: expected a finite rate above 0, found {float(group['lr'])}")
        super().__init__([{"params": group["params"]} for group in optimizer.param_groups], dict(optimizer.defaults))
        self.optimizer = optimizer
        self.normalise_update = normalise_update
        self._exponent = _usual_exponent(optimizer) if exponent is None else exponent
        self._share()
        if model is None:
            matrices = [tensor for tensor in self._tensors() if tensor.dim() > 1]
            self._split(matrices)
            for number, group in enumerate(self._alone(matrices)):
                tensor = group["params"][0]
                name = f"of shape {list(tensor.shape)}, number {number}"
                group[WATCHED] = {"name": name, "norm": _norm(tensor), "cosines": []}
        else:
            inputs = guess_inputs(model) if probe is None else probe if isinstance(probe, tuple) else (probe,)
            self._register(scale_invariant_parameters(model, inputs))

    @property
    def norms(self) -> dict[Tensor, float]:
        """The scale-invariant tensors and the norms they keep."""
        return {group["params"][0]: group["norm"] for group in self.param_groups if group.get("norm")}

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """The optimiser's step at the raw rates; then scale-invariant tensors are put back to their norms."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self._watch()
        fixed = [group for group in self.param_groups if group.get("norm")]
        rates = [group["lr"] for group in fixed]
        before = [group["params"][0].clone() for group in fixed] if self.normalise_update else []
        for group in fixed:
            group["lr"] = 1.0 if self.normalise_update else group["lr"] * group["norm"] ** self._exponent
        try:
            self.optimizer.step()
        finally:
            for group, rate in zip(fixed, rates, strict=True):
                group["lr"] = rate
        for group, old in zip(fixed, before, strict=False):
            _shorten(group["params"][0], old, group["lr"] * group["norm"] / math.sqrt(old[0].numel()))
        for group in fixed:
            _project(group["params"][0], group["norm"])
        return loss

    def state_dict(self) -> dict[str, Any]:
        """The optimiser's own, with the norms in `param_groups`."""
        state: dict[str, Any] = self.optimizer.state_dict()
        return state

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Brings back state, rates and norms; the tensors must be those that `state_dict` was taken of.

        Raises `ValueError` for the state of another optimiser, which has no norms.
        """
        if not any({"norm", WATCHED} & group.keys() for group in state_dict["param_groups"]):
            raise ValueError("state_dict: expected groups with norms, found none: it is that of another optimiser")
        self.optimizer.load_state_dict(dict(state_dict))
        self._share()

    def __getstate__(self) -> dict[str, Any]:
        """All but what schedulers put around `step`, which is theirs and cannot be copied."""
        return {name: value for name, value in vars(self).items() if name != "step"}

    def _share(self) -> None:
        """Holds the optimiser's own groups and state, so that what schedulers change reaches it."""
        self.param_groups, self.state = self.optimizer.param_groups, self.optimizer.state

    def _tensors(self) -> list[Tensor]:
        return [tensor for group in self.param_groups for tensor in group["params"]]

    def _split(self, tensors: Iterable[Tensor]) -> None:
        """Gives each of these tensors a group of its own, after the group it was in."""
        alone = set(tensors)
        groups = []
        for group in self.param_groups:
            rest = [number for number, tensor in enumerate(group["params"]) if tensor not in alone]
            groups += [_part(group, rest)] if rest or not group["params"] else []
            groups += [_part(group, [number]) for number, tensor in enumerate(group["params"]) if tensor in alone]
        self.param_groups[:] = groups

    def _alone(self, tensors: Iterable[Tensor]) -> list[dict[str, Any]]:
        """The groups of these tensors, each in one of its own, in the order of the groups."""
        wanted = set(tensors)
        return [group for group in self.param_groups if group["params"] and group["params"][0] in wanted]

    def _register(self, found: Mapping[str, Tensor]) -> None:
        mine = set(self._tensors())
        names = {tensor: name for name, tensor in found.items() if tensor in mine}
        _require_some(names)
        self._split(names)
        for group in self._alone(names):
            tensor = group["params"][0]
            group["norm"] = _checked_norm(names[tensor], tensor.dtype, _norm(tensor), group)

    def _watch(self) -> None:
        """Notes how perpendicular gradients are to their tensors, and registers tensors when enough have been seen."""
        watched = [group for group in self.param_groups if WATCHED in group]
        for group in watched:
            tensor, cosines = group["params"][0], group[WATCHED]["cosines"]
            if tensor.grad is not None and (lengths := float(tensor.norm() * tensor.grad.norm())) > 0:
                cosines.append(abs(float((tensor * tensor.grad).sum())) / lengths)
        if max((len(group[WATCHED]["cosines"]) for group in watched), default=0) < WATCHED_STEPS:
            return
        for group in watched:
            seen = group.pop(WATCHED)
            if len(seen["cosines"]) >= WATCHED_STEPS and max(seen["cosines"]) <= PERPENDICULAR:
                group["norm"] = _checked_norm(seen["name"], group["params"][0].dtype, seen["norm"], group)
        _require_some(self.norms)


def _usual_exponent(optimizer: torch.optim.Optimizer) -> int:
    if isinstance(optimizer, torch.optim.Adafactor):
        return 0
    return 2 if isinstance(optimizer, torch.optim.SGD | torch.optim.ASGD) else 1


def _part(group: Mapping[str, Any], numbers: Sequence[int]) -> dict[str, Any]:
    """A group of some of its tensors, with what is said of each of them."""
    each = {name: [group[name][number] for number in numbers] for name in ("params", "param_names") if name in group}
    return {**group, **each}


def _require_some(found: Collection[Any]) -> None:
    if not found:
        raise ValueError(
            "scale-invariant tensors: expected at least one, found none in this model; put a normalisation after "
            "a layer without bias, or use ScaleInvariantLinear"
        )


def _norm(tensor: Tensor) -> float:
    return float(torch.linalg.vector_norm(tensor.detach(), dtype=torch.float64))


def _checked_norm(name: str, dtype: torch.dtype, norm: float, group: Mapping[str, Any]) -> float:
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(
            f"{name}: expected float32 weights, whose norm can be kept, found {dtype}; use autocast instead"
        )
    if group.get("weight_decay", 0) > 0:
        raise ValueError(f"{name}: expected weight_decay 0, for its norm is fixed, found {group['weight_decay']}")
    if not 0 < norm < math.inf:
        raise ValueError(f"{name}: expected a norm above 0 to begin with, found {norm}")
    return norm


def _shorten(tensor: Tensor, old: Tensor, length: float) -> None:
    """Makes the step from `old` as long as wanted."""
    step = tensor - old
    norm = step.norm()
    if norm > 0:
        tensor.copy_(old).add_(step * (length / norm))


def _project(tensor: Tensor, norm: float) -> None:
    tensor.mul_(norm / _norm(tensor))
