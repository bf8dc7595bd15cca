"""What random patience is worth: rounds spent and the best found, on stored scores of real fits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from agentlab.bench import digits
from agentlab.bench.drawing import BLUE, GREY, drawn
from agentlab.bench.fits import kept
from agentlab.progress import Progress
from agentlab.strategies import RandomPatience

N_CURVES = 200
ROUNDS = 40
"""Rounds of the full budget."""
RATIO = 0.7
INSTANCES = 120
"""Networks that are fitted for a data split; a curve is the scores of 40 of them, drawn in a random order."""
SPLITS = 5
EPOCHS = 10
STAGNATION = 16
"""Rounds without a better one after which Optuna's stagnation rule would stop, the mean of the random patience."""
