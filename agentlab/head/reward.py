"""Reward functions and targets: what a state is worth, and what it should be worth (CN110837858B)."""

from __future__ import annotations

import importlib
import math
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
    except (ImportError, AttributeError, SyntaxError, TypeError, ValueError) as error:
        raise InputError(f"reward {name!r}: cannot be imported ({error})") from error
    if not callable(found):
        raise InputError(f"reward {name!r}: expected a function of a State, found {found!r}")
    return found


def constant_target(target: Target, reward_function: RewardFunction) -> float | Callable[[State], Values]:
    """A target state's reward value as a number; numbers and callables as they are; `InputError` for anything else."""
    if callable(target):
        return target
    value = reward_function(target) if isinstance(target, State) else target
    try:
        number = float(np.asarray(value).item())
    except (TypeError, ValueError) as error:
        raise InputError(
            f"target: expected a number, a State of one reward value or a callable, found {value!r}"
        ) from error
    if not math.isfinite(number):
        raise InputError(f"target: expected a finite number, found {number}")
    return number


def expected_difference(target: Target, reward_function: RewardFunction, gamma: float) -> float:
    """Where the difference still to come begins before anything is learned: `R*/(1 - gamma)`.

    A callable target has no such number before it is called; for it learning begins at 0. Raises `InputError` for
    `gamma` 1, with which no difference still to come is finite.
    """
    if not 0 <= gamma < 1:
        raise InputError(f"gamma: expected a number of at least 0 and below 1, found {gamma}")
    constant = constant_target(target, reward_function)
    return 0.0 if callable(constant) else constant / (1 - gamma)
