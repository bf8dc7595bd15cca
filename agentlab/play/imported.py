"""Policies that are imported: `module:name` of a function, a class or an object."""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from agentlab.errors import InputError, nearest

if TYPE_CHECKING:
    from agentlab.recording.frames import Frame


class ImportedPolicy:
    """Plays as a function of frame and info does, or an object with `act(frame, info)` and, if need be, `reset(seed)`.

    Raises `InputError` naming file and line where it fails.
    """

    def __init__(self, name: str, player: Any) -> None:
        self.name = name
        self._act: Callable[[Frame, dict[str, Any]], Any] = getattr(player, "act", player)
        self._reset: Callable[[int], object] = getattr(player, "reset", _no_reset)

    def reset(self, seed: int) -> None:
        self._call(self._reset, seed)

    def act(self, frame: Frame, info: dict[str, Any]) -> Any:
        return self._call(self._act, frame, info)

    def _call(self, function: Callable[..., Any], *args: Any) -> Any:
        try:
            return function(*args)
        except Exception as error:
            raise InputError(f"policy {self.name!r}: {_told(error)}; --debug shows more") from error


def imported(name: str, copies: int) -> list[ImportedPolicy]:
    """The policy at `module:name`, for each copy one; a class is called for each.

    Raises `InputError` for what cannot be imported or cannot play, and for an object where there are several copies.
    """
    found = _find(name)
    if isinstance(found, type):
        if not callable(getattr(found, "act", None)):
            raise InputError(f"policy {name!r}: expected a class with act(frame, info), found {found!r}")
        return [ImportedPolicy(name, _made(name, found)) for _ in range(copies)]
    if callable(getattr(found, "act", None)):
        if copies > 1:
            raise InputError(
                f"policy {name!r}: expected a class, so that each of {copies} copies has a player of its own, found "
                f"one {type(found).__name__}"
            )
    elif not callable(found):
        raise InputError(
            f"policy {name!r}: expected a function of frame and info, or something with act(frame, info), "
            f"found {found!r}"
        )
    return [ImportedPolicy(name, found) for _ in range(copies)]


def _find(name: str) -> Any:
    module_name, _, attribute = name.partition(":")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise InputError(f"policy {name!r}: module {module_name!r} cannot be imported ({error})") from error
    if not hasattr(module, attribute):
        known = [known for known, value in vars(module).items() if callable(value)]
        raise InputError(f"policy {name!r}: {module_name} has no {attribute!r}.{nearest(attribute, known)}")
    return getattr(module, attribute)


def _made(name: str, player: Callable[[], Any]) -> Any:
    try:
        return player()
    except Exception as error:
        raise InputError(f"policy {name!r}: cannot be made without arguments: {_told(error)}") from error


def _told(error: Exception) -> str:
    where = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {where.filename}, line {where.lineno}: {error}"


def _no_reset(seed: int) -> None:
    """What a function does before an episode."""
