"""The network: a frame in, a feature vector out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

N_COMPONENTS = 4
"""Components of a layer, GELU and dropout in the network, each with a dropout probability of its own."""
BLOCK = 4
"""Pixels a side that become one cell of the maps."""
BOARD_FEATURES = 4
"""Features read off a scoreboard, if that is at most a quarter of all."""
KEYPOINT_GAIN = 10.0
"""How much larger than torch's the first weights of keypoint patterns are: even softmaxes never learn to point."""


class ExtractorNetwork(nn.Module):
    """A small convolutional network that knows a frame only by where its learned patterns are.

    Three convolutions bring the frame to a quarter of its size, `Keypoints` reads off positions, and a hidden and a
    linear layer make features of them, so that what lies elsewhere matters little: screens that were not fitted on,
    with their bricks gone, are read by the same patterns. Made of components of a layer, GELU and dropout
    (CN115495998A).

    The rows of a `scoreboard` are kept from all this and read by a linear layer, whose features are the last `n_board`.
    With fewer than four features there are none, and those rows are seen as all others are.

    Takes uint8 frames `(n, height, width)` or `(n, height, width, channels)`; gives float32 `(n, n_features)`.
    """

    def __init__(
        self,
        frame_shape: Sequence[int],
        n_features: int,
        channels: int,
        keypoints: int,
        dropout: Sequence[float],
        scoreboard: Sequence[int] = (0, 0),
    ) -> None:
        """`dropout`: a probability for each of the `N_COMPONENTS`, see `dropout_probabilities`; `scoreboard`: how many
        rows it has at the top and at the bottom."""
        super().__init__()
        if len(dropout) != N_COMPONENTS:
            raise ValueError(f"dropout: expected {N_COMPONENTS} probabilities, found {len(dropout)}")
        height, width, depth = (*frame_shape, 1)[:3]
        self.n_board = n_board = min(BOARD_FEATURES, n_features // 4) if any(scoreboard) else 0
        top, bottom = scoreboard if n_board else (0, 0)
        if min(top, bottom) < 0 or top + bottom >= height:
            raise ValueError(f"scoreboard: expected fewer rows than {height} at top and bottom, found {scoreboard}")
        self._top, self._play, self._bottom = slice(top), slice(top, height - bottom), slice(height - bottom, height)
        self._bfloat16 = False
        self.register_buffer("pixel_mean", torch.zeros(1, depth, height, width))
        self.register_buffer("pixel_scale", torch.ones(1))
        self.pixel_mean: Tensor
        self.pixel_scale: Tensor
        self.trunk = nn.Sequential(
            _component(BlockwiseConv2d(depth, channels, BLOCK), dropout[0]),
            _component(nn.Conv2d(channels, channels, 3, padding=1), dropout[1]),
            _component(nn.Conv2d(channels, channels, 3, padding=1), dropout[2]),
        )
        self.keypoints = Keypoints(channels, keypoints, _blocks(height - top - bottom), _blocks(width))
        self.join = nn.Sequential(
            _component(nn.Linear(3 * keypoints, 256), dropout[3]), nn.Linear(256, n_features - n_board)
        )
        self.board = nn.Linear((top + bottom) * width * depth, n_board) if n_board else None

    def fit_in_bfloat16(self, enabled: bool) -> None:
        """Lets convolutions compute in bfloat16; weights, positions and features stay float32."""
        self._bfloat16 = enabled

    def forward(self, frames: Tensor) -> Tensor:
        device = frames.device.type
        with torch.autocast(device, torch.bfloat16, enabled=self._bfloat16 or torch.is_autocast_enabled(device)):
            places = self.keypoints(self.trunk(self._standard(frames, self._play)))
        with torch.autocast(device, enabled=False):
            features: Tensor = self.join(places)
            if self.board is None:
                return features
            board = torch.cat([self._standard(frames, rows).flatten(1) for rows in (self._top, self._bottom)], dim=1)
            return torch.cat([features, self.board(board)], dim=1)

    @property
    def hidden_layers(self) -> list[nn.Module]:
        """The layers that lead into an activation."""
        return [component[0] for component in (*self.trunk, self.join[0])]

    def _standard(self, frames: Tensor, rows: slice) -> Tensor:
        """Some rows of the frames, channels first, as how far each pixel is from its mean."""
        pixels = _channels_first(frames)[:, :, rows].float().contiguous(memory_format=torch.channels_last)
        standard: Tensor = (pixels - self.pixel_mean[:, :, rows]) * self.pixel_scale
        return standard

    @torch.no_grad()
    def rescale_features(self, mean: Tensor, scale: Tensor) -> None:
        """Makes the features `(features - mean) / scale`, by changing the last layer."""
        first = 0
        for layer in (self.join[-1], self.board):
            if isinstance(layer, nn.Linear):
                part = slice(first, first := first + layer.out_features)
                layer.bias.copy_((layer.bias - mean[part]) / scale[part])
                layer.weight.div_(scale[part, None])

    def normalise(self, frames: Tensor) -> None:
        """Takes the mean image and the overall spread of `frames` as the scale of pixels."""
        pixels = _channels_first(frames).float()
        self.pixel_mean.copy_(pixels.mean(dim=0, keepdim=True))
        self.pixel_scale.fill_(1.0 / max(float((pixels - self.pixel_mean).std()), 1.0))


class BlockwiseConv2d(nn.Conv2d):
    """A convolution that moves by `block` cells and sees `2 * block - 1`; once trained, one over blocks in a row.

    The same function either way, but the cells of a block, which lie side by side, become channels of one cell, so that
    a processor multiplies several at once. Takes `(n, channels, height, width)`, gives a cell for each block.
    """

    def __init__(self, channels_in: int, channels_out: int, block: int) -> None:
        super().__init__(channels_in, channels_out, 2 * block - 1, stride=block, padding=block - 1)
        self._block = block

    def forward(self, cells: Tensor) -> Tensor:
        if self.training:
            return super().forward(cells)
        block = self._block
        blocks = _blocks_as_channels(F.pad(cells, (0, -cells.shape[3] % block)), block)
        weight = _blocks_as_channels(F.pad(self.weight, (1, 0)), block)
        return F.conv2d(F.pad(blocks, (1, 0, block - 1, block - 1)), weight, self.bias, stride=(block, 1))


class Keypoints(nn.Module):
    """Where each of `n` learned patterns is: its expected column and row in [-1, 1] and how strongly it is there.

    A softmax over the map's cells (the spatial soft-argmax of Finn et al. 2016, arXiv 1509.06113). Takes
    `(n, channels, rows, columns)`, gives float32 `(n, 3 * n_keypoints)`: columns, rows, strengths.
    """

    def __init__(self, channels: int, n: int, rows: int, columns: int) -> None:
        super().__init__()
        self.patterns = nn.Conv2d(channels, n, 1)
        with torch.no_grad():
            self.patterns.weight *= KEYPOINT_GAIN
        row, column = torch.meshgrid(torch.linspace(-1, 1, rows), torch.linspace(-1, 1, columns), indexing="ij")
        self.register_buffer("cells", torch.stack([column.flatten(), row.flatten()], dim=1), persistent=False)
        self.cells: Tensor

    def forward(self, maps: Tensor) -> Tensor:
        logits = self.patterns(maps).flatten(2).float()
        with torch.autocast(maps.device.type, enabled=False):
            positions = logits.softmax(dim=2) @ self.cells
        strengths = logits.amax(dim=2)
        return torch.cat([positions.transpose(1, 2).flatten(1), strengths], dim=1)


class SigmoidGELU(nn.Module):
    """GELU as `x sigmoid(1.702 x)`, the approximation in its paper (arXiv 1606.08415), which is cheaper when frozen."""

    def forward(self, x: Tensor) -> Tensor:
        return F.silu(1.702 * x) / 1.702


def dropout_probabilities(highest: float, n: int, generator: torch.Generator) -> list[float]:
    """The dropout probability of each of `n` components: `highest * e**p`, `p = ln U` at most 0 (CN115495998A)."""
    p = torch.rand(n, generator=generator).double().log()
    return [float(value) for value in highest * p.exp()]


def _component(layer: nn.Module, dropout: float) -> nn.Sequential:
    """A layer, GELU and dropout; convolutions drop whole channels (Tompson et al. 2015, arXiv 1411.4280)."""
    drop = nn.Dropout2d(dropout) if isinstance(layer, nn.Conv2d) else nn.Dropout(dropout)
    return nn.Sequential(layer, SigmoidGELU(), drop)


def _channels_first(frames: Tensor) -> Tensor:
    return frames.unsqueeze(1) if frames.dim() == 3 else frames.permute(0, 3, 1, 2)


def _blocks_as_channels(cells: Tensor, block: int) -> Tensor:
    """Of `(n, channels, rows, columns)`: `(n, block * channels, rows, columns / block)`, without a copy if channels are
    last in memory."""
    blocks = cells.permute(0, 2, 3, 1).unflatten(2, (-1, block))  # type: ignore[no-untyped-call]
    channels: Tensor = blocks.flatten(3).permute(0, 3, 1, 2)
    return channels


def _blocks(pixels: int) -> int:
    return -(-pixels // BLOCK)
