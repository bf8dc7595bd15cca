"""Trains a head on a frozen extractor's features and writes it as an artefact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3.common.logger import Logger, configure
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import VecEnv

import agentlab_envs
from agentlab import device as devices
from agentlab import weights
from agentlab.artefact import META, new_folder, require_room, sha256, write_json
from agentlab.errors import InputError
from agentlab.extractor import FrozenExtractor
from agentlab.fields import flatten, to_plain
from agentlab.head import checkpoint as checkpoints
from agentlab.head.agent import FORMAT_VERSION, KIND, WEIGHTS
from agentlab.head.course import Course, Refresh
from agentlab.head.difference import WithoutLabels
from agentlab.head.dqn import RewardDifferenceDQN
from agentlab.head.features_env import FrozenFeatures
from agentlab.head.network import LAYERS
from agentlab.head.ppo import RewardDifferencePPO
from agentlab.head.reward import find_reward_function
from agentlab.head.spaces import StackedFeatures
from agentlab.metrics import MetricsLog, NoMetrics
from agentlab.progress import NoProgress, Progress
from agentlab.recipe import DQNConfig
from agentlab.seeds import first_seed
from agentlab.spaces import to_plain as space_to_plain

if TYPE_CHECKING:
    from agentlab.recipe import HeadConfig
    from agentlab.recording import Recording

IDENTITY = ("seed", "env", "env_kwargs")
PROCESSES = 8
"""Copies of an environment that needs a process for each, unless told otherwise."""
PPO_PARTS = 2
"""Parts of the environments that PPO steps in turn: one steps while the other is attended to."""
HEAD_THREADS = 1
"""Threads for a head's network unless told otherwise: it is too small for more, and games step in the other cores."""
MOST_STEPS_APART = 1_000
"""Steps of all environments between two updates, at most."""
LAST_RATE = 0.01
"""The share of its learning rate at which the DQN head ends."""


def train(
    extractor: FrozenExtractor,
    env_id: str,
    env_kwargs: Mapping[str, Any],
    config: HeadConfig,
    out: Path,
    *,
    seed: int = 0,
    device: str = "auto",
    threads: int = 0,
    checkpoint: Path | None = None,
    force: bool = False,
    recordings: Sequence[Recording] = (),
    refresh: Refresh | None = None,
    progress: Progress | None = None,
    metrics: MetricsLog | None = None,
    tensorboard: Path | None = None,
) -> None:
    """Trains a head for `config.total_steps` agent steps and writes it to the folder `out`.

    It learns from `recordings` first, if any are given. On the way `refresh` may fit another eye on what the
    head plays; the memory is then seen anew. With a `checkpoint` folder, Ctrl-C ends at the next step, keeps weights
    and memory there and raises `KeyboardInterrupt`; the next call goes on from them. Raises `InputError` for an
    environment without such frames or actions, an unknown reward function, and when `out` exists.
    """
    progress = progress or NoProgress()
    require_room(out, force=force)
    config = with_copies(config, env_id, env_kwargs)
    require_learning_from_recordings(config, env_id, recordings)
    with (
        devices.computing(threads or HEAD_THREADS),
        closing(open_frames(env_id, env_kwargs, config)) as frames,
    ):
        before = checkpoints.reached(checkpoint)
        env = FrozenFeatures(frames, extractor, config.stack, config.sees, before.overlooked)
        model = build(env, config, seed=seed, device=str(devices.pick(device)))
        model.set_logger(configure(str(tensorboard), ["tensorboard"]) if tensorboard else Logger(None, []))
        say_from_what(progress, extractor, config, env_kwargs, recordings)
        meta = describe(env, env_id, env_kwargs, config, recordings, seed=seed)
        course = Course(
            model,
            env,
            config.total_steps,
            before,
            checkpoint=checkpoint,
            refresh=refresh,
            progress=progress,
            metrics=metrics or NoMetrics(),
        )
        course.restore(identity(meta, config, recordings, refresh))
        model.set_random_seed(first_seed(seed, "train", model.num_timesteps, model._n_updates))
        reached = course.run(meta, recordings, config.recorded_updates)
        meta |= describe_parents(env.extractor, recordings) | {"metrics": reached}
    with new_folder(out, force=force) as folder:
        weights.save(folder / WEIGHTS, model.policy.state_dict())
        write_json(folder / META, meta | {"sha256": sha256(folder / WEIGHTS)})


def say_from_what(
    progress: Progress,
    extractor: FrozenExtractor,
    config: HeadConfig,
    env_kwargs: Mapping[str, Any],
    recordings: Sequence[Recording],
) -> None:
    """Tells what the head is trained on, and of recorded play in which the game was set otherwise."""
    progress.say(
        f"train: {config.algorithm} on {extractor.n_percepts(config.sees)} numbers a frame from "
        f"{extractor.folder}, fitted on {extractor.meta['env']}"
    )
    for recording in recordings:
        if (recorded := dict(recording.env_kwargs)) != (played := dict(env_kwargs)):
            progress.say(f"train: {recording.path} was recorded with {recorded}, and training plays with {played}")


def require_learning_from_recordings(
    config: HeadConfig, env_id: str, recordings: Sequence[Recording] | None = None
) -> None:
    """Raises `InputError` for recorded play that a head cannot learn from, as far as `recordings` are known."""
    field = f"{config.algorithm}.recorded_updates"
    if config.algorithm == "dqn" and config.dqn.imitation and not config.recorded_updates:
        raise InputError(f"dqn.imitation: changes nothing without {field} above 0, found {config.dqn.imitation:g}")
    if recordings and not config.recorded_updates:
        raise InputError(f"recordings: expected {field} above 0 to learn from them, found 0")
    if config.recorded_updates and config.true_labels:
        raise InputError(f"{field}: expected 0 with true_labels: recorded play is seen by predicted ones")
    if config.recorded_updates and recordings is not None and not recordings:
        raise InputError(f"{field}: expected recordings to learn from, found none; name them")
    for recording in recordings or ():
        if recording.env_id.split(":")[-1] != env_id.split(":")[-1]:
            raise InputError(f"{recording.path}: expected play of {env_id} to learn from, found {recording.env_id}")


def with_copies(config: HeadConfig, env_id: str, env_kwargs: Mapping[str, Any]) -> HeadConfig:
    """The configuration, with fewer environments, but rollouts as large, where each needs a process."""
    if config.n_envs is not None or not agentlab_envs.needs_processes(env_id, env_kwargs, labels=config.true_labels):
        return config
    fewer = replace(config, n_envs=PROCESSES)
    if config.algorithm != "ppo":
        return fewer
    return replace(fewer, ppo=replace(config.ppo, rollout=config.ppo.rollout * config.num_envs // PROCESSES))


def open_frames(env_id: str, env_kwargs: Mapping[str, Any], config: HeadConfig) -> VecEnv:
    """The environments to train in, with their labels only if `config.true_labels`; `InputError` if they have none.

    They are yet to be seeded, as SB3's algorithms do with their own seed when they are made.
    For PPO in two parts, one of which steps while the other's actions are chosen. (DQN learns while all step.)
    """
    n_parts = min(PPO_PARTS, config.num_envs) if config.algorithm == "ppo" else 1
    parts: list[VecEnv] = []
    try:
        for copies in np.array_split(np.arange(config.num_envs), n_parts):
            part = agentlab_envs.make_vec(env_id, len(copies), labels=config.true_labels, **env_kwargs)
            parts.append(part if config.true_labels else WithoutLabels(part))
    except (TypeError, ValueError, gym.error.Error) as error:
        for opened in parts:
            opened.close()
        raise InputError(f"environment {env_id!r} with env_kwargs {dict(env_kwargs)}: {error}") from error
    return parts[0] if n_parts == 1 else agentlab_envs.SideBySide(parts)


def build(env: VecEnv, config: HeadConfig, *, seed: int, device: str) -> RewardDifferenceDQN | RewardDifferencePPO:
    """The algorithm that a configuration describes; `InputError` for actions it cannot take."""
    shared: dict[str, Any] = {
        "target": config.target,
        "reward_function": find_reward_function(config.reward),
        "life_loss_ends": config.life_loss_ends,
        "seed": seed,
        "device": device,
    }
    if config.algorithm == "ppo":
        return _build_ppo(env, config, shared)
    if not isinstance(env.action_space, gym.spaces.Discrete):
        raise InputError(f"algorithm 'dqn': expected discrete actions, found {env.action_space}; use 'ppo'")
    return _build_dqn(env, config, shared)


def _build_ppo(env: VecEnv, config: HeadConfig, shared: dict[str, Any]) -> RewardDifferencePPO:
    ppo = config.ppo
    return RewardDifferencePPO(
        "MlpPolicy",
        env,
        gamma=ppo.gamma,
        gae_lambda=ppo.gae_lambda,
        learning_rate=LinearSchedule(ppo.learning_rate, 0.0, 1.0),
        n_steps=ppo.rollout,
        batch_size=min(ppo.batch_size, ppo.rollout * config.num_envs),
        n_epochs=ppo.epochs,
        clip_range=ppo.clip_range,
        ent_coef=ppo.entropy,
        policy_kwargs={"net_arch": list(ppo.hidden)},
        **shared,
    )


def _build_dqn(env: VecEnv, config: HeadConfig, shared: dict[str, Any]) -> RewardDifferenceDQN:
    dqn = config.dqn
    updates = Fraction(dqn.updates_per_step * config.num_envs).limit_denominator(MOST_STEPS_APART)
    updates = max(updates, Fraction(1, MOST_STEPS_APART))
    return RewardDifferenceDQN(
        "MlpPolicy",
        env,
        gamma=dqn.gamma,
        n_steps=dqn.n_steps,
        n_steps_final=dqn.n_steps_final,
        learning_rate=LinearSchedule(dqn.learning_rate, LAST_RATE * dqn.learning_rate, 1.0),
        batch_size=dqn.batch_size,
        train_freq=updates.denominator,
        gradient_steps=updates.numerator,
        tau=dqn.tau,
        buffer_size=dqn.memory,
        learning_starts=dqn.learning_starts,
        exploration_fraction=dqn.exploration_share,
        exploration_final_eps=dqn.exploration_final,
        double="double" not in dqn.without,
        longest_hold=dqn.longest_hold,
        advantage_learning=dqn.advantage_learning,
        imitation=dqn.imitation,
        bfloat16=devices.uses_bfloat16(dqn.precision, torch.device(shared["device"])),
        policy_kwargs={"net_arch": list(dqn.hidden), **_layers(dqn)},
        **shared,
    )


def describe(
    env: FrozenFeatures,
    env_id: str,
    env_kwargs: Mapping[str, Any],
    config: HeadConfig,
    recordings: Sequence[Recording],
    *,
    seed: int,
) -> dict[str, Any]:
    """What `meta.json` says of a head."""
    from agentlab import __version__

    learner = config.learner
    assert isinstance(env.observation_space, StackedFeatures)
    return {
        "kind": KIND,
        "format_version": FORMAT_VERSION,
        "agentlab_version": __version__,
        "seed": seed,
        "algorithm": config.algorithm,
        "stack": config.stack,
        "sees": config.sees,
        "overlooked": list(env.observation_space.overlooked),
        "hidden": list(learner.hidden),
        "layers": _layers(learner) if isinstance(learner, DQNConfig) else {},
        "action_space": space_to_plain(env.action_space),
        "action_names": action_names(env_id, env_kwargs),
        "env": env_id,
        "env_kwargs": dict(env_kwargs),
        "reward": config.reward,
        "target": config.target,
        "recipe": to_plain(config),
        **describe_parents(env.extractor, recordings),
    }


def identity(
    meta: Mapping[str, Any], config: HeadConfig, recordings: Sequence[Recording], refresh: Refresh | None
) -> dict[str, Any]:
    """What a training that goes on must share with the interrupted one; a refreshed eye may be another by then."""
    seen_through = {"extractor": meta["extractor"]} if refresh is None else {"refresh": list(refresh.at)}
    of_recordings = {"recordings": [recording.fingerprint() for recording in recordings]}
    return {name: meta[name] for name in IDENTITY} | dict(flatten(config)) | of_recordings | seen_through


def describe_parents(extractor: FrozenExtractor, recordings: Sequence[Recording]) -> dict[str, Any]:
    """What `meta.json` says of what a head was trained on."""
    recorded = ({"kind": "recording", "path": str(r.path), "sha256": r.fingerprint()} for r in recordings)
    seen_through = {"kind": "extractor", "path": str(extractor.folder), "sha256": extractor.fingerprint}
    return {"extractor": extractor.fingerprint, "parents": [seen_through, *recorded]}


def _layers(dqn: DQNConfig) -> dict[str, bool]:
    return {name: name not in dqn.without for name in LAYERS}


def action_names(env_id: str, env_kwargs: Mapping[str, Any]) -> list[str]:
    """What the environment calls its actions, else their numbers; none for continuous ones."""
    with closing(agentlab_envs.make(env_id, **env_kwargs)) as env:
        if not isinstance(env.action_space, gym.spaces.Discrete):
            return []
        meanings = getattr(env.unwrapped, "get_action_meanings", None)
        return list(meanings()) if meanings else [str(action) for action in range(int(env.action_space.n))]
