"""Trains game agents from pixels: fit a feature extractor on labelled frames, freeze it, train a small head."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentlab.extractor import FrozenExtractor as FrozenExtractor
    from agentlab.head import Agent as Agent
    from agentlab.head import FrozenFeatures as FrozenFeatures
    from agentlab.head import FrozenFeaturesWrapper as FrozenFeaturesWrapper
    from agentlab.head import MotionExtractor as MotionExtractor
    from agentlab.head import RewardDifferenceDQN as RewardDifferenceDQN
    from agentlab.head import RewardDifferencePPO as RewardDifferencePPO
    from agentlab.labels import LabelSchema as LabelSchema
    from agentlab.recipe import Recipe as Recipe
    from agentlab.recording import Recording as Recording

    __version__: str

_HOME = {
    "Agent": "agentlab.head",
    "FrozenExtractor": "agentlab.extractor",
    "FrozenFeatures": "agentlab.head",
    "FrozenFeaturesWrapper": "agentlab.head",
    "LabelSchema": "agentlab.labels",
    "MotionExtractor": "agentlab.head",
    "Recipe": "agentlab.recipe",
    "Recording": "agentlab.recording",
    "RewardDifferenceDQN": "agentlab.head",
    "RewardDifferencePPO": "agentlab.head",
}
"""Where each public name lives; imported when it is asked for, so that `import agentlab` loads nothing heavy."""

__all__ = [*_HOME, "__version__"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("agentlab")
    if name not in _HOME:
        raise AttributeError(f"module 'agentlab' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
