"""What labels of a recording must fit: its schema and the size of its frames."""

from __future__ import annotations

from agentlab.errors import InputError
from agentlab.labels.schema import LabelSchema
from agentlab.recording import Recording


def frame_size(recording: Recording) -> tuple[int, int]:
    """Width and height of the frames."""
    height, width = recording.frame_shape[:2]
    return width, height


def schema_for(recording: Recording, given: LabelSchema | None) -> LabelSchema | None:
    """The recording's schema, or the one that is given for a recording without.

    Raises `InputError` where both are there.
    """
    if recording.label_schema is not None and given is not None:
        has = ", ".join(recording.label_schema)
        raise InputError(f"--schema: changes nothing here; {recording.path} has a schema already, of {has}")
    return recording.label_schema or given
