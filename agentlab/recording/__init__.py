"""Recordings: the store, the recorder, the reader, and verification by replay."""

from agentlab.recording.added_labels import add_labels
from agentlab.recording.frames import encode_png
from agentlab.recording.header import Header, describe
from agentlab.recording.progress import OnStep, silent
from agentlab.recording.reader import Episode, Recording
from agentlab.recording.recorder import Policy, RandomPolicy, Summary, WanderingPolicy, record
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
    "Make",
    "OnStep",
    "Policy",
    "RandomPolicy",
    "Recording",
    "RecordingWriter",
    "Replayed",
    "RunningEpisode",
    "Summary",
    "Verification",
    "WanderingPolicy",
    "add_labels",
    "changed_setup",
    "describe",
    "encode_png",
    "first_difference",
    "make_env",
    "record",
    "replay",
    "silent",
    "verify",
]
