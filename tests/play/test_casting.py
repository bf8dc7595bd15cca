"""Who plays is found by name, loads no more than it needs, and is written down with each episode."""

from __future__ import annotations

import subprocess
import sys

import pytest

from agentlab.recording import Recording

CATCH = ["record", "agentlab/Catch-v0", "--max-steps", "5"]


def test_a_mixture_plays_in_its_shares_and_each_episode_says_who_played(agentlab, catch_run, tmp_path):
    args = [*CATCH, "--policy", f"random:0.3,{catch_run}:0.7", "--device", "cpu", "--out", tmp_path / "r"]
    assert agentlab(*args, "--episodes", "6").code == 0
    assert agentlab(*args, "--episodes", "4", "--append").code == 0
    names = [episode.provenance["policy"] for episode in Recording(tmp_path / "r")]
    assert set(names) == {"random", str(catch_run)}
    assert names.count("random") == 3
    assert agentlab("replay", tmp_path / "r", "--verify").code == 0


def test_a_recipe_names_who_plays(agentlab, tmp_path):
    args = ["--record.policy", "random:1,wandering:1", "--record.episodes", "4", "--record.n-envs", "2"]
    small = ["--extractor.epochs", "1", "--head.total-steps", "200", "--head.n-envs", "2", "--evaluate.episodes", "1"]
    outcome = agentlab("run", "catch", *args, *small, "--out", tmp_path / "run")
    assert outcome.code == 0, outcome.err
    names = [episode.provenance["policy"] for episode in Recording(tmp_path / "run" / "recording")]
    assert (len(names), set(names)) == (4, {"random", "wandering"})


@pytest.mark.parametrize(
    ("policy", "parts"),
    [
        ("randon", ["policy 'randon'", "Did you mean 'random'?"]),
        ("humn", ["Did you mean 'human'?"]),
        ("random:0.3,wanderin:0.7", ["policy 'wanderin'", "Did you mean 'wandering'?"]),
        ("random:0.3,wandering", ["found 'wandering'"]),
        ("random:0.3,human:0.7", ["a person plays alone: expected no part 'human'"]),
        ("model.zip", ["policy 'model.zip': no such file"]),
        ("runs/none", ["policy 'runs/none'"]),
        ("", ["policy ''", "expected 'random'"]),
    ],
)
def test_who_is_not_known_is_refused(policy, parts, refused, tmp_path):
    line = refused(*CATCH, "--out", tmp_path / "r", "--policy", policy)
    assert all(part in line for part in parts), line
    assert "policy" in refused("run", "catch", "--record.policy", policy, "--out", tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_recording_that_exists_is_refused_before_anybody_is_cast(refused, tmp_path):
    (tmp_path / "r").mkdir()
    assert "exists already" in refused(*CATCH, "--out", tmp_path / "r", "--policy", "no_such_module:act")


def test_a_speed_is_for_people_alone(refused, tmp_path):
    line = refused(*CATCH, "--out", tmp_path / "r", "--fps", "30")
    assert "fps: expected none unless a person plays" in line


@pytest.mark.parametrize("args", [["--policy", "wandering"], ["--policy", "players:Counting"], ["--n-envs", "2"]])
def test_recording_without_networks_loads_no_torch(args, tmp_path):
    command = [
        "record",
        "agentlab/Catch-v0",
        "--episodes",
        "1",
        "--max-steps",
        "3",
        "--out",
        str(tmp_path / "r"),
        *args,
    ]
    code = f"import sys\nfrom agentlab.cli import main\nassert main({command!r}) == 0\nprint('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "False"


def test_playing_by_hand_loads_no_torch():
    code = "import sys, agentlab.play.human, agentlab.play.window; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "False"
