"""Choosing the training mode while training: stages are run under several modes, and the best goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice
from multiprocessing import get_context
from typing import Any, Protocol, TypeAlias

import torch
from torch import Tensor, nn

from agentlab.strategies.convergence import Trial, judged_by_accuracy, judged_by_rate
from agentlab.strategies.modes import Mode, named
from agentlab.strategies.snapshot import Snapshot, restore, take_snapshot

SHARE = 0.04
"""What comparisons cost at most, as a share of the training in its fastest mode, where their length is not given."""
LEAST_STEPS = 4
"""A stage of fewer steps under each mode tells nothing of them: it is left out."""
CLOCK_TICKS = 100
"""A stage has to last at least so many ticks of the clock, or its rate cannot be told."""


class Training(Protocol):
    """What a mode is tried on: a model with whatever its steps change."""

    @property
    def model(self) -> nn.Module:
        """The model whose steps run under a mode."""

    def step(self, batch: Any) -> Any:
        """One update on a batch."""

    def probe(self) -> Tensor:
        """The float32 loss of each of the samples of a fixed probe set, `(n,)`; changes nothing."""

    def state_dict(self) -> dict[str, Any]:
        """All that steps change: weights, optimiser, schedule."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...


@dataclass
class Loop:
    """The `Training` of an ordinary supervised loop."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    loss: Callable[[nn.Module, Any], Tensor]
    """The losses `(n,)` of the model on the samples of a batch."""
    probed: Any
    """The batch that the probe looks at."""
    scheduler: torch.optim.lr_scheduler.LRScheduler | None = None

    def step(self, batch: Any) -> Tensor:
        loss = self.loss(self.model, batch).mean()
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        if self.scheduler is not None:
            self.scheduler.step()
        return loss.detach()

    @torch.no_grad()
    def probe(self) -> Tensor:
        trains = self.model.training
        self.model.eval()
        losses = self.loss(self.model, self.probed).float()
        self.model.train(trains)
        return losses

    def state_dict(self) -> dict[str, Any]:
        return {name: part.state_dict() for name, part in self._parts()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        for name, part in self._parts():
            part.load_state_dict(state[name])

    def _parts(self) -> list[tuple[str, Any]]:
        parts = (("model", self.model), ("optimizer", self.optimizer), ("scheduler", self.scheduler))
        return [(name, part) for name, part in parts if part is not None]


@dataclass(frozen=True)
class Run:
    """A stage under one mode."""

    results: list[Any]
    """What each step gave."""
    times: list[float]
    """Seconds of each step."""
    losses: Tensor
    """The probe's after the stage."""
    end: Snapshot


@dataclass(frozen=True)
class Comparison:
    """One stage under all modes."""

    at_step: int
    before: str
    """The mode that the training ran under."""
    after: str
    """The one it goes on under."""
    trials: dict[str, Trial]
    """What each mode showed; none where the stage was left out."""
    seconds: float
    """What the comparison took beyond the stage itself."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {**vars(self), "trials": {name: trial.to_dict() for name, trial in self.trials.items()}}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Comparison:
        """The one that `to_dict` was taken of."""
        trials = {name: Trial.from_dict(trial) for name, trial in values["trials"].items()}
        return cls(**{**values, "trials": trials})


class NoChoiceError(ValueError):
    """Modes cannot be compared: no loss is finite, none runs on this machine, or the clock does not tell them apart."""


class ModeChoice:
    """Runs a training under the mode that makes its loss fall fastest, measured while it trains (CN111695688A).

    It begins under the first optimised mode. When a target stage is reached, the stage's batches are run under each
    mode from one snapshot (weights, optimiser, schedule, random numbers), in an order that cancels drift: base,
    optimised, optimised, base. How much the float32 loss of a fixed probe set fell per second decides; where the
    intervals of the rates do not part, the mode stays. The winner's end state is kept, so its steps count. Warm-up and
    compilation are timed apart, and a mode whose loss is not finite or does not fall cannot win.

    >>> import torch
    >>> from agentlab.strategies import Loop, ModeChoice
    >>> x = torch.rand(4096, 2)
    >>> y = (x.sum(dim=1) > 1).long()
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 64), torch.nn.GELU(), torch.nn.Linear(64, 2))
    >>> def losses(model, rows):
    ...     return torch.nn.functional.cross_entropy(model(x[rows]), y[rows], reduction="none")
    >>> training = Loop(model, torch.optim.Adam(model.parameters()), losses, probed=torch.arange(512))
    >>> choice = ModeChoice(["float32", "bfloat16"], stages=[20], steps=20, total_steps=128)
    >>> batches = torch.randperm(4096).split(32)
    >>> results = list(choice.run(training, batches))
    >>> len(results), choice.steps_done, choice.mode in ("float32", "bfloat16")
    (128, 128, True)
    """

    def __init__(
        self,
        modes: Sequence[str | Mode] = ("float32", "bfloat16"),
        *,
        total_steps: int,
        stages: Sequence[int] = (0,),
        steps: int | None = None,
        warmup_steps: int = 2,
        accuracy: Callable[[Any], float] | None = None,
        parallel: bool = False,
        seed: int = 0,
        clock: Callable[[], float] = time.perf_counter,
        tick_s: float = time.get_clock_info("perf_counter").resolution,
    ) -> None:
        """`modes`: names of `MODES`, also combined by `+`, or own ones; the first is the basic one.

        `stages`: at which steps of the `total_steps` modes are compared, each time over so many `steps`; unless given,
        as many as make all comparisons take 4% of the training's time, by how long steps take while warming up.
        `accuracy`: of a training after a stage, decides instead of the rate, the highest wins; only then may modes run
        in `parallel`, in processes of their own, for which training and batches must be picklable: two modes that share
        a processor cannot be timed.

        Raises `ValueError` for fewer than two modes, for an unknown one or one named twice, for stages not in order or
        past the end, and while it runs for a stage that is over before the `clock` has ticked often enough, and for a
        loss that is not finite under any mode.
        """
        known = [mode if isinstance(mode, Mode) else named(mode) for mode in modes]
        names = [mode.name for mode in known]
        if len(known) < 2:
            raise ValueError(f"modes: expected at least two to choose from, found {names or 'none'}")
        if len(set(names)) < len(names):
            raise ValueError(f"modes: expected each once, found {max(names, key=names.count)} twice")
        if list(stages) != sorted(set(stages)):
            raise ValueError(f"stages: expected rising step numbers, found {list(stages)}")
        self._share = SHARE * total_steps / max(1, len(stages)) if steps is None else None
        if steps is None:
            steps = max(1, int(SHARE * total_steps / (max(1, len(stages)) * (2 * len(known) - 1))))
        if steps < 1 or warmup_steps < 0:
            raise ValueError(
                f"steps: expected at least 1, and no fewer than 0 to warm up, found {steps}, {warmup_steps}"
            )
        if stages and (stages[0] < 0 or stages[-1] + steps > total_steps):
            raise ValueError(
                f"stages: expected {steps} steps from each, within the {total_steps} steps, found {list(stages)}"
            )
        if parallel and accuracy is None:
            raise ValueError("parallel: expected an accuracy to decide by: modes run at once cannot be timed")
        self.modes = {mode.name: mode for mode in known}
        self.base, self.mode = names[:2]
        self.steps_done = 0
        self.comparisons: list[Comparison] = []
        self.skipped: dict[str, str] = {}
        """The modes that this machine lacks something for, and what."""
        self.steps = steps
        """Steps of a stage under each mode, at most."""
        self._stages, self._warmup_steps = list(stages), warmup_steps
        self._accuracy, self._parallel, self._seed = accuracy, parallel, seed
        self._clock, self._tick_s = clock, tick_s

    def run(self, training: Training, batches: Iterable[Any]) -> Iterator[Any]:
        """Trains on the batches and gives what each step gave; counts on over several calls.

        A stage for which too few batches are left waits for the next call, and is shorter if that has fewer in all. The
        batches of a stage are held at once.
        """
        self._skip_lacking(training.model)
        began = self.steps_done
        ahead = iter(batches)
        while True:
            until = self._stages[0] - self.steps_done if self._stages and len(self.modes) > 1 else None
            if until is None or until > 0:
                done = yield from self._under(self.mode, training, islice(ahead, until))
                if until is None or done < until:
                    return
                continue
            part = list(islice(ahead, self.steps))
            if not part or (len(part) < self.steps and self.steps_done > began):
                yield from self._under(self.mode, training, part)
                return
            self._stages.pop(0)
            results = self._compare(training, part)
            self.steps_done += len(results)
            yield from results
            ahead = chain(part[len(results) :], ahead)

    def state_dict(self) -> dict[str, Any]:
        """The mode, the comparisons so far, and which are still to come, as JSON values."""
        return {
            "mode": self.mode,
            "steps_done": self.steps_done,
            "stages": list(self._stages),
            "comparisons": [comparison.to_dict() for comparison in self.comparisons],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on where `state_dict` was taken."""
        self.mode, self.steps_done, self._stages = state["mode"], state["steps_done"], list(state["stages"])
        self.comparisons = [Comparison.from_dict(comparison) for comparison in state["comparisons"]]

    def _skip_lacking(self, model: nn.Module) -> None:
        for name, mode in list(self.modes.items()):
            if lack := mode.lacks(model):
                self.skipped[name] = lack
                del self.modes[name]
        if not self.modes:
            raise NoChoiceError(f"modes: expected one that runs on this machine, which lacks {self.skipped}")
        if self.mode not in self.modes:
            base, *optimised = [self.base, *(name for name in self.modes if name != self.base)]
            self.mode = optimised[0] if optimised else base

    def _under(self, name: str, training: Training, batches: Iterable[Any]) -> Generator[Any, None, int]:
        """Steps under a mode; gives what each gave, and at last how many there were."""
        mode, done = self.modes[name], 0
        with mode.around_stage(training.model):
            for batch in batches:
                with mode.around_step(training.model):
                    result = training.step(batch)
                done += 1
                self.steps_done += 1
                yield result
        return done

    def _compare(self, training: Training, batches: Sequence[Any]) -> list[Any]:
        """Runs the stage under each mode and goes on under the best, from its end; what the steps of that gave."""
        began_s = self._clock()
        start = take_snapshot(training)
        before = self.mode
        if self._accuracy is None:
            compared = self._by_rate(training, batches, start, began_s)
        else:
            compared = self._by_accuracy(training, batches, start, self._accuracy)
        if compared is None:
            restore(training, start)
            self.comparisons.append(Comparison(self.steps_done, before, self.mode, {}, self._clock() - began_s))
            return []
        runs, trials, self.mode = compared
        restore(training, runs[self.mode].end)
        extra_s = self._clock() - began_s - sum(runs[self.mode].times)
        self.comparisons.append(Comparison(self.steps_done, before, self.mode, trials, extra_s))
        return runs[self.mode].results

    def _by_rate(self, training: Training, batches: Sequence[Any], start: Snapshot, began_s: float) -> Compared | None:
        """Each mode twice, in an order in which a machine that gets faster or slower favours none.

        None where so few steps are affordable that they would tell nothing; then the basic mode goes on if its steps
        took less time while it warmed up.
        """
        losses_before = training.probe()
        around_s = self._clock() - began_s  # a snapshot and a probe, as at the end of each mode
        warm = {name: self._steps(name, training, batches[: self._warmup_steps], start)[1] for name in self.modes}
        n_steps = self._affordable(list(warm.values()), self._clock() - began_s + len(self.modes) * around_s)
        if self._share is not None and n_steps < LEAST_STEPS:
            if self.base in warm and warm[self.base][-1:] < warm[self.mode][-1:]:
                self.mode = self.base
            return None
        batches = batches[:n_steps]
        runs = {name: self._run(name, training, batches, start) for name in self.modes}
        times = {
            name: runs[name].times + self._steps(name, training, batches, start)[1] for name in reversed(self.modes)
        }
        for name, taken in times.items():
            if sum(taken) < CLOCK_TICKS * self._tick_s:
                raise NoChoiceError(
                    f"steps: expected a stage of at least {CLOCK_TICKS} ticks of the clock, {self._tick_s:g} s each, "
                    f"to tell modes apart; found {sum(taken):g} s under {name}"
                )
        if not any(run.losses.isfinite().all() for run in runs.values()):
            raise NoChoiceError(f"loss: expected a finite one, found none under any of the modes {list(runs)}")
        falls = {name: losses_before - run.losses for name, run in runs.items()}
        trials, winner = judged_by_rate(falls, times, len(batches), self.mode, self._seed)
        warmed = {name: replace(trial, warmup_s=sum(warm[name])) for name, trial in trials.items()}
        return runs, warmed, winner

    def _affordable(self, warm: Sequence[Sequence[float]], spent_s: float) -> int:
        """How many steps a stage may have, as the last steps of warming up took so long and all but steps takes so many
        seconds."""
        if self._share is None or not self._warmup_steps:
            return self.steps
        step_s = [times[-1] for times in warm]
        budget_s = self._share * min(step_s) - spent_s
        return min(self.steps, int(budget_s / (2 * sum(step_s) - min(step_s))))

    def _by_accuracy(
        self, training: Training, batches: Sequence[Any], start: Snapshot, accuracy: Callable[[Any], float]
    ) -> Compared:
        """Each mode once, one after the other or all at once."""
        if self._parallel:
            threads = max(1, torch.get_num_threads() // len(self.modes))
            apart = partial(_run_apart, training, batches, start, threads=threads)
            with ProcessPoolExecutor(len(self.modes), mp_context=get_context("spawn")) as pool:
                runs = dict(zip(self.modes, pool.map(apart, self.modes.values()), strict=True))
        else:
            runs = {name: self._run(name, training, batches, start) for name in self.modes}
        accuracies = {}
        for name, run in runs.items():
            restore(training, run.end)
            accuracies[name] = accuracy(training)
        trials, winner = judged_by_accuracy(accuracies, {name: run.times for name, run in runs.items()}, self.mode)
        return runs, trials, winner

    def _run(self, name: str, training: Training, batches: Sequence[Any], start: Snapshot) -> Run:
        return _run(self.modes[name], training, batches, start, self._clock)

    def _steps(self, name: str, training: Training, batches: Sequence[Any], start: Snapshot) -> Stepped:
        return _steps(self.modes[name], training, batches, start, self._clock)


Compared: TypeAlias = tuple[dict[str, Run], dict[str, Trial], str]
"""The stage's runs and what they showed, by mode, and the mode to go on under."""


Stepped: TypeAlias = tuple[list[Any], list[float]]
"""What each step gave, and its seconds."""


def _run(mode: Mode, training: Training, batches: Sequence[Any], start: Snapshot, clock: Callable[[], float]) -> Run:
    """A stage from a snapshot under a mode, and where it ends."""
    results, times = _steps(mode, training, batches, start, clock)
    return Run(results, times, training.probe(), take_snapshot(training))


def _steps(
    mode: Mode, training: Training, batches: Sequence[Any], start: Snapshot, clock: Callable[[], float]
) -> Stepped:
    """The steps of a stage from a snapshot under a mode."""
    restore(training, start)
    results, times = [], []
    with mode.around_stage(training.model):
        for batch in batches:
            began_s = clock()
            with mode.around_step(training.model):
                results.append(training.step(batch))
            _wait_for(training.model)
            times.append(clock() - began_s)
    return results, times


def _run_apart(training: Training, batches: Sequence[Any], start: Snapshot, mode: Mode, threads: int) -> Run:
    """The same in a process of its own."""
    torch.set_num_threads(threads)
    return _run(mode, training, batches, start, time.perf_counter)


def _wait_for(model: nn.Module) -> None:
    """Accelerators work on after a call; what is timed has to be done."""
    if (device := next(model.parameters()).device).type == "cuda":
        torch.cuda.synchronize(device)
