"""The page in a real browser: Chromium, driven by Playwright; skipped where either is missing."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agentlab.recording import Recording
from agentlab.report import write_run_report

playwright_api = pytest.importorskip("playwright.sync_api")

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

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def url(finished_run: Path) -> str:
    return write_run_report(finished_run).as_uri()


@pytest.fixture
def page(browser: Any, url: str) -> Iterator[Any]:
    """The report of the finished run; fails the test for errors on the console and for any request to the network."""
    page = browser.new_page(viewport={"width": 1000, "height": 900})
    complaints: list[str] = []
    page.on("console", lambda message: message.type == "error" and complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: request.url.startswith(("file:", "data:")) or complaints.append(request.url))
    page.goto(url)
    wait_for_frame(page, 0)
    yield page
    page.close()
    assert complaints == []


def wait_for_frame(page: Any, frame: int) -> None:
    page.wait_for_selector(f"#player[data-drawn='{frame}']", timeout=10_000)


def wait_until(page: Any, condition: str, timeout_s: float = 20) -> None:
    """Polls from outside: the page's content security policy forbids the evaluation of strings in it."""
    deadline = time.monotonic() + timeout_s
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, f"still not: {condition}"
        page.wait_for_timeout(20)


def pixels(page: Any) -> Any:
    """The canvas as rows of grey values."""
    rgba = page.evaluate(
        "(() => { const c = document.getElementById('screen');"
        " return Array.from(c.getContext('2d').getImageData(0, 0, c.width, c.height).data) })()"
    )
    size = page.evaluate("[document.getElementById('screen').height, document.getElementById('screen').width]")
    return np.array(rgba, dtype=np.uint8).reshape(*size, 4)[..., 0]


def test_every_frame_shown_is_the_recorded_one(page: Any, finished_run: Path) -> None:
    episode = Recording(finished_run / "playback")[0]
    for frame in (0, 1, 24, 25, 26, episode.n_steps):
        page.evaluate(f"location.hash = '#f={frame}'")
        wait_for_frame(page, frame)
        np.testing.assert_array_equal(pixels(page), episode.frame(frame))


def test_keys_step_jump_and_stop_at_the_ends(page: Any, finished_run: Path) -> None:
    episode = Recording(finished_run / "playback")[0]
    page.focus("#player")
    for key, frame in [
        ("ArrowRight", 1),
        ("ArrowRight", 2),
        ("ArrowLeft", 1),
        ("End", episode.n_steps),
        ("ArrowRight", episode.n_steps),
        ("Home", 0),
        ("ArrowLeft", 0),
    ]:
        page.keyboard.press(key)
        wait_for_frame(page, frame)
    assert page.input_value("#slider") == "0"


def test_keys_find_the_next_reward(page: Any, finished_run: Path) -> None:
    rewarded = np.flatnonzero(Recording(finished_run / "playback")[0].rewards) + 1
    page.focus("#player")
    for frame in rewarded[:2]:
        page.keyboard.press("ArrowDown")
        wait_for_frame(page, int(frame))
        assert page.inner_text("#now-reward") == "+0.1"
    page.keyboard.press("ArrowUp")
    wait_for_frame(page, int(rewarded[0]) if len(rewarded) > 1 else 0)


def test_space_plays_and_pauses(page: Any) -> None:
    page.focus("#player")
    page.select_option("#speed", "8")
    page.keyboard.press("Space")
    assert page.get_attribute("#play-button", "aria-label") == "Pause"
    wait_until(page, "Number(document.getElementById('slider').value) > 10")
    page.keyboard.press("Space")
    assert page.get_attribute("#play-button", "aria-label") == "Play"
    at = int(page.input_value("#slider"))
    wait_for_frame(page, at)
    assert page.evaluate("location.hash") == f"#f={at}"


def test_playing_ends_with_the_episode_and_starts_over(page: Any) -> None:
    page.focus("#player")
    page.keyboard.press("End")
    page.select_option("#speed", "8")
    page.click("#play-button")
    wait_until(page, "Number(document.getElementById('slider').value) < 30")
    page.wait_for_selector("#player:not(.playing)", timeout=20_000)
    assert page.input_value("#slider") == page.get_attribute("#slider", "max")


def test_readings_follow_the_frame(page: Any, finished_run: Path) -> None:
    episode = Recording(finished_run / "playback")[0]
    page.evaluate("location.hash = '#f=4'")
    wait_for_frame(page, 4)
    assert page.inner_text("#now-action") == page.inner_text("#value-bars .chosen .name")
    truths = [
        float(text) for text in page.locator("#label-rows td:nth-child(2)").all_inner_texts() if text[0].isdigit()
    ]
    np.testing.assert_allclose(truths, [x for x in episode.labels[4] if not np.isnan(x)][: len(truths)], atol=0.06)
    assert page.locator("#label-rows tr.wrong").count() > 0


def test_the_timeline_seeks_where_it_is_clicked(page: Any) -> None:
    page.locator("#marks").scroll_into_view_if_needed()
    box = page.locator("#marks").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 10)
    last = int(page.get_attribute("#slider", "max"))
    assert abs(int(page.input_value("#slider")) - last / 2) <= 1


def test_keys_leave_the_rest_of_the_page_alone(page: Any) -> None:
    page.evaluate("document.activeElement.blur(); scrollTo(0, document.body.scrollHeight)")
    page.keyboard.press("ArrowRight")
    assert page.input_value("#slider") == "0"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_a_telephone_and_can_be_read(browser: Any, url: str, scheme: str) -> None:
    page = browser.new_page(viewport={"width": 360, "height": 740}, color_scheme=scheme)
    page.goto(url)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    ink, paper = page.evaluate(
        "(() => { const s = getComputedStyle(document.body); return [s.color, s.backgroundColor] })()"
    )
    assert contrast(ink, paper) >= 7
    small = page.evaluate(
        "[...document.querySelectorAll('button, select')].filter(e => e.getBoundingClientRect().height < 24).length"
    )
    assert small == 0
    page.close()


def contrast(one: str, other: str) -> float:
    """WCAG's contrast ratio of two colours written `rgb(r, g, b)`."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    channels = np.array([int(part) for part in colour[4:-1].split(",")]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
