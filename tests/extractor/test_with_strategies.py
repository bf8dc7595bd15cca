"""Strategies in a fit: each alone and all at once, interrupted and not, with their ledger."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import CONFIG, recorded
from torch import nn

from agentlab.errors import InputError
from agentlab.extractor import FrozenExtractor, StrategicSeams, fit
from agentlab.extractor.learner import Learner
from agentlab.extractor.mined_frames import MinedFrames
from agentlab.extractor.network import ExtractorNetwork
from agentlab.inspection import describe
from agentlab.recipe import HardClustersConfig, ModeChoiceConfig, Strategies
from agentlab.recording import Recording

OPTIONS: dict[str, Any] = {"device": "cpu", "threads": 1}
LONGER = replace(CONFIG, epochs=6, batch_size=8)
MINING = HardClustersConfig(first_share=0.25, clusters=3, cost=1.0)
COMPARING = ModeChoiceConfig(stages=(0.3,), steps=2)
NAMES = ("hard-clusters", "mode-choice", "fixnorm")
SOME = [names for n in range(4) for names in itertools.combinations(NAMES, n)]


def fitted(recording: Recording, out: Path, use: tuple[str, ...], **options: Any) -> FrozenExtractor:
    seams = StrategicSeams(Strategies(use, MINING, COMPARING))  # type: ignore[arg-type]
    return fit([recording], LONGER, out, seams=seams, **OPTIONS, **options)


def ledger(extractor: FrozenExtractor) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((extractor.folder / "ledger.json").read_text())
    return content


@pytest.mark.parametrize("use", SOME, ids=lambda use: "+".join(use) or "none")
def test_all_combinations_fit_and_the_result_is_plain(use, squares: Recording, tmp_path: Path):
    extractor = fitted(squares, tmp_path / "out", use)
    assert not any("parametrizations" in name for name in extractor.state_dict())
    assert type(extractor.eye.network.join[0][0]) is nn.Linear
    assert set(ledger(extractor)["strategies"]) == set(use)
    assert np.isfinite(extractor.features(squares[0].frame(0)[None])).all()


@pytest.mark.parametrize("use", [("hard-clusters",), ("fixnorm",), ("hard-clusters", "fixnorm")])
def test_equal_seeds_give_equal_weights(use, squares: Recording, tmp_path: Path):
    prints = {fitted(squares, tmp_path / name, use, seed=3).fingerprint for name in "ab"}
    assert len(prints) == 1


class Interrupt:
    """Metrics that stop the fit after some stages, as Ctrl-C would."""

    def __init__(self, after: int) -> None:
        self.after, self.lines = after, []

    def write(self, step: int, **numbers: float) -> None:
        self.lines.append(numbers)
        if step > self.after:
            raise KeyboardInterrupt


@pytest.mark.parametrize("stages", [1, 2, 4])
def test_a_fit_that_was_interrupted_goes_on_as_a_whole_one(stages, squares: Recording, tmp_path: Path):
    use = ("hard-clusters", "fixnorm")
    whole = fitted(squares, tmp_path / "whole", use)
    with pytest.raises(KeyboardInterrupt):
        fitted(squares, tmp_path / "out", use, checkpoint=tmp_path / "kept", metrics=Interrupt(stages))
    resumed = fitted(squares, tmp_path / "out", use, checkpoint=tmp_path / "kept")
    assert resumed.fingerprint == whole.fingerprint
    for name in ("samples_forward", "samples_backward", "strategies"):
        assert ledger(resumed)[name] == ledger(whole)[name]


def test_a_checkpoint_of_other_strategies_is_refused(squares: Recording, tmp_path: Path):
    with pytest.raises(KeyboardInterrupt):
        fitted(squares, tmp_path / "out", (), checkpoint=tmp_path / "kept", metrics=Interrupt(1))
    with pytest.raises(InputError, match="strategies"):
        fitted(squares, tmp_path / "out", ("fixnorm",), checkpoint=tmp_path / "kept")


def test_norms_stay_what_they_were(squares: Recording, tmp_path: Path):
    metrics = Interrupt(after=99)
    fitted(squares, tmp_path / "out", ("fixnorm",), metrics=metrics)
    first = {name: value for name, value in metrics.lines[0].items() if name.startswith("norm_")}
    assert len(first) == 4
    for line in metrics.lines:
        assert {name: line[name] for name in first} == pytest.approx(first, rel=1e-6)


def test_norms_stay_what_they_were_where_steps_run_in_bfloat16(squares: Recording, tmp_path: Path):
    """The weights themselves are float32 in every mode."""
    metrics = Interrupt(after=99)
    modes = ModeChoiceConfig(modes=("bfloat16", "bfloat16+channels-last"), stages=(0.3,), steps=2)
    seams = StrategicSeams(Strategies(("fixnorm", "mode-choice"), mode_choice=modes))
    fit([squares], LONGER, tmp_path / "out", seams=seams, metrics=metrics, **OPTIONS)
    first, last = metrics.lines[0], metrics.lines[-1]
    for number in range(1, 5):
        assert last[f"norm_{number}"] == pytest.approx(first[f"norm_{number}"], rel=1e-6)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of frames of each call of the network while it is fitted."""
    counts: list[int] = []
    forward, finish = ExtractorNetwork.forward, StrategicSeams.finish

    def counted(self: Any, frames: torch.Tensor) -> torch.Tensor:
        counts.append(len(frames))
        return forward(self, frames)

    def finished(self: Any, eye: Any) -> None:
        monkeypatch.setattr(ExtractorNetwork, "forward", forward)
        finish(self, eye)

    monkeypatch.setattr(ExtractorNetwork, "forward", counted)
    monkeypatch.setattr(StrategicSeams, "finish", finished)
    return counts


def test_the_ledger_counts_what_was_trained_on_and_looked_at(squares: Recording, tmp_path: Path, seen: list[int]):
    mined = ledger(fitted(squares, tmp_path / "mined", ("hard-clusters",)))
    extractor = fitted(squares, tmp_path / "plain", ())
    plain = ledger(extractor)
    assert plain["samples_backward"] == extractor.meta["frames"] * LONGER.epochs
    rounds = mined["strategies"]["hard-clusters"]["rounds"]
    trained = sum(counts[part] for counts in rounds for part in ("random", "errors", "similar", "replayed"))
    assert mined["samples_backward"] == trained
    assert sum(counts["looked_at"] for counts in rounds) > 0
    assert mined["samples_forward"] == sum(seen)
    assert mined["cost"] == mined["samples_forward"] + 2 * mined["samples_backward"]


def test_the_cost_of_a_fit_with_hard_clusters_is_the_share_that_was_asked_for(squares: Recording, tmp_path: Path):
    costs = []
    for cost in (0.25, 0.5, 1.0):
        seams = StrategicSeams(Strategies(("hard-clusters",), replace(MINING, cost=cost, looks=1.0, errors=1.0)))
        extractor = fit([squares], replace(LONGER, epochs=16), tmp_path / str(cost), seams=seams, **OPTIONS)
        rounds = ledger(extractor)["strategies"]["hard-clusters"]["rounds"]
        trained_on = ledger(extractor)["samples_backward"]
        looked_at = sum(counts["looked_at"] for counts in rounds)
        assert looked_at > 0.2 * trained_on
        assert 3 * trained_on + looked_at <= cost * 3 * 16 * extractor.meta["frames"]
        costs.append(trained_on)
    assert costs[0] / costs[2] == pytest.approx(0.25, abs=0.06)
    assert costs[1] / costs[2] == pytest.approx(0.5, abs=0.06)


def test_modes_that_were_compared_are_in_the_ledger(squares: Recording, tmp_path: Path):
    entry = ledger(fitted(squares, tmp_path / "out", ("mode-choice",)))["strategies"]["mode-choice"]
    (comparison,) = entry["comparisons"]
    assert set(comparison["trials"]) == {"float32", "bfloat16"}
    assert entry["mode"] == comparison["after"]


def test_modes_are_judged_on_frames_of_the_stage_at_hand(squares: Recording, tmp_path: Path, monkeypatch):
    """Hard clusters choose a quarter of the frames; what a probe looks at is of these."""
    chosen, judged = [], []
    begin, losses = MinedFrames.begin_stage, Learner.losses

    def begun(self: Any, stage: int) -> None:
        begin(self, stage)
        chosen[:] = [self._data.frames(self.chosen)]

    def noted(self: Any, frames: Any, rows: Any) -> Any:
        judged.append((frames, chosen[0]))
        return losses(self, frames, rows)

    monkeypatch.setattr(MinedFrames, "begin_stage", begun)
    monkeypatch.setattr(Learner, "losses", noted)
    fitted(squares, tmp_path / "out", ("hard-clusters", "mode-choice"))
    probed = [(frames, of_stage) for frames, of_stage in judged if len(frames) == len(of_stage)]
    assert len(probed) >= 3
    for frames, of_stage in probed:
        assert np.array_equal(frames, of_stage)


def test_a_loss_that_is_finite_in_no_mode_is_bad_input(squares: Recording, tmp_path: Path):
    seams = StrategicSeams(Strategies(("mode-choice",), mode_choice=replace(COMPARING, stages=(0.05,))))
    with pytest.raises(InputError, match="mode_choice: loss: expected a finite one"):
        fit([squares], replace(LONGER, learning_rate=1e30), tmp_path / "out", seams=seams, **OPTIONS)


def test_the_settings_of_strategies_are_kept_with_the_extractor(squares: Recording, tmp_path: Path):
    described = describe(fitted(squares, tmp_path / "out", ("hard-clusters",)).folder)
    assert described["strategies"]["hard-clusters"]["first_share"] == MINING.first_share


def test_an_extractor_that_goes_on_from_another_keeps_what_that_cost(squares: Recording, tmp_path: Path):
    first = fitted(squares, tmp_path / "first", ("fixnorm",))
    second = fitted(squares, tmp_path / "second", (), start=first)
    third = fitted(squares, tmp_path / "third", (), start=second)
    its_own = ledger(second)
    assert its_own.pop("earlier") == [{name: value for name, value in ledger(first).items() if name != "earlier"}]
    assert ledger(third)["earlier"][-1] == its_own
    assert len(ledger(third)["earlier"]) == 2


def test_a_resumed_fit_does_not_compare_again_and_keeps_what_was_compared(squares: Recording, tmp_path: Path):
    strategies = Strategies(("mode-choice",), mode_choice=COMPARING)
    first, second = StrategicSeams(strategies), StrategicSeams(strategies)
    options = {**OPTIONS, "checkpoint": tmp_path / "kept"}
    with pytest.raises(KeyboardInterrupt):
        fit([squares], LONGER, tmp_path / "out", seams=first, metrics=Interrupt(4), **options)
    resumed = fit([squares], LONGER, tmp_path / "out", seams=second, **options)
    (before,) = first.entries()["mode-choice"]["comparisons"]
    assert ledger(resumed)["strategies"]["mode-choice"]["comparisons"] == [before]


def test_frames_with_noise_for_the_look_are_not_trained_on(squares: Recording, tmp_path: Path, monkeypatch):
    """Judged frames differ a little from the recorded ones; frames of updates are those."""
    seen: dict[str, list[int]] = {"train": [], "eval": []}
    forward = ExtractorNetwork.forward

    def noted(self: Any, frames: torch.Tensor) -> torch.Tensor:
        seen["train" if self.training else "eval"].append(len(frames.unique()))
        return forward(self, frames)

    monkeypatch.setattr(ExtractorNetwork, "forward", noted)
    fitted(squares, tmp_path / "out", ("hard-clusters",))
    assert max(seen["train"]) <= 3
    assert max(seen["eval"]) > 5


class Unrelated(StrategicSeams):
    """Frames have the labels of others, so that there is nothing to learn."""

    def sampler(self, data: Any, *rest: Any) -> Any:
        data.labels[:] = np.random.default_rng(0).permutation(data.labels)
        return super().sampler(data, *rest)


def test_labels_that_the_eye_cannot_learn_are_not_called_wrong(squares: Recording, tmp_path: Path):
    mining = replace(MINING, quarantine_after=1)
    seams = Unrelated(Strategies(("hard-clusters",), mining))
    extractor = fit([squares], LONGER, tmp_path / "out", seams=seams, **OPTIONS)
    entry = ledger(extractor)["strategies"]["hard-clusters"]
    assert sum(counts["errors"] for counts in entry["rounds"]) > 0
    assert entry["probably_wrong_labels"] == []


def test_a_mistake_in_a_label_that_is_usually_read_wrongly_is_less_sure(
    squares: Recording, tmp_path: Path, monkeypatch
):
    judge, sureness = MinedFrames._judge, []

    def judged(self: Any, indices: Any) -> Any:
        usual = self._usual.clone()
        for usually_right in (1.0, 0.25):
            self._usual[1] = usually_right
            sureness.append(judge(self, indices).confidence.mean())
        self._usual = usual
        return judge(self, indices)

    monkeypatch.setattr(MinedFrames, "_judge", judged)
    fitted(squares, tmp_path / "out", ("hard-clusters",))
    assert max(sureness) > 0
    assert sureness[1::2] == pytest.approx([sure / 4 for sure in sureness[::2]])


class Flipped(StrategicSeams):
    """Some frames have labels far from theirs."""

    flipped = np.arange(3, 90, 15)

    def sampler(self, data: Any, *rest: Any) -> Any:
        low, high = data.labels.min(), data.labels.max()
        data.labels[self.flipped] = np.where(data.labels[self.flipped] < (low + high) / 2, high, low)
        self.places = [data.where(index) for index in self.flipped]
        return super().sampler(data, *rest)


def test_labels_that_are_wrong_are_found(squares: Recording, tmp_path: Path):
    mining = HardClustersConfig(first_share=0.5, looks=1.0, quarantine_after=2, clusters=3, cost=1.0)
    seams = Flipped(Strategies(("hard-clusters",), mining))
    config = replace(CONFIG, epochs=120, batch_size=8, features=32, channels=8, keypoints=8)
    extractor = fit([squares], config, tmp_path / "out", seams=seams, **OPTIONS)
    assert ledger(extractor)["strategies"]["hard-clusters"]["probably_wrong_labels"] == seams.places


def test_a_fit_that_diverges_with_hard_clusters_says_so(squares: Recording, tmp_path: Path):
    seams = StrategicSeams(Strategies(("hard-clusters",), MINING))
    with pytest.raises(InputError, match="fit: the loss became nan: the fit diverged"):
        fit([squares], replace(LONGER, learning_rate=1e30), tmp_path / "out", seams=seams, **OPTIONS)


def test_norms_are_kept_with_a_fit_that_is_interrupted(squares: Recording, tmp_path: Path):
    """Also when other weights would be drawn first, as by another version of torch."""

    class Larger(StrategicSeams):
        def prepare(self, eye: Any) -> None:
            for layer in eye.network.hidden_layers:
                layer.weight.data.mul_(3)
            super().prepare(eye)

    strategies = Strategies(("fixnorm",))
    options: dict[str, Any] = {**OPTIONS, "checkpoint": tmp_path / "kept"}
    first, second = StrategicSeams(strategies), Larger(strategies)
    with pytest.raises(KeyboardInterrupt):
        fit([squares], LONGER, tmp_path / "out", seams=first, metrics=Interrupt(2), **options)
    fit([squares], LONGER, tmp_path / "out", seams=second, **options)
    assert second.entries()["fixnorm"]["norms"] == pytest.approx(first.entries()["fixnorm"]["norms"], rel=1e-12)


@pytest.mark.parametrize(
    ("strategies", "message"),
    [
        (
            Strategies(("hard-clusters",), HardClustersConfig(second_share=0.8, replay_share=0.8)),
            "hard_clusters: second",
        ),
        (
            Strategies(("mode-choice",), mode_choice=ModeChoiceConfig(modes=("float32",))),
            "mode_choice: modes: expected at",
        ),
        (Strategies(("mode-choice",), mode_choice=ModeChoiceConfig(modes=("float32", "int8"))), "unknown mode 'int8'"),
        (
            Strategies(("mode-choice",), mode_choice=ModeChoiceConfig(stages=(0.5, 0.1))),
            r"mode_choice\.stages: expected rising shares of the fit, found \[0.5, 0.1\]",
        ),
    ],
)
def test_settings_that_a_strategy_refuses_are_bad_input(strategies, message, squares: Recording, tmp_path: Path):
    with pytest.raises(InputError, match=message):
        fit([squares], LONGER, tmp_path / "out", seams=StrategicSeams(strategies), **OPTIONS)
    assert not (tmp_path / "out").exists()


def test_a_class_that_no_frame_has_is_bad_input(tmp_path: Path):
    recording = recorded("games:Test/Titled-v0", tmp_path / "titled")
    with pytest.raises(InputError, match=r"label 'screen': expected every class in the frames, found none of 'won'"):
        fitted(recording, tmp_path / "out", ("hard-clusters",))


def test_a_fit_ends_when_validation_is_good_enough_and_stays_ended(squares: Recording, tmp_path: Path):
    config = replace(LONGER, validation=0.4)
    mining = replace(MINING, good_enough=0.0)
    seams = StrategicSeams(Strategies(("hard-clusters",), mining))
    metrics = Interrupt(after=99)
    options = {**OPTIONS, "checkpoint": tmp_path / "kept"}
    ended = fit([squares], config, tmp_path / "out", seams=seams, metrics=metrics, **options)
    seams = StrategicSeams(Strategies(("hard-clusters",), mining))
    assert 0 < len(metrics.lines) < seams_stages(squares, config)
    again = fit([squares], config, tmp_path / "again", seams=seams, metrics=metrics, **options)
    assert again.fingerprint == ended.fingerprint


def seams_stages(recording: Recording, config: Any) -> int:
    """Stages of a fit that is not ended early."""
    metrics = Interrupt(after=99)
    seams = StrategicSeams(Strategies(("hard-clusters",), MINING))
    fit([recording], config, recording.path.parent / "whole", seams=seams, metrics=metrics, **OPTIONS, force=True)
    return len(metrics.lines)


def test_what_goes_by_validation_frames_needs_some(squares: Recording, tmp_path: Path):
    seams = StrategicSeams(Strategies(("hard-clusters",), replace(MINING, stale_after=2)))
    with pytest.raises(InputError, match=r"expected extractor\.validation above 0, found 0"):
        fit([squares], LONGER, tmp_path / "out", seams=seams, **OPTIONS)
