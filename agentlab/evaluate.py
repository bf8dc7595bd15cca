"""Plays a fixed number of episodes on fixed seeds and says how good the agent is, and how sure that is."""

from __future__ import annotations

import copy
import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from agentlab.errors import InputError
from agentlab.progress import NoProgress, Progress, Task
from agentlab.statistics import bootstrap_interval, iqm

if TYPE_CHECKING:
    from gymnasium import Space
    from gymnasium.envs.registration import EnvSpec
    from stable_baselines3.common.vec_env import VecEnv

FIRST_EVALUATION_SEED = 1_000_000_000
"""Evaluation with seed s seeds its copies of the game from here plus s; all else is seeded below (see `seeds`)."""

EVALUATION_SEEDS = 30_000_000
"""How many evaluations have seeds of their own, all below 2**31: consoles wrap larger ones around."""
MAX_COPIES = 32
MAX_PROCESSES = 8
"""Copies of a game at once, and those of a game that needs a process for each; fixed, for scores depend on them."""

RANDOM_SHARE = 0.005
"""The share of actions drawn at random (Mnih et al. 2015: 0.05), without which two players may rally for hours."""

SILENT = NoProgress()


class Actor(Protocol):
    """Chooses actions for n games at once."""

    def reset(self, n: int) -> None: ...

    def act(self, frames: npt.NDArray[np.uint8], starts: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
        """Actions (n, ...) for frames (n, *frame_shape); `starts` (n,) marks the first frame of an episode."""
        ...


class RandomActor:
    """Draws every action uniformly from the action space."""

    def __init__(self, action_space: Space[Any], seed: int) -> None:
        self._space = copy.deepcopy(action_space)
        self._space.seed(seed)

    def reset(self, n: int) -> None:
        """Keeps no state of an episode."""

    def act(self, frames: npt.NDArray[np.uint8], starts: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:  # noqa: ARG002
        return np.stack([self._space.sample() for _ in range(len(frames))])


class NowAndThenRandom:
    """Acts as another actor does but for a share of random actions."""

    def __init__(self, actor: Actor, at_random: RandomActor, seed: int) -> None:
        self._actor, self._at_random, self._generator = actor, at_random, np.random.default_rng(seed)

    def reset(self, n: int) -> None:
        self._actor.reset(n)

    def act(self, frames: npt.NDArray[np.uint8], starts: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
        actions = self._actor.act(frames, starts)
        drawn = self._generator.random(len(frames)) < RANDOM_SHARE
        if drawn.any():
            actions = actions.copy()
            actions[drawn] = self._at_random.act(frames[drawn], starts[drawn])
        return actions


@dataclass(frozen=True)
class Play:
    """The episodes of one actor in the order of assignment: unclipped returns, and lengths in agent steps."""

    returns: tuple[float, ...]
    lengths: tuple[int, ...]
    truncated: int
    """How many episodes a time limit ended."""


@dataclass(frozen=True)
class Scores:
    """What an agent reached, with a random policy on the same seeds and, where known, a human beside it."""

    env: str
    env_kwargs: Mapping[str, Any]
    seed: int
    play: Play
    random: Play
    human_mean: float | None

    @property
    def mean(self) -> float:
        return float(np.mean(self.play.returns))

    @property
    def random_mean(self) -> float:
        return float(np.mean(self.random.returns))

    @property
    def iqm(self) -> float:
        return float(iqm(self.play.returns))

    @cached_property
    def ci95(self) -> tuple[float, float]:
        """The 95% bootstrap interval of the IQM over episodes; it says nothing of other training seeds."""
        return bootstrap_interval(self.play.returns, seed=self.seed)

    @property
    def human_normalised(self) -> float | None:
        """The mean with the published random score as 0 and the published human score as 1."""
        game = _atari_game(self.env, self.env_kwargs)
        return None if game is None else (self.mean - game["random"]) / (game["human"] - game["random"])

    def to_dict(self) -> dict[str, Any]:
        """The scores as JSON; `ci95` is the interval of `iqm`."""
        return {
            "env": self.env,
            "env_kwargs": dict(self.env_kwargs),
            "seed": self.seed,
            "episodes": len(self.play.returns),
            "random_share": RANDOM_SHARE,
            "mean": self.mean,
            "iqm": self.iqm,
            "ci95": list(self.ci95),
            "random_mean": self.random_mean,
            "human_mean": self.human_mean,
            "human_normalised": self.human_normalised,
            "truncated": self.play.truncated,
            "returns": list(self.play.returns),
            "lengths": list(self.play.lengths),
        }


def evaluate(
    actor: Actor,
    env_id: str,
    env_kwargs: Mapping[str, Any] | None = None,
    *,
    episodes: int,
    seed: int = 0,
    n_envs: int | None = None,
    max_steps: int = 30_000,
    progress: Progress = SILENT,
) -> Scores:
    """Plays exactly `episodes` episodes with `actor` and as many at random, on seeds that training never uses.

    One action in 200 is random. `n_envs` copies of the game run at once (as many as episodes up to a fixed
    limit, unless given); equal arguments give equal scores. `max_steps` ends an episode of an environment made by
    `gym.make` that has no time limit of its own, and says so. Raises `InputError` for fewer than one episode, for fewer
    than one copy or too many, and for a seed outside 0 to 30 million.
    """
    if episodes < 1:
        raise InputError(f"episodes: expected at least 1, found {episodes}")
    if n_envs is not None and not 1 <= n_envs <= MAX_COPIES:
        raise InputError(f"n_envs: expected 1 to {MAX_COPIES}, found {n_envs}")
    if not 0 <= seed < EVALUATION_SEEDS:
        raise InputError(f"seed: expected 0 to {EVALUATION_SEEDS - 1:,}, found {seed:,}")
    kwargs = dict(env_kwargs or {})
    limited = with_time_limit(env_id, kwargs, max_steps)
    copies = min(episodes, n_envs or _most_copies(env_id, limited))
    with progress.task("evaluate", episodes, "episodes") as task:
        play = _play(actor, env_id, limited, copies, episodes, seed, task)
    with progress.task("random", episodes, "episodes") as task:
        random = _play(None, env_id, limited, copies, episodes, seed, task)
    if limited != kwargs and play.truncated:
        progress.say(f"{play.truncated} of {episodes} episodes were cut off after {max_steps:,} steps: partial returns")
    game = _atari_game(env_id, kwargs)
    return Scores(env_id, kwargs, seed, play, random, None if game is None else game["human"])


def first_evaluation_seed(seed: int) -> int:
    """The seed of the first episode of the evaluation `seed`: those of another evaluation begin with others."""
    return FIRST_EVALUATION_SEED + seed * MAX_COPIES


def _play(
    actor: Actor | None, env_id: str, env_kwargs: dict[str, Any], copies: int, episodes: int, seed: int, task: Task
) -> Play:
    """Plays the episodes; no actor is the random policy.

    Episode e belongs to copy e % copies from the outset: taking the first episodes to finish would favour short ones.
    """
    import agentlab_envs

    venv = agentlab_envs.make_vec(env_id, copies, first_evaluation_seed(seed), **env_kwargs)
    try:
        at_random = RandomActor(venv.action_space, first_evaluation_seed(seed))
        actor = at_random if actor is None else NowAndThenRandom(actor, at_random, first_evaluation_seed(seed))
        quotas = [len(range(first, episodes, copies)) for first in range(copies)]
        finished = _play_quotas(actor, venv, quotas, task)
    finally:
        venv.close()
    in_order = [finished[episode % copies][episode // copies] for episode in range(episodes)]
    returns, lengths, truncations = zip(*in_order, strict=True)
    return Play(returns, lengths, sum(truncations))


def _play_quotas(actor: Actor, venv: VecEnv, quotas: list[int], task: Task) -> list[list[tuple[float, int, bool]]]:
    """(return, length, truncated) of the first `quotas[i]` episodes of each copy i."""
    finished: list[list[tuple[float, int, bool]]] = [[] for _ in quotas]
    returns, lengths = np.zeros(len(quotas)), np.zeros(len(quotas), dtype=np.int64)
    starts = np.ones(len(quotas), dtype=np.bool_)
    frames: Any = venv.reset()
    actor.reset(len(quotas))
    while any(len(done) < quota for done, quota in zip(finished, quotas, strict=True)):
        frames, rewards, starts, infos = venv.step(actor.act(frames, starts))
        returns += rewards
        lengths += 1
        for i in np.flatnonzero(starts):
            if len(finished[i]) < quotas[i]:
                truncated = bool(infos[i].get("TimeLimit.truncated", False))
                finished[i].append((_as_precise_as_rewards(returns[i]), int(lengths[i]), truncated))
                task.advance()
        returns[starts], lengths[starts] = 0.0, 0
    return finished


def _as_precise_as_rewards(total: float) -> float:
    """A sum of float32 rewards in the 7 digits they have: 0.3, not 0.30000000447."""
    return float(f"{total:.7g}")


def with_time_limit(env_id: str, env_kwargs: dict[str, Any], max_steps: int) -> dict[str, Any]:
    """`env_kwargs`, with a time limit for an environment made by `gym.make` that states none."""
    from agentlab_envs import needs_processes

    spec = _spec(env_id)
    if spec is None or spec.max_episode_steps or not needs_processes(env_id, env_kwargs):
        return env_kwargs
    return {"max_episode_steps": max_steps} | env_kwargs


def _most_copies(env_id: str, env_kwargs: Mapping[str, Any]) -> int:
    from agentlab_envs import needs_processes

    return MAX_PROCESSES if needs_processes(env_id, env_kwargs) else MAX_COPIES


def _spec(env_id: str) -> EnvSpec | None:
    """What Gymnasium knows of the id; `None` for Atari games before ale-py is imported and for unknown ones."""
    import gymnasium as gym

    module, _, name = env_id.rpartition(":")
    try:
        if module:
            importlib.import_module(module)
        return gym.spec(name)
    except (gym.error.Error, ImportError):
        return None


def _atari_game(env_id: str, env_kwargs: Mapping[str, Any]) -> dict[str, float] | None:
    """The published scores of an Atari game in its standard mode: {"random", "human"}."""
    namespace, _, name = env_id.split(":")[-1].rpartition("/")
    if namespace != "ALE" or env_kwargs.keys() & {"mode", "difficulty"}:
        return None
    return _atari_scores().get(name.rpartition("-v")[0])


@cache
def _atari_scores() -> dict[str, dict[str, float]]:
    table: dict[str, dict[str, float]] = json.loads((files("agentlab") / "atari_scores.json").read_text())["games"]
    return table
