"""The page of a run in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import contrast, go, opened, pixels, wait_for_frame, wait_until
from damage import damage_frame

from agentlab.recording import Recording
from agentlab.report import write_run_report


@pytest.fixture(scope="module")
def url(finished_run: Path) -> str:
    return write_run_report(finished_run).as_uri()


@pytest.fixture
def page(browser: Any, url: str) -> Iterator[Any]:
    """The report of the finished run."""
    with opened(browser, url) as page:
        wait_for_frame(page, 0)
        yield page


def test_every_frame_shown_is_the_recorded_one(page: Any, finished_run: Path) -> None:
    episode = Recording(finished_run / "playback")[0]
    for frame in (0, 1, 24, 25, 26, episode.n_steps):
        go(page, frame)
        np.testing.assert_array_equal(pixels(page)[..., 0], episode.frame(frame))


def test_keys_step_jump_and_stop_at_the_ends(page: Any, finished_run: Path) -> None:
    episode = Recording(finished_run / "playback")[0]
    page.focus("#player")
    for key, frame in [
        ("ArrowRight", 1),
        ("ArrowRight", 2),
        ("ArrowLeft", 1),
        ("Shift+ArrowRight", 31),
        ("Shift+ArrowLeft", 1),
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
        page.keyboard.press("r")
        wait_for_frame(page, int(frame))
        assert page.inner_text("#now-reward") == "+0.1"
    page.keyboard.press("Shift+R")
    wait_for_frame(page, int(rewarded[0]) if len(rewarded) > 1 else 0)


def test_keys_of_episodes_are_left_to_the_page_where_there_is_only_one(page: Any) -> None:
    page.focus("#player")
    page.keyboard.press("ArrowDown")
    wait_until(page, "scrollY > 0")
    assert page.input_value("#slider") == "0"
    assert page.locator("#key-episodes").is_hidden()


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
    wait_until(page, f"location.hash === '#ep=0&f={at}'")


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
    go(page, 4)
    chosen = page.inner_text("#value-bars .chosen .name")
    assert page.inner_text("#now-action") == chosen == page.inner_text("#value-bars .best .name")
    truths = [
        float(text) for text in page.locator("#label-rows td:nth-child(2)").all_inner_texts() if text[0].isdigit()
    ]
    np.testing.assert_allclose(truths, [x for x in episode.labels[4] if not np.isnan(x)][: len(truths)], atol=0.06)
    assert page.locator("#label-rows tr.wrong").count() > 0


def test_the_timeline_seeks_where_it_is_clicked(page: Any) -> None:
    page.locator("#label-line").scroll_into_view_if_needed()
    box = page.locator("#label-line").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 10)
    last = int(page.get_attribute("#slider", "max"))
    assert abs(int(page.input_value("#slider")) - last / 2) <= 1


def test_keys_leave_the_rest_of_the_page_alone(page: Any) -> None:
    page.evaluate("document.activeElement.blur(); scrollTo(0, document.body.scrollHeight)")
    page.keyboard.press("ArrowRight")
    assert page.input_value("#slider") == "0"


def test_links_within_the_page_leave_the_frame_alone(page: Any) -> None:
    go(page, 7)
    page.evaluate("location.hash = '#labels'")
    wait_until(page, "location.hash === '#labels'")
    assert page.input_value("#slider") == "7"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_a_telephone_and_can_be_read(browser: Any, url: str, scheme: str) -> None:
    with opened(browser, url, viewport={"width": 360, "height": 740}, color_scheme=scheme) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        ink, paper = page.evaluate(
            "(() => { const s = getComputedStyle(document.body); return [s.color, s.backgroundColor] })()"
        )
        assert contrast(ink, paper) >= 7
        small = page.evaluate(
            "[...document.querySelectorAll('button, select')].filter(e => e.checkVisibility()"
            " && e.getBoundingClientRect().height < 24).length"
        )
        assert small == 0


def test_a_damaged_frame_is_black_and_said_to_be(browser: Any, run: Path) -> None:
    damage_frame(run / "playback", 0, 30)
    with opened(browser, write_run_report(run).as_uri()) as page:
        go(page, 30)
        assert page.inner_text("#damage") == "Damaged frames of this episode, shown black: 30"
        assert not pixels(page)[..., :3].any()
        go(page, 31)
        assert pixels(page)[..., :3].any()
