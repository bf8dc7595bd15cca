"""Text and sprites as drawn characters: the same pixels with every version of OpenCV, whose fonts change."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Frames = npt.NDArray[np.uint8]

_FONT = {
    "0": "### #.# #.# #.# ###",
    "1": ".#. ##. .#. .#. ###",
    "2": "### ..# ### #.. ###",
    "3": "### ..# ### ..# ###",
    "4": "#.# #.# ### ..# ..#",
    "5": "### #.. ### ..# ###",
    "6": "### #.. ### #.# ###",
    "7": "### ..# ..# ..# ..#",
    "8": "### #.# ### #.# ###",
    "9": "### #.# ### ..# ###",
    "A": "### #.# ### #.# #.#",
    "E": "### #.. ##. #.. ###",
    "F": "### #.. ##. #.. #..",
    "G": "### #.. #.# #.# ###",
    "I": "### .#. .#. .#. ###",
    "L": "#.. #.. #.. #.. ###",
    "M": "#.# ### ### #.# #.#",
    "O": "### #.# #.# #.# ###",
    "P": "### #.# ### #.. #..",
    "R": "##. #.# ##. #.# #.#",
    "S": "### #.. ### ..# ###",
    "T": "### .#. .#. .#. .#.",
    "V": "#.# #.# #.# #.# .#.",
    " ": "... ... ... ... ...",
}


def sprite(picture: str, level: int) -> Frames:
    """The picture's lines, separated by blanks, with its `#` in grey `level` and its `o` in half of it."""
    levels = {"#": level, "o": level // 2, ".": 0}
    return np.array([[levels[mark] for mark in line] for line in picture.split()], np.uint8)


def write(frame: Frames, text: str, x: int, y: int, *, scale: int, level: int) -> None:
    """Writes text into a frame, its upper left corner at (x, y), in characters of 3x5 squares of `scale` pixels."""
    for place, character in enumerate(text):
        glyph = cv2.resize(sprite(_FONT[character], level), None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST)
        left = x + 4 * scale * place
        frame[y : y + glyph.shape[0], left : left + glyph.shape[1]] = glyph
