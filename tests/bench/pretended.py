"""A runner that writes what a run would leave, without running anything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agentlab.recipe import Recipe
from agentlab.runfolder import RunFolder


class PretendRunner:
    """Remembers the recipes, lets a subclass fill the folder of each run, and interrupts at the call of a number."""

    def __init__(self, stop_at: int = 0) -> None:
        self.recipes: list[Recipe] = []
        self._stop_at = stop_at

    def __call__(self, recipe: Recipe, path: Path) -> Mapping[str, Any]:
        self.recipes.append(recipe)
        folder = RunFolder(path)
        folder.begin(recipe, force=False)
        if len(self.recipes) == self._stop_at:
            raise KeyboardInterrupt
        return self.fill(recipe, folder)

    def fill(self, recipe: Recipe, folder: RunFolder) -> Mapping[str, Any]:
        """Writes the artefacts and gives the scores."""
        raise NotImplementedError


def leave(
    folder: RunFolder, scores: Mapping[str, Any], *, steps: int = 0, seconds: Mapping[str, float] | None = None
) -> Mapping[str, Any]:
    """Leaves a head of so many steps, the seconds of stages and the scores, which it gives back."""
    folder.head.mkdir()
    (folder.head / "meta.json").write_text(json.dumps({"metrics": {"steps": steps}}))
    folder.timings.write_text(json.dumps(dict(seconds or {})))
    folder.scores.write_text(json.dumps(dict(scores)))
    return scores
