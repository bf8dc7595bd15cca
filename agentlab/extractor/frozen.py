"""The frozen extractor: an artefact that is loaded, used and never changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from agentlab import device as devices
from agentlab import weights
from agentlab.artefact import META, read_meta, require_unchanged, sha256
from agentlab.errors import InputError
from agentlab.extractor.compiled import CompiledEye, Floats
from agentlab.extractor.eye import Eye, Sees
from agentlab.labels import LabelSchema

KIND = "extractor"
FORMAT_VERSION = 5
WEIGHTS = "weights.safetensors"
FIELDS = {"architecture": dict, "label_schema": dict, "labels": dict, "counters": list, "env": str, "env_kwargs": dict}
"""What an extractor's `meta.json` must say beside its version."""
BATCH_SIZE = 256


class FrozenExtractor(nn.Module):
    """Turns frames into feature vectors and predicts their labels; its weights never change.

    It is always in evaluation mode and holds no parameter that asks for a gradient: `train()` and `apply()` do nothing,
    so that it may be part of an SB3 policy, which trains and initialises its parts.
    """

    def __init__(self, eye: Eye, folder: Path, meta: dict[str, Any], device: torch.device) -> None:
        """`load` is how to make one."""
        super().__init__()
        self.eye = eye.to(device=device, memory_format=torch.channels_last).eval().requires_grad_(False)  # type: ignore[call-overload]
        self.label_schema = eye.predictors.schema
        self.folder = folder
        self.meta = meta
        self.fingerprint = sha256(folder / WEIGHTS)
        self.device = device
        self.frame_shape: tuple[int, ...] = tuple(meta["architecture"]["frame_shape"])
        self.n_features: int = meta["architecture"]["n_features"]
        self.training = False
        self._compiled = CompiledEye(self.eye, self.frame_shape)

    @classmethod
    def load(cls, folder: str | Path, device: str = "auto") -> FrozenExtractor:
        """The extractor in `folder`; `InputError` when it is none, of another version, truncated or garbled."""
        folder = Path(folder)
        meta = read_meta(folder, KIND, FORMAT_VERSION, FIELDS)
        schema = LabelSchema.from_dict(meta["label_schema"], f"{folder / META}: field 'label_schema'")
        try:
            eye = Eye(meta["architecture"], schema)
        except (KeyError, TypeError, ValueError, IndexError, RuntimeError) as error:
            raise InputError(
                f"{folder / META}: field 'architecture': not one of this agentlab's networks ({error})"
            ) from error
        weights.load_into(eye, folder / WEIGHTS)
        require_unchanged(folder / WEIGHTS, meta.get("sha256"))
        picked = devices.pick(device)
        return cls(eye, folder, meta, picked)

    def forward(self, frames: Tensor) -> Tensor:
        """The features float32 `(n, n_features)` of uint8 frames `(n, *frame_shape)`."""
        features: Tensor = self.eye.network(frames)
        return features

    def train(self, mode: bool = True) -> FrozenExtractor:  # noqa: ARG002
        """Stays in evaluation mode."""
        return self

    def apply(self, fn: Callable[[nn.Module], None]) -> FrozenExtractor:  # noqa: ARG002
        """Keeps its weights from initialisers."""
        return self

    def features(self, frames: npt.NDArray[np.uint8]) -> Floats:
        """The features `(n, n_features)` of uint8 frames `(n, *frame_shape)`, mean 0 and spread 1 when fitted."""
        return self._see(frames)[1]

    def percepts(self, frames: npt.NDArray[np.uint8], sees: Sees = "labels") -> Floats:
        """What a head sees of each frame, `(n, n_percepts(sees))`: the labels predicted from its features, all on one
        scale, and with `sees="all"` the features after them."""
        signals, features = self._see(frames)
        return signals if sees == "labels" else np.concatenate([signals, features], axis=1)

    def overlooked(self, sees: Sees = "labels") -> list[int]:
        """The percepts that heads leave out: see `LabelPredictors.overlooked`, and features read off a scoreboard."""
        predictors = self.eye.predictors
        signals: list[int] = predictors.overlooked(self.meta["labels"], self.meta["counters"])
        n_percepts = self.n_percepts(sees)
        return signals + (list(range(n_percepts - predictors.n_board, n_percepts)) if sees == "all" else [])

    def n_percepts(self, sees: Sees = "labels") -> int:
        """How many numbers a head sees of a frame."""
        return int(self.eye.predictors.n_outputs) + (self.n_features if sees == "all" else 0)

    def predict_labels(self, frames: npt.NDArray[np.uint8]) -> Floats:
        """Predicted label rows `(n, n_labels)` in the encoding of `LabelSchema`, NaN where a label seems absent."""
        return self.labels_of(self._see(frames)[0])

    def predict_labels_with_confidence(self, frames: npt.NDArray[np.uint8]) -> tuple[Floats, Floats]:
        """What `predict_labels` gives, and how probably each label is right, `(n, n_labels)`: see
        `LabelPredictors.confidences`."""
        return self.labels_with_confidence_of(self.percepts(frames, "all"))

    @torch.inference_mode()
    def labels_with_confidence_of(self, percepts: npt.NDArray[np.float32]) -> tuple[Floats, Floats]:
        """What `predict_labels_with_confidence` gives, from percepts of `sees="all"` instead of frames."""
        seen = torch.from_numpy(percepts).to(self.device)
        signals, features = seen[:, : self.n_percepts()], seen[:, self.n_percepts() :]
        confidences: Floats = self.eye.predictors.confidences(signals, features).cpu().numpy()
        return self.labels_of(percepts), confidences

    @torch.inference_mode()
    def labels_of(self, percepts: npt.NDArray[Any]) -> Floats:
        """The label rows that `predict_labels` gives, from percepts `(n, ...)` instead of frames."""
        signals = torch.from_numpy(percepts[:, : self.n_percepts()].astype(np.float32)).to(self.device)
        rows: Floats = self.eye.predictors.rows(signals).cpu().numpy()
        return rows

    def require_frames(self, shape: tuple[int, ...], where: str) -> None:
        """Raises `InputError` unless frames of `shape` are those this extractor was fitted on."""
        if tuple(shape) != self.frame_shape:
            raise InputError(
                f"{where}: expected frames of shape {self.frame_shape}, those of the extractor, found {tuple(shape)}; "
                "fit an extractor on recordings of this environment"
            )

    def _see(self, frames: npt.NDArray[np.uint8]) -> tuple[Floats, Floats]:
        """The signals and the features of frames."""
        self.require_frames(frames.shape[1:], "frames")
        if frames.dtype != np.uint8:
            raise InputError(f"frames: expected uint8, found {frames.dtype}")
        if len(frames) <= BATCH_SIZE:
            return self._see_at_once(frames)
        parts = [self._see_at_once(frames[first : first + BATCH_SIZE]) for first in range(0, len(frames), BATCH_SIZE)]
        signals, features = zip(*parts, strict=True)
        return np.concatenate(signals), np.concatenate(features)

    @torch.inference_mode()
    def _see_at_once(self, frames: npt.NDArray[np.uint8]) -> tuple[Floats, Floats]:
        if self.device.type == "cpu":
            return self._compiled(frames)
        signals, features = self.eye(torch.from_numpy(np.ascontiguousarray(frames)).to(self.device))
        return signals.cpu().numpy(), features.cpu().numpy()
