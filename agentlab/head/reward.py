"""Reward functions and targets: what a state is worth, and what it should be worth (CN110837858B)."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from agentlab.errors import InputError, nearest

Values = npt.NDArray[np.float32]
Labels: TypeAlias = Mapping[str, Values]


@dataclass(frozen=True)
class State:
    """What is known of the states that a step of all `n` environments led to.

    `reward` is the environments' reward. `labels` holds each label's values by name, NaN where absent, categories as
    class index and flags as 0 or 1: true ones where the environments give them in `info["labels"]`, else those that
    the extractor predicts from the screen; `before` holds those of the states before the step. All of shape `(n,)`.
    """

    reward: Values
    labels: Labels = field(default_factory=dict)
    before: Labels = field(default_factory=dict)


RewardFunction: TypeAlias = Callable[[State], Values]
Target: TypeAlias = float | State | Callable[[State], Values]


def environment_reward(state: State) -> Values:
    """The default reward function: the environment's reward."""
    return state.reward


def sign_of_reward(state: State) -> Values:
    """The sign of the environment's reward, which puts games of different scores on one scale (Mnih et al. 2015)."""
    return np.sign(state.reward)


BUILT_IN: Mapping[str, RewardFunction] = {"environment": environment_reward, "sign": sign_of_reward}


def find_reward_function(name: str) -> RewardFunction:
    """The built-in reward function of that name, or the one at `module:function`; `InputError` for any other."""
    if name in BUILT_IN:
        return BUILT_IN[name]
    module, separator, function = name.partition(":")
    if not separator:
        raise InputError(f"reward {name!r}: expected 'module:function' or a known name.{nearest(name, BUILT_IN)}")
    try:
        found: RewardFunction = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise InputError(f"reward {name!r}: cannot be imported ({error})") from error
    return found


def constant_target(target: Target, reward_function: RewardFunction) -> float | Callable[[State], Values]:
    """A target state's reward value as a number; numbers and callables as they are."""
    return float(np.asarray(reward_function(target)).item()) if isinstance(target, State) else target


def expected_difference(target: Target, reward_function: RewardFunction, gamma: float) -> float:
    """Where the difference still to come begins before anything is learned: `R*/(1 - gamma)`.

    A callable target has no such number before it is called; for it learning begins at 0.
    """
    constant = constant_target(target, reward_function)
    return 0.0 if callable(constant) else constant / (1 - gamma)
