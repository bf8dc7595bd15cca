"""The lock that keeps two writers off one folder."""

from __future__ import annotations

import fcntl
import os
import sys
from io import FileIO
from pathlib import Path

from agentlab.errors import InputError


class WriterLock:
    """Held from construction until `release` or until nobody refers to it; names its holder, by id and what it runs.

    The kernel frees the lock of a process that died, so a stale lock file is in nobody's way. Raises `InputError` when
    another writer holds it or the folder cannot be written to.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "writer.lock"
        self._file = self._acquired()
        self._file.truncate(0)
        self._file.write(f"{os.getpid()} ({Path(sys.argv[0]).name or 'python'})".encode())

    def _acquired(self) -> FileIO:
        while True:
            try:
                file = FileIO(self._path, "a+")
            except OSError as error:
                raise InputError(f"{self._path.parent}: cannot be written ({error.strerror})") from error
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                with file:
                    holder = os.pread(file.fileno(), 256, 0).decode(errors="replace") or "unknown"
                raise InputError(
                    f"{self._path.parent}: is being written by process {holder}; wait until it ends, or stop it"
                ) from error
            if self._is_still_the_file(file):
                return file
            file.close()

    def _is_still_the_file(self, file: FileIO) -> bool:
        """Whether no former holder removed it between our opening and our locking it."""
        try:
            return os.path.samestat(os.fstat(file.fileno()), self._path.stat())
        except FileNotFoundError:
            return False

    def moved(self, folder: Path) -> None:
        """Says that the folder is there now."""
        self._path = folder / self._path.name

    def release(self) -> None:
        self._path.unlink(missing_ok=True)
        self._file.close()
