"""An earlier recording that a new one takes the place of: kept aside until the new one has an episode."""

from __future__ import annotations

import shutil
from pathlib import Path

from agentlab.errors import InputError
from agentlab.lock import WriterLock


class Replaced:
    """The folder of the earlier recording, hidden beside the new one; locked while a writer may put it back."""

    def __init__(self, path: Path) -> None:
        self._path = path.resolve()
        self._aside = self._path.with_name(f".{self._path.name}.replaced")
        self._lock: WriterLock | None = None

    @property
    def is_kept(self) -> bool:
        return self._aside.exists()

    def hold(self) -> None:
        """Locks what is kept; `InputError` when another writer may put it back."""
        self._lock = WriterLock(self._aside)

    def keep(self) -> None:
        """Moves what is there aside; where an earlier one is kept and held already, what is there goes."""
        if Path.cwd().is_relative_to(self._path):
            raise InputError(f"{self._path}: is the folder you are in, or holds it; replace it from elsewhere")
        if self.is_kept:
            shutil.rmtree(self._path)
            return
        self._lock = WriterLock(self._path)
        self._path.rename(self._aside)
        self._lock.moved(self._aside)

    def put_back(self) -> None:
        """Gives what is kept and held its place again, which is free."""
        if self._lock is not None:
            self._aside.rename(self._path)
            self._lock.moved(self._path)
            self.release()

    def drop(self) -> None:
        """Forgets what is kept for good: what is half deleted never comes back."""
        dropped = self._aside.with_suffix(".dropped")
        if self.is_kept:
            shutil.rmtree(dropped, ignore_errors=True)
            self._aside.rename(dropped)
            shutil.rmtree(dropped, ignore_errors=True)
        self.release()

    def release(self) -> None:
        """Leaves what is kept where it is, to the next writer."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None
