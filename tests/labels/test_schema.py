"""Label values become rows of numbers and come back, and what does not fit the schema is named."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentlab.errors import InputError
from agentlab.labels import LabelSchema

PLAIN = {
    "ball_x": {"kind": "number", "low": -8, "high": 83, "unit": "px"},
    "screen": {"kind": "category", "classes": ["title", "play"]},
    "alive": {"kind": "flag"},
}
SCHEMA = LabelSchema.from_dict(PLAIN, "test")


@given(st.none() | st.floats(-8, 83, width=32), st.sampled_from([None, "title", "play"]), st.none() | st.booleans())
def test_values_come_back_from_their_row(ball_x, screen, alive):
    values = {"ball_x": ball_x, "screen": screen, "alive": alive}
    row = SCHEMA.encode(values, "frame")
    assert row.dtype == np.float32
    assert SCHEMA.decode(row) == values


def test_a_missing_value_is_absent():
    assert np.isnan(SCHEMA.encode({"alive": True}, "frame")).tolist() == [True, True, False]


def test_the_plain_form_comes_back():
    assert SCHEMA.to_dict() == PLAIN
    assert LabelSchema.from_dict(SCHEMA.to_dict(), "test") == SCHEMA


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"bal_x": 3}, "frame 7: label 'bal_x' is not in the schema. Did you mean 'ball_x'"),
        ({"ball_x": 84}, "frame 7: label 'ball_x': expected a number from -8 to 83, found 84"),
        ({"ball_x": "3"}, "expected a number, found '3'"),
        ({"ball_x": float("nan")}, "expected a number from -8 to 83, found nan"),
        ({"ball_x": True}, "expected a number, found True"),
        ({"screen": "tittle"}, "expected one of the classes, found 'tittle'. Did you mean 'title'"),
        ({"screen": ["play"]}, "expected one of the classes"),
        ({"alive": 3}, "expected true or false, found 3"),
        ({"alive": "yes"}, "expected true or false, found 'yes'"),
    ],
)
def test_a_value_that_does_not_fit_is_named(values, message):
    with pytest.raises(InputError, match=message):
        SCHEMA.encode(values, "frame 7")


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        ({}, "test: label schema: expected a mapping with at least one label"),
        ([], "expected a mapping"),
        ({"x": 3}, "test: label 'x': expected a mapping with the key 'kind'"),
        ({"x": {"kind": "numbr", "low": 0, "high": 1}}, "unknown kind 'numbr'. Did you mean 'number'"),
        (
            {"x": {"kind": "number", "low": 0, "high": 1, "tolerence": 1}},
            "no key 'tolerence'. Did you mean 'tolerance'",
        ),
        ({"x": {"kind": "number", "low": 0, "high": 1, "tolerance": True}}, "expected a 'tolerance' above 0"),
        ({"x": {"kind": "flag", "low": 0}}, "a flag has no key 'low'"),
        ({"x": {"kind": "number", "low": 0}}, "expected numbers 'low' and 'high'"),
        ({"x": {"kind": "number", "low": 1, "high": 1}}, "expected finite low < high"),
        ({"x": {"kind": "category", "classes": ["a", "a"]}}, "at least two distinct names"),
        ({"x": {"kind": "category"}}, "at least two distinct names"),
    ],
)
def test_a_schema_that_makes_no_sense_is_named(plain, message):
    with pytest.raises(InputError, match=message):
        LabelSchema.from_dict(plain, "test")
