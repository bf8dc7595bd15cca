"""Seeds of the episodes that a run plays: never those of an evaluation, and apart from those of other runs."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np

HIGHEST = 989_999_999
"""Seeds given by people, and first seeds of plays, go up to here; evaluation's begin ten million above."""

Use: TypeAlias = Literal["record", "train", "refresh"]
USES: tuple[Use, ...] = ("record", "train", "refresh")


def first_seed(seed: int, use: Use, *numbers: int) -> int:
    """Where the episodes or environments of one use are seeded from, one after the other; `numbers` tell uses apart.

    Drawn from all there are, so that two hardly ever meet; runs with neighbouring seeds would else play nearly the same
    episodes.
    """
    state = np.random.SeedSequence((seed, USES.index(use), *numbers)).generate_state(1, np.uint64)
    return int(state[0] % (HIGHEST + 1))
