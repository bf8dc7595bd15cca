"""Plays episodes to record them: who chooses the actions, in which environment, with progress."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from agentlab.environment import open_environment, require_images
from agentlab.errors import InputError, nearest
from agentlab.progress import Progress
from agentlab.recipe import RecordConfig
from agentlab.recording import RandomPolicy, WanderingPolicy, record

if TYPE_CHECKING:
    from gymnasium import Env, Space

    from agentlab.head import Agent
    from agentlab.recording import Policy, Summary

UNTRAINED: dict[str, type[RandomPolicy | WanderingPolicy]] = {
    policy.name: policy for policy in (RandomPolicy, WanderingPolicy)
}
STRAYS = (0.0, 0.03, 0.1, 0.3)
"""Shares of random actions in the episodes of a straying policy."""


class StrayingPolicy:
    """A trained policy that strays now and then, from episode to episode more or less, so that play sees more."""

    def __init__(self, policy: Policy, action_space: Space[Any], name: str) -> None:
        self.name = name
        self._policy, self._astray = policy, WanderingPolicy(action_space)

    def reset(self, seed: int) -> None:
        self._policy.reset(seed)
        self._astray.reset(seed)
        self._random = np.random.default_rng([seed, 0x57A7])
        self._share = STRAYS[seed % len(STRAYS)]

    def act(self, frame: npt.NDArray[np.uint8], info: dict[str, Any]) -> Any:
        chosen, astray = (policy.act(frame, info) for policy in (self._policy, self._astray))
        return astray if self._random.random() < self._share else chosen


def player(policy: str, env: Env[Any, Any], *, device: str = "auto", agent: Agent | None = None) -> Policy:
    """The policy called `random` or `wandering`, or that of the trained run in the folder `policy`.

    An `agent` that is given plays instead, strays now and then, and is called `policy`. Raises `InputError` for
    anything else, and for a run that was trained on other frames or actions.
    """
    if agent is None and policy in UNTRAINED:
        return UNTRAINED[policy](env.action_space)
    if agent is None and not Path(policy).is_dir():
        raise InputError(
            f"policy {policy!r}: expected {' or '.join(map(repr, UNTRAINED))}, or the folder of a run."
            f"{nearest(policy, UNTRAINED)}"
        )
    from agentlab.head import Agent, AgentPolicy

    if agent is not None:
        return StrayingPolicy(AgentPolicy(agent, policy), env.action_space, policy)
    agent = Agent.load(Path(policy), device)
    for what, trained_on, here in (
        ("frames of shape", tuple(agent.extractor.frame_shape), env.observation_space.shape),
        ("actions", agent.action_space, env.action_space),
    ):
        if trained_on != here:
            raise InputError(f"policy {policy!r}: expected an environment with {what} {trained_on}, found {here}")
    return AgentPolicy(agent, policy)


def record_episodes(
    env_id: str,
    env_kwargs: Mapping[str, Any],
    config: RecordConfig,
    out: Path,
    *,
    seed: int,
    progress: Progress,
    device: str = "auto",
    append: bool = False,
    force: bool = False,
    command: str = "",
    agent: Agent | None = None,
) -> Summary:
    """Records `config.episodes` episodes of an environment at `out`; with `append` to those it holds.

    An `agent` that is given plays, and strays now and then, instead of `config.policy`. Raises `InputError` for
    an environment without images, an unknown policy, and an `out` that exists.
    """
    env = open_environment(env_id, env_kwargs)
    try:
        require_images(env, env_id)
        policy = player(config.policy, env, device=device, agent=agent)
        limit: dict[str, Any] = {} if config.max_steps is None else {"max_steps": config.max_steps}
        done, by_steps = 0, config.enough_steps is not None
        total, unit = config.enough_steps or config.episodes, "steps" if by_steps else "episodes"
        with progress.task("record", total, unit) as task:

            def on_step(episodes: int, steps: int) -> None:
                nonlocal done
                reached = steps if by_steps else episodes
                task.advance(reached - done, note=f"{episodes:,} episodes, {steps:,} steps")
                done = reached

            summary = record(
                env,
                out,
                policy,
                episodes=config.episodes,
                seed=seed,
                env_id=env_id,
                env_kwargs=env_kwargs,
                append=append,
                force=force,
                enough_steps=config.enough_steps,
                command=command,
                on_step=on_step,
                **limit,
            )
            on_step(summary.episodes, summary.steps)
    finally:
        env.close()
    for line in summary.recovered:
        progress.say(line)
    return summary
