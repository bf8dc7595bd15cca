"""Recordings: the store, the recorder, the reader, and verification by replay."""

from agentlab.recording.added_labels import add_labels
from agentlab.recording.comparison import Difference, Replayed, first_difference, replay
from agentlab.recording.exports import to_minari_hdf5
from agentlab.recording.frame_index import FrameIndex
from agentlab.recording.header import Header, describe
from agentlab.recording.integrity import damages
from agentlab.recording.progress import OnStep, silent
from agentlab.recording.reader import Episode, Recording
from agentlab.recording.recorder import Policy, RandomPolicy, Summary, WanderingPolicy, record
from agentlab.recording.verify import Make, Verification, changed_setup, make_env, verify
from agentlab.recording.writer import RecordingWriter, RunningEpisode

__all__ = [
    "Difference",
    "Episode",
    "FrameIndex",
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
    "damages",
    "describe",
    "first_difference",
    "make_env",
    "record",
    "replay",
    "silent",
    "to_minari_hdf5",
    "verify",
]
