"""The eye: the feature network and the label predictors that sit on it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from agentlab.extractor.network import ExtractorNetwork
from agentlab.extractor.predictors import LabelPredictors
from agentlab.labels import LabelSchema


class Eye(nn.Module):
    """The feature network and the label predictors that sit on it."""

    def __init__(self, architecture: dict[str, Any], schema: LabelSchema) -> None:
        super().__init__()
        self.network = ExtractorNetwork(**architecture)
        self.predictors = LabelPredictors(schema, architecture["n_features"])

    def percepts(self, frames: Tensor) -> Tensor:
        """Features and the signals of the predicted labels, float32 `(n, n_features + n_outputs)`."""
        features = self.network(frames)
        return torch.cat([features, self.predictors.signals(self.predictors(features))], dim=1)

    def label_rows(self, features: Tensor) -> Tensor:
        """The predicted label rows `(n, n_labels)` of feature vectors `(n, n_features)`."""
        return self.predictors.rows(self.predictors(features))

    def standardise_features(self, features: Tensor) -> None:
        """Rescales the features so that those given `(n, n_features)` get mean 0 and spread 1; predictions stay."""
        mean, scale = features.mean(dim=0), features.std(dim=0).clamp(min=1e-4)
        self.network.rescale_features(mean, scale)
        self.predictors.rescale_inputs(mean, scale)
