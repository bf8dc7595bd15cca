"""The page of a recording in a real browser."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import contrast, go, opened, pixels, wait_for_frame, wait_until
from damage import change
from test_player import Priced, colours
from tiny import SQUARE, recorded

from agentlab.labels import Flag, LabelSchema
from agentlab.recording import Episode, FrameLabels, Recording, add_labels, store_predictions, verify
from agentlab.report import write_recording_page
from agentlab.report.thoughts import Memory


@pytest.fixture(scope="module")
def url(_catch: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("page") / "catch.html"
    write_recording_page(Recording(_catch), file)
    return file.as_uri()


@pytest.fixture(scope="module")
def recording(_catch: Path) -> Recording:
    return Recording(_catch)


@pytest.fixture
def page(browser: Any, url: str) -> Iterator[Any]:
    with opened(browser, url) as page:
        wait_for_frame(page, 0)
        yield page


def press(page: Any, key: str) -> None:
    page.focus("#player")
    page.keyboard.press(key)


def click_timeline(page: Any, frame: float, height: float) -> None:
    """Clicks where a frame lies, at so many hundredths of the timeline's height."""
    page.locator("#marks").scroll_into_view_if_needed()
    box = page.locator("#marks").bounding_box()
    last = int(page.get_attribute("#slider", "max"))
    page.mouse.click(box["x"] + box["width"] * frame / last, box["y"] + box["height"] * height / 100)


def test_it_opens_with_the_first_frame_of_the_first_episode(page: Any, recording: Recording) -> None:
    np.testing.assert_array_equal(pixels(page)[..., 0], recording[0].frame(0))
    assert page.inner_text("#now-episode") == "Episode 0"
    assert page.title() == "agentlab/Catch-v0 · agentlab recording recording"


def test_every_episode_can_be_looked_at(page: Any, recording: Recording) -> None:
    for episode in recording:
        for frame in (0, 26, episode.n_steps):
            go(page, frame, episode.index)
            np.testing.assert_array_equal(pixels(page)[..., 0], episode.frame(frame))
        assert page.inner_text("#now-action") == "terminated"


def test_up_and_down_go_through_the_episodes(page: Any) -> None:
    for key, episode in [("ArrowDown", 1), ("ArrowDown", 2), ("ArrowUp", 1), ("ArrowUp", 0), ("ArrowUp", 0)]:
        press(page, key)
        wait_for_frame(page, 0, episode)
        assert page.inner_text("#episodes a[aria-current]") == str(episode)
    wait_until(page, "location.hash === '#ep=0&f=0'")


def test_an_episode_is_chosen_in_the_list(page: Any, recording: Recording) -> None:
    page.click("#episodes tbody tr:nth-child(4) td:nth-child(3)", force=True)  # a link lies over the whole row
    wait_for_frame(page, 0, 3)
    np.testing.assert_array_equal(pixels(page)[..., 0], recording[3].frame(0))


def test_a_link_names_episode_and_frame(browser: Any, url: str, recording: Recording) -> None:
    with opened(browser, f"{url}#ep=3&f=120") as page:
        wait_for_frame(page, 120, 3)
        np.testing.assert_array_equal(pixels(page)[..., 0], recording[3].frame(120))
        press(page, "ArrowRight")
        wait_until(page, "location.hash === '#ep=3&f=121'")


@pytest.mark.parametrize(
    ("link", "episode", "frame"),
    [("#ep=99&f=5", 0, 0), ("#ep=2", 2, 0), ("#f=7", 0, 7), ("#ep=1&f=-3", 1, 0), ("#ep=x&f=y", 0, 0), ("#play", 0, 0)],
)
def test_links_to_what_is_not_there(browser: Any, url: str, link: str, episode: int, frame: int) -> None:
    with opened(browser, url + link) as page:
        wait_for_frame(page, frame, episode)


def test_a_link_beyond_the_end_is_the_end(browser: Any, url: str, recording: Recording) -> None:
    with opened(browser, f"{url}#ep=1&f=999999") as page:
        wait_for_frame(page, recording[1].n_steps, 1)


def test_a_click_near_a_mark_goes_exactly_to_its_frame(page: Any, recording: Recording) -> None:
    rewarded = int(np.flatnonzero(recording[0].rewards)[0]) + 1
    frames_per_pixel = recording[0].n_steps / page.locator("#marks").bounding_box()["width"]
    click_timeline(page, rewarded + 4 * frames_per_pixel, 92)
    wait_for_frame(page, rewarded)
    click_timeline(page, recording[0].n_steps - 5 * frames_per_pixel, 30)
    wait_for_frame(page, recording[0].n_steps)


def label_changes(episode: Episode) -> list[int]:
    """Frames where a label changes; of numbers that change in more than a tenth of them, where they come and go."""
    frames: set[int] = set()
    for codes in episode.labels.T:
        absent = np.isnan(codes)
        changed = (np.diff(np.nan_to_num(codes, nan=-1)) != 0) | (absent[1:] != absent[:-1])
        if changed.sum() > len(codes) / 10:
            changed = absent[1:] != absent[:-1]
        frames |= set((np.flatnonzero(changed) + 1).tolist())
    return sorted(frames)


def test_a_click_far_from_marks_goes_to_the_frame_under_it(page: Any, recording: Recording) -> None:
    marks = sorted({0, *label_changes(recording[0]), *(np.flatnonzero(recording[0].rewards) + 1).tolist()})
    before, after = max(pairwise(marks), key=lambda pair: pair[1] - pair[0])
    far = (before + after) // 2
    click_timeline(page, far, 30)
    wait_until(page, f"Math.abs(document.getElementById('slider').value - {far}) <= 1")


def test_marks_of_label_changes_are_found_by_key_and_click(page: Any, recording: Recording) -> None:
    changed = label_changes(recording[0])
    for frame in changed[:2]:
        press(page, "l")
        wait_for_frame(page, frame)
    press(page, "Shift+L")
    wait_for_frame(page, changed[0])
    click_timeline(page, changed[2] + 0.3, 73)
    wait_for_frame(page, changed[2])


def test_pulling_along_the_timeline_goes_to_any_frame(page: Any) -> None:
    page.locator("#marks").scroll_into_view_if_needed()
    box = page.locator("#marks").bounding_box()
    page.mouse.move(box["x"] + 10, box["y"] + 10)
    page.mouse.down()
    for x in range(20, int(box["width"]), 40):
        page.mouse.move(box["x"] + x, box["y"] + 10)
    page.mouse.up()
    last = int(page.get_attribute("#slider", "max"))
    assert abs(int(page.input_value("#slider")) - last * x / box["width"]) <= 1


def test_it_plays_and_stops_at_the_end_of_the_episode(page: Any, recording: Recording) -> None:
    go(page, recording[2].n_steps - 20, 2)
    press(page, "Space")
    page.wait_for_selector("#player.playing")
    page.wait_for_selector("#player:not(.playing)", timeout=20_000)
    wait_for_frame(page, recording[2].n_steps, 2)


def test_the_chart_shows_the_label_that_the_reader_chooses(page: Any, recording: Recording) -> None:
    schema = list(recording.require_labels())
    assert page.locator("#label-choice option").all_inner_texts() == schema
    lines = set()
    for position, name in enumerate(schema):
        page.select_option("#label-choice", label=name)
        values = recording[0].labels[:, position]
        assert page.get_attribute("#label-line", "aria-label") == f"{name} over the episode"
        assert float(page.inner_text("#label-high")) == pytest.approx(np.nanmax(values), abs=0.06)
        assert float(page.inner_text("#label-low")) == pytest.approx(np.nanmin(values), abs=0.06)
        lines.add(page.get_attribute("#label-line .true", "d"))
    assert len(lines) == len(schema)
    press(page, "End")
    assert page.get_attribute("#label-line .cursor", "x1") == "1000"


def test_charts_leaf_through_a_long_episode(browser: Any, tmp_path: Path) -> None:
    pong = Recording(Path(__file__).parents[2] / "recordings" / "pong")
    write_recording_page(pong, tmp_path / "page.html", [0])
    paid = np.flatnonzero(pong[0].rewards) + 1
    with opened(browser, (tmp_path / "page.html").as_uri()) as page:
        page.locator("#label-line").scroll_into_view_if_needed()
        page.select_option("#view-choice", "200")
        for frame in (250, 600):
            go(page, frame)
            first = frame // 200 * 200
            cursor = f"{1000 * (frame - first) / 200:g}"
            assert (
                page.get_attribute("#marks .cursor", "x1") == page.get_attribute("#label-line .cursor", "x1") == cursor
            )
            shown = paid[(paid >= first) & (paid <= first + 200)]
            assert page.get_attribute("#marks .loss", "d").count("M") == len(shown) > 0
            box = page.locator("#label-line").bounding_box()
            page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 10)
            wait_for_frame(page, first + 100)
        go(page, pong[0].n_steps)
        assert page.get_attribute("#label-line .cursor", "x1") == "1000"
        assert page.get_attribute("#marks .line", "d").startswith("M0 ")
        page.select_option("#view-choice", "")
        assert page.get_attribute("#marks .loss", "d").count("M") == len(paid)


@pytest.mark.parametrize("at", [0, 17, 31_234, 59_999])
def test_no_value_is_lost_where_frames_are_denser_than_places(page: Any, at: int) -> None:
    path = page.evaluate(
        "(() => { const view = new View(); view.load(60000); const values = new Array(60000).fill(0);"
        f" values[{at}] = 7; return view.stepPath(values, (value) => 10 * value) }})()"
    )
    assert "70.0" in path or "V70" in path
    assert path.count("H") + path.count("M") <= 2_000


def test_keys_of_a_choice_are_left_to_it(page: Any) -> None:
    page.focus("#label-choice")
    page.keyboard.press("ArrowDown")
    wait_until(page, "document.getElementById('label-choice').value === '1'")
    wait_for_frame(page, 0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_telephone_and_can_be_read(browser: Any, url: str, scheme: str) -> None:
    with opened(browser, url, viewport={"width": 360, "height": 740}, color_scheme=scheme) as page:
        wait_for_frame(page, 0)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        ink, paper = page.evaluate(
            "(() => { const s = getComputedStyle(document.body); return [s.color, s.backgroundColor] })()"
        )
        assert contrast(ink, paper) >= 7


def test_continuous_actions_show_as_numbers(browser: Any, tmp_path: Path) -> None:
    recording = colours(tmp_path / "rec", (40, 36, 3))
    write_recording_page(recording, tmp_path / "page.html")
    with opened(browser, (tmp_path / "page.html").as_uri()) as page:
        go(page, 12)
        np.testing.assert_array_equal(pixels(page)[..., :3], recording[0].frame(12))
        shown = [float(part.replace("−", "-")) for part in page.inner_text("#now-action").split(", ")]
        np.testing.assert_allclose(shown, recording[0].actions[12], atol=0.006)
        assert page.locator("#label-chart").is_hidden()
        assert page.locator("#episodes").count() == 0


class TestLabelsOfEveryKind:
    @pytest.fixture
    def page(self, browser: Any, tmp_path: Path) -> Iterator[Any]:
        write_recording_page(colours(tmp_path / "rec", (40, 36), game=Priced), tmp_path / "page.html")
        with opened(browser, (tmp_path / "page.html").as_uri()) as page:
            wait_for_frame(page, 0)
            yield page

    def test_what_every_step_costs_is_no_mark(self, page: Any) -> None:
        assert page.inner_text("#usual-reward") == "not marked: the usual reward −0.1"
        assert page.get_attribute("#marks .gain", "d").count("M") == 1
        assert page.get_attribute("#marks .loss", "d") == ""
        press(page, "r")
        wait_for_frame(page, 7)
        assert page.inner_text("#now-reward") == "+1"
        assert page.inner_text("#now-return") == "0.4"

    def test_marks_are_where_one_changes_or_appears(self, page: Any) -> None:
        for frame in (5, 12, 20, 30):
            press(page, "l")
            wait_for_frame(page, frame)

    def test_they_are_shown_in_words(self, page: Any) -> None:
        for frame, said in [(4, ["absent", "title", "no"]), (13, ["1.3", "play", "no"]), (20, ["2", "play", "yes"])]:
            go(page, frame)
            assert page.locator("#label-rows td:nth-child(2)").all_inner_texts() == said

    def test_their_charts_name_the_ends_of_their_range(self, page: Any) -> None:
        for name, low, high in [("way", "0.5", "3"), ("screen", "title", "play"), ("is_late", "no", "yes")]:
            page.select_option("#label-choice", label=name)
            assert (page.inner_text("#label-low"), page.inner_text("#label-high")) == (low, high)
        page.select_option("#label-choice", label="screen")
        assert page.get_attribute("#label-line .true", "d").endswith("H1000V6.0")

    def test_predictions_are_marked_where_wrong(self, browser: Any, tmp_path: Path) -> None:
        predicted = {"way": [2.0] * 31, "screen": [1] * 31, "is_late": [1] * 31}
        onlooker = Memory({"predicted": predicted, "label_schema": Priced.label_schema})
        write_recording_page(
            colours(tmp_path / "rec", (40, 36), game=Priced), tmp_path / "page.html", onlooker=onlooker
        )
        with opened(browser, (tmp_path / "page.html").as_uri()) as page:
            assert page.get_attribute("#label-line .predicted", "d")
            for frame, wrong in [(4, [0, 1, 2]), (19, [0, 2]), (20, []), (21, [0])]:
                go(page, frame)
                rows = page.locator("#label-rows tr").all()
                assert [n for n, row in enumerate(rows) if row.get_attribute("class") == "wrong"] == wrong

    def test_frames_that_nobody_labelled_are_not_wrong(self, browser: Any, tmp_path: Path) -> None:
        recording = colours(tmp_path / "rec", (40, 36))
        schema = LabelSchema({"is_late": Flag()})
        said = [
            FrameLabels(0, frame, {"is_late": late}, "cvat") for frame, late in ((3, False), (10, True), (20, True))
        ]
        add_labels(recording.path, schema, said)
        rows = np.ones((31, 1), np.float32)
        store_predictions(recording.path, schema, {0: (rows, rows)}, path=Path("eye"), sha256="a" * 64)
        write_recording_page(Recording(recording.path), tmp_path / "page.html")
        with opened(browser, (tmp_path / "page.html").as_uri()) as page:
            for frame, said_of_it in [(3, ("no", "wrong")), (5, ("unlabelled", None)), (10, ("yes", None))]:
                go(page, frame)
                row = page.locator("#label-rows tr")
                assert (row.locator("td").first.inner_text(), row.get_attribute("class") or None) == said_of_it
            go(page, 0)
            page.keyboard.press("l")
            wait_for_frame(page, 10)
            page.keyboard.press("l")
            wait_for_frame(page, 30)

    def test_stored_predictions_say_how_sure_they_are(self, browser: Any, tmp_path: Path) -> None:
        recording = colours(tmp_path / "rec", (40, 36), game=Priced)
        rows = np.tile(np.array([2.0, 1.0, 1.0], np.float32), (31, 1))
        sure = np.tile(np.array([0.254, 0.999, 1.0], np.float32), (31, 1))
        schema = recording.require_labels()
        store_predictions(recording.path, schema, {0: (rows, sure)}, path=Path("eye"), sha256="a" * 64)
        write_recording_page(Recording(tmp_path / "rec"), tmp_path / "page.html")
        with opened(browser, (tmp_path / "page.html").as_uri()) as page:
            go(page, 20)
            said = page.locator("#label-rows td:nth-child(3)").all_inner_texts()
            assert said == ["2 25%", "play 100%", "yes 100%"]
            assert page.is_visible("#confidence-note")


@pytest.fixture(scope="module")
def changed(_catch: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording with another action at step 60 of episode 1, and its page."""
    folder = Path(shutil.copytree(_catch, tmp_path_factory.mktemp("changed") / "catch"))
    action = Recording(folder)[1].actions[60]
    change(folder, 1, "actions", 60, 1 if action == 2 else 2)
    recording = Recording(folder)
    write_recording_page(recording, folder / "page.html", verification=verify(recording))
    return folder


class TestComparison:
    @pytest.fixture
    def page(self, browser: Any, changed: Path) -> Iterator[Any]:
        with opened(browser, (changed / "page.html").as_uri()) as page:
            wait_for_frame(page, 0)
            yield page

    def test_frames_stand_side_by_side(self, page: Any, changed: Path) -> None:
        difference = verify(Recording(changed)).difference
        assert difference is not None
        assert difference.step is not None
        press(page, "d")
        wait_for_frame(page, difference.step, 1)
        np.testing.assert_array_equal(pixels(page)[..., 0], difference.recorded_frame)
        np.testing.assert_array_equal(pixels(page, "restepped")[..., 0], difference.found_frame)
        where = difference.recorded_frame != difference.found_frame
        np.testing.assert_array_equal(pixels(page, "differing")[..., 0] == 255, where)
        assert page.inner_text("#differing-caption") == f"Differing pixels: {where.sum()}"

    def test_the_first_difference_is_a_link(self, page: Any, changed: Path) -> None:
        difference = verify(Recording(changed)).difference
        assert difference is not None
        page.click("#verdict a")
        wait_for_frame(page, difference.step or 0, 1)

    def test_equal_frames_are_said_to_be(self, page: Any) -> None:
        for episode, frame in [(0, 5), (1, 30)]:
            go(page, frame, episode)
            assert page.inner_text("#differing-caption") == "No pixel differs"
            np.testing.assert_array_equal(pixels(page), pixels(page, "restepped"))

    def test_what_was_not_stepped_again_is_said_to_be(self, page: Any) -> None:
        go(page, 5, 2)
        assert page.inner_text("#restepped-caption") == "Not stepped again"
        assert not pixels(page, "restepped").any()

    def test_the_list_says_which_episode_differs(self, page: Any) -> None:
        said = page.locator("#episodes tbody td:nth-child(2)").all_inner_texts()
        assert said == ["equal", "differs", "not compared", "not compared"]

    def test_steps_that_ended_sooner_are_said_to_have(self, browser: Any, catch: Path) -> None:
        file = catch / "data" / "metadata.json"
        content = json.loads(file.read_text())
        content["agentlab"]["env_kwargs"] = {"max_episode_steps": 50}
        file.write_text(json.dumps(content))
        recording = Recording(catch)
        write_recording_page(recording, catch / "page.html", verification=verify(recording))
        with opened(browser, (catch / "page.html").as_uri()) as page:
            go(page, 50)
            assert page.inner_text("#restepped-caption").startswith("Stepped again, reward ")
            go(page, 51)
            assert page.inner_text("#restepped-caption") == "Stepped again: ended before"
            np.testing.assert_array_equal(pixels(page)[..., 0], recording[0].frame(51))
            assert not pixels(page, "restepped").any()
            assert not pixels(page, "differing").any()

    def test_frames_of_another_size_are_said_to_be(self, browser: Any, tmp_path: Path) -> None:
        recorded(SQUARE, tmp_path / "rec", episodes=1)
        file = tmp_path / "rec" / "data" / "metadata.json"
        content = json.loads(file.read_text())
        content["agentlab"]["env_kwargs"] = {"width": 40}
        file.write_text(json.dumps(content))
        recording = Recording(tmp_path / "rec")
        write_recording_page(recording, tmp_path / "page.html", verification=verify(recording))
        with opened(browser, (tmp_path / "page.html").as_uri()) as page:
            go(page, 3)
            assert page.inner_text("#differing-caption") == "Of another size: 40 × 32"
            assert pixels(page).shape == (32, 32, 4)
            assert pixels(page, "restepped").shape == (32, 40, 4)
