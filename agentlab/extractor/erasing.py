"""Random erasing: frames with rectangles painted over, so that no prediction hangs on what lies elsewhere."""

from __future__ import annotations

import torch
from torch import Tensor

RECTANGLES = 2
ALIKE = 8
"""Frames in which the same rectangles are painted over."""
LARGEST = 0.15
"""A rectangle's longest sides, as a share of the frame's: larger ones hide what is to be found."""


def erase(frames: Tensor, probability: float) -> Tensor:
    """uint8 frames `(n, height, width, ...)` with rectangles painted over, each in the colour of one of its pixels.

    Each of two rectangles is drawn with `probability` (Zhong et al. 2017, arXiv 1708.04896).
    """
    frames = frames.clone()
    for alike in torch.split(frames, ALIKE):
        for _ in range(RECTANGLES):
            if float(torch.rand(())) < probability:
                _paint_rectangle(alike)
    return frames


def _paint_rectangle(frames: Tensor) -> None:
    height, width = frames.shape[1:3]
    rows, columns = (_below(max(1, int(LARGEST * side))) + 1 for side in (height, width))
    top, left = _below(height - rows + 1), _below(width - columns + 1)
    colours = frames[:, _below(height), _below(width)].clone()
    frames[:, top : top + rows, left : left + columns] = colours[:, None, None]


def _below(n: int) -> int:
    return int(torch.randint(n, ()))
