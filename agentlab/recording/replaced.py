"""An earlier recording that a new one takes the place of: kept aside until the new one has an episode."""

from __future__ import annotations

import glob
import shutil
import tempfile
from pathlib import Path

from agentlab.errors import InputError
from agentlab.lock import WriterLock


class Replaced:
    """The folder of the earlier recording, hidden beside the new one; locked while a writer may put it back."""

    def __init__(self, path: Path) -> None:
        self.path = resolved(path)
        self._aside = self.path.parent / f".{self.path.name}.replaced"
        self._lock: WriterLock | None = None

    @property
    def is_kept(self) -> bool:
        return self._aside.exists()

    @property
    def hint(self) -> str:
        """What to tell of a new recording that is missing or empty; nothing where no earlier one is kept."""
        if not self.is_kept:
            return ""
        return (
            f"the earlier one is kept in {self._aside}, and the next agentlab record to {self.path} puts it back or "
            "replaces it"
        )

    def hold(self) -> None:
        """Locks what is kept; `InputError` when another writer may put it back."""
        self._lock = WriterLock(self._aside)

    def keep(self) -> None:
        """Moves what is there aside; where an earlier one is kept and held already, what is there goes."""
        if Path.cwd().is_relative_to(self.path):
            raise InputError(f"{self.path}: is the folder you are in, or holds it; replace it from elsewhere")
        if self.is_kept:
            shutil.rmtree(self.path)
            return
        self._lock = WriterLock(self.path)
        self.path.rename(self._aside)
        self._lock.moved(self._aside)

    def put_back(self) -> None:
        """Gives what this writer keeps or holds its place again, if there is any; the new one there goes."""
        if self._lock is not None and self.is_kept:
            if self.path.exists():
                shutil.rmtree(self.path)
            self._aside.rename(self.path)
            self._lock.moved(self.path)
        self.release()

    def drop(self) -> None:
        """Forgets what is kept for good: what is half deleted never comes back."""
        if self.is_kept:
            dropped = tempfile.mkdtemp(prefix=f".{self.path.name}.dropped.", dir=self.path.parent)
            self._aside.rename(dropped)
        for folder in self.path.parent.glob(f".{glob.escape(self.path.name)}.dropped.*"):
            shutil.rmtree(folder, ignore_errors=True)
        self.release()

    def release(self) -> None:
        """Leaves what is kept where it is, to the next writer."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def resolved(path: Path) -> Path:
    """Where a path leads through its links; `InputError` when they lead in a circle."""
    try:
        return path.resolve()
    except (OSError, RuntimeError) as error:
        raise InputError(f"{path}: is a link that leads to itself") from error
