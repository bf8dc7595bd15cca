"""Mixtures of policies: each episode is played by one of them, in given shares."""

from __future__ import annotations

import bisect
import itertools
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentlab.errors import InputError

if TYPE_CHECKING:
    from agentlab.recording import Policy
    from agentlab.recording.frames import Frame

PART = re.compile(r"(?P<policy>.+?):(?P<weight>[^:,]*)(?P<comma>,|$)")
GOLDEN_RATIO = 0x9E3779B97F4A7C15
"""Its fraction, as one of 2**64."""


class MixturePolicy:
    """Plays each episode as one of several policies, in shares that `weights` are in proportion to.

    Which one, the fraction of the episode's seed times the golden ratio says: over any run of consecutive seeds these
    are spread so evenly that shares hold to within a few episodes. Its `name` is that of who plays.
    """

    def __init__(self, policies: Sequence[Policy], weights: Sequence[float]) -> None:
        self._policies = policies
        self._ends = list(itertools.accumulate(weights))
        self._playing = policies[0]

    @property
    def name(self) -> str:
        return str(getattr(self._playing, "name", type(self._playing).__name__))

    def reset(self, seed: int) -> None:
        fraction = (seed * GOLDEN_RATIO % 2**64) / 2**64
        place = bisect.bisect_right(self._ends, fraction * self._ends[-1])
        self._playing = self._policies[min(place, len(self._policies) - 1)]
        self._playing.reset(seed)

    def act(self, frame: Frame, info: dict[str, Any]) -> Any:
        return self._playing.act(frame, info)


def is_mixture(policy: str) -> bool:
    """Whether the text is that of a mixture: it has commas or ends with a weight, and names no file or folder."""
    return not Path(policy).exists() and ("," in policy or _is_number(policy.rpartition(":")[2]))


def parts_of(mixture: str) -> list[tuple[str, float]]:
    """The policies of `random:0.3,runs/pong:0.7` with their weights; `InputError` naming the part that is malformed.

    A weight is what follows the last colon of a part, so names may have colons, and commas where they are paths.
    """
    parts, rest, another = [], mixture, True
    while another:
        part = PART.match(rest)
        if part is None or ("," in part["policy"] and not Path(part["policy"]).exists()):
            found = rest.partition(",")[0]
            raise InputError(f"policy {mixture!r}: expected POLICY:WEIGHT, such as random:0.3, found {found!r}")
        if not _is_number(part["weight"]) or not 0 < float(part["weight"]) < math.inf:
            found = f"{part['policy']}:{part['weight']}"
            raise InputError(f"policy {mixture!r}: expected a weight above 0 after the last colon, found {found!r}")
        parts.append((part["policy"], float(part["weight"])))
        rest, another = rest[part.end() :], bool(part["comma"])
    return parts


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
