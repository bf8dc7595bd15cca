"""Steps a second: the raw game, ours on features, and SB3's on pixels and on our features, taken in turn in one run."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_atari_env
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper, VecFrameStack
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn

import agentlab_envs
from agentlab import device as devices
from agentlab import timing
from agentlab.bench import eye
from agentlab.bench.drawing import bars
from agentlab.bench.subject import Subject
from agentlab.environment import ATARI_NAMESPACE
from agentlab.head import FrozenFeatures
from agentlab.head.training import HEAD_THREADS, PPO_PARTS, build
from agentlab.progress import Progress
from agentlab.recipe import HeadConfig, PPOConfig

FRAMES_BEFORE = 100
"""Frames of random play before those that the eye is measured on."""
SLOWER = 8
"""Networks on pixels are measured on this many times fewer steps."""
ON_PIXELS = "SB3 PPO CnnPolicy"
ON_FAST_PIXELS = "SB3 PPO CnnPolicy on our fast game"
SMALLEST_SIDE = 36
"""Of the frames that SB3's network on pixels takes."""
SB3_ENVS = 8
SB3_PPO: dict[str, Any] = {
    "n_steps": 128,
    "n_epochs": 4,
    "batch_size": 256,
    "learning_rate": 2.5e-4,
    "clip_range": 0.1,
    "ent_coef": 0.01,
}
"""The settings for Atari games of Stable-Baselines3's own zoo."""
SB3_DQN: dict[str, Any] = {
    "buffer_size": 10_000,
    "learning_rate": 1e-4,
    "learning_starts": 100,
    "target_update_interval": 1_000,
    "train_freq": 4,
    "gradient_steps": SB3_ENVS,
}
"""The same, an update in four agent steps as there, but for what does not matter to speed: the size of the memory, when
updates begin and how often the slow copy is renewed."""

Rate = Callable[[], tuple[int, float]]
"""Gives steps and the seconds they took."""


def measure(
    subject: Subject,
    *,
    seed: int,
    progress: Progress,
    steps: int = 32_768,
    repeats: int = 3,
) -> dict[str, Any]:
    """Agent steps a second of each, the median of `repeats`, with what the time of our trainings is spent on.

    The raw game has as many copies as the PPO head trains in. Heads have the threads that they train with, networks on
    pixels one per core. SB3's networks on pixels play Atari games as SB3 makes them, `make_atari_env`, and PPO on our
    fast vector environment besides. Resets are not counted: seeding a game takes as long as a hundred steps.
    """
    ppo, dqn = subject.head_of("ppo"), subject.head_of("dqn")
    splits: dict[str, list[dict[str, float]]] = defaultdict(list)
    with (
        devices.computing(HEAD_THREADS),
        subject.raw_game(ppo.num_envs, seed) as raw,
        _on_pixels(subject.env_id, subject.env_kwargs, seed) as pixels,
        subject.features(ppo, seed) as for_ppo,
        subject.features(dqn, seed) as for_dqn,
    ):
        fewer = max(steps // SLOWER, SB3_ENVS)
        things: dict[str, Rate] = {
            "raw game": lambda: played(raw, steps, seed),
            "game and extractor": lambda: played(for_ppo, steps, seed),
            "RewardDifferencePPO": lambda: _split_up(
                splits["RewardDifferencePPO"], build(for_ppo, ppo, seed=seed, device="cpu"), steps
            ),
            "SB3 PPO MlpPolicy on our features": lambda: learned(
                PPO("MlpPolicy", for_ppo, seed=seed, device="cpu", **_settings(ppo.ppo)), steps
            ),
        }
        if isinstance(raw.action_space, gym.spaces.Discrete):
            things["RewardDifferenceDQN"] = lambda: _split_up(
                splits["RewardDifferenceDQN"], _ready(for_dqn, dqn, seed), fewer
            )
        rates = _in_turn(things | _of_sb3_on_pixels(pixels, fewer, seed, progress), repeats, progress)
        eyes = eye.measure(subject.extractor, frames_met(raw, seed)[: -(-raw.num_envs // PPO_PARTS)])
    return {
        "env": subject.env_id,
        "n_envs": {"raw game": ppo.num_envs, "ppo": ppo.num_envs, "dqn": dqn.num_envs, "SB3 on pixels": SB3_ENVS},
        "steps_per_s": {name: median(found) for name, found in rates.items()},
        "share_of_game": _ratios(rates, "raw game"),
        "times_sb3_ppo": _ratios(rates, ON_PIXELS) if ON_PIXELS in rates else {},
        "time_split": {name: _medians(found) for name, found in splits.items()},
        "eye": eyes,
        "repeats": rates,
        "threads": {"heads": HEAD_THREADS, "SB3 on pixels": devices.cores()},
    }


def _in_turn(things: Mapping[str, Rate], repeats: int, progress: Progress) -> dict[str, list[float]]:
    """Steps a second of each thing in so many rounds."""
    rates: dict[str, list[float]] = {name: [] for name in things}
    with progress.task("throughput", repeats * len(things), "measurements") as task:
        for _ in range(repeats):
            for name, thing in things.items():
                n, seconds = thing()
                rates[name].append(n / seconds)
                task.advance(note=f"{name}: {n / seconds:,.0f} steps/s")
    return rates


def frames_met(env: VecEnv, seed: int) -> Any:
    """A frame of each environment after some random play."""
    frames: Any = env.reset()
    for chosen in _random_actions(env, FRAMES_BEFORE, seed):
        frames = env.step(chosen)[0]
    return frames


def played(env: VecEnv, steps: int, seed: int) -> tuple[int, float]:
    """At least so many agent steps of random actions, and the seconds that they took."""
    env.reset()
    rounds = -(-steps // env.num_envs)
    drawn = _random_actions(env, rounds, seed)
    started_s = time.perf_counter()
    for chosen in drawn:
        env.step(chosen)
    return rounds * env.num_envs, time.perf_counter() - started_s


def _random_actions(env: VecEnv, rounds: int, seed: int) -> list[Any]:
    """Actions for so many steps of all environments."""
    actions = gym.vector.utils.batch_space(env.action_space, env.num_envs)
    actions.seed(seed)
    return [actions.sample() for _ in range(rounds)]


def learned(model: BaseAlgorithm, steps: int, watch: Stopwatch | None = None) -> tuple[int, float]:
    """At least so many agent steps of training, and the seconds that they took: PPO takes whole rollouts."""
    watch = watch or Stopwatch()
    model.learn(steps, callback=watch)
    return model.num_timesteps, watch.seconds


class Stopwatch(BaseCallback):
    """The seconds of a training, without what comes before its first step."""

    seconds = 0.0

    def _on_training_start(self) -> None:
        self._started_s = time.perf_counter()

    def _on_step(self) -> bool:
        return True

    def _on_training_end(self) -> None:
        self.seconds = time.perf_counter() - self._started_s


class PartsWatch(Stopwatch):
    """The seconds that a training spent on each part, without what comes before its first step."""

    def __init__(self, split: timing.TimeSplit) -> None:
        super().__init__()
        self._split = split

    def _on_training_start(self) -> None:
        super()._on_training_start()
        self._before = self._split.seconds()

    def _on_training_end(self) -> None:
        super()._on_training_end()
        self.parts = {part: s - self._before.get(part, 0.0) for part, s in self._split.seconds().items()}


class WithChannel(VecEnvWrapper):
    """Frames with a dimension for their channel, as SB3's networks on pixels expect."""

    def __init__(self, venv: VecEnv) -> None:
        assert isinstance(venv.observation_space, gym.spaces.Box)
        self._lacks_it = len(venv.observation_space.shape) == 2
        shape = (*venv.observation_space.shape, 1) if self._lacks_it else venv.observation_space.shape
        super().__init__(venv, gym.spaces.Box(0, 255, shape, np.uint8))

    def reset(self) -> Any:
        return self._with_channel(self.venv.reset())

    def step_wait(self) -> VecEnvStepReturn:
        frames, rewards, dones, infos = self.venv.step_wait()
        for env in np.flatnonzero(dones):
            infos[env]["terminal_observation"] = self._with_channel(infos[env]["terminal_observation"])
        return self._with_channel(frames), rewards, dones, infos

    def _with_channel(self, frames: Any) -> Any:
        return frames[..., None] if self._lacks_it else frames


@contextmanager
def _on_pixels(env_id: str, env_kwargs: Mapping[str, Any], seed: int) -> Iterator[Mapping[str, VecEnv]]:
    """Stacked frames, by what PPO on them is called: of an Atari game as SB3 makes it, and of our fast environments."""
    with ExitStack() as opened:
        fast = agentlab_envs.make_vec(env_id, SB3_ENVS, seed, **env_kwargs)
        pixels = {ON_PIXELS: opened.enter_context(closing(VecFrameStack(WithChannel(fast), 4)))}
        if env_id.startswith(ATARI_NAMESPACE):
            of_emulator = {name: value for name, value in env_kwargs.items() if name in gym.spec(env_id).kwargs}
            games = make_atari_env(env_id, SB3_ENVS, seed, env_kwargs={**of_emulator, "frameskip": 1})
            stacked = opened.enter_context(closing(VecFrameStack(games, 4)))
            pixels = {ON_PIXELS: stacked, ON_FAST_PIXELS: pixels[ON_PIXELS]}
        yield pixels


def _of_sb3_on_pixels(pixels: Mapping[str, VecEnv], steps: int, seed: int, progress: Progress) -> dict[str, Rate]:
    """SB3's algorithms on pixels, those that can take such frames and actions."""
    as_sb3_makes_it = pixels[ON_PIXELS]
    if min((as_sb3_makes_it.observation_space.shape or ())[:2]) < SMALLEST_SIDE:
        progress.say(f"SB3's CnnPolicy is left out: it needs frames of at least {SMALLEST_SIDE} pixels a side")
        return {}

    def ppo(env: VecEnv) -> tuple[int, float]:
        with devices.computing(0):
            model = PPO("CnnPolicy", env, seed=seed, device="cpu", **SB3_PPO)
            return learned(model, max(steps, SB3_ENVS * SB3_PPO["n_steps"]))

    def dqn() -> tuple[int, float]:
        with devices.computing(0):
            return learned(DQN("CnnPolicy", as_sb3_makes_it, seed=seed, device="cpu", **SB3_DQN), steps)

    things: dict[str, Rate] = {name: partial(ppo, env) for name, env in pixels.items()}
    if isinstance(as_sb3_makes_it.action_space, gym.spaces.Discrete):
        things["SB3 DQN CnnPolicy"] = dqn
    return things


def _settings(ppo: PPOConfig) -> dict[str, Any]:
    """Of our head, for SB3's: as many steps and updates."""
    return {"n_steps": ppo.rollout, "batch_size": ppo.batch_size, "n_epochs": ppo.epochs}


def _ready(env: FrozenFeatures, config: HeadConfig, seed: int) -> BaseAlgorithm:
    """The DQN head, to be updated from its first step on."""
    return build(env, replace(config, dqn=replace(config.dqn, learning_starts=1)), seed=seed, device="cpu")


def _split_up(splits: list[dict[str, float]], model: BaseAlgorithm, steps: int) -> tuple[int, float]:
    """What `learned` gives; the microseconds a step that each part of it took are added to `splits`."""
    with timing.recorded() as split:
        watch = PartsWatch(split)
        made, seconds = learned(model, steps, watch)
    splits.append({part: spent / made * 1e6 for part, spent in watch.parts.items()})
    return made, seconds


def _medians(splits: list[dict[str, float]]) -> dict[str, float]:
    return {part: round(median(split[part] for split in splits), 1) for part in splits[0]}


def _ratios(rates: dict[str, list[float]], to: str) -> dict[str, float]:
    """The median over the repeats of each rate as a ratio to another one's in the same repeat."""
    return {
        name: median(rate / base for rate, base in zip(found, rates[to], strict=True)) for name, found in rates.items()
    }


def table(found: dict[str, Any]) -> str:
    """The measurement as lines for people."""
    threads = found["threads"]
    lines = [
        f"{found['env']}; threads of networks: {threads['heads']} for heads, {threads['SB3 on pixels']} for SB3's on "
        "pixels"
    ]
    for name, rate in sorted(found["steps_per_s"].items(), key=lambda item: -item[1]):
        lines.append(
            f"{name:<36}{rate:>8,.0f} steps/s{found['share_of_game'][name]:>8.1%} of the game"
            + "".join(f"{times[name]:>8.1f} x {ON_PIXELS}" for times in [found["times_sb3_ppo"]] if times)
        )
    for name, split in found["time_split"].items():
        parts = ", ".join(f"{part} {value:.0f}" for part, value in sorted(split.items(), key=lambda item: -item[1]))
        lines.append(f"{name}, microseconds a step waited for or spent on: {parts}")
    lines.append(eye.table(found["eye"]))
    return "\n".join(lines)


def plot(found: dict[str, Any], path: Path) -> None:
    """Draws the rates as bars into an SVG."""
    bars(found["steps_per_s"], "agent steps a second", path)
