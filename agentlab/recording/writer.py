"""Writes recordings: whatever stops it, finished episodes are there, and the running one up to its last row."""

from __future__ import annotations

import errno
import os
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, SupportsFloat

import pyarrow as pa

from agentlab.artefact import new_folder, read_json, sha256, write_json
from agentlab.errors import InputError
from agentlab.lock import WriterLock
from agentlab.recording.frames import Frame
from agentlab.recording.header import (
    OWN_KEY,
    Header,
    episode_folder,
    metadata_file,
    read_metadata,
    require_count,
)
from agentlab.recording.replaced import Replaced
from agentlab.recording.rows import MAX_ROWS, STREAM_SCHEMA, RowMaker, stored_rows
from agentlab.recording.stream import RowStream, read_whole_rows

MOST_BYTES = 1_900_000_000
"""Of an episode as stored: Arrow's binary columns hold 2 GiB, with which the last row must fit."""

HALF_WRITTEN = re.compile(r"\.(\d+|metadata\.json)\.\w{8}")
"""Names of files and folders that were to become an episode or the metadata."""

ENDED_BY_ENVIRONMENT = "environment"
ENDED_BY_MAX_STEPS = "max_steps"
ENDED_BY_INTERRUPTION = "interruption"


class RunningEpisode:
    """An episode being recorded: `step` after step, then `commit` or `discard`."""

    def __init__(self, writer: RecordingWriter, stream: RowStream, rows: RowMaker, where: str) -> None:
        self._writer = writer
        self._stream = stream
        self._rows = rows
        self._where = where
        self.n_steps = 0
        self._n_bytes = 0

    def step(
        self,
        action: Any,
        frame: Frame,
        reward: SupportsFloat,
        terminated: bool,
        truncated: bool,
        info: Mapping[str, Any],
    ) -> None:
        """Records one step; `InputError` for a step that does not fit the recording or beyond the longest episode."""
        where = f"{self._where}, step {self.n_steps}"
        if self.n_steps + 1 >= MAX_ROWS:
            raise InputError(f"{where}: expected at most {MAX_ROWS - 1} steps (Minari reads no more), found another")
        if self._n_bytes > MOST_BYTES:
            raise InputError(f"{where}: expected at most {MOST_BYTES:,} bytes an episode, found more; cut it earlier")
        row = self._rows.step(action, frame, reward, terminated, truncated, info, where)
        try:
            self._n_bytes += self._stream.append(row)
        except OSError as error:
            _tell_if_full(error, self._writer.path)
            raise
        self.n_steps += 1

    def commit(self, ended_by: str = ENDED_BY_ENVIRONMENT) -> None:
        """Makes it an episode of the recording. Ended by anything but the environment, its last step is truncated."""
        self._stream.close()
        with _room_on_disk(self._writer.path):
            self._writer.commit(self._stream.path, ended_by)

    def discard(self) -> None:
        self._stream.close()
        self._stream.path.unlink()


class RecordingWriter:
    """The one writer of a recording, new or continued; recovers on opening and closing what was left unfinished.

    Committing an episode: temporary folder, fsync, rename, and last `metadata.json`, replaced atomically; readers see
    only the episodes it counts. `recovered` has a line for each episode that was recovered.

    Raises `InputError` when `path` exists and neither `append` nor `force` is given, when it cannot be written, when
    another process is writing it, and when `append` meets a recording of something else.
    """

    def __init__(self, path: Path, header: Header, *, append: bool = False, force: bool = False) -> None:
        self.path = path
        self.header = header
        self.recovered: list[str] = []
        self._rows = RowMaker(header)
        self._has_whole_episode = False
        self._replaced = Replaced(path)
        with ExitStack() as on_error:
            on_error.callback(self._replaced.release)
            if self._replaced.is_kept:
                self._settle_an_earlier_replacement()
            self._is_new = not (append and path.exists())
            if self._is_new:
                self._create(force=force, on_error=on_error)
            else:
                read_metadata(path)
            self._lock = WriterLock(path)
            on_error.callback(self._lock.release)
            self._metadata = self._continued_metadata()
            self.total_episodes: int = self._metadata["total_episodes"]
            self.total_steps: int = self._metadata["total_steps"]
            self._n_bytes = sum(file.stat().st_size for file in (path / "data").rglob("*"))
            self._inprogress.mkdir(exist_ok=True)
            self._recover()
            if self.total_episodes and self._replaced.is_kept:
                self._replaced.drop()
                self.recovered.append(f"{path}: the recording that it replaces is gone for good")
            on_error.pop_all()

    def begin(
        self,
        seed: int,
        options: dict[str, Any] | None,
        frame: Frame,
        info: Mapping[str, Any],
        provenance: dict[str, Any],
    ) -> RunningEpisode:
        """Starts an episode with what `reset` gave. Several may run at once; a commit gives each its number."""
        where = f"{self.path}: episode with seed {seed}"
        row = self._rows.first(frame, info, f"{where}, reset")
        about = {"uuid": str(uuid.uuid4()), "seed": seed, "options": options, "provenance": provenance}
        with _room_on_disk(self.path):
            stream = RowStream(self._inprogress / f"{about['uuid']}.arrows", STREAM_SCHEMA, about)
            stream.append(row)
        return RunningEpisode(self, stream, self._rows, where)

    def commit(self, stream: Path, ended_by: str) -> None:
        """Turns the whole rows of a closed stream into the next episode; one without a step is dropped."""
        rows_and_about = read_whole_rows(stream)
        if rows_and_about is not None and rows_and_about[0].num_rows > 1:
            rows, about = rows_and_about
            folder = episode_folder(self.path, self.total_episodes)
            with new_folder(folder) as temporary:
                self._write_episode(temporary, rows, about, ended_by)
            self._count(folder)
            self._write_metadata()
            if ended_by != ENDED_BY_INTERRUPTION:
                self._has_whole_episode = True
                self._replaced.drop()
        stream.unlink()

    def close(self, *, failed: bool = False) -> None:
        """Recovers episodes still running, and removes a new recording that got no episode.

        One that replaces another gives it its place back then, and if it has `failed` before a whole episode.
        """
        with ExitStack() as at_last:
            at_last.callback(self._replaced.release)
            with ExitStack() as before:
                before.callback(self._lock.release)
                self._recover()
                shutil.rmtree(self._inprogress)
                stays = self._stays(failed=failed)
                if not stays:
                    shutil.rmtree(self._replaced.path)
            if stays:
                self._replaced.drop()
            else:
                self._replaced.put_back()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self.close(failed=error is not None and not isinstance(error, KeyboardInterrupt))
        except (OSError, InputError):
            if error is None:  # else that one tells more, and the next start recovers what could not be now
                raise

    @property
    def _inprogress(self) -> Path:
        return self.path / "inprogress"

    def _stays(self, *, failed: bool) -> bool:
        """Whether the recording stays when it is closed."""
        if self._replaced.is_kept:
            return self._has_whole_episode or (self.total_episodes > 0 and not failed)
        return self.total_episodes > 0 or not self._is_new

    def _settle_an_earlier_replacement(self) -> None:
        """Ends what a writer left that was killed while it replaced a recording; nothing where rows may be recovered.

        `InputError` when it is still at work.
        """
        is_recording = metadata_file(self.path).exists()
        if self.path.exists() and not is_recording:
            return
        if is_recording:
            WriterLock(self.path).release()
        self._replaced.hold()
        if is_recording and read_metadata(self.path)["total_episodes"]:
            self._replaced.drop()
        elif not any(_has_step(stream) for stream in self._inprogress.glob("*.arrows")):
            self._replaced.put_back()
            self.recovered.append(f"{self.path}: put back the recording that was to be replaced: no step had been made")

    def _create(self, *, force: bool, on_error: ExitStack) -> None:
        """An empty recording, whole or not at all; what it replaces comes back `on_error`."""
        if force and self.path.exists():
            read_metadata(self.path)
            WriterLock(self.path).release()
            on_error.callback(self._replaced.put_back)
            self._replaced.keep()
        with new_folder(self._replaced.path if self.path.is_symlink() else self.path) as folder:
            (folder / "data").mkdir()
            write_json(metadata_file(folder), self.header.to_metadata() | {"total_episodes": 0, "total_steps": 0})

    def _continued_metadata(self) -> dict[str, Any]:
        metadata = read_metadata(self.path)
        existing = Header.from_metadata(metadata, metadata_file(self.path))
        for name in ("env_id", "env_kwargs", "observation_space", "action_space", "label_schema"):
            expected, found = getattr(existing, name), getattr(self.header, name)
            if expected != found:
                raise InputError(f"{self.path}: {name}: expected {expected!r} as recorded there, found {found!r}")
        return metadata

    def _write_episode(self, folder: Path, rows: pa.RecordBatch, about: dict[str, Any], ended_by: str) -> None:
        stored, ended = stored_rows(rows, self.header)
        ended_by = ENDED_BY_ENVIRONMENT if ended else ended_by
        file = folder / "part-0.arrow"
        with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, stored.schema) as writer:
            writer.write_batch(stored)
        metadata: dict[str, Any] = {
            "id": self.total_episodes,
            "total_steps": stored.num_rows - 1,
            "seed": about["seed"],
            OWN_KEY: about["provenance"] | {"uuid": about["uuid"], "ended_by": ended_by, "sha256": sha256(file)},
        }
        if about["options"] is not None:
            metadata["options"] = about["options"]
        write_json(folder / "metadata.json", metadata)

    def _count(self, folder: Path) -> None:
        file = folder / "metadata.json"
        episode = read_json(file)
        require_count(episode, "total_steps", MAX_ROWS, file)
        _uuid(episode, file)
        n_steps = self.total_steps + episode["total_steps"]
        n_bytes = self._n_bytes + sum(file.stat().st_size for file in folder.iterdir())
        # At once, so that an interrupt finds all of it or nothing.
        self.total_episodes, self.total_steps, self._n_bytes = self.total_episodes + 1, n_steps, n_bytes

    def _write_metadata(self) -> None:
        totals = {
            "dataset_size": round(self._n_bytes / 1e6, 1),
            "total_steps": self.total_steps,
            "total_episodes": self.total_episodes,
        }
        write_json(metadata_file(self.path), self._metadata | totals)

    def _recover(self) -> None:
        """Clears half-written files, counts episodes renamed but not counted, and commits left-over streams.

        The totals are written whatever was or was not: an interrupt may have come between counting and writing.
        """
        for leftover in (self.path / "data").iterdir():
            if HALF_WRITTEN.fullmatch(leftover.name):
                shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
        while (folder := episode_folder(self.path, self.total_episodes)).exists():
            self.recovered.append(f"{self.path}: recovered a finished episode as episode {self.total_episodes}")
            self._count(folder)
        self._write_metadata()
        streams = sorted(self._inprogress.glob("*.arrows"), key=os.path.getmtime)
        committed = self._committed_uuids() if streams else set()
        for stream in streams:
            if stream.stem in committed:
                stream.unlink()
                continue
            index = self.total_episodes
            self.commit(stream, ENDED_BY_INTERRUPTION)
            if self.total_episodes > index:
                self.recovered.append(f"{self.path}: recovered an interrupted episode as episode {index}")

    def _committed_uuids(self) -> set[str]:
        files = [episode_folder(self.path, index) / "metadata.json" for index in range(self.total_episodes)]
        return {_uuid(read_json(file), file) for file in files}


def _uuid(episode: Mapping[str, Any], file: Path) -> str:
    own = episode.get(OWN_KEY)
    if not (isinstance(own, dict) and isinstance(own.get("uuid"), str)):
        raise InputError(f"{file}: field {OWN_KEY!r}: expected an object with a uuid, found {own!r}")
    return str(own["uuid"])


def _has_step(stream: Path) -> bool:
    found = read_whole_rows(stream)
    return found is not None and found[0].num_rows > 1


@contextmanager
def _room_on_disk(path: Path) -> Iterator[None]:
    """Says what to do where the disk is full."""
    try:
        yield
    except (OSError, InputError) as error:
        _tell_if_full(error, path)
        raise


def _tell_if_full(error: OSError | InputError, path: Path) -> None:
    """Raises an `InputError` that says what to do, where a full disk caused the error."""
    cause = error.__cause__ if isinstance(error, InputError) else error
    if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
        raise InputError(
            f"{path}: the disk is full; finished episodes are kept; make room and go on with --append, which "
            "recovers the running one up to its last whole row"
        ) from error
