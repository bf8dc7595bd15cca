"""The four strategies beside the best known ways to the same end, each on equal terms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agentlab.bench import fix_norm, hard_clusters, mode_choice, random_patience, together
from agentlab.errors import InputError, nearest
from agentlab.progress import Progress
from agentlab.recipe import ExtractorConfig

FRAMES = 100_000
CONFIG = ExtractorConfig(epochs=6)
"""How eyes are fitted, but for what is compared."""
BENCHES: Mapping[str, Any] = {
    "random-patience": random_patience,
    "fixnorm": fix_norm,
    "mode-choice": mode_choice,
    "together": together,
    "hard-clusters": hard_clusters,
}


def measure(names: Sequence[str], out: Path, *, seeds: int, progress: Progress, frames: int = FRAMES) -> dict[str, Any]:
    """Measures the strategies of these names, all if there are none, in `out`; what is there already is read.

    Raises `InputError` for an unknown strategy, with the nearest, and for one named twice.
    """
    for name in names:
        if name not in BENCHES:
            raise InputError(f"bench strategies: unknown strategy {name!r}.{nearest(name, BENCHES)}")
        if names.count(name) > 1:
            raise InputError(f"bench strategies: {name!r} is named twice")
    on_frames = {"frames": frames, "seeds": seeds, "config": CONFIG}
    on_digits = {"random-patience": {"seeds": seeds}, "fixnorm": {"seeds": seeds}}
    return {
        name: BENCHES[name].measure(out, progress=progress, **on_digits.get(name, on_frames))
        for name in names or BENCHES
    }


def table(found: Mapping[str, Any]) -> str:
    """The measurements as lines for people."""
    return "\n\n".join(BENCHES[name].table(of_name) for name, of_name in found.items() if name in BENCHES)


def plot(found: Mapping[str, Any], path: Path) -> None:
    """Draws each measurement into an SVG of its own beside `path`."""
    for name, of_name in found.items():
        if name in BENCHES:
            BENCHES[name].plot(of_name, path.with_name(f"{name}.svg"))
