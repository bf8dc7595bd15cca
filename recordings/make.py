"""Makes the sample recordings in this folder anew:  python recordings/make.py [catch] [pong]

Some episodes are played at random, the others by a script that reads the labels. It is careless for a while now and
then, more often in some episodes than in others, so that the frames show rallies, points on both sides, low and high
scores, and paddles and balls everywhere. In some episodes of Pong it tries its shots in a copy of the console.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

import agentlab_envs
from agentlab.recording import Policy, RandomPolicy, Recording, record

FOLDER = Path(__file__).parent
AIMS = (-2.0, -1.3, -0.7, 0.0, 0.7, 1.3, 2.0)

Labels = dict[str, Any]
Choose = Callable[[Labels, Labels, float], int]
"""The action for this frame's labels, the last frame's, and where on the paddle to take the ball (-1 to 1)."""


class ScriptedPolicy:
    """Does what `choose` says, but for spells of random actions; one begins with probability `carelessness` a step."""

    def __init__(self, env: gym.Env[Any, Any], choose: Choose, carelessness: float) -> None:
        self.name = f"{choose.__name__}, carelessness {carelessness:g}"
        self._env = env
        self._choose = choose
        self._carelessness = carelessness

    def reset(self, seed: int) -> None:
        self._generator = np.random.default_rng([seed, 2])
        self._env.action_space.seed(int(self._generator.integers(2**31)))
        self._spell, self._aim, self._before = 0, 0.0, None

    def act(self, frame: np.ndarray, info: dict[str, Any]) -> int:  # noqa: ARG002
        labels = info["labels"]
        before, self._before = self._before or labels, labels
        if self._spell == 0 and self._generator.random() < self._carelessness:
            self._spell = int(self._generator.integers(5, 40))
        self._aim = self._next_aim(labels, before)
        if self._spell > 0:
            self._spell -= 1
            return int(self._env.action_space.sample())
        return self._choose(labels, before, self._aim)

    def _next_aim(self, labels: Labels, before: Labels) -> float:  # noqa: ARG002
        return self._generator.uniform(-1, 1) if self._generator.random() < 0.03 else self._aim


class TryingPolicy(ScriptedPolicy):
    """Tries each aim in a copy of the console whenever the ball turns towards it, and takes the best."""

    def __init__(self, env: gym.Env[Any, Any], copy: gym.Env[Any, Any], choose: Choose, carelessness: float) -> None:
        super().__init__(env, choose, carelessness)
        self.name += ", tries its shots"
        self._copy = copy
        self._was_coming = False

    def _next_aim(self, labels: Labels, before: Labels) -> float:
        is_coming = _both_visible(labels, before) and labels["ball_x"] > before["ball_x"]
        turned, self._was_coming = is_coming and not self._was_coming, is_coming
        if not turned:
            return self._aim
        state = self._env.unwrapped.ale.cloneSystemState()
        return max(AIMS, key=lambda aim: self._outcome(state, labels, before, aim))

    def _outcome(self, state: Any, labels: Labels, before: Labels, aim: float) -> float:
        """The next point within 100 steps, worth more the sooner it is won and the later it is lost."""
        self._copy.unwrapped.ale.restoreSystemState(state)
        for step in range(100):
            _, reward, _, _, info = self._copy.step(self._choose(labels, before, aim))
            if reward:
                return reward / (1 + step)
            labels, before = info["labels"], labels
        return 0.0


def catch_the_ball(labels: Labels, before: Labels, aim: float) -> int:  # noqa: ARG001
    stay, left, right = 0, 1, 2
    distance = labels["ball_x"] + 7 * aim - labels["paddle_x"]
    if abs(distance) < 3:
        return stay
    return right if distance > 0 else left


def meet_the_ball(labels: Labels, before: Labels, aim: float) -> int:
    """Moves Pong's right paddle to where the ball will cross its column, in units of the console's memory."""
    stay, up, down = 0, 2, 3
    if not _both_visible(labels, before):
        return stay
    speed_x, speed_y = labels["ball_x"] - before["ball_x"], labels["ball_y"] - before["ball_y"]
    if speed_x > 0:
        steps_left = max(0, labels["player_x"] - labels["ball_x"]) / speed_x
        target = _between_walls(labels["ball_y"] + speed_y * steps_left) - 6 + 5 * aim
    else:
        target = 125 + 70 * aim
    glide = 0.8 * (labels["player_y"] - before["player_y"])
    distance = target - labels["player_y"] - glide
    if abs(distance) < 8:
        return stay
    return down if distance > 0 else up


def _both_visible(labels: Labels, before: Labels) -> bool:
    return labels["ball_x"] is not None and before["ball_x"] is not None


def _between_walls(y: float, top: float = 44, bottom: float = 206) -> float:
    """Where a ball is after bouncing off the walls, if without them it would be at `y`."""
    height = bottom - top
    folded = (y - top) % (2 * height)
    return top + min(folded, 2 * height - folded)


def catch_plan(env: gym.Env[Any, Any]) -> list[tuple[Policy, int]]:
    """Who plays each episode, and after how many steps it is cut."""
    random = RandomPolicy(env.action_space)
    careless, careful = (ScriptedPolicy(env, catch_the_ball, carelessness) for carelessness in (0.03, 0.003))
    return [(policy, 1000) for policy in (random, careless, careful)] * 8


def pong_plan(env: gym.Env[Any, Any]) -> list[tuple[Policy, int]]:
    random = RandomPolicy(env.action_space)
    careless, careful = (ScriptedPolicy(env, meet_the_ball, carelessness) for carelessness in (0.02, 0.005))
    copy = agentlab_envs.make(env.spec.id)
    copy.reset(seed=0)
    trying, winning = (TryingPolicy(env, copy, meet_the_ball, carelessness) for carelessness in (0.005, 0.0))
    once = [(random, 1300), (careless, 1100), (careful, 1500)]
    return [*once, (trying, 3500), *once, (winning, 2000), *once, (trying, 3500), *once[:2], (winning, 2000), once[1]]


def make(name: str, env_id: str, plan: Callable[[gym.Env[Any, Any]], list[tuple[Policy, int]]]) -> None:
    env = agentlab_envs.make(env_id)
    path = FOLDER / name
    how = {"episodes": 1, "seed": 0, "env_id": env_id, "command": f"python recordings/make.py {name}"}
    for number, (policy, max_steps) in enumerate(plan(env)):
        record(env, path, policy, max_steps=max_steps, append=number > 0, force=number == 0, **how)
    size_mb = sum(file.stat().st_size for file in path.rglob("*")) / 1e6
    recording = Recording(path)
    print(f"{path}: {len(recording)} episodes, {recording.total_frames:,} frames, {size_mb:.1f} MB")


if __name__ == "__main__":
    chosen = sys.argv[1:] or ["catch", "pong"]
    if "catch" in chosen:
        make("catch", "agentlab/Catch-v0", catch_plan)
    if "pong" in chosen:
        make("pong", "ALE/Pong-v5", pong_plan)
