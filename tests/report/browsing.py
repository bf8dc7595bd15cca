"""Pages in a real browser: Chromium, driven by Playwright."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def opened(browser: Any, url: str, **options: Any) -> Iterator[Any]:
    """A page; fails for errors on its console, and for any request to the network."""
    page = browser.new_page(**{"viewport": {"width": 1000, "height": 900}, **options})
    complaints: list[str] = []
    page.on("console", lambda message: message.type == "error" and complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: request.url.startswith(("file:", "data:")) or complaints.append(request.url))
    page.goto(url)
    yield page
    page.close()
    assert complaints == []


def wait_for_frame(page: Any, frame: int, episode: int = 0) -> None:
    page.wait_for_selector(f"#player[data-drawn='{episode}:{frame}']", timeout=10_000)


def go(page: Any, frame: int, episode: int = 0) -> None:
    """Follows the link to a frame."""
    page.evaluate(f"location.hash = '#ep={episode}&f={frame}'")
    wait_for_frame(page, frame, episode)


def wait_until(page: Any, condition: str, timeout_s: float = 20) -> None:
    """Polls from outside: the page's content security policy forbids the evaluation of strings in it."""
    deadline = time.monotonic() + timeout_s
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, f"still not: {condition}"
        page.wait_for_timeout(20)


def pixels(page: Any, canvas: str = "screen") -> npt.NDArray[np.uint8]:
    """What a canvas shows, RGBA `(height, width, 4)`."""
    rgba = page.evaluate(
        f"(() => {{ const c = document.getElementById('{canvas}');"
        " return Array.from(c.getContext('2d').getImageData(0, 0, c.width, c.height).data) })()"
    )
    height, width = page.evaluate(
        f"(() => {{ const c = document.getElementById('{canvas}'); return [c.height, c.width] }})()"
    )
    return np.array(rgba, dtype=np.uint8).reshape(height, width, 4)


def contrast(one: str, other: str) -> float:
    """WCAG's contrast ratio of two colours written `rgb(r, g, b)`."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    channels = np.array([int(part) for part in colour[4:-1].split(",")]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
