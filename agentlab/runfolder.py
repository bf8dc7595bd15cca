"""The folder of a run: which file is where, whether it may be begun or gone on with, and what it took."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentlab import recipe as recipes
from agentlab.artefact import META, read_json, write_json
from agentlab.errors import InputError
from agentlab.metrics import JsonLines
from agentlab.recipe import Recipe

KIND = "run"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class RunFolder:
    """A run's folder; its stages find their places here and report their times to it."""

    path: Path

    @property
    def recipe(self) -> Path:
        return self.path / "recipe.yaml"

    @property
    def recording(self) -> Path:
        """The recording of a run that makes its own."""
        return self.path / "recording"

    def refresh_recording(self, number: int) -> Path:
        """The recording of the head's play for the refresh of that number."""
        return self.path / "refresh" / str(number)

    @property
    def extractor(self) -> Path:
        return self.path / "extractor"

    @property
    def head(self) -> Path:
        return self.path / "head"

    @property
    def scores(self) -> Path:
        return self.path / "scores.json"

    @property
    def playback(self) -> Path:
        return self.path / "playback.json"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    @property
    def tensorboard(self) -> Path:
        return self.path / "tensorboard"

    @property
    def timings(self) -> Path:
        return self.path / "timings.json"

    def checkpoint(self, stage: str) -> Path:
        """Where a stage keeps what it needs to go on after an interruption."""
        return self.path / "checkpoints" / stage

    def kept(self) -> str:
        """What an interrupted run holds, in words."""
        return f"{self.path} keeps {', '.join(self._parts()) or 'its recipe'}"

    def abandon(self) -> None:
        """Removes a run that holds nothing yet but its recipe."""
        if not self._parts():
            shutil.rmtree(self.path)

    def _parts(self) -> list[str]:
        parts = [self.recording, self.extractor, self.head, self.scores, *self.checkpoint("").glob("*")]
        return [str(part.relative_to(self.path)) for part in parts if part.exists()]

    def check(self, recipe: Recipe, *, resume: bool, force: bool) -> None:
        """Raises `InputError` unless a run of `recipe` may be begun here, or gone on with."""
        if resume and force:
            raise InputError("--resume and --force: expected one of them, found both")
        if resume and self.recipe.exists():
            self._require_same(recipe)
            return
        if self.path.exists() and resume:
            raise InputError(f"{self.recipe}: no such file: {self.path} is no run that could be resumed")
        if self.path.exists() and not force:
            raise InputError(
                f"{self.path}: exists already; add --resume to go on with it or --force to replace it, "
                "or choose another --out"
            )
        if self.path.exists() and not self.recipe.exists():
            raise InputError(
                f"{self.path}: expected a run to replace (a folder with recipe.yaml), found something else"
            )
        require_writable(self.path)

    def begin(self, recipe: Recipe, *, force: bool) -> None:
        """Writes the resolved recipe; with `force` in place of what is there."""
        if force and self.path.exists():
            shutil.rmtree(self.path)
        self.path.mkdir(parents=True, exist_ok=True)
        if not self.recipe.exists():
            recipes.save(recipe, self.recipe)

    def metrics(self, stage: str) -> JsonLines:
        """The log of a stage's numbers, going on where an interrupted stage left off."""
        return JsonLines(self.path / "metrics.jsonl", stage, self.seconds().get(stage, 0.0))

    def seconds(self) -> dict[str, float]:
        """The seconds each stage took until now."""
        return dict(read_json(self.timings)) if self.timings.exists() else {}

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Adds the time that the block takes to the stage's, also when it is interrupted."""
        began_s = time.monotonic()
        try:
            yield
        finally:
            seconds = self.seconds()
            seconds[stage] = round(seconds.get(stage, 0.0) + time.monotonic() - began_s, 3)
            write_json(self.timings, seconds)

    def finish(self, meta: dict[str, Any]) -> None:
        """Writes what the run is and drops the checkpoints that it no longer needs."""
        write_json(self.path / META, {"kind": KIND, "format_version": FORMAT_VERSION, **meta})
        shutil.rmtree(self.path / "checkpoints", ignore_errors=True)

    def _require_same(self, recipe: Recipe) -> None:
        difference = recipes.first_difference(recipe, recipes.load(self.recipe))
        if difference is not None:
            name, found, began = difference
            raise InputError(
                f"{self.recipe}: field {name!r}: the run began with {began!r}, found {found!r}; "
                "resume it with equal options, or choose another --out"
            )


def require_writable(path: Path) -> None:
    """Raises `InputError` unless a folder can be made at `path`; leaves nothing behind."""
    parent = next(folder for folder in path.absolute().parents if folder.exists())
    try:
        with tempfile.TemporaryDirectory(dir=parent):
            pass
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({parent}: {error.strerror})") from error
