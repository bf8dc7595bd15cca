"""Registers the environments with Gymnasium: on `import agentlab_envs`, and by the entry point `gymnasium.envs`."""

from __future__ import annotations

from gymnasium.envs.registration import register, registry


def register_envs() -> None:
    """Adds `agentlab/Catch-v0` and `agentlab/Starfall-v0` to Gymnasium's registry, once."""
    if "agentlab/Catch-v0" in registry:
        return
    register(
        id="agentlab/Catch-v0",
        entry_point="agentlab_envs.catch:CatchEnv",
        vector_entry_point="agentlab_envs.catch:CatchVectorEnv",
        reward_threshold=0.98,
    )
    register(
        id="agentlab/Starfall-v0",
        entry_point="agentlab_envs.starfall:StarfallEnv",
        vector_entry_point="agentlab_envs.starfall:StarfallVectorEnv",
        max_episode_steps=2_000,
    )
