"""A person records by hand: a real window on a virtual screen, and real key events."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

pytest.importorskip("pygame")

from screen import XVFB, Person, virtual_screen

from agentlab.environment import open_environment
from agentlab.recording import Recording

pytestmark = pytest.mark.skipif(XVFB is None, reason="no Xvfb on this machine")

NOOP, LEFT, RIGHT = 0, 1, 2
BEGIN = "press a key to begin"
RECORD = [sys.executable, "-m", "agentlab", "record"]


@pytest.fixture(scope="module")
def screen() -> Iterator[str]:
    with virtual_screen() as name:
        yield name


@pytest.fixture
def person(screen: str) -> Iterator[Person]:
    somebody = Person(screen)
    yield somebody
    somebody.close()


@contextmanager
def recording(screen, *args):
    """The command, with a person before its window."""
    command = [*RECORD, *map(str, args), "--policy", "human"]
    environment = {name: value for name, value in os.environ.items() if name != "WAYLAND_DISPLAY"}
    environment |= {"DISPLAY": screen, "SDL_VIDEODRIVER": "x11"}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def ended(process):
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out


def test_a_game_is_recorded_paused_discarded_and_ended_by_closing_the_window(screen, person, agentlab, tmp_path):
    args = ["agentlab/Catch-v0", "--out", tmp_path / "r", "--episodes", "9", "--seed", "3", "--fps", "60"]
    with recording(screen, *args) as process:
        person.sees(f"agentlab/Catch-v0: episode 1, step 0, return 0, {BEGIN}")
        person.press("a")
        person.sees(r"episode 1, step \d\d")
        person.release("a")
        person.tap("p")
        before = person.sees("(episode 1, step .*), paused")[1]
        person.tap("d")
        time.sleep(0.3)  # for 18 steps, were it not paused
        assert person.sees("(episode 1, step .*), paused")[1] == before
        person.tap("p")
        person.sees(r"episode 1, step \d+, return \S+$")
        person.tap("BackSpace")
        person.sees(f"episode 1, step 0, return 0, {BEGIN}")
        person.tap("space")
        person.sees("episode 1, step 1\\d\\d, .*over")
        person.sees(f"episode 2, step 0, return 0, {BEGIN}")
        person.press("Right")
        person.sees(r"episode 2, step \d\d")
        person.press("Left")
        person.sees(r"episode 2, step (\d\d\d|[3-9]\d)")
        person.closes_the_window()
        assert "2 episodes" in ended(process)
    whole, cut = Recording(tmp_path / "r")
    assert (whole.seed, whole.provenance["ended_by"], whole.provenance["policy"]) == (3, "environment", "human")
    assert set(whole.actions.tolist()) == {NOOP}
    assert (cut.seed, cut.provenance["ended_by"]) == (4, "interruption")
    assert [action for t, action in enumerate(cut.actions) if t == 0 or action != cut.actions[t - 1]] == [RIGHT, LEFT]
    assert agentlab("replay", tmp_path / "r", "--verify").code == 0


def test_the_window_shows_the_frame_enlarged_without_blur(screen, person, tmp_path):
    with recording(screen, "agentlab/Catch-v0", "--out", tmp_path / "r", "--seed", "3") as process:
        person.sees(BEGIN)
        shown = person.pixels()
        person.tap("Escape")
        ended(process)
    frame, _ = open_environment("agentlab/Catch-v0", {}).reset(seed=3)
    factor = 6  # the largest that leaves a fifth of the screen
    left = (shown.shape[1] - factor * 84) // 2
    enlarged = np.kron(frame, np.ones((factor, factor), np.uint8))
    for channel in range(3):
        np.testing.assert_array_equal(shown[: factor * 84, left : left + factor * 84, channel], enlarged)


def test_several_keys_at_once_and_escape(screen, person, agentlab, tmp_path):
    out = tmp_path / "r"
    with recording(screen, "playing_games:Play/Chatty-v0", "--out", out, "--episodes", "1", "--fps", "4") as process:
        person.sees(BEGIN)
        person.press("a", "d")
        person.sees(r"step ([2-9]|\d\d), return")
        person.tap("Escape")
        assert "1 episodes" in ended(process)
    assert Recording(out)[0].actions.tolist()[:2] == [3, 3]
    assert agentlab("replay", out, "--verify").code == 0


def test_a_game_that_waits_takes_a_step_a_key(screen, person, tmp_path):
    args = ["playing_games:Play/StandsStill-v0", "--out", tmp_path / "r", "--episodes", "1"]
    with recording(screen, *args) as process:
        person.sees(BEGIN)
        person.tap("Right")
        person.sees("step 1, return 1$")
        person.tap("Left")
        person.sees("step 2, return 1$")
        person.press("Right")
        person.sees("step 3, return 2$")
        person.tap("Escape")
        ended(process)
    assert Recording(tmp_path / "r")[0].actions.tolist() == [1, 0, 1]


def test_who_leaves_before_the_first_step_leaves_nothing(screen, person, tmp_path):
    with recording(screen, "agentlab/Catch-v0", "--out", tmp_path / "r") as process:
        person.sees(BEGIN)
        person.tap("Escape")
        assert "nothing was recorded" in ended(process)
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("driver", ["x11", "dummy"])
def test_no_display_is_said_in_a_line(driver, tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "DISPLAY"}
    command = [*RECORD, "agentlab/Catch-v0", "--out", str(tmp_path / "r"), "--policy", "human"]
    environment["SDL_VIDEODRIVER"] = driver
    outcome = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (outcome.returncode, outcome.stdout) == (2, "")
    assert "expected a display to open a window on, found none" in outcome.stderr
    assert len(outcome.stderr.splitlines()) == 1
    assert not (tmp_path / "r").exists()


def test_a_person_plays_one_game_and_by_keys(refused, tmp_path):
    args = ["--out", tmp_path / "r", "--policy", "human"]
    line = refused("record", "agentlab/Catch-v0", *args, "--n-envs", "2")
    assert "a person plays one game at a time: expected 1 copy, found 2" in line
    assert "expected a key map" in refused("record", "playing_games:Play/Keyless-v0", *args)
    assert "--fps: expected a number above 0" in refused("record", "agentlab/Catch-v0", *args, "--fps", "0")
