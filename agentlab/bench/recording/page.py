"""How large the page of a recording of Pong is, and how soon Chromium shows its first frame."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from agentlab.bench.recording.large import recorded
from agentlab.errors import InputError, MissingExtraError
from agentlab.progress import Progress
from agentlab.report import write_recording_page

FRAMES = (20_000, 54_000)
"""The second is an hour of Pong at its own speed."""
OPENINGS = 5
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
SWITCHES = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]


def measure(
    out: Path, *, seed: int, progress: Progress, frames: tuple[int, ...] = FRAMES, openings: int = OPENINGS
) -> dict[str, Any]:
    """Of a page of so many frames each: its bytes, the seconds that writing it took, and the median of those until its
    first frame is on the screen.

    Raises `MissingExtraError` without Playwright, and `InputError` without Chromium.
    """
    pages = []
    with _browser() as browser, TemporaryDirectory(dir=out) as folder:
        for n_frames in frames:
            recording = recorded(n_frames, out, seed=seed, progress=progress)
            file = Path(folder) / f"{n_frames}.html"
            started_s = time.perf_counter()
            write_recording_page(recording, file, progress=progress)
            written_s = time.perf_counter() - started_s
            opened_s = [_opened_s(browser, file) for _ in range(openings)]
            pages.append(
                {
                    "frames": recording.total_frames,
                    "bytes": file.stat().st_size,
                    "written_s": written_s,
                    "opened_s": median(opened_s),
                    "repeats": opened_s,
                }
            )
    return {"pages": pages}


def lines(found: dict[str, Any]) -> Iterator[str]:
    """The measurement as lines for people."""
    for page in found["pages"]:
        yield (
            f"the page of {page['frames']:,} frames of Pong: {page['bytes'] / 1e6:.1f} MB, written in "
            f"{page['written_s']:.0f} s, shows its first frame after {page['opened_s']:.2f} s in Chromium"
        )


@contextmanager
def _browser() -> Iterator[Any]:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise MissingExtraError("playwright", "dev") from error
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        raise InputError("bench recording page: expected Chromium on the path, found none; install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=SWITCHES)
        yield browser
        browser.close()


def _opened_s(browser: Any, file: Path) -> float:
    page = browser.new_page()
    started_s = time.perf_counter()
    page.goto(file.absolute().as_uri())
    page.wait_for_selector("#player[data-drawn]", timeout=60_000)
    seconds = time.perf_counter() - started_s
    page.close()
    return seconds
