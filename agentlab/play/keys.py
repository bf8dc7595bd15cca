"""Which action the keys that a person holds down mean, in Gymnasium's form of key maps."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from agentlab.errors import InputError, MissingExtraError

try:
    import pygame
except ImportError as error:
    raise MissingExtraError("pygame", "human") from error

PAUSE, DISCARD, STOP = pygame.K_p, pygame.K_BACKSPACE, pygame.K_ESCAPE
"""The keys that are for the recorder."""
WORDS = {
    "UP": pygame.K_UP,
    "DOWN": pygame.K_DOWN,
    "LEFT": pygame.K_LEFT,
    "RIGHT": pygame.K_RIGHT,
    "FIRE": pygame.K_SPACE,
}
"""The key for each word in the name of an action."""
ARROWS = {pygame.K_UP: ord("w"), pygame.K_LEFT: ord("a"), pygame.K_DOWN: ord("s"), pygame.K_RIGHT: ord("d")}
"""The letters that arrow keys stand in for."""
NOTHING = "NOOP"
"""The name of the action that does nothing."""

Codes = frozenset[int]


class Keys:
    """The action of each combination of keys, and `idle`, that of no key; without one, a game waits for keys."""

    def __init__(self, actions: Mapping[Codes, Any], idle: Any | None, action_names: Mapping[Any, str]) -> None:
        self._actions, self._idle = actions, idle
        used = frozenset[int]().union(*actions)
        self._letters = {arrow: letter for arrow, letter in ARROWS.items() if letter in used and arrow not in used}
        said = [self._said(code, action_names) for code in sorted(used)]
        self.names = ", ".join(text for text in said if not text.endswith(f" {NOTHING}"))

    def _said(self, code: int, action_names: Mapping[Any, str]) -> str:
        """The key, the arrow that stands in for it, and what it does alone, if that has a name."""
        arrows = [arrow for arrow, letter in self._letters.items() if letter == code]
        keys = "/".join(map(pygame.key.name, [code, *arrows]))
        action = self._actions.get(frozenset({code}))
        name = action_names.get(action) if isinstance(action, int | np.integer) else None
        return keys if name is None else f"{keys} {name}"

    @property
    def waits(self) -> bool:
        """Whether the game stands still while no key is pressed."""
        return self._idle is None

    def action(self, held: Sequence[int]) -> Any | None:
        """The action of the keys held, oldest first, or `None` where there is none and the game waits.

        The largest combination counts that is held, of equally large ones that with the newest key.
        """
        codes = [self._letters.get(code, code) for code in held]
        pressed = [combination for combination in self._actions if combination <= set(codes)]
        if not pressed:
            return self._idle
        newest = max(pressed, key=lambda combination: (len(combination), *sorted(map(codes.index, combination))[::-1]))
        return self._actions[newest]


def keys_of(env: gym.Env[Any, Any], names: Sequence[str], where: str) -> Keys:
    """The keys of an environment: `get_keys_to_action()` or `keys_to_action` of it or of a wrapper, else those that the
    `names` of its actions say (`UP`, `LEFTFIRE`: arrow keys and space).

    Raises `InputError` for an environment with neither, and for keys or actions that there are not.
    """
    plain = _own_keys(env)
    if plain is None:
        actions = _named_keys(env.action_space, names)
    elif isinstance(plain, Mapping):
        actions = {_codes(keys, where): _action(env.action_space, action, where) for keys, action in plain.items()}
    else:
        raise InputError(f"{where}: keys_to_action: expected a mapping from keys to actions, found {plain!r}")
    if not actions:
        raise InputError(
            f"{where}: expected a key map to play it by hand, found none: give it get_keys_to_action() or an attribute "
            "keys_to_action, such as {('a',): 1, ('d',): 2}"
        )
    first = int(env.action_space.start) if isinstance(env.action_space, spaces.Discrete) else 0
    action_names = {first + number: name for number, name in enumerate(names)}
    return Keys(actions, _idle_action(env.action_space, actions, names), action_names)


def _own_keys(env: gym.Env[Any, Any]) -> Any | None:
    for name in ("get_keys_to_action", "keys_to_action"):
        if env.has_wrapper_attr(name):
            found = env.get_wrapper_attr(name)
            with contextlib.suppress(AttributeError):  # how Atari games say that they have none for actions of numbers
                return found() if callable(found) else found
    return None


def _named_keys(space: spaces.Space[Any], names: Sequence[str]) -> dict[Codes, Any]:
    if not isinstance(space, spaces.Discrete):
        return {}
    named = {}
    for number, name in enumerate(names):
        words = re.findall("|".join(WORDS), name.upper())
        if words and "".join(words) == _letters(name):
            named[frozenset(WORDS[word] for word in words)] = int(space.start) + number
    return named


def _idle_action(space: spaces.Space[Any], actions: Mapping[Codes, Any], names: Sequence[str]) -> Any | None:
    """The action of no key, of `NOOP`, or zero, unless a key is needed for it: then it does something."""
    if frozenset() in actions:
        return actions[frozenset()]
    if not isinstance(space, spaces.Discrete):
        return _zero(space)
    known = [_letters(name) for name in names]
    if NOTHING in known:
        return int(space.start) + known.index(NOTHING)
    return None if space.start in actions.values() else int(space.start)


def _zero(space: spaces.Space[Any]) -> Any | None:
    zero = np.zeros(space.shape or (), space.dtype)
    if isinstance(space, spaces.Box):
        return np.clip(zero, space.low, space.high)
    return zero if space.contains(zero) else None


def _codes(keys: Any, where: str) -> Codes:
    """The codes of a key or a combination: characters, pygame's names such as `left`, or pygame's numbers."""
    try:
        codes = frozenset(_code(key) for key in ((keys,) if isinstance(keys, int) else keys))
    except (AttributeError, TypeError) as error:
        raise InputError(f"{where}: keys_to_action: expected keys, such as ('a', 'left'), found {keys!r}") from error
    taken = codes & {PAUSE, DISCARD, STOP}
    if taken:
        name = pygame.key.name(min(taken))
        raise InputError(f"{where}: keys_to_action: {name} is for the recorder (p, backspace, escape): name another")
    return codes


def _code(key: str | int) -> int:
    if isinstance(key, int):
        return key
    return ord(key.lower()) if len(key) == 1 else int(getattr(pygame, f"K_{key.upper()}"))


def _action(space: spaces.Space[Any], action: Any, where: str) -> Any:
    given = np.asarray(action, space.dtype) if isinstance(space, spaces.Box) else action
    if not space.contains(given):
        raise InputError(f"{where}: keys_to_action: expected actions in {space}, found {action!r}")
    return given


def _letters(name: str) -> str:
    return re.sub(r"[\W_]", "", name.upper())
