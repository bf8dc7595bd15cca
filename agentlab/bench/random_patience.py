"""What random patience saves and costs: rounds spent and accuracy reached over 200 searches, beside other rules."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch

from agentlab.bench import digits
from agentlab.bench.drawing import BLUE, GREY, drawn
from agentlab.bench.fits import kept
from agentlab.bench.parallel import one_process_a_core, outcomes
from agentlab.errors import MissingExtraError
from agentlab.progress import Progress
from agentlab.statistics import mean_interval
from agentlab.strategies import RandomPatience

CURVES = 200
ROUNDS = 40
"""Rounds that patience is tied to, and the whole budget: no rule spends more."""
RATIO = 0.8
NETWORKS = 120
"""Networks that are trained on each split; a search meets some of them in an order of its own."""
EPOCHS = 10
WIDTHS, DEPTHS = (8, 16, 32, 64, 128), (1, 2, 3)

Rule: TypeAlias = Callable[[Sequence[float], int], int]
"""Of a search's scores and its number, how many rounds a rule spends on it."""


@dataclass(frozen=True)
class Instance:
    """One network of a random architecture."""

    split: int
    number: int
    width: int
    depth: int
    dropout: float
    rate: float


def measure(out: Path, *, seeds: int, progress: Progress) -> dict[str, Any]:
    """Trains networks of random architectures on digits, split in as many ways as there are seeds, and lets each rule
    search them in 200 orders.

    Searches are scored by the test accuracy of the network that was best in validation, and intervals are over splits.
    Fixed patience is the mean of those drawn, as in Optuna's rule of stagnation, or that with which as many rounds are
    spent.
    """
    with one_process_a_core() as workers:
        pools = [_pool(out, split, workers, progress) for split in range(seeds)]
    splits = np.arange(CURVES) % seeds
    validation, test = (np.array([pool[part] for pool in pools])[splits] for part in ("validation", "test"))
    orders = [np.random.default_rng(curve).permutation(NETWORKS)[:ROUNDS] for curve in range(CURVES)]
    patiences = [_patience(curve).patience for curve in range(CURVES)]
    scores = [of_split[order].tolist() for of_split, order in zip(validation, orders, strict=True)]
    mean = round(float(np.mean(patiences)))
    thrifty = _as_thrifty(scores)
    rules: dict[str, Rule] = {
        "whole budget": lambda scores, _: len(scores),
        "random patience": _rounds_of_random_patience,
        f"fixed patience of {mean}, the same mean": partial(_rounds_of_fixed_patience, mean),
        f"fixed patience of {thrifty}, as many rounds": partial(_rounds_of_fixed_patience, thrifty),
        f"Optuna, stagnation for {mean}": partial(_rounds_of_optuna, mean),
    }
    found: dict[str, Any] = {}
    for name, rule in rules.items():
        spent = [rule(of_search, curve) for curve, of_search in enumerate(scores)]
        best = [order[np.argmax(of_search[:n])] for order, of_search, n in zip(orders, scores, spent, strict=True)]
        found[name] = {"rounds": spent, "accuracy": test[np.arange(CURVES), best].tolist()}
    whole = np.array(found["whole budget"]["accuracy"])
    for of_rule in found.values():
        gaps = np.array(of_rule["accuracy"]) - whole
        of_rule["share_of_rounds"] = float(np.mean(of_rule["rounds"])) / ROUNDS
        of_rule["gap_pp"] = float(gaps.mean())
        interval = mean_interval([gaps[splits == split].mean() for split in range(seeds)])
        of_rule["gap_pp_ci95"] = None if interval is None else list(interval)
    return {"curves": CURVES, "rounds": ROUNDS, "seeds": seeds, "patiences": patiences, "rules": found}


def _as_thrifty(scores: Sequence[Sequence[float]]) -> int:
    """The fixed patience that spends most nearly as many rounds as random patience does."""
    spent = np.mean([_rounds_of_random_patience(of_search, curve) for curve, of_search in enumerate(scores)])
    fixed = {
        patience: float(np.mean([_rounds_of_fixed_patience(patience, of_search, 0) for of_search in scores]))
        for patience in range(1, ROUNDS)
    }
    return min(fixed, key=lambda patience: abs(fixed[patience] - spent))


def _pool(out: Path, split: int, workers: ProcessPoolExecutor, progress: Progress) -> dict[str, Any]:
    """The validation and test accuracies of networks of random architectures on a split, in per cent."""
    instances = _instances(split)

    def run() -> dict[str, Any]:
        title = f"random-patience, split {split + 1}"
        validation, test = zip(*outcomes(workers, trained, instances, title, progress), strict=True)
        return {"validation": validation, "test": test}

    settings = {"instances": list(map(asdict, instances)), "epochs": EPOCHS}
    return kept(out / "random-patience" / f"networks-{split}.json", settings, run)


def _instances(split: int) -> list[Instance]:
    rng = np.random.default_rng(split)
    return [
        Instance(
            split,
            number,
            width=int(rng.choice(WIDTHS)),
            depth=int(rng.choice(DEPTHS)),
            dropout=float(np.exp(-rng.exponential(1 / 0.3) - 0.7)),
            rate=float(np.exp(rng.uniform(np.log(1e-4), np.log(1e-2)))),
        )
        for number in range(NETWORKS)
    ]


def trained(instance: Instance) -> tuple[float, float]:
    """Validation and test accuracy in per cent."""
    network = partial(digits.network, instance.width, instance.depth, instance.dropout)
    seed = instance.split * NETWORKS + instance.number
    return digits.accuracies(digits.load(instance.split), network, _adam, instance.rate, epochs=EPOCHS, seed=seed)


def _adam(model: torch.nn.Module, rate: float) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), rate)


def _patience(curve: int) -> RandomPatience:
    return RandomPatience(ROUNDS, RATIO, seed=curve, max_rounds=ROUNDS)


def _rounds_of_random_patience(scores: Sequence[float], curve: int) -> int:
    return _spent(_patience(curve), scores)


def _rounds_of_fixed_patience(patience: int, scores: Sequence[float], curve: int) -> int:  # noqa: ARG001
    """As random patience, but for the patience."""
    fixed = RandomPatience(ROUNDS, RATIO, max_rounds=ROUNDS)
    fixed.patience = patience
    return _spent(fixed, scores)


def _spent(patience: RandomPatience, scores: Sequence[float]) -> int:
    return next((number for number, score in enumerate(scores, 1) if patience.after_round(score)), len(scores))


def _rounds_of_optuna(patience: int, scores: Sequence[float], curve: int) -> int:  # noqa: ARG001
    """Optuna's own terminator asked after each round."""
    try:
        from optuna.exceptions import ExperimentalWarning
        from optuna.study import StudyDirection
        from optuna.terminator import BestValueStagnationEvaluator
        from optuna.trial import create_trial
    except ImportError as error:
        raise MissingExtraError("optuna", "search") from error
    with warnings.catch_warnings(category=ExperimentalWarning, action="ignore"):
        evaluator = BestValueStagnationEvaluator(max_stagnation_trials=patience)
    trials = []
    for number, score in enumerate(scores):
        trials.append(create_trial(value=score))
        trials[-1].number = number
        if evaluator.evaluate(trials, StudyDirection.MAXIMIZE) < 0:
            return number + 1
    return len(scores)


def table(found: Mapping[str, Any]) -> str:
    """The measurement as lines for people."""
    lines = [
        f"random patience: {found['curves']} searches of {found['rounds']} rounds each; test accuracy of the best in "
        f"validation, patience {min(found['patiences'])} to {max(found['patiences'])}, splits: {found['seeds']}",
        f"{'rule':<42}{'of the rounds':>15}{'against all':>14}{'95% interval':>20}",
    ]
    for name, row in found["rules"].items():
        low, high = row["gap_pp_ci95"] or (math.nan, math.nan)
        gap, interval = f"{row['gap_pp']:+.2f} pp", f"{low:+.2f} to {high:+.2f}" if row["gap_pp_ci95"] else "-"
        lines.append(f"{name:<42}{row['share_of_rounds']:>15.0%}{gap:>14}{interval:>20}")
    return "\n".join(lines)


def plot(found: Mapping[str, Any], path: Path) -> None:
    """A row a rule: the accuracy lost with its interval, and the share of the rounds spent."""
    rules = dict(reversed(found["rules"].items()))
    with drawn(path, 8, 0.9 + 0.4 * len(rules)) as axes:
        for place, (name, row) in enumerate(rules.items()):
            colour = BLUE if name == "random patience" else GREY
            axes.plot(row["gap_pp_ci95"] or [row["gap_pp"]] * 2, (place, place), color=colour, alpha=0.35, linewidth=6)
            axes.plot(row["gap_pp"], place, "o", color=colour)
        axes.axvline(0, color=GREY, linewidth=1)
        names = [f"{name}: {row['share_of_rounds']:.0%} of the rounds" for name, row in rules.items()]
        axes.set_yticks(range(len(rules)), names)
        axes.set_xlabel(f"test accuracy against all {found['rounds']} rounds, pp")
