"""The page of a recording, as a file."""

from __future__ import annotations

import json
import re
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from command import Command
from damage import change, damage_frame
from test_player import colours
from test_run_report import Checker

from agentlab.errors import InputError
from agentlab.recording import Recording, store_predictions, verify
from agentlab.report import write_recording_page


def data_of(page: str, name: str) -> dict:
    return json.loads(re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', page)[1])


def test_the_page_is_well_formed_with_unique_ids_and_needs_no_network(catch: Path, tmp_path: Path):
    written = write_recording_page(Recording(catch), tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    checker = Checker(page)
    assert len(checker.ids) == len(set(checker.ids))
    assert all(source.startswith(("#", "data:")) for source in checker.sources)
    assert "default-src 'none'" in page
    assert written["bytes"] == (tmp_path / "page.html").stat().st_size
    assert (written["episodes"], written["frames"]) == (4, Recording(catch).total_frames)


def test_equal_recordings_give_equal_pages(catch: Path, tmp_path: Path):
    for name in ("one.html", "other.html"):
        write_recording_page(Recording(catch), tmp_path / name)
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "other.html").read_bytes()


def test_only_the_episodes_that_are_asked_for_are_there(catch: Path, tmp_path: Path):
    write_recording_page(Recording(catch), tmp_path / "page.html", [1, 3])
    page = (tmp_path / "page.html").read_text()
    assert [episode["index"] for episode in data_of(page, "recording")["episodes"]] == [1, 3]
    assert "2 of the episodes are on this page" in page
    assert 'id="strip-0-0"' not in page


def test_the_list_tells_the_episodes_apart(catch: Path, tmp_path: Path):
    recording = Recording(catch)
    write_recording_page(recording, tmp_path / "page.html")
    listed = re.search(r'<div id="episodes">.*?</table>', (tmp_path / "page.html").read_text(), re.DOTALL)[0]
    rows = [re.sub(r"<[^>]+>", " ", row).split() for row in re.findall(r"<tr>.*?</tr>", listed)[1:]]
    assert [row[:3] for row in rows] == [[str(e.index), str(e.seed), str(e.n_steps)] for e in recording]
    assert all(row[4:] == ["terminated", "wandering"] for row in rows)


def test_what_a_recording_holds_cannot_inject_html(catch: Path, tmp_path: Path):
    nasty = '<script>alert("x")</script>'
    for file in (catch / "data" / "metadata.json", catch / "data" / "0" / "metadata.json"):
        content = json.loads(file.read_text())
        content["agentlab"] |= {"policy": nasty, "ended_by": nasty, "action_names": [nasty] * 3, "env_id": nasty}
        file.write_text(json.dumps(content))
    write_recording_page(Recording(catch), tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    Checker(page)
    assert nasty not in page


def predict(recording: Recording, index: int, sha256: str = "a" * 64) -> np.ndarray:
    """Stores labels off by one, nine times in ten right, as the predictions of an episode."""
    labels = recording[index].labels + 1
    sure = np.full_like(labels, 0.9)
    schema = recording.require_labels()
    store_predictions(recording.path, schema, {index: (labels, sure)}, path=Path("runs/mine/extractor"), sha256=sha256)
    return labels


def test_stored_predictions_are_shown_without_a_run(agentlab: Command, catch: Path, tmp_path: Path):
    recording = Recording(catch)
    expected = predict(recording, 1)
    assert agentlab("replay", catch, "--html", tmp_path / "page.html").code == 0
    page = (tmp_path / "page.html").read_text()
    assert "predictions are those of runs/mine/extractor" in page
    shown = data_of(page, "episode-1")["labels"]
    assert [label["predicted"] for label in shown] == expected.T.tolist()
    assert all(label["confidences"] == [90] * recording[1].n_frames for label in shown)
    assert all(label["predicted"] is None for label in data_of(page, "episode-0")["labels"])


def test_predictions_of_two_extractors_are_not_mixed(agentlab: Command, catch: Path, tmp_path: Path):
    predict(Recording(catch), 0)
    predict(Recording(catch), 2, sha256="b" * 64)
    outcome = agentlab("replay", catch, "--html", tmp_path / "page.html")
    assert outcome.code == 2
    assert "expected predictions of one extractor" in outcome.err
    assert not (tmp_path / "page.html").exists()


def test_damaged_frames_are_counted_by_episode(catch: Path, tmp_path: Path):
    for frame in (3, 40):
        damage_frame(catch, 2, frame)
    written = write_recording_page(Recording(catch), tmp_path / "page.html")
    assert written["damaged_frames"] == {2: [3, 40]}
    assert data_of((tmp_path / "page.html").read_text(), "episode-2")["damaged"] == [3, 40]


def test_nothing_is_left_of_a_page_that_fails(catch: Path, tmp_path: Path):
    (catch / "data" / "3" / "part-0.arrow").write_bytes(b"no Arrow file")
    (tmp_path / "page.html").write_text("the old page")
    with pytest.raises(InputError, match="expected an Arrow file"):
        write_recording_page(Recording(catch), tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text() == "the old page"
    assert {path.name for path in tmp_path.iterdir()} == {"catch", "page.html"}


def test_memory_does_not_grow_with_the_recording(tmp_path: Path):
    recording = colours(tmp_path / "rec", (64, 64, 3), episodes=12)

    def peak(episodes: int) -> int:
        tracemalloc.start()
        write_recording_page(recording, tmp_path / f"{episodes}.html", range(episodes))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(2)
    assert peak(12) < 1.3 * peak(2)
    assert (tmp_path / "12.html").stat().st_size > 4 * (tmp_path / "2.html").stat().st_size


class TestComparison:
    def test_an_equal_recording_needs_no_frames_stepped_again(self, catch: Path, tmp_path: Path):
        recording = Recording(catch)
        write_recording_page(recording, tmp_path / "page.html", verification=verify(recording))
        page = (tmp_path / "page.html").read_text()
        Checker(page)
        assert f"4 episodes, {recording.total_steps} steps, all equal" in page
        assert data_of(page, "recording")["comparison"] == {"episode": None, "frame": None}
        assert 'id="restepped-0' not in page

    def test_the_episode_that_differs_is_there_even_if_not_asked_for(self, catch: Path, tmp_path: Path):
        change(catch, 1, "rewards", 20, 0.75)
        recording = Recording(catch)
        write_recording_page(recording, tmp_path / "page.html", [3], verification=verify(recording))
        page = (tmp_path / "page.html").read_text()
        Checker(page)
        header = data_of(page, "recording")
        assert [episode["index"] for episode in header["episodes"]] == [1, 3]
        assert header["comparison"] == {"episode": 1, "frame": 21}
        assert "first in episode 1, step 20, field &#x27;reward&#x27;: recorded 0.75" in page
        again = data_of(page, "episode-1")["restepped"]
        assert again["rewards"][20] != 0.75
        assert (again["frames"], again["height"]) == (recording[1].n_frames, 84)

    @pytest.mark.parametrize(
        ("column", "value", "frame"),
        [("frame_hash", bytes(16), 20), ("actions", 7, 20), ("t_ns", 0, None)],
    )
    def test_the_frame_to_look_at(self, catch: Path, tmp_path: Path, column: str, value: object, frame: int | None):
        change(catch, 1, column, 20, value)
        recording = Recording(catch)
        write_recording_page(recording, tmp_path / "page.html", verification=verify(recording))
        page = (tmp_path / "page.html").read_text()
        assert data_of(page, "recording")["comparison"] == {"episode": 1, "frame": frame}
        assert (f"Look at frame {frame}" in page) == (frame is not None)

    def test_a_damaged_frame_stands_beside_the_one_stepped_again(self, catch: Path, tmp_path: Path):
        damage_frame(catch, 1, 30)
        recording = Recording(catch)
        write_recording_page(recording, tmp_path / "page.html", verification=verify(recording))
        page = (tmp_path / "page.html").read_text()
        assert data_of(page, "recording")["comparison"] == {"episode": 1, "frame": 30}
        assert data_of(page, "episode-1")["damaged"] == [30]
        assert re.findall(r'id="(restepped-[-0-9]+)"', page) == ["restepped-1-1"]

    def test_only_frames_that_came_out_otherwise_are_kept_again(self, catch: Path, tmp_path: Path):
        action = Recording(catch)[1].actions[60]
        change(catch, 1, "actions", 60, 1 if action == 2 else 2)
        recording = Recording(catch)
        write_recording_page(recording, tmp_path / "page.html", verification=verify(recording))
        kept = re.findall(r'id="restepped-(\d+)-(\d+)"', (tmp_path / "page.html").read_text())
        assert {episode for episode, _ in kept} == {"1"}
        assert min(int(number) for _, number in kept) == 2
        assert np.all(np.array([int(number) for _, number in kept]) < np.ceil(recording[1].n_frames / 25))


def test_20_000_frames_of_pong_take_no_more_than_10_mb(tmp_path: Path):
    recording = Recording(Path(__file__).parents[2] / "recordings" / "pong")
    written = write_recording_page(recording, tmp_path / "page.html", range(4))
    assert written["bytes"] / written["frames"] * 20_000 < 10_000_000
