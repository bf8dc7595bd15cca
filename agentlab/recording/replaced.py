"""An earlier recording that a new one takes the place of: kept aside until the new one has an episode."""

from __future__ import annotations

import shutil
from pathlib import Path


class Replaced:
    """The folder of the earlier recording, which lies hidden beside the new one."""

    def __init__(self, path: Path) -> None:
        self._path, self._aside = path, path.with_name(f".{path.name}.replaced")

    @property
    def is_kept(self) -> bool:
        return self._aside.exists()

    def keep(self) -> None:
        """Moves what is there aside."""
        self.drop()
        self._path.rename(self._aside)

    def put_back(self) -> None:
        """Removes what has come in its place, if it was kept."""
        if self.is_kept:
            shutil.rmtree(self._path, ignore_errors=True)
            self._aside.rename(self._path)

    def drop(self) -> None:
        """Forgets it for good."""
        shutil.rmtree(self._aside, ignore_errors=True)
