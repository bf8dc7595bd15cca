"""The frozen eye compiled for this machine's processor."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import openvino
import torch

from agentlab import device as devices
from agentlab.extractor.eye import Eye
from agentlab.onnx_model import to_onnx

Floats = npt.NDArray[np.float32]
Precision: TypeAlias = Literal["bf16", "f32"]
"""What OpenVINO calls bfloat16 and float32."""
ANY = -1
"""Number of frames, for OpenVINO."""
CLOSE = 0.1
"""How far, on average and in their spread, signals and features in bfloat16 may be from those in float32."""


class CompiledEye:
    """The eye as OpenVINO runs it, in bfloat16 where the processor multiplies that in hardware, else in float32.

    It is compiled at the first call, for as many threads as torch has then, and for as many frames: so many at once are
    seen a fifth faster than other numbers, for which it is compiled once more. If bfloat16 is not `CLOSE` to torch's
    float32 on the first frames, that is warned of and float32 taken. Copies compile anew. (Convolutions in int8
    were tried: slower than bfloat16 and less exact.)
    """

    def __init__(self, eye: Eye, frame_shape: Sequence[int], precision: Precision | None = None) -> None:
        """`precision` is taken unchecked, if it is given."""
        self._eye, self._frame_shape = eye, tuple(frame_shape)
        self._given, self._precision = precision, precision
        self._model: Any = None
        self._requests: dict[int, Any] = {}

    def __call__(self, frames: npt.NDArray[np.uint8]) -> tuple[Floats, Floats]:
        """The signals and the features of uint8 frames `(n, *frame_shape)`."""
        if self._precision is None:
            self._settle_precision(frames)
        n = len(frames) if not self._requests or len(frames) in self._requests else ANY
        return self._see(n, frames)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_precision": self._given, "_model": None, "_requests": {}}

    def _settle_precision(self, frames: npt.NDArray[np.uint8]) -> None:
        self._precision = "bf16" if devices.bfloat16_is_fast(torch.device("cpu")) else "f32"
        if self._precision == "f32":
            return
        off = how_far(self._see(len(frames), frames), self._eye, frames)
        if off > CLOSE:
            self._precision = "f32"
            self._requests.clear()
            warnings.warn(
                f"in bfloat16 the eye is off by {off:.2g} spreads on this processor: it computes in float32",
                stacklevel=2,
            )

    def _see(self, n: int, frames: npt.NDArray[np.uint8]) -> tuple[Floats, Floats]:
        if n not in self._requests:
            self._requests[n] = self._compile(n)
        outputs = self._requests[n].infer([np.ascontiguousarray(frames)], share_inputs=True)
        return outputs["signals"], outputs["features"]

    def _compile(self, n: int) -> Any:
        core = openvino.Core()
        if self._model is None:
            example = np.zeros((2, *self._frame_shape), np.uint8)
            self._model = core.read_model(to_onnx(self._eye, example, "frames", ["signals", "features"]))
        self._model.reshape([n, *self._frame_shape])
        options = {
            "INFERENCE_PRECISION_HINT": self._precision,
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,
        }
        return core.compile_model(self._model, "CPU", options).create_infer_request()


@torch.inference_mode()
def how_far(seen: tuple[Floats, Floats], eye: Eye, frames: npt.NDArray[np.uint8]) -> float:
    """How far signals and features, the worse of the two, are on average from those that torch makes of `frames` in
    float32, in their spreads, of 1 at least."""
    exact = [outputs.numpy() for outputs in eye(torch.from_numpy(np.array(frames)))]
    return max(
        float(np.abs(found - true).mean() / max(float(true.std()), 1.0))
        for found, true in zip(seen, exact, strict=True)
    )
