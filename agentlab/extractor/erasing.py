"""Random erasing: frames with rectangles painted over, so that no prediction hangs on what lies elsewhere."""

from __future__ import annotations

import torch
from torch import Tensor

RECTANGLES = 2
ALIKE = 8
"""Frames in which the same rectangles are painted over."""
LARGEST_SHARE = 0.12
"""Of a frame's area that a rectangle covers."""


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
    rows = _below(height // 2) + 1
    columns = min(_below(width // 2) + 1, max(1, int(LARGEST_SHARE * height * width / rows)))
    top, left = _below(height - rows + 1), _below(width - columns + 1)
    colours = frames[:, _below(height), _below(width)].clone()
    frames[:, top : top + rows, left : left + columns] = colours[:, None, None]


def _below(n: int) -> int:
    return int(torch.randint(n, ()))
