"""The benchmark of 100,000 agent steps on runs that a fake runner writes: what is computed, read again and compared."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pretended import PretendRunner, leave
from scipy.stats import trim_mean
from tiny import SQUARE, recorded

from agentlab.bench import atari100k
from agentlab.errors import InputError
from agentlab.evaluate import _atari_scores
from agentlab.progress import NoProgress
from agentlab.recipe import HeadConfig, Recipe, RefreshConfig
from agentlab.recording import Recording
from agentlab.runfolder import RunFolder
from agentlab.statistics import bootstrap_interval

SCORES = {
    "Pong": (-20.0, 3.0, 4.0, 8.0, 20.0),
    "Breakout": (10.0, 11.0, 30.0, 12.0, 13.0),
    "Square": (1.0, 2.0, 3.0, 4.0, 5.0),
}
REFERENCES = {"Pong": (-20.7, 14.6), "Breakout": (1.7, 30.5)}
RECIPE = Recipe(env="ALE/Pong-v5", env_kwargs={"repeat_action_probability": 0.0})
PLAIN = replace(RECIPE, env_kwargs={})


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return recorded(SQUARE, tmp_path_factory.mktemp("labelled") / "recording", episodes=1)


class Runner(PretendRunner):
    """Copies a recording to where those of stage 1 and of refreshes are."""

    def __init__(self, recording: Recording, stop_at: int = 0) -> None:
        super().__init__(stop_at)
        self._recording = recording

    def fill(self, recipe: Recipe, folder: RunFolder) -> Mapping[str, Any]:
        for place in (folder.recording, *map(folder.refresh_recording, range(1, len(recipe.refresh.at) + 1))):
            shutil.copytree(self._recording.path, place)
        game = folder.path.parent.name
        mean = SCORES[game][recipe.seed]
        random, human = REFERENCES.get(game, (0.0, None))
        scores = {
            "mean": mean,
            "random_mean": random,
            "human_mean": human,
            "human_normalised": None if human is None else (mean - random) / (human - random),
        }
        seconds = {"record": 10.0, "fit": 20.0, "train": 100.0 + recipe.seed, "report": 5.0}
        return leave(folder, scores, steps=100_016, seconds=seconds)


def measured(out: Path, runner: Runner, *games: str, **options: Any) -> dict[str, Any]:
    return atari100k.measure(games, out, run=runner, progress=NoProgress(), **{"recipe": RECIPE} | options)


def test_a_game_gets_the_iqm_over_seeds_and_its_interval(recording: Recording, tmp_path: Path):
    game = measured(tmp_path, Runner(recording), "Pong")["games"]["Pong"]
    assert game["scores"] == [*SCORES["Pong"]]
    assert game["iqm"] == trim_mean(SCORES["Pong"], 0.25) == 5.0
    assert tuple(game["ci95"]) == bootstrap_interval(SCORES["Pong"])
    assert game["mean"] == 3.0
    assert game["human_normalised"][3] == pytest.approx((8 + 20.7) / (14.6 + 20.7))


def test_over_all_games_every_game_is_a_stratum(recording: Recording, tmp_path: Path):
    found = measured(tmp_path, Runner(recording), "Pong", "ALE/Breakout-v5")
    over_all = found["human_normalised"]
    pong, breakout = (found["games"][name]["human_normalised"] for name in ("Pong", "Breakout"))
    assert over_all["games"] == 2
    assert over_all["iqm"] == pytest.approx(trim_mean([*pong, *breakout], 0.25))
    assert tuple(over_all["iqm_ci95"]) == bootstrap_interval(pong, breakout)
    assert over_all["median"] == pytest.approx((sum(pong) / 5 + sum(breakout) / 5) / 2)
    low, high = over_all["median_ci95"]
    assert low < over_all["median"] < high


def test_time_is_counted_with_and_without_stage_1_and_labelled_frames_with_refreshes(
    recording: Recording, tmp_path: Path
):
    recipe = replace(PLAIN, refresh=RefreshConfig(at=(0.5,)))
    game = measured(tmp_path, Runner(recording), SQUARE, seeds=2, recipe=recipe)["games"]["Square"]
    assert game["wall_s"] == [130.0, 131.0]
    assert game["wall_without_stage_1_s"] == [100.0, 101.0]
    assert game["train_steps_per_s"] == [100_016 / 100, 100_016 / 101]
    assert game["labelled_frames"] == [2 * recording.total_frames] * 2
    assert game["steps_in_all"] == [100_016 + 2 * recording.total_steps] * 2


def test_all_games_are_run_with_the_same_settings(recording: Recording, tmp_path: Path):
    runner = Runner(recording)
    recipe = replace(RECIPE, head=HeadConfig(total_steps=77))
    found = measured(tmp_path, runner, "Pong", "Breakout", seeds=2, recipe=recipe)
    assert [(made.env, made.seed) for made in runner.recipes] == [
        ("ALE/Pong-v5", 0), ("ALE/Pong-v5", 1), ("ALE/Breakout-v5", 0), ("ALE/Breakout-v5", 1),
    ]  # fmt: skip
    assert {repr(replace(made, env="", seed=0)) for made in runner.recipes} == {repr(replace(recipe, env="", seed=0))}
    assert found["settings"]["head"]["total_steps"] == found["steps"] == 77


def test_finished_runs_are_read_and_not_repeated(recording: Recording, tmp_path: Path):
    first = measured(tmp_path, Runner(recording), SQUARE, seeds=2, recipe=PLAIN)
    runner = Runner(recording)
    again = measured(tmp_path, runner, SQUARE, seeds=3, recipe=PLAIN)
    assert [made.seed for made in runner.recipes] == [2]
    assert again["games"]["Square"]["scores"][:2] == first["games"]["Square"]["scores"]


def test_an_interruption_goes_through_and_leaves_what_is_there(recording: Recording, tmp_path: Path):
    with pytest.raises(KeyboardInterrupt):
        measured(tmp_path, Runner(recording, stop_at=3), SQUARE, seeds=4, recipe=PLAIN)
    assert (tmp_path / "Square" / "1" / "scores.json").exists()
    runner = Runner(recording)
    assert len(measured(tmp_path, runner, SQUARE, seeds=4, recipe=PLAIN)["games"]["Square"]["scores"]) == 4
    assert [made.seed for made in runner.recipes] == [2, 3]


def test_a_finished_run_of_other_settings_is_refused(recording: Recording, tmp_path: Path):
    measured(tmp_path, Runner(recording), SQUARE, seeds=1, recipe=PLAIN)
    with pytest.raises(InputError, match=r"field 'head\.stack': the run began with 4, found 2"):
        measured(tmp_path, Runner(recording), SQUARE, recipe=replace(PLAIN, head=HeadConfig(stack=2)))


def test_a_finished_run_of_other_code_is_refused(recording: Recording, tmp_path: Path):
    measured(tmp_path, Runner(recording), SQUARE, seeds=1, recipe=PLAIN)
    made_by = tmp_path / "Square" / "0.made_by.json"
    made_by.write_text(json.dumps(json.loads(made_by.read_text()) | {"code": "another"}))
    with pytest.raises(InputError, match="was made by other code of agentlab; choose another --out"):
        measured(tmp_path, Runner(recording), SQUARE, seeds=2, recipe=PLAIN)


def test_that_a_finished_run_was_made_on_another_machine_is_said(recording: Recording, tmp_path: Path):
    measured(tmp_path, Runner(recording), SQUARE, seeds=1, recipe=PLAIN)
    made_by = tmp_path / "Square" / "0.made_by.json"
    made_by.write_text(json.dumps(json.loads(made_by.read_text()) | {"machine": {"cores": 99}}))
    said: list[str] = []
    progress = NoProgress()
    progress.say = said.append  # type: ignore[method-assign]
    atari100k.measure([SQUARE], tmp_path, run=Runner(recording), progress=progress, recipe=PLAIN, seeds=1)
    assert said[-1].endswith("finished, so it is read, though begun on another machine")


def test_an_interrupted_run_does_not_go_on_with_other_code(recording: Recording, tmp_path: Path):
    with pytest.raises(KeyboardInterrupt):
        measured(tmp_path, Runner(recording, stop_at=1), SQUARE, seeds=1, recipe=PLAIN)
    made_by = tmp_path / "Square" / "0.made_by.json"
    made_by.write_text(json.dumps(json.loads(made_by.read_text()) | {"code": "another"}))
    runner = Runner(recording)
    with pytest.raises(InputError, match="was made by other code of agentlab; choose another --out"):
        measured(tmp_path, runner, SQUARE, seeds=1, recipe=PLAIN)
    assert runner.recipes == []


def test_an_environment_of_another_family_is_not_made_as_the_recipe_says(recording: Recording, tmp_path: Path):
    """Atari's keywords are none of Square's."""
    runner = Runner(recording)
    found = measured(tmp_path, runner, "Pong", SQUARE, seeds=1)
    assert [made.env_kwargs for made in runner.recipes] == [RECIPE.env_kwargs, {}]
    assert found["env_kwargs"] == {"Pong": RECIPE.env_kwargs, "Square": {}}


def test_a_game_without_published_figures_has_none(recording: Recording, tmp_path: Path):
    found = measured(tmp_path, Runner(recording), SQUARE, recipe=PLAIN)
    assert found["games"]["Square"]["published"] == {}
    assert found["games"]["Square"]["human_normalised"] is found["human_normalised"] is None
    assert "Square" in atari100k.table(found)
    atari100k.plot(found, tmp_path / "plot.svg")


@pytest.mark.parametrize(
    ("games", "options", "message"),
    [
        (["Pong", "Braekout"], {}, "Did you mean 'ALE/Breakout-v5'"),
        (["Pong", "ALE/Pong-v5"], {}, "found Pong twice"),
        ([], {}, "at least one"),
        (["Pong"], {"seeds": 0}, "expected at least 1, found 0"),
        (["Pong"], {"recipe": replace(RECIPE, recordings=("samples:pong",))}, "found samples:pong"),
    ],
)
def test_what_is_wrong_is_said_before_the_first_run(
    games: list[str], options: dict[str, Any], message: str, recording: Recording, tmp_path: Path
):
    runner = Runner(recording)
    with pytest.raises(InputError, match=message):
        measured(tmp_path, runner, *games, **options)
    assert runner.recipes == []


def test_the_table_compares_and_says_that_ours_uses_labels(recording: Recording, tmp_path: Path):
    found = measured(tmp_path, Runner(recording), "Pong", SQUARE, recipe=PLAIN)
    table = atari100k.table(found)
    assert json.loads(json.dumps(found)) == found
    assert found["note"] in table
    assert "labelled frames" in found["note"]
    assert "published methods use no labels" in found["note"]
    assert "training episodes are not counted" in table
    assert found["games"]["Pong"]["published"]["BBF"] == 16.7
    assert "16.7" in table
    assert "human-normalised, games: 1;" in table


def test_every_published_figure_has_a_source_and_every_game_is_of_the_26():
    published = atari100k._published()
    assert len(published["games"]) == 26
    assert {method for game in published["games"].values() for method in game} == set(published["sources"])
    assert set(published["games"]) <= set(_atari_scores())


def test_the_plot_has_every_game_and_method(recording: Recording, tmp_path: Path):
    found = measured(tmp_path, Runner(recording), "Pong", "Breakout", SQUARE, recipe=PLAIN)
    atari100k.plot(found, tmp_path / "plot.svg")
    svg = (tmp_path / "plot.svg").read_text()
    for text in ("Pong", "Breakout", "Square", "BBF", "EfficientZero", "ours, IQM", "labelled frames"):
        assert text in svg
