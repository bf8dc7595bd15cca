"""A torch network as an ONNX model."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt
import torch
from torch import nn

OPSET = 18


def to_onnx(module: nn.Module, example: npt.NDArray[Any], input_name: str, outputs: Sequence[str]) -> bytes:
    """The model of `module`, which takes one array `(n, ...)` like `example` and gives `outputs`, each `(n, ...)`."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        file = Path(folder) / "model.onnx"
        warnings.simplefilter("ignore")  # the exporter that needs no further package calls itself legacy
        torch.onnx.export(
            module,
            (torch.from_numpy(example),),
            file,
            dynamo=False,
            opset_version=OPSET,
            input_names=[input_name],
            output_names=list(outputs),
            dynamic_axes={name: {0: "n"} for name in (input_name, *outputs)},
        )
        return file.read_bytes()
