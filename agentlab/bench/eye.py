"""How fast and how exactly each runtime sees frames through a frozen eye: why the one that is used is used."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from statistics import median

import numpy as np
import numpy.typing as npt
import torch

from agentlab import device as devices
from agentlab.extractor import FrozenExtractor
from agentlab.extractor.compiled import CompiledEye, Floats, Precision, how_far
from agentlab.extractor.eye import Eye

REPEATS = 30

Sight = Callable[[npt.NDArray[np.uint8]], tuple[Floats, Floats]]
"""Gives the signals and the features of frames."""


def measure(extractor: FrozenExtractor, frames: npt.NDArray[np.uint8]) -> dict[str, dict[str, float]]:
    """By runtime: microseconds a frame when so many are seen at once, the median of several times, and how far what
    it sees is from what torch sees in float32, in spreads (see `how_far`)."""
    eye, shape = copy.deepcopy(extractor.eye).cpu(), extractor.frame_shape
    ways = {"torch, float32": _by_torch(eye, in_bfloat16=False), "OpenVINO, float32": _by_openvino(eye, shape, "f32")}
    if devices.bfloat16_is_fast(torch.device("cpu")):
        ways["torch, bfloat16"] = _by_torch(copy.deepcopy(eye), in_bfloat16=True)
        ways["OpenVINO, bfloat16"] = _by_openvino(eye, shape, "bf16")
    return {
        name: {"us_per_frame": _seconds(sight, frames) / len(frames) * 1e6, "off": how_far(sight(frames), eye, frames)}
        for name, sight in ways.items()
    }


def table(found: dict[str, dict[str, float]]) -> str:
    """The measurement as lines for people, the fastest first."""
    return "\n".join(
        f"eye by {name:<29}{way['us_per_frame']:>8.1f} microseconds a frame, off by {way['off']:.3f} spreads"
        for name, way in sorted(found.items(), key=lambda item: item[1]["us_per_frame"])
    )


def _by_torch(eye: Eye, *, in_bfloat16: bool) -> Sight:
    eye.network.fit_in_bfloat16(in_bfloat16)

    @torch.inference_mode()
    def see(frames: npt.NDArray[np.uint8]) -> tuple[Floats, Floats]:
        signals, features = eye(torch.from_numpy(frames))
        return signals.numpy(), features.numpy()

    return see


def _by_openvino(eye: Eye, frame_shape: Sequence[int], precision: Precision) -> Sight:
    return CompiledEye(eye, frame_shape, precision)


def _seconds(sight: Sight, frames: npt.NDArray[np.uint8]) -> float:
    taken = []
    for _ in range(REPEATS):
        started_s = time.perf_counter()
        sight(frames)
        taken.append(time.perf_counter() - started_s)
    return median(taken)
