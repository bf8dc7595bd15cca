"""Episodes recorded several at once are those recorded one after the other, and failures of a process are told."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from command import Outcome, assert_refused

from agentlab.play.copies import open_copies
from agentlab.recording import Recording

CHATTY = "playing_games:Play/Chatty-v0"
FAULTY = "playing_games:Play/Faulty-v0"


def by_seed(path):
    return {episode.seed: episode for episode in Recording(path)}


def assert_same_episodes(one, other):
    episodes, others = by_seed(one), by_seed(other)
    assert episodes.keys() == others.keys()
    for seed, episode in episodes.items():
        for column in ("actions", "rewards", "terminations", "truncations", "frame_hashes", "recorded_labels"):
            np.testing.assert_array_equal(getattr(episode, column), getattr(others[seed], column), err_msg=column)
        infos = [[each.info(t) for t in range(each.n_frames)] for each in (episode, others[seed])]
        assert infos[0] == infos[1]
        assert episode.provenance["policy"] == others[seed].provenance["policy"]
        assert episode.provenance["ended_by"] == others[seed].provenance["ended_by"]


@pytest.mark.parametrize(
    ("game", "policy"),
    [
        (CHATTY, "wandering"),
        (CHATTY, "random:0.5,players:by_brightness:0.5"),
        ("agentlab/Starfall-v0", "random"),
        ("ALE/Pong-v5", "random"),
    ],
)
def test_they_are_those_recorded_singly(game, policy, agentlab, tmp_path):
    if game.startswith("ALE/"):
        pytest.importorskip("ale_py")
    args = ["record", game, "--policy", policy, "--episodes", "7", "--max-steps", "25", "--seed", "5"]
    assert agentlab(*args, "--out", tmp_path / "one").code == 0
    outcome = agentlab(*args, "--out", tmp_path / "three", "--n-envs", "3", "--json")
    assert outcome.code == 0, outcome.err
    assert_same_episodes(tmp_path / "one", tmp_path / "three")
    assert json.loads(outcome.out)["episodes"] == 7
    assert agentlab("replay", tmp_path / "three", "--verify").code == 0


def test_a_trained_run_plays_in_each_copy(agentlab, catch_run, tmp_path):
    args = ["record", "agentlab/Catch-v0", "--policy", str(catch_run), "--episodes", "3", "--device", "cpu"]
    for name, copies in (("one", 1), ("two", 2)):
        assert agentlab(*args, "--out", tmp_path / name, "--n-envs", copies).code == 0
    assert_same_episodes(tmp_path / "one", tmp_path / "two")


def test_seeds_go_on_with_append_and_none_is_left_out(agentlab, tmp_path):
    args = ["record", CHATTY, "--out", tmp_path / "r", "--seed", "20"]
    assert agentlab(*args, "--episodes", "2").code == 0
    assert agentlab(*args, "--episodes", "5", "--append", "--n-envs", "3").code == 0
    assert agentlab(*args, "--episodes", "1", "--append").code == 0
    assert [episode.seed for episode in Recording(tmp_path / "r")][:2] == [20, 21]
    assert sorted(by_seed(tmp_path / "r")) == list(range(20, 28))
    assert Recording(tmp_path / "r")[-1].seed == 27


def test_more_copies_than_episodes(agentlab, tmp_path):
    assert agentlab("record", CHATTY, "--out", tmp_path / "r", "--episodes", "2", "--n-envs", "3").code == 0
    assert sorted(by_seed(tmp_path / "r")) == [0, 1]


def test_no_episode_is_begun_after_enough_steps(agentlab, tmp_path):
    args = ["--episodes", "100", "--max-steps", "4", "--enough-steps", "9", "--n-envs", "2"]
    assert agentlab("record", CHATTY, "--out", tmp_path / "r", *args).code == 0
    assert len(Recording(tmp_path / "r")) == 4


@pytest.mark.parametrize("copies", [1, 2])
@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("shape", "frame: expected uint8 (32, 36), found uint8 (1, 36)"),
        ("dtype", "frame: expected uint8 (32, 36), found float32 (32, 36)"),
        ("reward", "reward: expected a finite number, found nan"),
    ],
)
def test_what_an_environment_should_not_do_is_told_and_the_steps_before_are_kept(
    fault, message, copies, agentlab, tmp_path
):
    args = ["--env-kwargs", f"fault={fault}", "--n-envs", copies, "--policy", "random"]
    outcome = agentlab("record", FAULTY, "--out", tmp_path / "r", *args)
    assert outcome.code == 2
    assert len(outcome.err.splitlines()) == 1, outcome.err
    assert message in outcome.err
    assert {episode.n_steps for episode in Recording(tmp_path / "r")} <= {2, 3}
    assert Recording(tmp_path / "r")[0].provenance["ended_by"] == "interruption"


def test_an_environment_that_ends_python_ends_the_command_with_an_error(agentlab, tmp_path):
    outcome = agentlab("record", FAULTY, "--out", tmp_path / "r", "--env-kwargs", "fault=quit", "--policy", "random")
    assert_refused(outcome, "what ran (an environment, a policy) called sys.exit('game over')")
    assert [episode.n_steps for episode in Recording(tmp_path / "r")] == [2]
    with pytest.raises(ValueError, match=r"called sys\.exit"):  # not SystemExit, which would end it in silence
        agentlab("record", FAULTY, "--out", tmp_path / "s", "--env-kwargs", "fault=quit", "--debug")


def test_a_copy_that_cannot_be_opened_is_one_line(tmp_path):
    command = [sys.executable, "-m", "agentlab", "record", FAULTY, "--out", str(tmp_path / "r")]
    options = ["--env-kwargs", "fault=opening", "--n-envs", "2"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False, cwd=Path(__file__).parent)
    assert_refused(Outcome(done.returncode, done.stdout, done.stderr), "ended by itself, with exit code 1; why")
    assert not (tmp_path / "r").exists()


def test_a_copy_that_hangs_is_ended_too(monkeypatch):
    monkeypatch.setattr("agentlab.play.copies.WAIT_FOR_END_S", 0.2)
    copies = open_copies(CHATTY, {}, 2)
    hanging = multiprocessing.active_children()[0]
    os.kill(hanging.pid, signal.SIGSTOP)
    copies.close()
    assert not hanging.is_alive()


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("error", r"a copy failed \(ZeroDivisionError: no such number\)"),
        ("exit", "the process of copy [01] ended by itself, with exit code 7"),
        ("quit", "the process of copy [01] ended by itself, with exit code 1"),
    ],
)
def test_the_failure_of_a_process_is_one_line_and_the_steps_before_are_kept(fault, message, agentlab, tmp_path):
    args = ["--env-kwargs", f"fault={fault}", "--n-envs", "2", "--policy", "random"]
    outcome = agentlab("record", FAULTY, "--out", tmp_path / "r", *args)
    assert outcome.code == 2
    assert len(outcome.err.splitlines()) == 1, outcome.err
    assert re.search(f"environment {FAULTY!r}: {message}", outcome.err)
    assert [episode.n_steps for episode in Recording(tmp_path / "r")] == [2, 2]


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL])
def test_whatever_stops_it_keeps_what_there_is(stop, agentlab, tmp_path):
    out = tmp_path / "r"
    args = ["record", "playing_games:Play/Endless-v0", "--out", str(out), "--max-steps", "40"]
    with subprocess.Popen(
        [sys.executable, "-m", "agentlab", *args, "--n-envs", "2", "--episodes", "100000"],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        deadline_s = time.monotonic() + 60
        while not (out / "data" / "3").exists():
            assert time.monotonic() < deadline_s
            time.sleep(0.02)
        os.killpg(process.pid, stop)  # as a terminal does: the processes of the copies too
        _, err = process.communicate(timeout=60)
    if stop == signal.SIGINT:
        assert process.returncode == 130
        assert err.splitlines()[-1].startswith("agentlab: interrupted")
        assert "Traceback" not in err
    assert agentlab(*args, "--episodes", "1", "--append").code == 0
    assert len(Recording(out)) >= 5
    assert sorted(by_seed(out)) == list(range(len(Recording(out))))
    assert agentlab("replay", out, "--verify").code == 0


def play_under_interrupts():
    """Copies start and play while the whole process group is interrupted again and again, as by a terminal."""
    signal.signal(signal.SIGINT, lambda *_: None)
    done = threading.Event()

    def interrupt():
        while not done.wait(0.001):
            os.killpg(0, signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    copies = open_copies(CHATTY, {}, 2)
    copies.reset(seed=[1, 2])
    copies.close()
    done.set()


def test_no_interrupt_is_for_the_processes_of_the_copies():
    command = [sys.executable, "-c", "import test_copies; test_copies.play_under_interrupts()"]
    where = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=where, stderr=subprocess.PIPE, text=True, start_new_session=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_no_copy_at_all_is_refused(refused, tmp_path):
    line = refused("record", CHATTY, "--out", tmp_path / "r", "--n-envs", "0")
    assert "--n-envs: expected a whole number of at least 1, found 0" in line
