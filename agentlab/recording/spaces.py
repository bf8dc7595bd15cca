"""Gymnasium spaces in the forms a recording needs: Minari's JSON, and Arrow columns."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from gymnasium import spaces

from agentlab.errors import InputError
from agentlab.spaces import to_plain

_FLAT_SPACES = (spaces.Box, spaces.MultiDiscrete, spaces.MultiBinary)


def require_image_space(space: spaces.Space[Any], where: str) -> spaces.Box:
    """The space itself; `InputError` unless it is one of uint8 images with two or three dimensions."""
    if isinstance(space, spaces.Box) and space.dtype == np.uint8 and len(space.shape) in (2, 3) and all(space.shape):
        return space
    raise InputError(f"{where}: expected images (a uint8 Box of shape (h, w) or (h, w, channels)), found {space}")


def stores_png(space: spaces.Box) -> bool:
    """Whether Minari reads frames of this space through an image decoder and PNG can hold them.

    Minari's rule: uint8 from 0 to 255, two or three dimensions, the first two at least 32. Frames of other spaces are
    stored as Minari stores them, raw.
    """
    return (
        min(space.shape[:2]) >= 32
        and space.shape[2:] in ((), (1,), (3,), (4,))
        and bool(np.all(space.low == 0))
        and bool(np.all(space.high == 255))
    )


def to_minari_json(space: spaces.Space[Any]) -> str:
    """The space as Minari writes it, bounds element by element.

    A last axis of length 1 is left out for images stored as PNG, because Minari's reader drops it from the frames.
    """
    plain = to_plain(space)
    if isinstance(space, spaces.Box):
        shape = (
            space.shape[:2]
            if space.dtype == np.uint8 and space.shape[2:] == (1,) and stores_png(space)
            else space.shape
        )
        plain |= {
            "shape": list(shape),
            "low": space.low.reshape(shape).tolist(),
            "high": space.high.reshape(shape).tolist(),
        }
    return json.dumps(plain, separators=(",", ":"))


def column_type(space: spaces.Space[Any]) -> pa.DataType:
    """The Arrow type in which Minari stores values of the space, and images that are not PNG."""
    if isinstance(space, _FLAT_SPACES):
        return pa.list_(pa.from_numpy_dtype(space.dtype), int(np.prod(space.shape)))
    return pa.from_numpy_dtype(space.dtype)


def to_column(space: spaces.Space[Any], values: npt.NDArray[Any]) -> pa.Array:
    """Values of the space, shape (rows, *space.shape), as a column of `column_type`."""
    flat = pa.array(values.reshape(-1))
    if isinstance(space, _FLAT_SPACES):
        return pa.FixedSizeListArray.from_arrays(flat, type=column_type(space))
    return flat


def from_column(space: spaces.Space[Any], column: pa.Array) -> npt.NDArray[Any]:
    """A column's values as an array of shape (rows, *space.shape)."""
    if isinstance(space, _FLAT_SPACES):
        flat: npt.NDArray[Any] = column.flatten().to_numpy(zero_copy_only=False)
        return flat.reshape(len(column), *space.shape)
    values: npt.NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return values
