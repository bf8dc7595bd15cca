"""Refreshes the eye while the head is trained: records the head's play, and fits the eye on that too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from agentlab.extractor import FrozenExtractor, StrategicSeams, fit
from agentlab.play import record_episodes
from agentlab.progress import Progress
from agentlab.recipe import Recipe, RecordConfig
from agentlab.recording import Recording
from agentlab.runfolder import RunFolder
from agentlab.seeds import first_seed

if TYPE_CHECKING:
    from agentlab.head import Agent


class EyeRefresh:
    """Plays, records, labels and fits on: what a head asks for at some points of its training.

    Random play never sees late screens; the head's own does. The refreshed extractor replaces the one before.
    """

    def __init__(self, recipe: Recipe, recordings: Sequence[Recording], folder: RunFolder, progress: Progress) -> None:
        self._recipe, self._recordings, self._folder, self._progress = recipe, list(recordings), folder, progress

    @property
    def at(self) -> Sequence[float]:
        return self._recipe.refresh.at

    def __call__(self, agent: Agent, number: int) -> FrozenExtractor:
        recipe, config = self._recipe, self._recipe.refresh
        path = self._folder.refresh_recording(number)
        record_episodes(
            recipe.env,
            recipe.env_kwargs,
            RecordConfig(
                config.episodes, f"the head of {self._folder.path} in training", config.max_steps, config.enough_steps
            ),
            path,
            seed=first_seed(recipe.seed, "refresh", number),
            progress=self._progress,
            force=True,
            agent=agent,
        )
        played = [Recording(self._folder.refresh_recording(earlier)) for earlier in range(1, number + 1)]
        return fit(
            [*self._recordings, *played],
            replace(
                recipe.extractor,
                epochs=config.epochs,
                learning_rate=config.learning_rate,
                erasing=config.erasing,
            ),
            self._folder.extractor,
            seed=recipe.seed,
            device=recipe.device,
            threads=recipe.threads,
            force=True,
            progress=self._progress,
            metrics=self._folder.metrics("refresh"),
            seams=StrategicSeams(recipe.fit_strategies),
            start=agent.extractor,
        )
