"""Frames are stored losslessly, and any damage to a stored frame shows."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from agentlab.recording.frames import decode_png, encode_png, frame_hash, is_intact_png

SHAPES = st.tuples(st.integers(1, 40), st.integers(1, 40)).flatmap(
    lambda size: st.sampled_from([size, (*size, 1), (*size, 3), (*size, 4)])
)
FRAMES = SHAPES.flatmap(lambda shape: arrays(np.uint8, shape))


def decoded(png, shape):
    frame = np.empty(shape, np.uint8)
    decode_png(png, frame)
    return frame


@given(FRAMES)
@settings(max_examples=60, deadline=None)
def test_a_frame_decodes_to_itself(frame):
    png = encode_png(frame)
    assert is_intact_png(png)
    np.testing.assert_array_equal(decoded(png, frame.shape), frame)


@given(FRAMES, st.sampled_from([cv2.IMWRITE_PNG_STRATEGY_DEFAULT, cv2.IMWRITE_PNG_STRATEGY_FILTERED]))
@settings(max_examples=60, deadline=None)
def test_what_other_programs_encode_is_decoded_too(frame, strategy):
    in_file_order = frame if frame.ndim == 2 else frame[..., [[0], [], [2, 1, 0], [2, 1, 0, 3]][frame.shape[2] - 1]]
    png = cv2.imencode(".png", in_file_order, [cv2.IMWRITE_PNG_STRATEGY, strategy])[1].tobytes()
    np.testing.assert_array_equal(decoded(png, frame.shape), frame)


@given(FRAMES, st.data())
@settings(max_examples=60, deadline=None)
def test_damaged_pixels_are_never_taken_for_others(frame, data):
    png = bytearray(encode_png(frame))
    png[data.draw(st.integers(41, len(png) - 17))] ^= data.draw(st.integers(1, 255))
    try:
        found = decoded(bytes(png), frame.shape)
    except ValueError:
        return
    np.testing.assert_array_equal(found, frame)


def test_colours_are_in_the_order_that_other_programs_read(tmp_path):
    frame = np.zeros((4, 4, 3), np.uint8)
    frame[..., 0] = 255
    (tmp_path / "red.png").write_bytes(encode_png(frame))
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "red.png")), frame)


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_a_change_of_any_byte_shows(data):
    png = encode_png(np.arange(64, dtype=np.uint8).reshape(8, 8))
    position = data.draw(st.integers(0, len(png) - 1))
    changed = bytearray(png)
    changed[position] ^= data.draw(st.integers(1, 255))
    assert not is_intact_png(bytes(changed))


def test_a_png_cut_short_is_not_intact():
    png = encode_png(np.zeros((8, 8), np.uint8))
    assert is_intact_png(png)
    assert not any(is_intact_png(png[:length]) for length in range(len(png)))


def test_the_hash_tells_apart_pixels_and_shapes():
    frame = np.zeros((4, 6), np.uint8)
    other = frame.copy()
    other[2, 3] = 1
    assert len({frame_hash(f) for f in (frame, other, frame.reshape(6, 4), frame[..., None])}) == 4
    assert frame_hash(np.asfortranarray(frame)) == frame_hash(frame)


@pytest.mark.parametrize("data", [b"", b"no image", encode_png(np.zeros((3, 3), np.uint8))])
def test_what_does_not_decode_to_the_shape_is_a_value_error(data):
    with pytest.raises(ValueError, match="garbled"):
        decoded(data, (4, 4))
