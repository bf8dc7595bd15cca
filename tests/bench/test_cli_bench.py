"""`agentlab bench` on games, from the command line to the files it leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import test_ablation
import test_labels
from command import Command

from agentlab import pipeline
from agentlab.bench import ablation
from agentlab.recipe import Recipe

TINY = """
env: agentlab/Catch-v0
record: {episodes: 3}
extractor: {epochs: 1}
head: {total_steps: 160, n_envs: 2, dqn: {learning_starts: 20, hidden: [16]}}
evaluate: {episodes: 2}
"""


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    recipe = tmp_path / "tiny.yaml"
    recipe.write_text(TINY)
    return recipe


def left(out: Path, name: str) -> dict[str, Any]:
    """The figures that a measurement left beside its plot."""
    assert (out / f"{name}.svg").read_text().lstrip().startswith("<?xml")
    content: dict[str, Any] = json.loads((out / f"{name}.json").read_text())
    assert {"processor", "cores", "versions"} <= content["machine"].keys()
    return content


def test_games_are_trained_and_their_scores_left(tiny: Path, tmp_path: Path, agentlab: Command):
    command = ["bench", "atari100k", "agentlab/Catch-v0", "--seeds", 2, "--recipe", tiny, "--steps", 96]
    out = tmp_path / "out"
    outcome = agentlab(*command, "--out", out)
    assert outcome.code == 0, outcome.err
    found = left(out, "atari100k")
    (game,) = found["games"].values()
    assert len(game["scores"]) == 2
    assert found["settings"]["head"]["total_steps"] == found["steps"] == 96
    again = agentlab(*command, "--out", out)
    assert again.err.count("finished, so it is read") == 2
    assert again.out == outcome.out


def test_where_nothing_can_be_written_nothing_is_measured(tiny: Path, tmp_path: Path, agentlab: Command):
    outcome = agentlab("bench", "atari100k", "agentlab/Catch-v0", "--recipe", tiny, "--out", tiny / "out")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == f"agentlab: {tiny / 'out'}: expected a folder, found a file at {tiny}; choose another --out\n"
    outcome = agentlab("bench", "throughput", tmp_path / "no-run", "--out", tiny)
    assert "expected a folder, found a file" in outcome.err


@pytest.mark.parametrize(("name", "runner"), [("labels", test_labels.Runner), ("ablation", test_ablation.Runner)])
def test_what_is_measured_over_many_runs_is_left(
    name: str, runner: Any, tiny: Path, tmp_path: Path, agentlab: Command, monkeypatch: pytest.MonkeyPatch
):
    pretended, resumed = runner(), []

    def run(recipe: Recipe, out: Path, *, resume: bool, progress: object) -> Mapping[str, Any]:  # noqa: ARG001
        resumed.append(resume)
        content: Mapping[str, Any] = pretended(recipe, out)
        return content

    monkeypatch.setattr(pipeline, "run", run)
    worths = {part.replace(" ", "-"): 0.0 for part in (ablation.COMPLETE, *ablation.PARTS)}
    monkeypatch.setattr(test_ablation, "WORTH", worths)
    seeds = ["--seeds", 2] if name == "ablation" else []
    out = tmp_path / "out"
    outcome = agentlab("bench", name, "agentlab/Catch-v0", "--recipe", tiny, "--out", out, *seeds)
    assert outcome.code == 0, outcome.err
    assert left(out, name)["steps"] == 160
    assert len(pretended.recipes) == len(resumed) > 5
    assert not resumed[0]


def test_an_interrupt_ends_fits_on_all_cores_and_leaves_no_files(tmp_path: Path):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    command = ["bench", "strategies", "together", "--frames", "2500", "--out", str(tmp_path / "out")]
    with subprocess.Popen(
        [sys.executable, "-m", "agentlab", *command],
        env=os.environ | {"TMPDIR": str(temporary)},
        stderr=subprocess.PIPE,
        text=True,
    ) as bench:
        while bench.poll() is None and not any(temporary.glob("tmp*")):
            time.sleep(0.05)
        bench.send_signal(signal.SIGINT)
        _, said = bench.communicate()
    assert bench.returncode == 130, said
    assert "Traceback" not in said
    assert list(temporary.glob("tmp*")) == []
