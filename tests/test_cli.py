"""The command line: help, results on stdout, progress on stderr, exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command import Command

from agentlab.artefact import claim
from agentlab.cli import COMMANDS, main
from agentlab.cli.resuming import checkpoint_beside
from agentlab.recording import Recording

BINARY = [sys.executable, "-m", "agentlab"]

RECIPES = "atari100k, breakout, carracing, catch, freeway, pong"


def test_help_lists_every_command_in_a_line(agentlab: Command):
    for outcome in (agentlab(), agentlab("--help"), agentlab("-h")):
        assert outcome.code == 0
        assert outcome.err == ""
        lines = [line.split() for line in outcome.out.splitlines() if line.startswith("  ")]
        assert [words[0] for words in lines] == list(COMMANDS)
        assert all(len(words) > 3 for words in lines)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_fits_a_screen_and_shows_an_example(command: str, agentlab: Command):
    outcome = agentlab(command, "--help")
    assert outcome.code == 0
    assert f"$ agentlab {command} " in outcome.out
    assert "--json" in outcome.out
    assert "--seed" in outcome.out
    assert len(outcome.out.splitlines()) <= 72


def test_the_help_of_run_shows_the_values_of_the_recipe(agentlab: Command):
    assert "ALE/Pong-v5" in agentlab("run", "pong", "--help").out
    assert "--head.total-steps INT" in agentlab("run", "pong", "--help").out


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["run", "pong", "--help"], ["--version"]])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_that_nobody_reads_is_no_error(arguments: list[str], unbuffered: str):
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "agentlab", *arguments]
    env = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    with open(writer, "wb") as output:
        outcome = subprocess.run(command, stdout=output, stderr=subprocess.PIPE, text=True, env=env, check=False)
    assert (outcome.returncode, outcome.stderr) == (141, "")


@pytest.mark.parametrize(("arguments", "code"), [("--version", 0), ("train --help", 0), ("inspect nothing", 2)])
def test_without_any_output_the_exit_code_tells(arguments: str, code: int):
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m agentlab {arguments} >&-"], capture_output=True, check=False
    )
    assert done.returncode == code


def test_in_a_folder_that_is_gone(tmp_path: Path):
    command = f"cd {tmp_path} && rmdir {tmp_path} && {sys.executable} -m agentlab --version"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_version(agentlab: Command):
    assert agentlab("--version").out.startswith("agentlab 0.")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["evaluat", "x"], "unknown command 'evaluat'. Did you mean 'evaluate'?"),
        (["record"], "missing ENV, --out PATH; see agentlab record --help"),
        (["inspect", "x", "y"], "unexpected argument 'y'"),
        (["record", "e", "--out", "o", "--episods", "3"], "unknown option '--episods'. Did you mean '--episodes'?"),
        (["run", "pong", "--extractor.scoreboard"], "Did you mean '--extractor.no-scoreboard'?"),
        (["fit", "rec", "--out", "o", "--scoreboard"], "Did you mean '--no-scoreboard'?"),
        (["record", "e", "--out", "o", "--episodes", "few"], "--episodes: expected a whole number, found 'few'"),
        (
            ["record", "e", "--out", "o", "--episodes", "0"],
            "--episodes: expected a whole number of at least 1, found 0",
        ),
        (["record", "e", "--out", "o", "--env-kwargs", "level"], "--env-kwargs: expected NAME=VALUE, found 'level'"),
        (["record", "e", "--out"], "--out"),
        (
            ["train", "x", "--env", "e", "--out", "o", "--algorithm", "pp"],
            "expected 'dqn' or 'ppo', found 'pp'. Did you mean 'ppo'?",
        ),
        (
            ["run"],
            f"expected a RECIPE first ({RECIPES}, or a YAML file), found nothing",
        ),
        (
            ["run", "--seed", "1", "pong"],
            f"expected a RECIPE first ({RECIPES}, or a YAML file), found '--seed'",
        ),
        (["run", "pong", "--head.dqn.hidden", "64", "wide"], "--head.dqn.hidden: expected a list"),
        (["run", "pong", "--resume", "--force"], "--resume and --force"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(args: list[str], message: str, agentlab: Command):
    outcome = agentlab(*args)
    assert outcome.code == 2
    assert outcome.out == ""
    assert message in outcome.err
    assert len(outcome.err.splitlines()) == 1
    assert outcome.err.startswith("agentlab: ")


def test_debug_shows_the_traceback(tmp_path: Path):
    with pytest.raises(ValueError, match="no such file or folder"):
        main(["inspect", str(tmp_path / "none"), "--debug"])


def test_record_says_what_it_did_on_stdout_and_how_far_it_is_on_stderr(agentlab: Command, tmp_path: Path):
    outcome = agentlab("record", "agentlab/Catch-v0", "--out", tmp_path / "r", "--episodes", 2, "--seed", 5)
    assert outcome.code == 0
    assert "2 episodes" in outcome.out
    assert "record: 2/2 episodes" in outcome.err


def test_json_is_all_there_is_on_stdout(agentlab: Command, tmp_path: Path):
    outcome = agentlab("record", "agentlab/Catch-v0", "--out", tmp_path / "r", "--episodes", 2, "--json")
    values = json.loads(outcome.out)
    assert values["episodes"] == 2
    assert len(values["returns"]) == 2
    assert json.loads(agentlab("replay", tmp_path / "r", "--verify", "--json").out)["holds"] is True
    assert json.loads(agentlab("inspect", tmp_path / "r", "--json").out)["kind"] == "recording"


def test_equal_seeds_record_equal_episodes(agentlab: Command, tmp_path: Path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        assert (
            agentlab("record", "agentlab/Catch-v0", "--out", tmp_path / name, "--episodes", 1, "--seed", seed).code == 0
        )
    frames = [[Recording(tmp_path / name)[0].encoded_frame(t) for t in range(20)] for name in "abc"]
    assert frames[0] == frames[1] != frames[2]


def test_append_adds_episodes(agentlab: Command, catch: Path):
    outcome = agentlab("record", "agentlab/Catch-v0", "--out", catch, "--episodes", 1, "--append")
    assert outcome.code == 0
    assert "1 more episodes" in outcome.out
    assert len(json.loads(agentlab("replay", catch, "--json").out)["episodes"]) == 5


def test_a_closed_pipe_is_no_error(catch: Path):
    command = f"{sys.executable} -m agentlab replay {catch} | true"
    run = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (141, "")


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_recording_keeps_what_was_recorded(stop: signal.Signals, tmp_path: Path, agentlab: Command):
    out = tmp_path / "r"
    args = ["record", "agentlab/Catch-v0", "--out", str(out), "--episodes", "1000000"]
    with subprocess.Popen([*BINARY, *args], stderr=subprocess.PIPE, text=True) as process:
        wait_for(out / "data" / "1")
        os.kill(process.pid, stop)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err.splitlines()[-1].startswith("agentlab: interrupted")
    assert "Traceback" not in err
    assert agentlab("replay", out, "--verify").code == 0


def wait_for(path: Path, timeout_s: float = 60.0) -> None:
    """Returns when `path` exists."""
    deadline_s = time.monotonic() + timeout_s
    while not path.exists():
        assert time.monotonic() < deadline_s, f"{path} did not appear"
        time.sleep(0.05)


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("reached", [False, True])
def test_a_stage_that_fails_does_not_stand_in_the_way_of_the_next(reached: bool, resume: bool, tmp_path: Path):
    """What it reached is kept, though."""
    checkpoint = tmp_path / ".head.checkpoint"

    def fails() -> None:
        with checkpoint_beside(tmp_path / "head", resume=resume, force=False) as folder:
            claim(folder, {"seed": 0})
            if reached:
                (folder / "head.safetensors").write_bytes(b"weights")
            raise ValueError("no good")

    with pytest.raises(ValueError, match="no good"):
        fails()
    assert checkpoint.exists() is reached
