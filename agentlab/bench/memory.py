"""What a transition takes in replay memory: ours of features, SB3's of images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.buffers import ReplayBuffer

from agentlab.bench.drawing import bars
from agentlab.bench.subject import Subject
from agentlab.head.features_env import state_space
from agentlab.head.memory import FeatureReplayBuffer

TRANSITIONS = 2_048
N_ENVS = 16
EPISODE_STEPS = 100


def measure(subject: Subject) -> dict[str, Any]:
    """Bytes a transition of both memories, filled alike, episodes cut off after 100 steps; and their ratios.

    Once as SB3's is by default, with the states before and after each step, and once as it is with
    `optimize_memory_usage`, which keeps each state once.
    """
    stack = subject.head.stack
    actions = spaces.Discrete(6)
    images = spaces.Box(0, 255, (stack, *subject.extractor.frame_shape), np.uint8)
    states = state_space(subject.extractor, stack, subject.head.sees)
    ours = FeatureReplayBuffer(TRANSITIONS, states, actions, "cpu", N_ENVS)
    theirs = ReplayBuffer(TRANSITIONS, images, actions, "cpu", N_ENVS)
    for memory in (ours, theirs):
        fill(memory)
    held = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")
    image_bytes = sum(getattr(theirs, name).nbytes for name in held) / TRANSITIONS
    optimised = image_bytes - theirs.next_observations.nbytes / TRANSITIONS
    feature_bytes = ours.nbytes / TRANSITIONS
    return {
        "transitions": TRANSITIONS,
        "stack": stack,
        "bytes_per_transition": {"features": feature_bytes, "images": image_bytes, "images, optimised": optimised},
        "ratio": image_bytes / feature_bytes,
        "ratio_optimised": optimised / feature_bytes,
    }


def fill(memory: ReplayBuffer) -> None:
    """Adds transitions until the memory is full."""
    space = memory.observation_space
    states = np.zeros((N_ENVS, *(space.shape or ())), space.dtype)
    for step in range(1, TRANSITIONS // N_ENVS + 1):
        cut = step % EPISODE_STEPS == 0
        infos: list[dict[str, Any]] = [{"TimeLimit.truncated": True} if cut else {} for _ in range(N_ENVS)]
        memory.add(states, states, np.zeros(N_ENVS), np.zeros(N_ENVS), np.full(N_ENVS, cut), infos)


def table(found: dict[str, Any]) -> str:
    """The measurement as lines for people."""
    bytes_each = found["bytes_per_transition"]
    return (
        f"replay memory of features    {bytes_each['features']:>9,.0f} bytes a transition\n"
        f"SB3's, of {found['stack']} stacked images  {bytes_each['images']:>9,.0f} bytes a transition, "
        f"{found['ratio']:.0f} times as much\n"
        f"the same, optimised          {bytes_each['images, optimised']:>9,.0f} bytes a transition, "
        f"{found['ratio_optimised']:.0f} times as much"
    )


def plot(found: dict[str, Any], path: Path) -> None:
    """Draws both as bars into an SVG."""
    bars(found["bytes_per_transition"], "bytes a transition", path)
