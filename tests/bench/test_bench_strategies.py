"""The measurements of strategies, small: what is compared, kept and drawn."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from agentlab.bench import (
    digits,
    fix_norm,
    hard_clusters,
    labelled_games,
    mode_choice,
    random_patience,
    strategies,
    together,
)
from agentlab.bench.fits import kept
from agentlab.bench.parallel import one_process_a_core
from agentlab.errors import InputError
from agentlab.progress import NoProgress
from agentlab.recipe import ExtractorConfig

QUICK = ExtractorConfig(epochs=2, channels=2, keypoints=4, features=8, batch_size=32)


@pytest.fixture
def one_short_game(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hard_clusters, "GAMES", ("Pong",))
    monkeypatch.setattr(mode_choice, "GAMES", ("Pong",))
    monkeypatch.setattr(together, "GAMES", ("Pong",))
    monkeypatch.setattr(labelled_games, "LONGEST_EPISODE", 100)


def drawn(found: dict[str, Any], out: Path) -> list[str]:
    strategies.plot(found, out / "strategies.svg")
    return sorted(file.name for file in out.glob("*.svg"))


@pytest.mark.usefixtures("one_short_game")
def test_hard_clusters_are_measured_beside_rivals_at_the_same_cost(tmp_path: Path):
    found = hard_clusters.measure(tmp_path, frames=600, seeds=2, config=QUICK, progress=NoProgress())
    rows = found["overall"]
    assert set(rows) == {
        "all frames", "hard clusters", "RS2", "InfoBatch", "selective backprop", "hard clusters, labels flipped",
        "RS2, labels flipped",
    }  # fmt: skip
    assert rows["all frames"]["gap_pp"] == 0
    for method, row in rows.items():
        assert row["cost"] == pytest.approx(1.0 if method == "all frames" else 0.5, abs=0.05), method
        assert row["against_rs2_pp_ci95"][0] <= row["against_rs2_pp"] <= row["against_rs2_pp_ci95"][1]
        assert row["gap_pp_ci95"][0] <= row["gap_pp"] <= row["gap_pp_ci95"][1]
        assert method in hard_clusters.table(found)
    assert drawn({"hard-clusters": found}, tmp_path) == ["hard-clusters.svg"]
    again = hard_clusters.measure(tmp_path, frames=600, seeds=2, config=QUICK, progress=NoProgress())
    assert again == found


@pytest.mark.usefixtures("one_short_game")
def test_a_fit_with_strategies_is_measured_beside_one_without(tmp_path: Path):
    found = together.measure(tmp_path, frames=600, seeds=2, config=QUICK, progress=NoProgress())
    rows = found["overall"]
    assert list(rows) == ["no strategy", "hard clusters", "fixed norm", "hard clusters, mode choice, fixed norm"]
    assert rows["no strategy"]["gap_pp"] == 0
    assert rows["fixed norm"]["cost"] == pytest.approx(1.0, abs=0.01)
    assert rows["hard clusters"]["cost"] == pytest.approx(1.0, abs=0.05)
    assert rows["hard clusters, mode choice, fixed norm"]["cost"] > 0.9
    for name, row in rows.items():
        assert name in together.table(found)
        assert row["gap_pp_ci95"][0] <= row["gap_pp"] <= row["gap_pp_ci95"][1]
    assert drawn({"together": found}, tmp_path) == ["together.svg"]


@pytest.mark.usefixtures("one_short_game")
def test_modes_are_measured_by_the_time_to_what_the_worse_one_reaches(tmp_path: Path):
    config = ExtractorConfig(epochs=6, channels=2, keypoints=4, features=8, batch_size=8)
    found = mode_choice.measure(tmp_path, frames=1_200, seeds=1, config=config, progress=NoProgress())
    (case,) = found["cases"]
    assert set(case["seconds_to_target"]) == {"float32", "bfloat16", "mode choice"}
    assert case["chosen"] in ("float32", "bfloat16")
    assert 0 < case["probing"] < 1
    assert found["games"]["Pong"]["best"] in ("float32", "bfloat16")
    case["seconds_to_target"]["mode choice"] = None
    assert "never" in mode_choice.table(found)
    assert drawn({"mode-choice": found}, tmp_path) == ["mode-choice.svg"]


def test_the_best_fixed_mode_is_that_of_the_lower_median():
    names = ("float32", "bfloat16", "mode choice")
    seconds = [(10.0, 8.0, 8.0), (10.0, 8.0, 8.4), (10.0, 30.0, 9.0), (11.0, 8.0, 8.4), (9.0, 8.0, None)]
    cases = [{"seconds_to_target": dict(zip(names, row, strict=True))} for row in seconds]
    row = mode_choice._against_best(cases)
    assert row["best"] == "bfloat16"
    assert row["against_best"] == pytest.approx(8.4 / 8.0)
    low, high = row["against_best_ci95"]
    assert low <= row["against_best"]
    assert high is None or high >= row["against_best"]


def test_the_time_to_a_target_is_taken_between_two_looks_and_never_made_up():
    timeline = [(1.0, 0.9), (3.0, 0.5), (4.0, 0.6)]
    assert mode_choice._time_to(timeline, 0.95) == 1.0
    assert mode_choice._time_to(timeline, 0.7) == pytest.approx(2.0)
    assert mode_choice._time_to(timeline, 0.4) is None


def test_what_is_kept_is_made_again_for_other_settings(tmp_path: Path):
    path = tmp_path / "kept.json"
    assert kept(path, {"frames": 1}, lambda: {"value": (1, 2)}) == {"value": [1, 2]}
    assert kept(path, {"frames": 1}, lambda: {"value": 3}) == {"value": [1, 2]}
    assert kept(path, {"frames": 2}, lambda: {"value": 3}) == {"value": 3}


def test_rates_are_swept_for_each_optimizer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fix_norm, "POINTS", 4)
    monkeypatch.setattr(fix_norm, "EPOCHS", 0.25)
    monkeypatch.setattr(fix_norm, "MANY", 3)
    found = fix_norm.measure(tmp_path, seeds=1, progress=NoProgress())
    assert found["depths"].keys() == {"2", "6"}
    for of_depth in found["depths"].values():
        assert set(of_depth) == set(fix_norm.WAYS)
        for row in of_depth.values():
            assert np.shape(row["accuracies"]) == (4, 1)
            assert row["width"] >= 1
        assert of_depth["FixNorm"]["moves"]["best_rate"] >= 1
    assert found["searches"][0].keys() == {fix_norm.RATES, fix_norm.TPE, fix_norm.GRID}
    assert "fixed norm" in fix_norm.table(found)
    assert drawn({"fixnorm": found}, tmp_path) == ["fixnorm.svg"]


def test_a_window_is_of_all_good_rates():
    accuracies = [[90.0], [98.0], [97.2], [96.8], [97.5], [50.0]]
    window = fix_norm._window([1e-4, 1e-3, 1e-2, 1e-1, 1e0, 1e1], accuracies)
    assert window["best"] == 98.0
    assert window["width"] == pytest.approx(100)
    assert window["best_rate"] == 1e-3
    assert window["middle"] == pytest.approx(10 ** (-5 / 3))
    assert not window["reaches_edge"]


def test_patience_is_measured_on_searches_of_trained_networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Test accuracy is validation accuracy less a number of the split."""
    pools = np.random.default_rng(0).normal(95, 1, (5, random_patience.NETWORKS))
    tests = pools - np.arange(5)[:, None]
    monkeypatch.setattr(
        random_patience, "_pool", lambda _, split, *_rest: {"validation": pools[split], "test": tests[split]}
    )
    found = random_patience.measure(tmp_path, seeds=5, progress=NoProgress())
    rules = found["rules"]
    best = [pools[curve % 5].max() - curve % 5 for curve in range(200)]
    assert np.all(np.array(rules["whole budget"]["accuracy"]) <= np.array(best) + 1e-9)
    whole, drawn_at_random, fixed, thrifty, optuna = rules.values()
    assert whole["share_of_rounds"] == 1
    assert whole["gap_pp"] == 0
    for rule in (drawn_at_random, fixed, thrifty, optuna):
        assert len(rule["rounds"]) == 200
        assert max(rule["rounds"]) <= 40
        assert rule["gap_pp"] <= 0
    assert "random patience" in random_patience.table(found)
    assert drawn({"random-patience": found}, tmp_path) == ["random-patience.svg"]
    low, high = drawn_at_random["gap_pp_ci95"]
    assert low < drawn_at_random["gap_pp"] < high
    assert thrifty["share_of_rounds"] == pytest.approx(drawn_at_random["share_of_rounds"], abs=0.05)


def test_networks_of_a_split_are_trained_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(random_patience, "NETWORKS", 4)
    with one_process_a_core() as workers:
        pool = random_patience._pool(tmp_path, 1, workers, NoProgress())
        monkeypatch.setattr(random_patience, "trained", None)
        assert random_patience._pool(tmp_path, 1, workers, NoProgress()) == pool
    assert all(5 < accuracy <= 100 for part in ("validation", "test") for accuracy in pool[part])
    assert len({(i.width, i.depth, i.rate) for i in random_patience._instances(1)}) == 4


def test_layers_of_which_only_directions_matter_begin_as_plain_ones_do():
    x = torch.randn(512, digits.N_PIXELS)
    torch.manual_seed(0)
    outputs = [network(256, 6)(x).std().item() for network in (digits.plain_network, digits.scale_invariant_network)]
    assert outputs[1] == pytest.approx(outputs[0], rel=0.3)


def test_networks_learn_digits():
    split = digits.load(seed=0)
    assert [len(x) for x, _ in (split.train, split.validation, split.test)] == [1078, 359, 360]
    networks = (
        (digits.network, fix_norm.adamw, 0.01),
        (digits.plain_network, fix_norm.adamw, 0.01),
        (digits.scale_invariant_network, fix_norm.fix_norm, 0.2),
    )
    for network, optimizer, rate in networks:
        validation, test = digits.accuracies(split, partial(network, 32, 2), optimizer, rate, epochs=5, seed=0)
        assert validation > 85
        assert test > 85


def test_an_unknown_strategy_is_answered_with_the_nearest(tmp_path: Path):
    with pytest.raises(InputError, match=r"unknown strategy 'fixnrom'\. Did you mean 'fixnorm'"):
        strategies.measure(["fixnrom"], tmp_path, seeds=1, progress=NoProgress())
    with pytest.raises(InputError, match="'fixnorm' is named twice"):
        strategies.measure(["fixnorm", "fixnorm"], tmp_path, seeds=1, progress=NoProgress())
