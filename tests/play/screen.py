"""A virtual screen, and a person before it: real key events, read by any program that shows a window there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import numpy as np
import pytest

xlib_display = pytest.importorskip("Xlib.display")
from Xlib import XK, X  # noqa: E402
from Xlib.error import BadWindow  # noqa: E402
from Xlib.ext import xtest  # noqa: E402
from Xlib.protocol.event import ClientMessage  # noqa: E402

XVFB = shutil.which("Xvfb")


@contextmanager
def virtual_screen() -> Iterator[str]:
    """The name of a display that nobody sees."""
    reads, writes = os.pipe()
    command = [XVFB, "-displayfd", str(writes), "-screen", "0", "1024x768x24", "-nolisten", "tcp", "-noreset"]
    with subprocess.Popen(command, pass_fds=[writes], stderr=subprocess.DEVNULL) as server:
        os.close(writes)
        with os.fdopen(reads) as number:
            name = f":{number.readline().strip()}"
        try:
            yield name
        finally:
            server.terminate()


class Person:
    """Presses keys and reads the titles of windows."""

    def __init__(self, screen: str) -> None:
        self._display = xlib_display.Display(screen)
        self._held: set[str] = set()

    def press(self, *names: str) -> None:
        for name in names:
            self._key(X.KeyPress, name)
        self._held |= set(names)

    def release(self, *names: str) -> None:
        for name in names:
            self._key(X.KeyRelease, name)
        self._held -= set(names)

    def tap(self, *names: str) -> None:
        self.press(*names)
        self.release(*names)

    def sees(self, pattern: str, timeout_s: float = 60.0) -> re.Match[str]:
        """What the title of the window says, when it does."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            window, title = self._window()
            if window is not None and (found := re.search(pattern, title)):
                window.set_input_focus(X.RevertToParent, X.CurrentTime)
                self._display.sync()
                return found
            assert time.monotonic() < deadline_s, f"expected {pattern!r}, found {title!r}"
            time.sleep(0.01)

    def closes_the_window(self) -> None:
        """As a window manager does when its cross is clicked."""
        window, _ = self._window()
        protocols, delete = (self._display.intern_atom(name) for name in ("WM_PROTOCOLS", "WM_DELETE_WINDOW"))
        window.send_event(
            ClientMessage(window=window, client_type=protocols, data=(32, [delete, X.CurrentTime, 0, 0, 0]))
        )
        self._display.sync()

    def pixels(self):
        """What the window shows, an array of shape (height, width, 3)."""
        window, _ = self._window()
        size = window.get_geometry()
        image = window.get_image(0, 0, size.width, size.height, X.ZPixmap, 0xFFFFFFFF)
        return np.frombuffer(image.data, np.uint8).reshape(size.height, size.width, 4)[..., 2::-1]

    def close(self) -> None:
        self.release(*self._held)
        self._display.close()

    def _key(self, kind: int, name: str) -> None:
        xtest.fake_input(self._display, kind, self._display.keysym_to_keycode(XK.string_to_keysym(name)))
        self._display.sync()

    def _window(self):
        for window in self._display.screen().root.query_tree().children:
            with suppress(BadWindow):  # a window that closed meanwhile
                title = window.get_full_text_property(self._display.intern_atom("_NET_WM_NAME"))
                if title:
                    return window, title
        return None, ""
