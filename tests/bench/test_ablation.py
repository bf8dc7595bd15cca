"""The ablation on runs that a fake runner writes: what is changed, on which eye, and what the differences are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pretended import PretendRunner, leave

from agentlab import recipe as recipes
from agentlab.bench import ablation
from agentlab.errors import InputError
from agentlab.progress import NoProgress
from agentlab.recipe import HeadConfig, Recipe, RefreshConfig
from agentlab.runfolder import RunFolder

RECIPE = Recipe(env="ALE/Pong-v5", head=HeadConfig(total_steps=77), refresh=RefreshConfig(at=(0.5,)))
PARTS = {"1-step returns": {"head.dqn.n_steps": 1}, "eye refreshed": {"refresh.at": (0.1, 0.35)}}
WORTH = {"complete": 0.0, "1-step-returns": -10.0, "eye-refreshed": 5.0}


class Runner(PretendRunner):
    """Makes an eye of a run's own unless one is there."""

    def __init__(self, stop_at: int = 0) -> None:
        super().__init__(stop_at)
        self.eyes: list[str] = []

    def fill(self, recipe: Recipe, folder: RunFolder) -> Mapping[str, Any]:
        if not folder.extractor.exists():
            folder.extractor.mkdir()
            (folder.extractor / "meta.json").write_text(f'"eye of {folder.path}"')
        self.eyes.append((folder.extractor / "meta.json").read_text())
        return leave(folder, {"mean": 20.0 + recipe.seed + WORTH[folder.path.parent.name]})


def measured(out: Path, runner: Runner, *games: str, **options: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"recipe": RECIPE, "seeds": 3, "parts": PARTS} | options
    return ablation.measure(games, out, run=runner, progress=NoProgress(), **given)


def test_differences_are_to_the_complete_recipe_with_the_same_seed(tmp_path: Path):
    found = measured(tmp_path, Runner(), "Pong")
    worse = found["games"]["Pong"]["1-step returns"]
    assert found["games"]["Pong"]["complete"]["scores"] == [20.0, 21.0, 22.0]
    assert worse["scores"] == [10.0, 11.0, 12.0]
    assert (worse["difference"], worse["difference_ci95"]) == (-10.0, [-10.0, -10.0])
    assert json.loads(json.dumps(found)) == found


def test_runs_differ_in_the_part_alone_and_see_through_one_eye(tmp_path: Path):
    runner = Runner()
    measured(tmp_path, runner, "Pong", "Breakout", seeds=2)
    assert len(runner.recipes) == 2 * 3 * 2
    first, *others = runner.recipes[:6]
    assert first == replace(RECIPE, refresh=replace(RECIPE.refresh, at=()))
    assert {made.recordings for made in others} == {(str(tmp_path / "Pong" / "complete" / "0" / "recording"),)}
    assert [made.head.dqn.n_steps for made in runner.recipes[:6]] == [5, 5, 1, 1, 5, 5]
    assert [made.refresh.at for made in runner.recipes[:6]] == [()] * 4 + [(0.1, 0.35)] * 2
    assert runner.eyes == [
        f'"eye of {tmp_path / game / "complete" / "0"}"' for game in ("Pong", "Breakout") for _ in range(6)
    ]


def test_what_a_recipe_is_without_already_stays_away():
    recipe = ablation.changed(RECIPE, {"head.dqn.without": ("double",)})
    assert ablation.changed(recipe, {"head.dqn.without": ("dueling",)}).head.dqn.without == ("double", "dueling")


def test_one_seed_has_no_interval(tmp_path: Path):
    found = measured(tmp_path, Runner(), "Pong", seeds=1)
    assert found["games"]["Pong"]["eye refreshed"]["difference_ci95"] is None
    assert "+5.0       (one seed)" in ablation.table(found)
    ablation.plot(found, tmp_path / "plot.svg")


def test_an_interrupted_measurement_goes_on(tmp_path: Path):
    with pytest.raises(KeyboardInterrupt):
        measured(tmp_path, Runner(stop_at=5), "Pong")
    rest = Runner()
    measured(tmp_path, rest, "Pong")
    assert len(rest.recipes) == 9 - 4
    assert len(set(rest.eyes)) == 1


def test_the_parts_are_fields_of_a_recipe_that_change_something():
    complete = recipes.load(recipes.find("atari100k"))
    complete = ablation.changed(complete, {"refresh.at": ()})
    for change in ablation.PARTS.values():
        assert ablation.changed(complete, change) != complete


@pytest.mark.parametrize(
    ("games", "options", "said"),
    [
        ((), {}, "expected at least one"),
        (("Pnog",), {}, "Pong"),
        (("Pong",), {"seeds": 0}, "seeds: expected at least 1"),
        (("Pong",), {"recipe": replace(RECIPE, recordings=("x",))}, "recordings: expected none"),
        (("Pong",), {"recipe": ablation.changed(RECIPE, {"head.algorithm": "ppo"})}, "head.algorithm: expected 'dqn'"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_the_first_run(
    games: tuple[str, ...], options: dict[str, Any], said: str, tmp_path: Path
):
    runner = Runner()
    with pytest.raises(InputError, match=said):
        measured(tmp_path, runner, *games, **options)
    assert runner.recipes == []


def test_table_and_plot_name_every_part(tmp_path: Path):
    found = measured(tmp_path, Runner(), "Pong", "Breakout")
    ablation.plot(found, tmp_path / "plot.svg")
    for shown in (ablation.table(found), (tmp_path / "plot.svg").read_text()):
        assert all(name in shown for name in (*PARTS, "Pong", "Breakout"))
