"""Counters: numbers that only tell how far an episode has come, such as the bricks that were hit."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from agentlab.extractor.predictors import SELDOM
from agentlab.labels import LabelSchema, Number


def counters(schema: LabelSchema, episodes: Iterable[npt.NDArray[np.float32]]) -> list[str]:
    """The numbers that change seldom, and in one direction only, in the label rows `(n, n_labels)` of all episodes.

    What falls or scrolls may go one way too, but changes in most of the steps.
    """
    rises, falls, n_steps = np.zeros(len(schema)), np.zeros(len(schema)), 0
    for rows in episodes:
        changes = np.diff(rows, axis=0)
        rises, falls = rises + (changes > 0).sum(axis=0), falls + (changes < 0).sum(axis=0)
        n_steps += len(changes)
    changed = rises + falls
    count = (np.minimum(rises, falls) == 0) & (changed > 0) & (changed < SELDOM * n_steps)
    return [
        name
        for (name, label), counts in zip(schema.items(), count.tolist(), strict=True)
        if counts and isinstance(label, Number)
    ]
