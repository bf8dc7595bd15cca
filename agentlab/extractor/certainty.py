"""How probably a number is read right: how far it will be off is predicted from the features it is read from."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

SOFTENING = 0.1
"""Added to errors, in tolerances, before their logarithm is taken, so that those of nearly nothing are all alike."""
RIDGE = 10.0
"""The penalty on squared weights: for features of spread 1 what ten frames weigh."""
CERTAIN = -30.0
"""The logarithm of the error that is predicted where none was ever seen: e^-30 tolerances."""
FEWEST_CHECKED = 10
"""Held-out numbers from which on their errors count."""
SMALLEST_SPREAD = 1e-3
"""Of logarithms of errors about those predicted."""


class Certainty(nn.Module):
    """Predicts the error of each label's number from the features, linearly in its logarithm.

    Errors are in tolerances. That a model can learn how far off it is, and people's time is best spent where that is
    far, is learning loss (Yoo & Kweon 2019, arXiv 1905.03677); here by ridge regression, after the fit.
    """

    def __init__(self, n_features: int, n_labels: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(n_labels, n_features))
        self.register_buffer("bias", torch.full((n_labels,), CERTAIN))
        self.register_buffer("spread", torch.ones(n_labels))
        self.weight: Tensor
        self.bias: Tensor
        self.spread: Tensor

    @torch.no_grad()
    def fit(self, features: Tensor, errors: Tensor, held_out: Tensor, held_out_errors: Tensor) -> None:
        """Learns from features `(n, n_features)` and errors `(n, n_labels)`, not finite where there is none; what is
        held out tells how far errors are from those predicted."""
        for label in range(errors.shape[1]):
            known, checked = errors[:, label].isfinite(), held_out_errors[:, label].isfinite()
            if known.any():
                self._fit_one(label, features[known], errors[known, label])
                if checked.sum() >= FEWEST_CHECKED:
                    self._correct(label, held_out[checked], held_out_errors[checked, label])

    def forward(self, features: Tensor) -> Tensor:
        """The probability that each number's error is within its tolerance, `(n, n_labels)`."""
        room = math.log1p(SOFTENING) - self._log_errors(features)
        certain: Tensor = torch.special.ndtr(room / self.spread)
        return certain

    def _fit_one(self, label: int, features: Tensor, errors: Tensor) -> None:
        wanted = (errors + SOFTENING).log().double()
        inputs = features.double()
        centre, level = inputs.mean(dim=0), wanted.mean()
        centred = inputs - centre
        ridge = RIDGE * torch.eye(centred.shape[1], dtype=centred.dtype, device=centred.device)
        weight = torch.linalg.solve(centred.T @ centred + ridge, centred.T @ (wanted - level))
        self.weight[label] = weight
        self.bias[label] = level - centre @ weight
        self._correct(label, features, errors)

    def _correct(self, label: int, features: Tensor, errors: Tensor) -> None:
        """Takes the mean error from the predictions, and their spread about it."""
        off = (errors + SOFTENING).log() - self._log_errors(features)[:, label]
        self.bias[label] += off.mean()
        self.spread[label] = off.std(correction=0).clamp(min=SMALLEST_SPREAD)

    def _log_errors(self, features: Tensor) -> Tensor:
        return features @ self.weight.T + self.bias
