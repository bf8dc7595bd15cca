"""The window in which a person plays: the frame, enlarged without blur, two lines of text, and the keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pygame

from agentlab.errors import InputError
from agentlab.play.keys import STOP

if TYPE_CHECKING:
    from agentlab.recording.frames import Frame

SHARE_OF_SCREEN = 0.8
"""How much of the screen's width and height the window takes at most."""
LINE, MARGIN, NARROWEST = 24, 12, 560
"""Height of a line of text, space around it, and the least width of the window, in pixels."""
BACKGROUND, TEXT, FAINT = (24, 24, 28), (235, 235, 235), (160, 160, 168)
WITHOUT_PEOPLE = ("dummy", "offscreen")
"""SDL's drivers that show nothing to anybody."""


@dataclass(frozen=True)
class Input:
    """What a person did since the last tick: keys that went down, and all that were down at a time, oldest first."""

    pressed: frozenset[int]
    held: tuple[int, ...]


class Window:
    """Opens with the first frame that is shown. Closing it is the key Escape.

    Raises `InputError` where there is no display to open it on.
    """

    def __init__(self, title: str, key_names: str) -> None:
        self._title = title
        self._help = f"play: {key_names}     pause: p     discard the episode: backspace     end: escape"
        self._held: dict[int, None] = {}
        self._surface: pygame.Surface | None = None
        try:
            pygame.display.init()
        except pygame.error as error:
            raise _no_display(str(error)) from error
        if pygame.display.get_driver() in WITHOUT_PEOPLE:
            raise _no_display(f"SDL_VIDEODRIVER is {pygame.display.get_driver()}")
        pygame.font.init()
        self._font = pygame.font.Font(None, LINE)
        self._clock = pygame.time.Clock()

    def show(self, frame: Frame, status: str) -> None:
        """Draws a frame and a line on how the game stands, which is the window's title too."""
        pixels = _rgb(frame)
        height, width = pixels.shape[:2]
        surface = self._surface or self._open(width, height)
        room = surface.get_height() - 2 * (LINE + MARGIN)
        factor = max(1, min(surface.get_width() // width, room // height))
        picture = pygame.image.frombuffer(pixels.tobytes(), (width, height), "RGB")
        surface.fill(BACKGROUND)
        left = (surface.get_width() - factor * width) // 2
        surface.blit(pygame.transform.scale(picture, (factor * width, factor * height)), (left, 0))
        for row, (line, colour) in enumerate(((status, TEXT), (self._help, FAINT))):
            surface.blit(self._font.render(line, True, colour), (MARGIN, room + MARGIN + row * LINE))
        pygame.display.flip()
        pygame.display.set_caption(f"{self._title}: {status}")

    def tick(self, fps: float) -> Input:
        """Waits until a step's time since the last tick is over; what was done by then."""
        self._clock.tick(fps)
        pressed: dict[int, None] = {}
        before = dict(self._held)
        for event in pygame.event.get():
            if event.type == pygame.QUIT:
                pressed[STOP] = None
            elif event.type == pygame.KEYDOWN:
                pressed[event.key] = self._held[event.key] = None
            elif event.type == pygame.KEYUP:
                self._held.pop(event.key, None)
        return Input(frozenset(pressed), tuple(before | pressed))

    def close(self) -> None:
        pygame.display.quit()

    def _open(self, width: int, height: int) -> pygame.Surface:
        screen_width, screen_height = (SHARE_OF_SCREEN * size for size in pygame.display.get_desktop_sizes()[0])
        text = 2 * (LINE + MARGIN)
        factor = max(1, int(min(screen_width / width, (screen_height - text) / height)))
        size = (max(NARROWEST, self._font.size(self._help)[0] + 2 * MARGIN, factor * width), factor * height + text)
        self._surface = pygame.display.set_mode(size)
        return self._surface


def _rgb(frame: Frame) -> Frame:
    """A frame as RGB; of what is no picture, its last channel or the last frame of a stack, in grey."""
    channels = frame.shape[2] if frame.ndim == 3 else 1
    if channels in (3, 4):
        return np.ascontiguousarray(frame[..., :3])
    if frame.ndim == 3:
        frame = frame[-1] if frame.shape[0] < channels else frame[..., -1]
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_GRAY2RGB), np.uint8)


def _no_display(reason: str) -> InputError:
    return InputError(
        f"policy 'human': expected a display to open a window on, found none ({reason}); play on a desktop"
    )
