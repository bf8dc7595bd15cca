"""The names of exported frames, `<recording>__ep000012__f000345`, and the frames that names stand for."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from agentlab.errors import InputError
from agentlab.recording import Recording

FrameKey = tuple[int, int]
"""The number of an episode, and of a frame in it."""

EXAMPLE = "<recording>__ep000012__f000345.png"
_NAME = re.compile(r"(?P<recording>.*)__ep(?P<episode>[0-9]{6,9})__f(?P<frame>[0-9]{6,9})")
_UPLOADED = re.compile(r"[0-9a-f]{8}-")
"""What Label Studio puts before the names of uploaded files."""


class UnmatchedNameError(InputError):
    """A name that stands for no frame of the recording."""


def recording_name(path: Path) -> str:
    """The name of a recording in the names of its frames: that of its folder."""
    return _plain(path.resolve().name)


def frame_name(recording: str, episode: int, frame: int) -> str:
    """The name of a frame, made of characters that every tool leaves as they are."""
    return f"{_plain(recording)}__ep{episode:06}__f{frame:06}"


def parts_of(name: str) -> tuple[str, int, int]:
    """The recording, episode and frame of a name made by `frame_name`."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise ValueError(f"expected {EXAMPLE}, found {name!r}")
    return match["recording"], int(match["episode"]), int(match["frame"])


class FrameNames:
    """Finds the frames of a recording by their names; `exported_as` is its name then, if its folder had another."""

    def __init__(self, recording: Recording, exported_as: str | None = None) -> None:
        self.recording = recording
        self.name = _plain(exported_as) if exported_as else recording_name(recording.path)

    def find(self, image: str, where: str) -> FrameKey:
        """The frame that an image shows, whatever its folder, ending, and the prefix of an upload.

        Raises `InputError` for a path that leaves its folder, `UnmatchedNameError` for one that shows no frame.
        """
        try:
            recording, episode, frame = parts_of(_stem(image, where))
        except ValueError as error:
            if isinstance(error, InputError):
                raise
            raise UnmatchedNameError(f"{where}: expected the name {EXAMPLE}, found {image!r}") from error
        if self.name not in (recording, _UPLOADED.sub("", recording, count=1)) and recording:
            raise UnmatchedNameError(
                f"{where}: {image!r} is no frame of the recording {self.name!r}; "
                f"if its folder was called {recording!r}, add --exported-as {recording}"
            )
        if episode >= len(self.recording):
            raise UnmatchedNameError(
                f"{where}: {image!r}: expected an episode from 0 to {len(self.recording) - 1}, found {episode}"
            )
        if frame >= self.recording[episode].n_frames:
            last = self.recording[episode].n_frames - 1
            raise UnmatchedNameError(
                f"{where}: {image!r}: expected a frame of episode {episode} from 0 to {last}, found {frame}"
            )
        return episode, frame


def _plain(name: str) -> str:
    return re.sub(r"[^-\w.]", "_", name)


def _stem(image: str, where: str) -> str:
    """The last part of a relative path, without its ending."""
    path = PurePosixPath(image.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in image:
        raise InputError(f"{where}: expected a name within the folder of images, found {image!r}")
    return re.sub(r"\.[A-Za-z0-9]{1,5}$", "", path.name)
