"""Counters: numbers that only tell how far an episode has come, such as the bricks that were hit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from agentlab.extractor.predictors import SELDOM
from agentlab.labels import LabelSchema, Number

Episodes: TypeAlias = Sequence[tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]]
"""Of each episode label rows `(n, n_labels)`, and the steps `(n,)` they are of."""


def counters(schema: LabelSchema, episodes: Episodes) -> list[str]:
    """The numbers that change seldom, and in one direction only.

    What falls or scrolls may go one way too, but changes in most of the steps. Rows may be many steps apart: a change
    counts as often as the least difference between two values fits into it.
    """
    changes = np.concatenate([np.diff(rows, axis=0) for rows, _ in episodes])
    n_steps = sum(int(np.diff(steps).sum()) for _, steps in episodes)
    rises, falls = np.nansum(changes.clip(min=0), axis=0), -np.nansum(changes.clip(max=0), axis=0)
    n_changes = (rises + falls) / [_least_difference(values) for values in np.concatenate([r for r, _ in episodes]).T]
    count = (np.minimum(rises, falls) == 0) & (n_changes > 0) & (n_changes < SELDOM * n_steps)
    return [
        name
        for (name, label), counts in zip(schema.items(), count.tolist(), strict=True)
        if counts and isinstance(label, Number)
    ]


def _least_difference(values: npt.NDArray[np.float32]) -> float:
    return float(np.diff(np.unique(values[~np.isnan(values)])).min(initial=np.inf))
