"""What a transition takes in replay memory: ours of features, SB3's of images."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.buffers import ReplayBuffer

from agentlab.extractor import FrozenExtractor, Sees
from agentlab.head.memory import FeatureReplayBuffer
from agentlab.head.spaces import StackedFeatures

TRANSITIONS = 4_096
STACK = 4
N_ENVS = 16


def measure(extractor: FrozenExtractor, sees: Sees) -> dict[str, Any]:
    """Bytes a transition of both memories, filled with the same number of transitions, and their ratio."""
    states = StackedFeatures(STACK, extractor.n_percepts(sees))
    images = spaces.Box(0, 255, (STACK, *extractor.frame_shape), np.uint8)
    actions = spaces.Discrete(6)
    ours = FeatureReplayBuffer(TRANSITIONS, states, actions, "cpu", N_ENVS)
    theirs = ReplayBuffer(TRANSITIONS, images, actions, "cpu", N_ENVS)
    held = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")
    image_bytes = sum(getattr(theirs, name).nbytes for name in held) / TRANSITIONS
    feature_bytes = ours.nbytes / TRANSITIONS
    return {
        "bytes_per_transition": {"features": feature_bytes, "images": image_bytes},
        "ratio": image_bytes / feature_bytes,
    }


def table(found: dict[str, Any]) -> str:
    """The measurement as lines for people."""
    bytes_each = found["bytes_per_transition"]
    return (
        f"replay memory of features  {bytes_each['features']:>9,.0f} bytes a transition\n"
        f"SB3's, of {STACK} stacked images  {bytes_each['images']:>9,.0f} bytes a transition, "
        f"{found['ratio']:.0f} times as much"
    )
