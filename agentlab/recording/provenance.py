"""When frames were made, and by which versions of which packages."""

from __future__ import annotations

import functools
import platform
import time
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import gymnasium as gym

ALWAYS = ("agentlab", "gymnasium", "numpy", "opencv-python")


def versions(env: gym.Env[Any, Any]) -> dict[str, str]:
    """Package name to version: Python, the usual ones, and those that define the environment and its wrappers."""
    modules = {type(env.unwrapped).__module__}
    layer = env
    while isinstance(layer, gym.Wrapper):
        modules.add(type(layer).__module__)
        layer = layer.env
    distributions = _distributions()
    names = {name for module in modules for name in distributions.get(module.partition(".")[0], ())}
    found = {name: installed_version(name) for name in sorted(names | set(ALWAYS))}
    return {"python": platform.python_version()} | {name: version for name, version in found.items() if version}


@functools.cache
def _distributions() -> Mapping[str, list[str]]:
    """The distributions of each importable module; finding them takes 0.1 s."""
    return metadata.packages_distributions()


def now() -> str:
    """The time, UTC, as ISO 8601."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def installed_version(package: str) -> str | None:
    if package == "python":
        return platform.python_version()
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
