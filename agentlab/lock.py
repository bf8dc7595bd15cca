"""The lock that keeps two writers off one folder."""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path

from agentlab.errors import InputError


class WriterLock:
    """Held from construction until `release`; names its holder's process, by id and by what it runs.

    The kernel frees the lock of a process that died, so a stale lock file is in nobody's way. Raises `InputError` when
    another writer holds it or the folder cannot be written to.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "writer.lock"
        self._descriptor = self._acquire()
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, f"{os.getpid()} ({Path(sys.argv[0]).name or 'python'})".encode())

    def _acquire(self) -> int:
        while True:
            try:
                descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            except OSError as error:
                raise InputError(f"{self._path.parent}: cannot be written ({error.strerror})") from error
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                holder = os.pread(descriptor, 256, 0).decode(errors="replace") or "unknown"
                os.close(descriptor)
                raise InputError(
                    f"{self._path.parent}: is being written by process {holder}; wait until it ends, or stop it"
                ) from error
            if self._is_still_the_file(descriptor):
                return descriptor
            os.close(descriptor)

    def _is_still_the_file(self, descriptor: int) -> bool:
        """Whether no former holder removed the file between our opening and our locking it."""
        try:
            return os.path.samestat(os.fstat(descriptor), self._path.stat())
        except FileNotFoundError:
            return False

    def moved(self, folder: Path) -> None:
        """Says that the folder is there now."""
        self._path = folder / self._path.name

    def release(self) -> None:
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)
