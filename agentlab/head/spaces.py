"""The observation space of a features environment."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from gymnasium import spaces


class StackedFeatures(spaces.Box):
    """States `(stack * n_percepts,)`, float16: what the extractor makes of the last `stack` frames, oldest first.

    At the start of an episode its first frame stands for the ones before it. `overlooked` are the percepts on which no
    action should depend; `MotionExtractor` leaves them out.
    """

    def __init__(self, stack: int, n_percepts: int, overlooked: Sequence[int] = ()) -> None:
        super().__init__(-np.inf, np.inf, (stack * n_percepts,), np.float16)
        self.stack, self.n_percepts, self.overlooked = stack, n_percepts, tuple(overlooked)

    def __repr__(self) -> str:
        return f"StackedFeatures({self.stack}, {self.n_percepts}, overlooked={self.overlooked})"
