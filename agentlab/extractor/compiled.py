"""The frozen eye compiled for this machine's processor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino
import torch

from agentlab import device as devices
from agentlab.extractor.eye import Eye
from agentlab.onnx_model import to_onnx

Floats = npt.NDArray[np.float32]
ANY = -1
"""Number of frames, for OpenVINO."""


class CompiledEye:
    """The eye as OpenVINO runs it: in bfloat16 where the processor multiplies that in hardware, else in float32.

    It is compiled at the first call, for as many threads as torch has then, and for as many frames: those numbers are
    seen a fifth faster than others, for which it is compiled once more. Copies compile anew.
    """

    def __init__(self, eye: Eye, frame_shape: Sequence[int]) -> None:
        self._eye, self._frame_shape = eye, tuple(frame_shape)
        self._model: Any = None
        self._requests: dict[int, Any] = {}

    def __call__(self, frames: npt.NDArray[np.uint8]) -> tuple[Floats, Floats]:
        """The signals and the features of uint8 frames `(n, *frame_shape)`."""
        n = len(frames) if not self._requests or len(frames) in self._requests else ANY
        if n not in self._requests:
            self._requests[n] = self._compile(n)
        outputs = self._requests[n].infer([np.ascontiguousarray(frames)], share_inputs=True)
        return outputs["signals"], outputs["features"]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_model": None, "_requests": {}}

    def _compile(self, n: int) -> Any:
        core = openvino.Core()
        if self._model is None:
            example = np.zeros((2, *self._frame_shape), np.uint8)
            self._model = core.read_model(to_onnx(self._eye, example, "frames", ["signals", "features"]))
        self._model.reshape([n, *self._frame_shape])
        options = {
            "INFERENCE_PRECISION_HINT": "bf16" if devices.bfloat16_is_fast(torch.device("cpu")) else "f32",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,
        }
        return core.compile_model(self._model, "CPU", options).create_infer_request()
