"""What a fixed norm is worth: how wide the range of good learning rates is, how few trials find it, and whether it
stays when the network grows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from agentlab.bench import digits
from agentlab.bench.drawing import BLUE, GREY, drawn
from agentlab.bench.fits import kept
from agentlab.errors import MissingExtraError
from agentlab.progress import Progress
from agentlab.strategies import FixNorm
from agentlab.strategies.rate_search import RateSearch, Result

WITHIN_PP = 1.0
"""A rate is good if the accuracy is within so many percentage points of the best."""
EPOCHS = 20
WIDTH, WIDER = 64, 256
DECADES, POINTS = 1e5, 26
"""Over how many times the lowest rate, and at how many rates, networks are trained."""
MANY, FEW = 32, 8
"""Trials of a search that counts as thorough, and of the one that is to come close."""
DECAYS = (0.0, 1e-4, 1e-3, 1e-2)
"""Weight decays that SGD's best is taken of."""


def fix_norm(model: nn.Module, rate: float) -> torch.optim.Optimizer:
    return FixNorm(torch.optim.Adam(model.parameters(), rate), model, normalise_update=True)


def adamw(model: nn.Module, rate: float) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), rate)


def sgd(model: nn.Module, rate: float, weight_decay: float) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), rate, momentum=0.9, weight_decay=weight_decay)


def adamp(model: nn.Module, rate: float) -> torch.optim.Optimizer:
    try:
        from pytorch_optimizer import AdamP
    except ImportError as error:
        raise MissingExtraError("pytorch-optimizer", "bench") from error
    optimizer: torch.optim.Optimizer = AdamP(model.parameters(), rate)
    return optimizer


@dataclass(frozen=True)
class Way:
    """A way to train: optimisers of which the best counts, the lowest of the rates tried, and the kind of network."""

    optimizers: tuple[digits.MakeOptimizer, ...]
    lowest: float
    network: Callable[[int], nn.Module] = digits.network


WAYS: Mapping[str, Way] = {
    "FixNorm": Way((fix_norm,), 1e-4, digits.scale_invariant_network),
    "AdamW": Way((adamw,), 1e-5),
    "AdamP": Way((adamp,), 1e-5),
    "SGD with weight decay": Way(tuple(partial(sgd, weight_decay=decay) for decay in DECAYS), 1e-3),
}


def measure(out: Path, *, seeds: int, progress: Progress) -> dict[str, Any]:
    """Trains a small network on digits with each optimiser over five decades of rates, and FixNorm's and AdamW's also
    four times as wide; searches FixNorm's rate with few trials and with many."""
    found: dict[str, Any] = {}
    for name, way in WAYS.items():
        rates = np.geomspace(way.lowest, way.lowest * DECADES, POINTS).tolist()
        sweeps = [
            _sweep(out, f"{name}-{number}", way, optimizer, rates, WIDTH, seeds, progress)
            for number, optimizer in enumerate(way.optimizers)
        ]
        best = max(sweeps, key=lambda accuracies: max(np.median(accuracies, axis=1)))
        found[name] = {"rates": rates, "accuracies": best, **_window(rates, best)}
        if name in ("FixNorm", "AdamW"):
            wider = _sweep(out, f"{name}-wider", way, way.optimizers[0], rates, WIDER, seeds, progress)
            found[name]["wider"] = _window(rates, wider)
            found[name]["best_moves"] = _ratio(found[name]["best_rate"], found[name]["wider"]["best_rate"])
    searches = [_searches(out, seed, progress) for seed in range(seeds)]
    return {"optimizers": found, "seeds": seeds, "within_pp": WITHIN_PP, "searches": searches}


def _sweep(
    out: Path,
    name: str,
    way: Way,
    optimizer: digits.MakeOptimizer,
    rates: Sequence[float],
    width: int,
    seeds: int,
    progress: Progress,
) -> list[list[float]]:
    """Test accuracies in per cent, a list a rate with one a seed."""

    def run() -> dict[str, Any]:
        with progress.task(f"fixnorm {name}", len(rates) * seeds, "trainings") as task:
            accuracies = []
            for rate in rates:
                accuracies.append([_trained(way, optimizer, rate, width, EPOCHS, seed)[1] for seed in range(seeds)])
                task.advance(seeds)
        return {"accuracies": accuracies}

    content: list[list[float]] = kept(out / "fixnorm" / f"{name.replace(' ', '-')}.json", run)["accuracies"]
    return content


def _trained(
    way: Way, optimizer: digits.MakeOptimizer, rate: float, width: int, epochs: float, seed: int
) -> tuple[float, float]:
    """Validation and test accuracy in per cent."""
    network = partial(way.network, width)
    return digits.accuracies(digits.load(seed), network, optimizer, rate, epochs=epochs, seed=seed)


def _window(rates: Sequence[float], accuracies: Sequence[Sequence[float]]) -> dict[str, Any]:
    """The best rate, in the middle of the good ones, and how many times the lowest of as many rates the highest is.

    Rates are good wherever they are: one unlucky training does not cut a window in two.
    """
    medians = np.median(accuracies, axis=1)
    good = medians >= medians.max() - WITHIN_PP
    logs = np.log(rates)
    return {
        "best": float(medians.max()),
        "best_rate": math.exp(logs[good].mean()),
        "window": [float(rate) for rate in np.array(rates)[good][[0, -1]]],
        "width": math.exp((logs[1] - logs[0]) * (good.sum() - 1)),
        "reaches_edge": bool(good[0] or good[-1]),
    }


def _searches(out: Path, seed: int, progress: Progress) -> dict[str, Any]:
    """Test accuracies of the rates that few and many trials find, by validation accuracy."""

    def run() -> dict[str, Any]:
        progress.say(f"fixnorm: searches, seed {seed}")
        found = {}
        for n_trials in (FEW, MANY):
            low, high = 1e-3, 1e-1
            if n_trials == FEW:
                tried = _rate_search(low, high, n_trials, seed)
            else:
                rates = np.geomspace(1e-4, 1.0, MANY)
                tried = [(rate, *_trained(WAYS["FixNorm"], fix_norm, rate, WIDTH, EPOCHS, seed)) for rate in rates]
            rate, validation, test = max(tried, key=lambda trial: trial[1])
            found[str(n_trials)] = {"rate": float(rate), "validation": validation, "test": test}
        return found

    return kept(out / "fixnorm" / f"search-{seed}.json", run)


def _rate_search(low: float, high: float, n_trials: int, seed: int) -> list[tuple[float, float, float]]:
    """The trials of `RateSearch` on the whole budget: rate, validation and test accuracy."""
    search = RateSearch(low, high)
    results: list[Result] = []
    whole = []
    while len(results) < n_trials and (attempt := search.next(results)) is not None:
        validation, test = _trained(WAYS["FixNorm"], fix_norm, attempt.rate, WIDTH, attempt.budget * EPOCHS, seed)
        results.append(Result(attempt, validation))
        if attempt.budget == 1:
            whole.append((attempt.rate, validation, test))
    return whole


def _ratio(one: float, other: float) -> float:
    return max(one, other) / min(one, other)


def table(found: Mapping[str, Any]) -> str:
    lines = [
        f"fixed norm: digits, learning rates over five decades, seeds: {found['seeds']}; medians of test accuracy",
        f"{'optimiser':<24}{'best':>8}{'good rates from':>18}{'to':>12}{'width':>10}{'best at 4x width':>20}",
    ]
    for name, row in found["optimizers"].items():
        low, high = row["window"]
        moves = f"moves {row['best_moves']:.2f}x" if "best_moves" in row else "-"
        width = f"{'>' if row['reaches_edge'] else ''}{row['width']:,.0f}x"
        lines.append(f"{name:<24}{row['best']:>7.2f}%{low:>18.2g}{high:>12.2g}{width:>10}{moves:>20}")
    gaps = [search[str(MANY)]["test"] - search[str(FEW)]["test"] for search in found["searches"]]
    lines.append(f"a search of {FEW} trials against one of {MANY}: {-np.median(gaps):+.2f} pp (median over seeds)")
    return "\n".join(lines)


def plot(found: Mapping[str, Any], path: Path) -> None:
    """Accuracy over the rate, as a multiple of the best, a line an optimiser."""
    with drawn(path, 8, 3.6) as axes:
        for (name, row), style in zip(found["optimizers"].items(), ("-", "--", "-.", ":"), strict=False):
            at = np.array(row["rates"]) / row["best_rate"]
            colour = BLUE if name == "FixNorm" else GREY
            axes.plot(at, np.median(row["accuracies"], axis=1), style, color=colour, label=name)
        best = max(row["best"] for row in found["optimizers"].values())
        axes.set(xscale="log", ylim=(best - 15, best + 1), xlabel="learning rate, as a multiple of the middle good one")
        axes.set_ylabel("test accuracy, %")
        axes.legend(frameon=False)
