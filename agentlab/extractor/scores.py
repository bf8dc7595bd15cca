"""Scores of predicted labels: what is right, and how well each label is read on held-out frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from agentlab.labels import Flag, LabelSchema, Number

READ = 0.5
"""Labels with a lower score on held-out episodes are not shown to heads."""


def rightness(
    schema: LabelSchema, true: npt.NDArray[np.float32], predicted: npt.NDArray[np.float32]
) -> npt.NDArray[np.bool_]:
    """Which labels are read rightly, `(n, n_labels)`: absent where they are, of the right class, numbers within their
    tolerance."""
    right = np.isnan(true) & np.isnan(predicted)
    for column, label in enumerate(schema.values()):
        error = np.abs(predicted[:, column] - true[:, column])
        right[:, column] |= error <= (label.tolerance if isinstance(label, Number) else 0)
    return right


def quality(score: Mapping[str, Any]) -> tuple[str, float | None]:
    """Which measure of a label's score says how well it is read, and its value, None where that cannot be told."""
    return next(((measure, score[measure]) for measure in ("r2", "accuracy", "f1") if measure in score), ("r2", None))


def is_read(score: Mapping[str, Any]) -> bool:
    """Whether a label with this score is shown to heads."""
    value = quality(score)[1]
    return value is not None and value >= READ


def scores(
    schema: LabelSchema, true: npt.NDArray[np.float32], predicted: npt.NDArray[np.float32]
) -> dict[str, dict[str, Any]]:
    """Per label its kind, its score and the number of frames it was taken on: those where the label has a value.

    R² for numbers, accuracy for categories, F1 for flags; a value predicted to be absent counts as the mean of the
    true ones or as wrong. A score is None where the frames cannot tell: a label without values, a number or category
    that never changes, a flag that is always true, or never and never predicted so.
    """
    return {
        name: {"kind": label.to_dict()["kind"], **_score(label, true[:, column], predicted[:, column])}
        for column, (name, label) in enumerate(schema.items())
    }


def _score(label: Any, true: npt.NDArray[np.float32], predicted: npt.NDArray[np.float32]) -> dict[str, Any]:
    present = ~np.isnan(true)
    wanted, found = true[present].astype(np.float64), predicted[present].astype(np.float64)
    changes = len(np.unique(wanted)) > 1
    match label:
        case Number():
            return {"r2": _r2(wanted, found) if changes else None, "frames": len(wanted)}
        case Flag():
            return {"f1": _f1(wanted == 1, np.where(np.isnan(found), wanted != 1, found == 1)), "frames": len(wanted)}
        case _:
            return {"accuracy": float((wanted == found).mean()) if changes else None, "frames": len(wanted)}


def _r2(wanted: npt.NDArray[np.float64], found: npt.NDArray[np.float64]) -> float:
    errors = wanted - np.where(np.isnan(found), wanted.mean(), found)
    return float(1 - (errors**2).sum() / ((wanted - wanted.mean()) ** 2).sum())


def _f1(wanted: npt.NDArray[np.bool_], found: npt.NDArray[np.bool_]) -> float | None:
    positives = int(wanted.sum() + found.sum())
    return float(2 * (wanted & found).sum() / positives) if positives and not wanted.all() else None
