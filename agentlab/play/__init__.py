"""Plays episodes to record them: who chooses the actions, in which environment, in how many copies of it."""

from agentlab.play.casting import Casting, cast
from agentlab.play.episodes import record_episodes

__all__ = ["Casting", "cast", "record_episodes"]
