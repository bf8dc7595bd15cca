"""Scores against labelled frames, on runs that a fake runner writes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pretended import PretendRunner, leave
from tiny import CATCH

from agentlab.bench import labels
from agentlab.errors import InputError
from agentlab.progress import NoProgress
from agentlab.recipe import HeadConfig, Recipe, RefreshConfig
from agentlab.runfolder import RunFolder

RECIPE = Recipe(env="ALE/Pong-v5", head=HeadConfig(total_steps=77))


class Runner(PretendRunner):
    """The eye is better with more frames."""

    def fill(self, recipe: Recipe, folder: RunFolder) -> Mapping[str, Any]:
        frames = recipe.extractor.frames or 0
        scores = {
            "mean": frames / 10,
            "iqm": frames / 11,
            "ci95": [frames / 12, frames / 9],
            "random_mean": -1.0,
            "human_mean": None,
            "human_normalised": None,
        }
        read = {
            "ball": {"kind": "number", "r2": 1 - 10 / frames, "frames": 9},
            "still": {"kind": "number", "r2": None, "frames": 9},
            "lost": {"kind": "number", "r2": -8.0, "frames": 9},
            "seen": {"kind": "flag", "f1": 1.0, "frames": 9},
        }
        folder.extractor.mkdir()
        (folder.extractor / "meta.json").write_text(json.dumps({"labels": read, "frames": frames}))
        return leave(folder, scores, steps=77, seconds={"fit": 20.0, "train": 100.0})


def measured(out: Path, runner: Runner, **options: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"seed": 3, "recipe": RECIPE, "counts": (1_000, 100)} | options
    return labels.measure(CATCH, out, run=runner, progress=NoProgress(), **given)


def test_a_run_for_each_count_with_the_scores_of_game_and_eye(tmp_path: Path):
    runner = Runner()
    found = measured(tmp_path, runner)
    few, many = found["points"]
    assert [point["frames"] for point in found["points"]] == [100, 1_000]
    assert few["eye"] == pytest.approx((0.9 + 0 + 1) / 3)
    assert few["labels"] == {"ball": 0.9, "still": None, "lost": -8.0, "seen": 1.0}
    assert (many["mean"], many["iqm"], many["ci95"]) == (100.0, 1_000 / 11, [1_000 / 12, 1_000 / 9])
    assert json.loads(json.dumps(found)) == found


def test_the_runs_differ_in_their_labelled_frames_alone(tmp_path: Path):
    runner = Runner()
    measured(tmp_path, runner)
    assert [made.extractor.frames for made in runner.recipes] == [100, 1_000]
    assert [made.recordings for made in runner.recipes] == [(), (str(tmp_path / "100" / "recording"),)]
    same = {repr(replace(made, extractor=RECIPE.extractor, recordings=())) for made in runner.recipes}
    assert same == {repr(replace(labels.with_enough_frames(RECIPE, 1_000), env=CATCH, seed=3))}


def test_the_recordings_that_a_recipe_names_are_those_of_all_runs(tmp_path: Path):
    runner = Runner()
    measured(tmp_path, runner, recipe=replace(RECIPE, recordings=("mine",)))
    assert {made.recordings for made in runner.recipes} == {("mine",)}


def test_refreshes_which_would_label_more_frames_are_left_out(tmp_path: Path):
    runner = Runner()
    measured(tmp_path, runner, recipe=replace(RECIPE, refresh=RefreshConfig(at=(0.5,))))
    assert {made.refresh.at for made in runner.recipes} == {()}


def test_fits_on_few_frames_are_of_as_many_updates_as_one_on_more(tmp_path: Path):
    runner = Runner()
    measured(tmp_path, runner, counts=(100, 700, 3_000, 9_000))
    epochs = RECIPE.extractor.epochs
    assert [made.extractor.epochs for made in runner.recipes] == [30 * epochs, -(-30 * epochs // 7), epochs, epochs]


def test_enough_is_recorded_for_the_largest_count():
    record = labels.with_enough_frames(RECIPE, 10_000).record
    assert record.enough_steps is not None
    assert record.enough_steps * (1 - RECIPE.extractor.holdout) >= 10_000
    assert record.episodes >= record.enough_steps
    assert labels.with_enough_frames(RECIPE, 10).record.max_steps == RECIPE.record.max_steps


def test_an_interrupted_measurement_goes_on_with_the_runs_that_are_missing(tmp_path: Path):
    with pytest.raises(KeyboardInterrupt):
        measured(tmp_path, Runner(stop_at=2))
    assert (tmp_path / "100" / "scores.json").exists()
    runner = Runner()
    assert len(measured(tmp_path, runner)["points"]) == 2
    assert [made.extractor.frames for made in runner.recipes] == [1_000]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"counts": ()}, "found none"),
        ({"counts": (100, 0)}, "found 100, 0"),
        ({"counts": (100, 100)}, "found 100, 100"),
    ],
)
def test_what_is_wrong_is_said_before_the_first_run(options: dict[str, Any], message: str, tmp_path: Path):
    runner = Runner()
    with pytest.raises(InputError, match=message):
        measured(tmp_path, runner, **options)
    assert runner.recipes == []


def test_an_unknown_environment_is_an_error_that_names_the_nearest(tmp_path: Path):
    with pytest.raises(InputError, match="Did you mean 'agentlab/Catch-v0'"):
        labels.measure("agentlab/Cacth-v0", tmp_path, seed=0, recipe=RECIPE, run=Runner(), progress=NoProgress())


def test_the_table_has_a_line_a_count_and_says_what_comes_on_top(tmp_path: Path):
    found = measured(tmp_path, Runner())
    table = labels.table(found)
    assert "agentlab/Catch-v0, seed 3, 77 agent steps" in table
    assert "1,000" in table
    assert "0.633" in table
    assert "held-out frames, which are labelled too" in table


def test_the_plot_shows_both_scores(tmp_path: Path):
    labels.plot(measured(tmp_path, Runner()), tmp_path / "plot.svg")
    svg = (tmp_path / "plot.svg").read_text()
    for text in ("labelled frames", "IQM over episodes", "held-out frames", "random"):
        assert text in svg
