"""Mode choice: stages under several modes from one snapshot, judged by how fast a float32 loss falls."""

from __future__ import annotations

import itertools
import math
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import pytest
import torch
from torch import nn

from agentlab.strategies import Loop, Mode, ModeChoice
from agentlab.strategies.convergence import judged_by_rate
from agentlab.strategies.modes import CHANNELS_LAST, MODES
from agentlab.strategies.snapshot import restore, take_snapshot

torch.manual_seed(0)
X = torch.rand(4_096, 2)
Y = (X.sum(dim=1) > 1).long()


class Clock:
    """Time that passes only when a mode says so."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


CLOCK = Clock()


def losses(model: nn.Module, rows: torch.Tensor) -> torch.Tensor:
    return nn.functional.cross_entropy(model(X[rows]), Y[rows], reduction="none")


def accuracy(training: Loop) -> float:
    with torch.no_grad():
        return float((training.model(X).argmax(dim=1) == Y).float().mean())


def training(seed: int = 0, dropout: float = 0.1) -> Loop:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(2, 32), nn.GELU(), nn.Dropout(dropout), nn.Linear(32, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 200)
    return Loop(model, optimizer, losses, torch.arange(512), scheduler)


def batches(n: int = 128, seed: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(len(X), (32,), generator=generator) for _ in range(n)]


def timed_mode(name: str, step_s: float, jitter: float = 0.0, spoils=None, seed: int = 0) -> Mode:
    """A mode whose steps take so long by the clock, and which may spoil the model after a step."""
    generator = torch.Generator().manual_seed(seed)

    @contextmanager
    def around_step(model):
        yield
        CLOCK.now_s += step_s * (1 + jitter * float(torch.randn((), generator=generator)))
        if spoils is not None:
            with torch.no_grad():
                spoils(model)

    return Mode(name, around_step=around_step)


def diverges(model: nn.Module) -> None:
    model[0].weight.mul_(1.3)


def is_lost(model: nn.Module) -> None:
    model[0].weight.fill_(math.nan)


def learns_a_tenth(model: nn.Module) -> None:
    """Forgets most of each step: fast, but without getting anywhere."""
    kept = model.__dict__.setdefault("kept", [p.clone() for p in model.parameters()])
    for parameter, old in zip(model.parameters(), kept, strict=True):
        parameter.copy_(old + 0.1 * (parameter - old))


def chosen(*modes: Mode, seed: int = 0, stage: int = 10, **settings) -> ModeChoice:
    choice = ModeChoice(
        modes, total_steps=128, stages=[stage], steps=20, clock=CLOCK, tick_s=1e-6, seed=seed, **settings
    )
    list(choice.run(training(seed), batches(seed=seed)))
    return choice


def planted(case: str, seed: int) -> tuple[ModeChoice, str]:
    base = timed_mode("base", 0.010, 0.1, seed=seed)
    match case:
        case "faster":
            other, right = timed_mode("fast", 0.007, 0.1, seed=seed + 99), "fast"
        case "fast but diverging":
            other, right = timed_mode("fast", 0.003, 0.1, diverges, seed=seed + 99), "base"
        case "fast but lost":
            other, right = timed_mode("fast", 0.003, 0.1, is_lost, seed=seed + 99), "base"
        case "slow but equal":
            other, right = timed_mode("slow", 0.014, 0.1, seed=seed + 99), "base"
        case "decoy":
            other, right = timed_mode("decoy", 0.005, 0.1, learns_a_tenth, seed=seed + 99), "base"
    return chosen(base, other, seed=seed, stage=0 if case == "fast but lost" else 10), right


@pytest.mark.parametrize("case", ["faster", "fast but diverging", "fast but lost", "slow but equal", "decoy"])
def test_planted_cases_are_decided_rightly_in_19_of_20(case):
    decisions = [planted(case, seed) for seed in range(20)]
    assert sum(choice.mode == right for choice, right in decisions) >= 19


@pytest.mark.parametrize("first", ["a", "b"])
def test_ties_stay(first):
    names = ["a", "b"]
    modes = [timed_mode(name, 0.01) for name in names]
    choice = chosen(*(modes if first == "b" else modes[::-1]))
    assert choice.mode == first


def test_it_begins_under_the_optimised_mode_and_stays_when_intervals_overlap():
    choice = chosen(timed_mode("base", 0.0100, 0.3), timed_mode("other", 0.0101, 0.3, seed=5))
    (comparison,) = choice.comparisons
    assert comparison.before == comparison.after == "other"
    base, other = comparison.trials["base"], comparison.trials["other"]
    assert base.interval[0] < other.interval[1]
    assert other.interval[0] < base.interval[1]


def test_a_mode_whose_loss_rises_cannot_win_even_if_it_rises_least():
    falls = {"rises": torch.full((64,), -0.5), "rises less": torch.full((64,), -0.1)}
    times = {"rises": [0.1] * 8, "rises less": [0.1] * 8}
    trials, winner = judged_by_rate(falls, times, 4, "rises", seed=0)
    assert winner == "rises"
    assert all("the loss did not fall" in trial.failed for trial in trials.values())


def test_a_machine_that_slows_down_favours_no_mode():
    """Time per step grows steadily: base, other, other, base is fair, base, other would not be."""

    @contextmanager
    def slower_and_slower(_):
        yield
        CLOCK.now_s += 1e-3 * (1 + CLOCK.now_s)

    CLOCK.now_s = 0.0
    choice = chosen(Mode("base", slower_and_slower), Mode("other", slower_and_slower))
    (comparison,) = choice.comparisons
    base, other = (comparison.trials[name].step_s for name in ("base", "other"))
    assert base == pytest.approx(other, rel=0.01)
    assert choice.mode == "other"


def test_compilation_is_timed_apart():
    calls = itertools.count()

    @contextmanager
    def slow_at_first(_):
        yield
        CLOCK.now_s += 5.0 if next(calls) == 10 else 0.005

    choice = chosen(timed_mode("base", 0.01), Mode("compiled-at-first-use", slow_at_first))
    assert choice.mode == "compiled-at-first-use"
    assert choice.comparisons[0].trials["compiled-at-first-use"].warmup_s > 5


def plain_run(n: int, seed: int = 0) -> Loop:
    plain = training(seed)
    for batch in batches(n, seed):
        plain.step(batch)
    return plain


def equal(left: Loop, right: Loop) -> bool:
    return all(torch.equal(a, b) for a, b in zip(left.model.parameters(), right.model.parameters(), strict=True))


@pytest.mark.parametrize("seed", [0, 1])
def test_comparing_modes_that_are_alike_changes_nothing_about_the_training(seed):
    """Weights, optimiser, schedule, dropout and data position: the end is that of a plain loop, bit for bit."""
    choice = ModeChoice(
        [timed_mode("a", 0.01), timed_mode("b", 0.01)],
        total_steps=128,
        stages=[10, 60],
        steps=20,
        clock=CLOCK,
        tick_s=1e-6,
    )
    compared = training(seed)
    results = list(choice.run(compared, batches(seed=seed)))
    assert equal(compared, plain_run(128, seed))
    assert len(results) == choice.steps_done == 128
    assert len(choice.comparisons) == 2


def test_a_stage_run_twice_from_a_snapshot_ends_in_equal_weights():
    loop = training()
    for batch in batches(10):
        loop.step(batch)
    snapshot, ends = take_snapshot(loop), []
    for _ in range(2):
        restore(loop, snapshot)
        for batch in batches(30, seed=1):
            loop.step(batch)
        ends.append(take_snapshot(loop))
    weights = [end.state["model"] for end in ends]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert torch.equal(ends[0].torch, ends[1].torch)


def test_the_winners_end_is_kept():
    choice = ModeChoice(["float32", "bfloat16"], total_steps=60, stages=[0], steps=60)
    loop = training(dropout=0.0)
    before = float(loop.probe().mean())
    list(choice.run(loop, batches(60)))
    trial = choice.comparisons[0].trials[choice.mode]
    assert before - float(loop.probe().mean()) == pytest.approx(trial.fall, rel=1e-4)


def test_a_stage_that_falls_between_two_calls_waits_for_the_second():
    choice = ModeChoice(
        [timed_mode("a", 0.01), timed_mode("b", 0.02)], total_steps=80, stages=[30], steps=20, clock=CLOCK, tick_s=1e-6
    )
    loop = training()
    assert len(list(choice.run(loop, batches(40)))) == 40
    assert not choice.comparisons
    assert len(list(choice.run(loop, batches(40)))) == 40
    assert [comparison.at_step for comparison in choice.comparisons] == [40]


def test_a_stage_longer_than_any_call_is_as_long_as_the_next_call():
    choice = ModeChoice(
        [timed_mode("a", 0.01), timed_mode("b", 0.02)], total_steps=80, stages=[2], steps=20, clock=CLOCK, tick_s=1e-6
    )
    loop = training()
    for number in range(5):
        assert len(list(choice.run(loop, batches(4, number)))) == 4
    assert [comparison.at_step for comparison in choice.comparisons] == [4]
    assert choice.mode == "a"


def test_a_loss_that_is_finite_under_no_mode_is_an_error():
    with pytest.raises(
        ValueError, match=r"loss: expected a finite one, found none under any of the modes \['a', 'b'\]"
    ):
        chosen(timed_mode("a", 0.01, spoils=is_lost), timed_mode("b", 0.01, spoils=is_lost))


def test_a_loss_that_rises_is_better_than_none():
    lost, rising = torch.full((64,), torch.nan), torch.full((64,), -0.1)
    times = {"now": [0.1] * 8, "other": [0.1] * 8}
    trials, winner = judged_by_rate({"now": lost, "other": rising}, times, 4, "now", seed=0)
    assert winner == "other"
    assert [trial.failed for trial in trials.values()] == [
        "the loss was not finite",
        "the loss did not fall: it rose by 0.1",
    ]


def test_noise_about_no_fall_does_not_change_the_mode():
    noise = torch.randn(64, generator=torch.Generator().manual_seed(0))
    falls = {"now": noise - noise.mean() - 1e-4, "other": noise - noise.mean() + 1e-4}
    _, winner = judged_by_rate(falls, {"now": [0.1] * 8, "other": [0.3] * 8}, 4, "now", seed=0)
    assert winner == "now"


def test_going_on_from_its_state_keeps_mode_and_stages():
    modes = [timed_mode("a", 0.01), timed_mode("b", 0.02)]
    choice = ModeChoice(modes, total_steps=128, stages=[10, 60], steps=20, clock=CLOCK, tick_s=1e-6)
    list(choice.run(training(), batches(50)))
    resumed = ModeChoice(modes, total_steps=128, stages=[10, 60], steps=20, clock=CLOCK, tick_s=1e-6)
    resumed.load_state_dict(choice.state_dict())
    assert (resumed.mode, resumed.steps_done) == ("a", 50)
    list(resumed.run(training(), batches(78)))
    assert [comparison.at_step for comparison in resumed.comparisons] == [10, 60]
    assert resumed.comparisons[0] == choice.comparisons[0]


@dataclass
class SlowProbe(Loop):
    probe_s: float = 0.0

    def probe(self) -> torch.Tensor:
        CLOCK.now_s += self.probe_s
        return super().probe()


def test_a_stage_too_short_to_tell_anything_is_left_out():
    modes = [timed_mode("base", 0.01), timed_mode("other", 0.02), timed_mode("third", 0.03)]
    choice = ModeChoice(modes, total_steps=200, stages=[100], clock=CLOCK, tick_s=1e-6)
    loop = training()
    assert len(list(choice.run(loop, batches(200)))) == 200
    (comparison,) = choice.comparisons
    assert comparison.trials == {}
    assert (comparison.before, comparison.after) == ("other", "base")
    whole = training()
    for batch in batches(200):
        whole.step(batch)
    assert equal(loop, whole)


def test_where_the_first_optimised_mode_is_lacking_the_next_one_begins():
    lacking = Mode("second", lacks=lambda _: "a thing")
    choice = ModeChoice([Mode("base"), lacking, Mode("third")], total_steps=20, stages=[])
    list(choice.run(training(), batches(20)))
    assert choice.mode == "third"


@pytest.mark.parametrize(("base_s", "other_s"), [(0.01, 0.01), (0.01, 0.02), (0.02, 0.01), (0.01, 0.04), (0.04, 0.01)])
def test_comparisons_take_at_most_a_twentieth_of_the_time(base_s, other_s):
    """Whatever is done for a comparison: here probes take as long as five steps."""
    modes = [timed_mode("base", base_s), timed_mode("other", other_s)]
    choice = ModeChoice(modes, total_steps=2_000, stages=[0, 1_000], clock=CLOCK, tick_s=1e-6)
    began_s = CLOCK.now_s
    list(choice.run(SlowProbe(**vars(training()), probe_s=5 * base_s), batches(2_000)))
    assert len(choice.comparisons) == 2
    assert choice.steps_done == 2_000
    assert CLOCK.now_s - began_s <= 1.05 * 2_000 * min(base_s, other_s)


@pytest.mark.parametrize("parallel", [False, True])
def test_an_accuracy_may_decide_one_after_the_other_or_at_once(parallel):
    choice = ModeChoice(
        ["float32", "bfloat16"], total_steps=40, stages=[0], steps=40, accuracy=accuracy, parallel=parallel
    )
    loop = training()
    assert len(list(choice.run(loop, batches(40)))) == 40
    trials = choice.comparisons[0].trials
    assert trials[choice.mode].accuracy == max(trial.accuracy for trial in trials.values())
    assert accuracy(loop) == pytest.approx(trials[choice.mode].accuracy, abs=1e-6)


@pytest.mark.parametrize("name", ["float32", "bfloat16", "channels-last", "bfloat16+channels-last"])
def test_known_modes_run_and_can_be_switched_off_again(name):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 1, 3), nn.Flatten(), nn.Linear(16, 2))
    images = torch.rand(64, 3, 8, 8)

    def image_losses(model, rows):
        seen.append((model[0](images[rows]).dtype, model[0].weight.is_contiguous(memory_format=torch.channels_last)))
        return nn.functional.cross_entropy(model(images[rows]), rows % 2, reduction="none")

    seen: list = []
    loop = Loop(model, torch.optim.Adam(model.parameters()), image_losses, torch.arange(8))
    choice = ModeChoice([Mode("plain"), name] if name == "float32" else ["float32", name], total_steps=2, stages=[])
    list(choice.run(loop, [torch.arange(16)] * 2))
    assert seen == [(torch.bfloat16 if "bfloat16" in name else torch.float32, "channels-last" in name)] * 2
    loop.probe()
    assert seen[-1] == (torch.float32, False)


def test_the_layout_that_was_there_comes_back():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 3)).to(memory_format=torch.channels_last)
    model[1].to(memory_format=torch.contiguous_format)
    with CHANNELS_LAST.around_stage(model):
        assert all(layer.weight.is_contiguous(memory_format=torch.channels_last) for layer in model)
    assert not model[0].weight.is_contiguous()
    assert model[1].weight.is_contiguous()


def test_compiled_steps_are_compiled_and_others_are_not(monkeypatch):
    compiled: list = []
    compile_ = partial(torch.compile, backend=lambda graph, _: compiled.append(graph) or graph.forward)
    monkeypatch.setattr(torch, "compile", compile_)
    choice = ModeChoice(["float32", "compiled"], total_steps=40, stages=[], steps=10)
    loop = training()
    forward = loop.model.forward
    list(choice.run(loop, batches(10)))
    assert compiled
    assert loop.model.forward == forward
    n = len(compiled)
    choice.mode = "float32"
    list(choice.run(loop, batches(10)))
    assert len(compiled) == n


def test_a_mode_this_machine_lacks_is_skipped_by_name():
    lacking = Mode("quantum", lacks=lambda _: "qubits")
    choice = ModeChoice(["float32", lacking], total_steps=10, stages=[0], steps=10)
    assert len(list(choice.run(training(), batches(10)))) == 10
    assert choice.skipped == {"quantum": "qubits"}
    assert (choice.mode, choice.comparisons) == ("float32", [])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"modes": ["float32"]}, r"modes: expected at least two to choose from, found \['float32'\]"),
        ({"modes": ["float32", "bfloat61"]}, "modes: unknown mode 'bfloat61'. Did you mean 'bfloat16'"),
        ({"modes": ["float32", "bfloat16", "float32"]}, "modes: expected each once, found float32 twice"),
        ({"stages": [50, 10]}, r"stages: expected rising step numbers, found \[50, 10\]"),
        ({"stages": [10, 10]}, r"stages: expected rising step numbers, found \[10, 10\]"),
        ({"stages": [90], "steps": 20}, r"stages: expected 20 steps from each, within the 100 steps, found \[90\]"),
        ({"stages": [-1]}, "stages: expected"),
        ({"steps": 0}, "steps: expected at least 1"),
        ({"parallel": True}, "parallel: expected an accuracy to decide by"),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        ModeChoice(**{"modes": ["float32", "bfloat16"], "total_steps": 100, **settings})


def test_a_stage_that_the_clock_cannot_resolve_is_an_error():
    choice = ModeChoice([Mode("a"), Mode("b")], total_steps=20, stages=[0], steps=2, tick_s=1.0)
    with pytest.raises(ValueError, match=r"steps: expected a stage of at least 100 ticks of the clock, 1 s each"):
        list(choice.run(training(), batches(20)))


def test_every_mode_has_its_name():
    assert all(name == mode.name for name, mode in MODES.items())
