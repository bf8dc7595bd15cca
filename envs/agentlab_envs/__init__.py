"""Gymnasium environments with labelled screens, labels for Atari games, the fastest vector environment for an id."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from agentlab_envs.registration import register_envs

if TYPE_CHECKING:
    from agentlab_envs.atari_labels import AtariLabels
    from agentlab_envs.catch import CatchEnv, CatchVectorEnv
    from agentlab_envs.factory import make, make_vec, needs_processes
    from agentlab_envs.side_by_side import SideBySide
    from agentlab_envs.starfall import StarfallEnv, StarfallVectorEnv

__all__ = [
    "AtariLabels",
    "CatchEnv",
    "CatchVectorEnv",
    "SideBySide",
    "StarfallEnv",
    "StarfallVectorEnv",
    "make",
    "make_vec",
    "needs_processes",
]

_MODULES = {
    "AtariLabels": "atari_labels",
    "CatchEnv": "catch",
    "CatchVectorEnv": "catch",
    "SideBySide": "side_by_side",
    "StarfallEnv": "starfall",
    "StarfallVectorEnv": "starfall",
    "make": "factory",
    "make_vec": "factory",
    "needs_processes": "factory",
}

register_envs()


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'agentlab_envs' has no attribute {name!r}")
    return getattr(importlib.import_module(f"agentlab_envs.{_MODULES[name]}"), name)
