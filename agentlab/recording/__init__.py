"""Recordings: the store, the recorder, the reader, and verification by replay."""

from agentlab.recording.added_labels import SOURCE_ENV, FrameLabels, add_labels
from agentlab.recording.comparison import Difference, Replayed, first_difference, replay
from agentlab.recording.episode import Episode
from agentlab.recording.exports import to_minari_hdf5
from agentlab.recording.frame_index import FrameIndex
from agentlab.recording.frames import encode_png
from agentlab.recording.header import Header, describe
from agentlab.recording.integrity import damages
from agentlab.recording.policy import Instead, Policy, RandomPolicy, Spectator, WanderingPolicy
from agentlab.recording.predictions import Predictions, store_predictions
from agentlab.recording.progress import OnStep, silent
from agentlab.recording.reader import Recording
from agentlab.recording.recorder import record
from agentlab.recording.session import Summary
from agentlab.recording.speed import steps_per_second
from agentlab.recording.vector_recorder import record_vector
from agentlab.recording.verify import Make, Verification, changed_setup, make_env, verify
from agentlab.recording.writer import RecordingWriter, RunningEpisode

__all__ = [
    "SOURCE_ENV",
    "Difference",
    "Episode",
    "FrameIndex",
    "FrameLabels",
    "Header",
    "Instead",
    "Make",
    "OnStep",
    "Policy",
    "Predictions",
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
    "damages",
    "describe",
    "encode_png",
    "first_difference",
    "make_env",
    "record",
    "record_vector",
    "replay",
    "silent",
    "steps_per_second",
    "store_predictions",
    "to_minari_hdf5",
    "verify",
]
