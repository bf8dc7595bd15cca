"""`agentlab search` on a real game: what it leaves, and that no stop loses or repeats a trial."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from command import Command

TINY = ["--record.episodes", "5", "--extractor.epochs", "1", "--extractor.channels", "4"]
SPACE = "extractor.features: {choices: [8, 16, 24, 32]}\nextractor.dropout: {low: 0.0, high: 0.2}\n"


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    (tmp_path / "space.yaml").write_text(SPACE)
    return ["search", "catch", "--space", str(tmp_path / "space.yaml"), "--out", str(tmp_path / "s"), *TINY]


def found(tmp_path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((tmp_path / "s" / "search.json").read_text())
    return content


def test_eyes_are_fitted_and_the_best_is_kept(command: list[str], tmp_path: Path, agentlab: Command):
    outcome = agentlab(*command, "--trials", 2)
    assert outcome.code == 0, outcome.err
    first = found(tmp_path)
    assert len(first["trials"]) == 2
    best = first["best"]
    assert best["score"] == max(trial["score"] for trial in first["trials"]) > 0
    meta = json.loads((Path(best["folder"]) / "extractor" / "meta.json").read_text())
    assert meta["validation"]["read"] == best["score"]
    page = (tmp_path / "s" / "search.html").read_text()
    assert "extractor.features" in page
    assert "<svg" in page
    more = agentlab(*command, "--trials", 3)
    assert more.code == 0, more.err
    assert found(tmp_path)["trials"][:2] == first["trials"]
    assert len(found(tmp_path)["trials"]) == 3
    assert more.err.count("fit:") > 0
    assert "search: trial 1:" not in more.err


def test_random_patience_ends_it(command: list[str], tmp_path: Path, agentlab: Command):
    outcome = agentlab(*command, "--with", "random-patience", "--random-patience.rounds", 2)
    assert outcome.code == 0, outcome.err
    patience = found(tmp_path)["patience"]
    assert patience["rounds_done"] == len(found(tmp_path)["trials"]) <= patience["max_rounds"] == 4
    page = (tmp_path / "s" / "search.html").read_text()
    assert f"Patience drawn: {patience['patience']}" in page
    assert ("It saved none." in page) == (patience["rounds_done"] >= patience["rounds"])


def test_killed_at_any_moment_no_trial_is_lost_or_run_twice(command: list[str], tmp_path: Path):
    arguments = [sys.executable, "-m", "agentlab", *command, "--trials", "3"]
    rng = random.Random(0)
    ended = []
    for _ in range(3):
        with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            stop_at = rng.randint(1, 12)
            for number, line in enumerate(process.stderr):
                if line.startswith("search: trial") and " scores " in line:
                    ended.append(line.split(" scores ")[0])
                if number == stop_at:
                    time.sleep(rng.random() / 4)
                    os.kill(process.pid, signal.SIGKILL)
                    break
    run = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    ended += [line.split(" scores ")[0] for line in run.stderr.splitlines() if " scores " in line]
    trials = found(tmp_path)["trials"]
    assert [trial["number"] for trial in trials] == [0, 1, 2]
    assert all(trial["score"] is not None for trial in trials)
    assert len(ended) == len(set(ended))
    assert sorted(os.listdir(tmp_path / "s" / "trials")) == ["0", "0.json", "1", "1.json", "2", "2.json"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["search"], "expected a RECIPE first"),
        (["search", "catch"], "expected an end: --trials, --timeout or --with random-patience"),
        (["search", "catch", "--trials", "0"], "--trials"),
        (["search", "catch", "--trials", "2", "--space", "architektur"], "Did you mean 'architecture'"),
        (["search", "catch", "--trials", "2", "--storage", "mydb://x"], "storage mydb://x: cannot be used"),
        (["search", "catch", "--with", "random-patience", "--random-patience.ratio", "0.5"], "ratio"),
        (["search", "catch", "--with", "random-patients", "--trials", "2"], "random-patience"),
        (["run", "catch", "--with", "random-patience"], "use it with agentlab search"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], said: str, tmp_path: Path, agentlab: Command):
    outcome = agentlab(*arguments, "--out", tmp_path / "out")
    assert (outcome.code, outcome.out) == (2, "")
    assert said in outcome.err
    assert len(outcome.err.splitlines()) == 1


def test_trials_that_fail_are_recorded_and_all_of_them_an_error(command: list[str], tmp_path: Path, agentlab: Command):
    """An eye needs two episodes at least: one to be held out."""
    (tmp_path / "space.yaml").write_text("record.episodes: {choices: [1]}\n")
    outcome = agentlab(*command, "--trials", 1)
    assert outcome.code == 2
    assert "all trials failed; the last: InputError" in outcome.err
    (tmp_path / "space.yaml").write_text("record.episodes: {choices: [1, 5]}\n")
    command[command.index("--out") + 1] = str(tmp_path / "s2")
    outcome = agentlab(*command, "--trials", 2)
    assert outcome.code == 0, outcome.err
    trials = json.loads((tmp_path / "s2" / "search.json").read_text())["trials"]
    assert sorted(trial["error"] is None for trial in trials) == [False, True]
    assert "2 trials, 1 of which failed" in outcome.out
