"""Videos of recordings, decoded again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from damage import damage_frame
from test_player import colours

from agentlab.errors import InputError
from agentlab.recording import Recording
from agentlab.report import write_video

av = pytest.importorskip("av")


def decoded(file: Path) -> tuple[list[npt.NDArray[np.uint8]], Any]:
    """The frames of a video as RGB, and its stream."""
    with av.open(str(file)) as container:
        stream = container.streams.video[0]
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)], stream


def test_every_frame_of_every_episode_is_shown_once_at_the_speed_of_the_game(catch: Path, tmp_path: Path) -> None:
    recording = Recording(catch)
    written = write_video(recording, tmp_path / "catch.mp4")
    frames, stream = decoded(tmp_path / "catch.mp4")
    assert len(frames) == written["frames"] == recording.total_frames
    assert float(stream.average_rate) == written["frames_per_s"] == recording.steps_per_second == 30
    assert stream.codec_context.name == "h264"
    assert stream.codec_context.pix_fmt == "yuv420p"
    recorded = [frame for episode in recording for frame in episode.frames(range(episode.n_frames))]
    for shown, frame in zip(frames[::50], recorded[::50], strict=True):
        assert shown.shape == (504, 504, 3)
        centres = shown[3::6, 3::6].astype(int)
        assert np.abs(centres - frame[..., None]).mean() < 4


def test_colours_stay_and_sides_are_even(tmp_path: Path) -> None:
    recording = colours(tmp_path / "rec", (33, 37, 3))
    write_video(recording, tmp_path / "colours.mp4")
    frames, stream = decoded(tmp_path / "colours.mp4")
    assert float(stream.average_rate) == 12.5
    assert frames[0].shape == (430, 482, 3)
    centres = frames[7][6:429:13, 6:481:13].astype(int)
    assert np.abs(centres - recording[0].frame(7)).mean() < 12


@pytest.mark.parametrize("shape", [(6, 5), (40, 36, 1), (40, 36, 4), (40, 36, 7), (500, 601)])
def test_frames_of_every_kind_become_a_video(tmp_path: Path, shape: tuple[int, ...]) -> None:
    write_video(colours(tmp_path / "rec", shape), tmp_path / "video.mp4")
    frames, _ = decoded(tmp_path / "video.mp4")
    assert len(frames) == 31
    assert max(frames[0].shape) >= 480


def test_only_the_episodes_that_are_asked_for_are_there(catch: Path, tmp_path: Path) -> None:
    recording = Recording(catch)
    write_video(recording, tmp_path / "video.mp4", [1, 3])
    frames, _ = decoded(tmp_path / "video.mp4")
    assert len(frames) == recording[1].n_frames + recording[3].n_frames


def test_a_damaged_frame_is_named_and_nothing_is_left(catch: Path, tmp_path: Path) -> None:
    damage_frame(catch, 2, 17)
    with pytest.raises(InputError, match="episode 2, step 17, field 'frame'"):
        write_video(Recording(catch), tmp_path / "video.mp4")
    assert {path.name for path in tmp_path.iterdir()} == {"catch"}


def test_a_browser_plays_it(browser: Any, catch: Path, tmp_path: Path) -> None:
    recording = Recording(catch)
    write_video(recording, tmp_path / "video.mp4", [0])
    page = browser.new_page()
    page.goto((tmp_path / "video.mp4").as_uri())
    page.wait_for_function("document.querySelector('video').readyState >= 1", timeout=10_000)
    length = page.evaluate("document.querySelector('video').duration")
    assert length == pytest.approx(recording[0].n_frames / 30, abs=0.05)
    page.close()
