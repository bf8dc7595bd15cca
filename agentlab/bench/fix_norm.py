"""What a fixed norm is worth: how wide the range of good learning rates is, how few trials find it, and whether it
stays when the network grows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from agentlab.bench import digits
from agentlab.bench.drawing import BLUE, GREY, drawn
from agentlab.bench.fits import kept
from agentlab.bench.parallel import one_process_a_core, outcomes
from agentlab.errors import MissingExtraError
from agentlab.progress import Progress
from agentlab.strategies import FixNorm
from agentlab.strategies.rate_search import RateSearch, Result

WITHIN_PP = 1.0
"""A rate is good if the accuracy is within so many percentage points of the best."""
EPOCHS = 20
WIDTH, WIDER = 64, 256
DEPTHS = (2, 6)
"""Hidden layers of the networks."""
DECADES, POINTS = 1e5, 26
"""Over how many times the lowest rate, and at how many rates, networks are trained."""
MANY, FEW = 32, 8
"""Trials of a search that counts as thorough, and of the one that is to come close."""
LINES = ("-", "--", "-", "--", ":", "-.", (0, (1, 3)))
"""How the line of each way is drawn."""
SEARCHED = (1e-3, 10.0)
"""The lowest and the highest rate that searches try."""
RATES, TPE, GRID = f"{FEW} trials, a parabola", f"{FEW} trials, Optuna's TPE", f"{MANY} rates evenly spread"
"""The searches that are compared."""
DECAYS = (0.0, 1e-4, 1e-3, 1e-2)
"""Weight decays that SGD's best is taken of."""


def fix_norm(model: nn.Module, rate: float) -> torch.optim.Optimizer:
    return FixNorm(torch.optim.Adam(model.parameters(), rate), model, normalise_update=True)


def fix_norm_alone(model: nn.Module, rate: float) -> torch.optim.Optimizer:
    return FixNorm(torch.optim.Adam(model.parameters(), rate), model)


def adamw(model: nn.Module, rate: float) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), rate)


def sgd(model: nn.Module, rate: float, weight_decay: float) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), rate, momentum=0.9, weight_decay=weight_decay)


def adamp(model: nn.Module, rate: float) -> torch.optim.Optimizer:
    try:
        from pytorch_optimizer import AdamP
    except ImportError as error:
        raise MissingExtraError("pytorch-optimizer", "rivals") from error
    optimizer: torch.optim.Optimizer = AdamP(model.parameters(), rate)
    return optimizer


@dataclass(frozen=True)
class Way:
    """A way to train: optimisers of which the best counts, the lowest of the rates tried, and the kind of network."""

    optimizers: tuple[digits.MakeOptimizer, ...]
    lowest: float
    network: Callable[[int, int], nn.Module] = digits.plain_network


WAYS: Mapping[str, Way] = {
    "FixNorm": Way((fix_norm,), 1e-3, digits.scale_invariant_network),
    "FixNorm, steps not normalised": Way((fix_norm_alone,), 1e-5, digits.scale_invariant_network),
    "AdamW": Way((adamw,), 1e-5),
    "AdamW, the same layers": Way((adamw,), 1e-5, digits.scale_invariant_network),
    "AdamW, layer normalisation": Way((adamw,), 1e-5, digits.network),
    "AdamP": Way((adamp,), 1e-5),
    "SGD with weight decay": Way(tuple(partial(sgd, weight_decay=decay) for decay in DECAYS), 1e-4),
}
WIDENED = ("FixNorm", "FixNorm, steps not normalised", "AdamW")
"""Ways whose networks are also trained four times as wide."""


@dataclass(frozen=True)
class Training:
    """One network, from its first weights to the accuracies it ends with."""

    way: str
    rate: float
    depth: int
    epochs: float
    seed: int
    width: int = WIDTH
    optimizer: int = 0


def measure(out: Path, *, seeds: int, progress: Progress) -> dict[str, Any]:
    """Trains small networks on digits with each optimiser over five decades of rates, FixNorm's and AdamW's also four
    times as wide; searches FixNorm's rate with few trials and with many.

    FixNorm's are networks of scale-invariant layers, others of plain ones, and AdamW's of both and also of plain ones
    with layer normalisation. Raises `MissingExtraError` without the library that AdamP is of.
    """
    adamp(nn.Linear(1, 1), 1.0)
    with one_process_a_core() as pool:
        depths = {str(depth): _ways(out, depth, seeds, pool, progress) for depth in DEPTHS}
        searches = [_searches(out, seed, pool, progress) for seed in range(seeds)]
    return {"depths": depths, "seeds": seeds, "within_pp": WITHIN_PP, "searches": searches}


def _ways(out: Path, depth: int, seeds: int, pool: ProcessPoolExecutor, progress: Progress) -> dict[str, Any]:
    """Accuracies and windows of each way at a depth."""
    sweep = partial(_sweep, out, depth=depth, seeds=seeds, pool=pool, progress=progress)
    found: dict[str, Any] = {}
    for name, way in WAYS.items():
        sweeps = [sweep(name, optimizer=number) for number in range(len(way.optimizers))]
        best = max(sweeps, key=lambda accuracies: max(np.mean(accuracies, axis=1)))
        found[name] = {"rates": _rates(way), "accuracies": best, **_window(_rates(way), best)}
        if name in WIDENED:
            wider = sweep(name, width=WIDER)
            found[name]["wider"] = {"accuracies": wider, **_window(_rates(way), wider)}
            found[name]["moves"] = {
                which: _ratio(found[name][which], found[name]["wider"][which]) for which in ("best_rate", "middle")
            }
    return found


def _rates(way: Way) -> list[float]:
    rates: list[float] = np.geomspace(way.lowest, way.lowest * DECADES, POINTS).tolist()
    return rates


def _sweep(
    out: Path,
    name: str,
    *,
    depth: int,
    seeds: int,
    pool: ProcessPoolExecutor,
    progress: Progress,
    width: int = WIDTH,
    optimizer: int = 0,
) -> list[list[float]]:
    """Test accuracies in per cent, a list a rate with one a seed."""
    title = f"{name}, {depth} layers of {width}" + (f", {optimizer}" if optimizer else "")
    trainings = [
        Training(name, rate, depth, EPOCHS, seed, width, optimizer)
        for rate in _rates(WAYS[name])
        for seed in range(seeds)
    ]

    def run() -> dict[str, Any]:
        tests = [test for _, test in outcomes(pool, trained, trainings, f"fixnorm: {title}", progress)]
        return {"accuracies": np.reshape(tests, (-1, seeds)).tolist()}

    path = out / "fixnorm" / f"{title.replace(',', '').replace(' ', '-')}.json"
    content: list[list[float]] = kept(path, {"trainings": list(map(asdict, trainings))}, run)["accuracies"]
    return content


def trained(training: Training) -> tuple[float, float]:
    """Validation and test accuracy in per cent."""
    way = WAYS[training.way]
    network = partial(way.network, training.width, training.depth)
    optimizer = way.optimizers[training.optimizer]
    split = digits.load(training.seed)
    return digits.accuracies(split, network, optimizer, training.rate, epochs=training.epochs, seed=training.seed)


def _window(rates: Sequence[float], accuracies: Sequence[Sequence[float]]) -> dict[str, Any]:
    """The best rate, the middle of the good ones, and how many times the lowest of as many rates the highest is.

    Rates are good wherever they are: one unlucky training does not cut a window in two.
    """
    means = np.mean(accuracies, axis=1)
    good = means >= means.max() - WITHIN_PP
    logs = np.log(rates)
    return {
        "best": float(means.max()),
        "best_rate": float(rates[int(means.argmax())]),
        "middle": math.exp(logs[good].mean()),
        "window": [float(rate) for rate in np.array(rates)[good][[0, -1]]],
        "width": math.exp((logs[1] - logs[0]) * (good.sum() - 1)),
        "reaches_edge": bool(good[0] or good[-1]),
    }


def _searches(out: Path, seed: int, pool: ProcessPoolExecutor, progress: Progress) -> dict[str, Any]:
    """Rates that few and many trials find by validation accuracy, and the test accuracies they come to."""

    def run() -> dict[str, Any]:
        many = [Training("FixNorm", rate, DEPTHS[0], EPOCHS, seed) for rate in np.geomspace(*SEARCHED, MANY).tolist()]
        title = f"fixnorm: search of {MANY}, seed {seed}"
        by_many = zip(many, outcomes(pool, trained, many, title, progress), strict=True)
        found = {}
        for name, tried in (
            (RATES, _rate_search(seed)),
            (TPE, _tpe_search(seed)),
            (GRID, list(by_many)),
        ):
            training, (validation, test) = max(tried, key=lambda trial: trial[1][0])
            found[name] = {"rate": training.rate, "validation": validation, "test": test}
        return found

    settings = {"epochs": EPOCHS, "many": MANY, "few": FEW, "searched": SEARCHED}
    return kept(out / "fixnorm" / f"search-{seed}.json", settings, run)


def _rate_search(seed: int) -> list[tuple[Training, tuple[float, float]]]:
    """The trials of `RateSearch` on the whole budget, with their accuracies; if it came to none, all."""
    search = RateSearch(*SEARCHED)
    results: list[Result] = []
    tried = []
    while len(results) < FEW and (attempt := search.next(results)) is not None:
        training = Training("FixNorm", attempt.rate, DEPTHS[0], attempt.budget * EPOCHS, seed)
        accuracies = trained(training)
        results.append(Result(attempt, accuracies[0]))
        tried.append((training, accuracies))
    return [trial for trial in tried if trial[0].epochs == EPOCHS] or tried


def _tpe_search(seed: int) -> list[tuple[Training, tuple[float, float]]]:
    """As many trials of Optuna's tree-structured Parzen estimator, each on the whole budget."""
    try:
        import optuna
    except ImportError as error:
        raise MissingExtraError("optuna", "search") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    tried = []
    for _ in range(FEW):
        trial = study.ask()
        training = Training("FixNorm", trial.suggest_float("rate", *SEARCHED, log=True), DEPTHS[0], EPOCHS, seed)
        tried.append((training, trained(training)))
        study.tell(trial, tried[-1][1][0])
    return tried


def _ratio(one: float, other: float) -> float:
    return max(one, other) / min(one, other)


def table(found: Mapping[str, Any]) -> str:
    lines = [
        f"fixed norm: digits, learning rates over five decades, seeds: {found['seeds']}; means of test accuracy",
        f"{'optimiser':<28}{'layers':>7}{'best':>9}{'good rates from':>17}{'to':>10}{'width':>9}{'at 4x width':>36}",
    ]
    for name in WAYS:
        for depth, of_depth in found["depths"].items():
            row = of_depth[name]
            low, high = row["window"]
            lines.append(
                f"{name:<28}{depth:>7}{row['best']:>8.2f}%{low:>17.2g}{high:>10.2g}{_wide(row):>9}{_at_width(row):>36}"
            )
    for name in (RATES, TPE):
        gaps = [search[name]["test"] - search[GRID]["test"] for search in found["searches"]]
        lines.append(f"a search by {name} against {GRID}: {np.mean(gaps):+.2f} pp (mean over seeds)")
    return "\n".join(lines)


def _wide(row: Mapping[str, Any]) -> str:
    return f"{'>' if row['reaches_edge'] else ''}{row['width']:,.0f}x"


def _at_width(row: Mapping[str, Any]) -> str:
    if "wider" not in row:
        return "-"
    return f"{_wide(row['wider'])}, moves {row['moves']['best_rate']:.2f}x, middle {row['moves']['middle']:.2f}x"


def plot(found: Mapping[str, Any], path: Path) -> None:
    """Accuracy over the rate, as a multiple of the middle good one, a panel a depth and a line an optimiser."""
    depths = found["depths"]
    with drawn(path, 8, 3.6) as axes:
        axes.set_axis_off()
        for place, (depth, of_depth) in enumerate(depths.items()):
            panel = axes.inset_axes((place / len(depths), 0.0, 0.92 / len(depths), 1.0))
            for (name, row), style in zip(of_depth.items(), LINES, strict=True):
                at = np.array(row["rates"]) / row["middle"]
                colour = BLUE if name.startswith("FixNorm") else GREY
                panel.plot(at, np.mean(row["accuracies"], axis=1), linestyle=style, color=colour, label=name)
            best = max(row["best"] for row in of_depth.values())
            panel.set(xscale="log", ylim=(best - 15, best + 1), title=f"{depth} hidden layers")
            panel.set_xlabel("learning rate / middle good one")
            if place == 0:
                panel.set_ylabel("test accuracy, %")
                panel.legend(frameon=False, fontsize="small")
