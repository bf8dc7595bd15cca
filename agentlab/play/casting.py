"""Who plays: from what `--policy` says to a policy for each copy of the environment."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium as gym

from agentlab.errors import InputError, nearest
from agentlab.play.imported import imported
from agentlab.play.mixture import MixturePolicy, is_mixture, parts_of
from agentlab.recording import RandomPolicy, WanderingPolicy, describe, steps_per_second

if TYPE_CHECKING:
    from agentlab.recording import Policy

UNTRAINED: dict[str, Callable[[gym.Space[Any]], Policy]] = {"random": RandomPolicy, "wandering": WanderingPolicy}
HUMAN = "human"


@dataclass(frozen=True)
class Casting:
    """What policies are wanted for: so many copies of an environment, and how they may play.

    `device` is where networks work, `trust` whether a file may be unpickled, `fps` how many steps a second a person
    plays, none being the game's own speed.
    """

    env: gym.Env[Any, Any]
    env_id: str
    copies: int = 1
    device: str = "auto"
    trust: bool = False
    fps: float | None = None


@contextmanager
def cast(policy: str, casting: Casting) -> Iterator[Sequence[Policy]]:
    """The policies that `policy` names, one for each copy, while they are needed.

    It is `random`, `wandering`, `human`, the folder of a run, `module:name` of something importable, the zip of an SB3
    model, or a mixture of them, `random:0.3,runs/pong:0.7`, of which each episode is played by one. Raises
    `InputError` for anything else, and for what was trained on other frames or actions.
    """
    if policy == HUMAN:
        with _person(casting) as person:
            yield [person]
        return
    if casting.fps is not None:
        raise InputError(f"fps: expected none unless a person plays (policy 'human'), found {casting.fps:g}")
    yield _mixed(policy, casting) if is_mixture(policy) else _of_one_kind(policy, casting)


def _mixed(policy: str, casting: Casting) -> list[Policy]:
    parts = parts_of(policy)
    if HUMAN in (name for name, _ in parts):
        raise InputError(f"policy {policy!r}: a person plays alone: expected no part 'human'")
    kinds = [_of_one_kind(name, casting) for name, _ in parts]
    weights = [weight for _, weight in parts]
    return [MixturePolicy(policies, weights) for policies in zip(*kinds, strict=True)]


def _of_one_kind(policy: str, casting: Casting) -> Sequence[Policy]:
    if policy in UNTRAINED:
        return [UNTRAINED[policy](copy.deepcopy(casting.env.action_space)) for _ in range(casting.copies)]
    if policy and Path(policy).is_dir():
        return _trained(policy, casting)
    if policy.endswith(".zip"):
        from agentlab.play.sb3_model import sb3_policies

        return sb3_policies(policy, casting.env, casting.copies, device=casting.device, trust=casting.trust)
    if ":" in policy:
        return imported(policy, casting.copies)
    raise InputError(
        f"policy {policy!r}: expected {', '.join(map(repr, (*UNTRAINED, HUMAN)))}, the folder of a run, module:name, "
        f"the zip of an SB3 model, or a mixture such as random:0.3,runs/pong:0.7.{nearest(policy, (*UNTRAINED, HUMAN))}"
    )


def _trained(run: str, casting: Casting) -> list[Policy]:
    from agentlab.head import Agent, AgentPolicy

    agent = Agent.load(Path(run), casting.device)
    for what, trained_on, here in (
        ("frames of shape", tuple(agent.extractor.frame_shape), casting.env.observation_space.shape),
        ("actions", agent.action_space, casting.env.action_space),
    ):
        if trained_on != here:
            raise InputError(f"policy {run!r}: expected an environment with {what} {trained_on}, found {here}")
    return [AgentPolicy(agent.another(), run) for _ in range(casting.copies)]


@contextmanager
def _person(casting: Casting) -> Iterator[Policy]:
    if casting.copies > 1:
        raise InputError(f"policy 'human': a person plays one game at a time: expected 1 copy, found {casting.copies}")
    from agentlab.play.human import HumanPolicy
    from agentlab.play.keys import keys_of
    from agentlab.play.window import Window

    header = describe(casting.env, casting.env_id, {}, {})
    keys = keys_of(casting.env, header.action_names or (), f"environment {casting.env_id!r}")
    fps = casting.fps or steps_per_second(header)
    window = Window(casting.env_id, keys.names)
    try:
        yield HumanPolicy(window, keys, fps)
    finally:
        window.close()
