"""Recordings: the store, the recorder, the reader, and verification by replay."""

from agentlab.recording.added_labels import SOURCE_ENV, FrameLabels, add_labels
from agentlab.recording.header import Header, describe
from agentlab.recording.predictions import Predictions, store_predictions
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
    "SOURCE_ENV",
    "Difference",
    "Episode",
    "FrameLabels",
    "Header",
    "Make",
    "OnStep",
    "Policy",
    "Predictions",
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
    "first_difference",
    "make_env",
    "record",
    "replay",
    "silent",
    "store_predictions",
    "verify",
]
