"""The eye: the feature network and the label predictors that sit on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from agentlab.extractor.network import ExtractorNetwork
from agentlab.extractor.predictors import LabelPredictors
from agentlab.labels import LabelSchema

Sees: TypeAlias = Literal["labels", "all"]
"""What a head sees of a frame: the labels predicted from its features, or all, which is the features too."""


class Eye(nn.Module):
    """The feature network and the label predictors that sit on it."""

    def __init__(self, architecture: Mapping[str, Any], schema: LabelSchema) -> None:
        """`architecture`: the arguments of `ExtractorNetwork`, and the `board_labels` of `LabelPredictors`."""
        super().__init__()
        self.architecture = dict(architecture)
        network = dict(architecture)
        board_labels = network.pop("board_labels")
        self.network = ExtractorNetwork(**network)
        self.predictors = LabelPredictors(schema, network["n_features"], self.network.n_board, board_labels)

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """The predicted labels as a head sees them, float32 `(n, n_outputs)` (see `LabelPredictors.signals`), and the
        features they are predicted from."""
        features = self.network(frames)
        return self.predictors.signals(self.predictors(features)), features

    def percepts(self, frames: Tensor, sees: Sees) -> Tensor:
        """What a head sees of each frame: the signals of its labels, and with `all` its features after them."""
        signals, features = self(frames)
        return signals if sees == "labels" else torch.cat([signals, features], dim=1)

    def label_rows(self, frames: Tensor) -> Tensor:
        """The predicted label rows `(n, n_labels)`."""
        return self.predictors.rows(self(frames)[0])

    def standardise_features(self, features: Tensor) -> None:
        """Rescales the features so that those given `(n, n_features)` get mean 0 and spread 1; predictions stay."""
        mean, scale = features.mean(dim=0), features.std(dim=0, correction=0).clamp(min=1e-4)
        self.network.rescale_features(mean, scale)
        self.predictors.rescale_inputs(mean, scale)
