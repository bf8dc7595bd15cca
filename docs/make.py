"""Makes the pictures of the README from a finished run:  python docs/make.py runs/pong"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from agentlab.recording import Recording

FOLDER = Path(__file__).parent
STEPS_SHOWN = 450
SCALE = 3


def play(run: Path) -> None:
    """The first steps of the recorded episode of a run, every second frame, as an animated picture."""
    episode = Recording(run / "playback")[0]
    shown = episode.frames(range(0, min(STEPS_SHOWN, episode.n_frames), 2))
    images = [Image.fromarray(frame).resize((84 * SCALE, 84 * SCALE), Image.Resampling.NEAREST) for frame in shown]
    images[0].save(FOLDER / "pong.gif", save_all=True, append_images=images[1:], duration=80, loop=0, optimize=True)


def page(run: Path) -> None:
    """The top of the run's page."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1100, "height": 900})
        tab.goto((run / "report.html").absolute().as_uri())
        tab.screenshot(path=FOLDER / "report.png")
        browser.close()


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    play(folder)
    page(folder)
