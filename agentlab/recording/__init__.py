"""Recordings: the store, the recorder, the reader, and verification by replay."""

from agentlab.recording.added_labels import add_labels
from agentlab.recording.header import Header, describe
from agentlab.recording.policy import Instead, Policy, RandomPolicy, Spectator, WanderingPolicy
from agentlab.recording.progress import OnStep, silent
from agentlab.recording.reader import Episode, Recording
from agentlab.recording.recorder import record
from agentlab.recording.session import Summary
from agentlab.recording.vector_recorder import record_vector
from agentlab.recording.verify import (
    Difference,
    Make,
    Replayed,
    Verification,
    changed_setup,
    first_difference,
    make_env,
    replay,
    verify,
)
from agentlab.recording.writer import RecordingWriter, RunningEpisode

__all__ = [
    "Difference",
    "Episode",
    "Header",
    "Instead",
    "Make",
    "OnStep",
    "Policy",
    "RandomPolicy",
    "Recording",
    "RecordingWriter",
    "Replayed",
    "RunningEpisode",
    "Spectator",
    "Summary",
    "Verification",
    "WanderingPolicy",
    "add_labels",
    "changed_setup",
    "describe",
    "first_difference",
    "make_env",
    "record",
    "record_vector",
    "replay",
    "silent",
    "verify",
]
