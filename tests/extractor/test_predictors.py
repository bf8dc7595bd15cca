"""Label predictors: absent values are masked, predictions are rows of the schema, scores are the usual ones."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, r2_score
from torch.nn import functional as F  # noqa: N812

from agentlab.extractor.certainty import SOFTENING
from agentlab.extractor.predictors import L1_BETA, LabelPredictors
from agentlab.extractor.scores import scores
from agentlab.labels import LabelSchema

SCHEMA = LabelSchema.from_dict(
    {
        "x": {"kind": "number", "low": 0, "high": 80},
        "screen": {"kind": "category", "classes": ["title", "game", "over"]},
        "visible": {"kind": "flag"},
    },
    "test",
)
X, SCREEN, VISIBLE, PRESENCE = slice(0, 1), slice(1, 4), slice(4, 5), slice(5, 8)
COLUMNS = (X, SCREEN, VISIBLE)
NAN = float("nan")


def predictors(n_features: int = 4) -> LabelPredictors:
    torch.manual_seed(0)
    made = LabelPredictors(SCHEMA, n_features)
    made.begin_at(np.array([[10, 0, 0], [30, 1, 1], [NAN, 2, 0]], np.float32))
    return made


def rows(*values: tuple[float, float, float]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32)


def outputs_for(x: float, screen: int, visible: bool, present: tuple[bool, bool, bool]) -> torch.Tensor:
    """Outputs that mean these values: `x` in standard deviations, logits of 20."""
    screens = [20.0 if index == screen else 0.0 for index in range(3)]
    logits = [20.0 if yes else -20.0 for yes in (visible, *present)]
    return torch.tensor([[x, *screens, *logits]])


ROW = st.tuples(
    st.one_of(st.just(NAN), st.floats(0, 80, width=32)),
    st.sampled_from([NAN, 0.0, 1.0, 2.0]),
    st.sampled_from([NAN, 0.0, 1.0]),
)


class TestLoss:
    @settings(deadline=None, max_examples=50)
    @given(st.lists(ROW, min_size=1, max_size=6), st.integers(0, 1000))
    def test_is_not_touched_by_outputs_of_absent_values(self, values: list[Any], seed: int):
        made, wanted = predictors(), rows(*values)
        outputs = torch.randn(len(values), made.n_outputs, generator=torch.Generator().manual_seed(seed))
        outputs.requires_grad_()
        loss = made.loss(outputs, wanted)
        loss.backward()
        assert loss.isfinite()
        assert outputs.grad is not None
        other = outputs.detach().clone()
        for label, columns in enumerate(COLUMNS):
            absent = wanted[:, label].isnan()
            assert (outputs.grad[absent][:, columns] == 0).all()
            other[:, columns] = torch.where(absent[:, None], 100.0, other[:, columns])
        assert made.loss(other, wanted) == loss

    def test_is_the_mean_over_labels_and_presence(self):
        made, wanted = predictors(), rows((40, 2, 1), (NAN, 0, NAN))
        outputs = torch.randn(2, made.n_outputs)
        standard = (40 - made.mean[0]) / made.scale[0]
        expected = [
            F.binary_cross_entropy_with_logits(outputs[:, PRESENCE], torch.tensor([[1.0, 1, 1], [0, 1, 0]])),
            F.smooth_l1_loss(outputs[0, 0], standard, beta=L1_BETA),
            F.cross_entropy(outputs[:, SCREEN], torch.tensor([2, 0])),
            F.binary_cross_entropy_with_logits(outputs[0, 4], torch.tensor(1.0)),
        ]
        torch.testing.assert_close(made.loss(outputs, wanted), torch.stack(expected).mean())

    def test_weighs_numbers_by_how_often_they_change(self):
        schema = LabelSchema.from_dict(
            {name: {"kind": "number", "low": 0, "high": 9} for name in ("moves", "changes", "rests")}
            | {"seen": {"kind": "flag"}},
            "test",
        )
        made = LabelPredictors(schema, 2)
        made.weigh(np.array([0.2, 0.04, 0.0, 0.01]))
        torch.testing.assert_close(made.weight, torch.tensor([1.0, 0.4, 0.1, 1.0]))
        made.weigh(np.full(4, np.nan))
        torch.testing.assert_close(made.weight, torch.ones(4))

    def test_is_nearly_nothing_for_right_predictions(self):
        made = predictors()
        standard = float((30 - made.mean[0]) / made.scale[0])
        right = outputs_for(standard, 1, True, (True, True, True))
        assert float(made.loss(right, rows((30, 1, 1)))) < 1e-6


class TestRows:
    @settings(deadline=None, max_examples=50)
    @given(ROW)
    def test_round_trip_to_values(self, row: tuple[float, float, float]):
        made = predictors()
        x, screen, visible = row
        standard = 0.0 if np.isnan(x) else float((x - made.mean[0]) / made.scale[0])
        present = tuple(not np.isnan(value) for value in row)
        outputs = outputs_for(standard, int(np.nan_to_num(screen)), visible == 1, present)  # type: ignore[arg-type]
        np.testing.assert_allclose(made.rows(made.signals(outputs))[0].numpy(), np.array(row), rtol=1e-4, atol=1e-4)

    def test_are_within_the_bounds_of_numbers(self):
        made = predictors()
        assert made.rows(made.signals(outputs_for(1e6, 0, True, (True,) * 3)))[0, 0] == 80
        assert made.rows(made.signals(outputs_for(-1e6, 0, True, (True,) * 3)))[0, 0] == 0

    def test_are_absent_where_the_label_is_predicted_to_be(self):
        made = predictors()
        found = made.rows(made.signals(outputs_for(0.0, 1, True, (False, True, False))))[0]
        assert found.isnan().tolist() == [True, False, True]
        assert SCHEMA.decode(found.numpy()) == {"x": None, "screen": "game", "visible": None}


class TestSignals:
    def test_are_on_one_scale(self):
        found = predictors().signals(outputs_for(1.5, 2, True, (True, True, False)))[0]
        torch.testing.assert_close(found, torch.tensor([1.5, 0, 0, 1, 1, 1, 1, -1]), atol=1e-5, rtol=0)

    def test_of_absent_numbers_are_nothing(self):
        found = predictors().signals(outputs_for(1.5, 2, False, (False, True, True)))[0]
        torch.testing.assert_close(found, torch.tensor([0.0, 0, 0, 1, -1, -1, 1, 1]), atol=1e-5, rtol=0)


class TestConfidences:
    def test_are_the_probabilities_of_what_is_said(self):
        made = predictors()
        screens = torch.tensor([0.0, 2.0, 1.0])
        outputs = torch.tensor([[0.3, *screens, -1.0, 3.0, 0.5, 2.0], [0.3, *screens, -1.0, -3.0, -0.5, -2.0]])
        signals = made.signals(outputs)
        made.certainty.bias[0] = math.log1p(SOFTENING)  # an error of as much as is tolerated: right half of the time
        said, absent = made.confidences(signals, torch.zeros(2, 4))
        x, screen, visible = torch.tensor([3.0, 0.5, 2.0]).sigmoid()
        of_class, of_flag = screens.softmax(dim=0).max(), torch.tensor(1.0).sigmoid()
        torch.testing.assert_close(said, torch.stack([x / 2, screen * of_class, visible * of_flag]))
        torch.testing.assert_close(absent, torch.stack([x, screen, visible]))
        assert made.rows(signals).isnan().tolist() == [[False] * 3, [True] * 3]


def test_numbers_are_standardised_by_their_values_and_not_by_absent_ones():
    made = predictors()
    assert made.mean.tolist() == [20.0, 0.0, 0.0]
    assert made.scale.tolist() == [10.0, 1.0, 1.0]


def test_predictions_begin_at_the_frequencies_of_values():
    made = LabelPredictors(SCHEMA, 4)
    made.begin_at(np.array([[NAN, 0, 0], [NAN, 1, 1], [NAN, 1, 1], [5, NAN, 1]], np.float32))
    outputs = made(torch.zeros(1, 4))[0]
    rare = 0.01
    torch.testing.assert_close(outputs[SCREEN].exp(), torch.tensor([1 / 3, 2 / 3, rare]))
    torch.testing.assert_close(outputs[VISIBLE].sigmoid(), torch.tensor([0.75]))
    torch.testing.assert_close(outputs[PRESENCE].sigmoid(), torch.tensor([0.25, 0.75, 1 - rare]))


WITH_POINTS = {
    "screen": {"kind": "category", "classes": ["title", "play"]},
    "score": {"kind": "number", "low": 0, "high": 99, "unit": "points"},
    "x": {"kind": "number", "low": 0, "high": 83, "unit": "px"},
}


def test_signals_overlooked_are_those_of_points_and_of_labels_it_cannot_read():
    made = LabelPredictors(LabelSchema.from_dict(WITH_POINTS, "test"), 4)
    read = {"screen": {"accuracy": 0.9}, "score": {"r2": 0.9}, "x": {"r2": 0.9}}
    assert made.overlooked(read, []) == [2, 5]
    assert made.overlooked(read | {"x": {"r2": 0.4}}, []) == [2, 3, 5, 6]
    assert made.overlooked(read | {"screen": {"accuracy": None}}, []) == [0, 1, 2, 4, 5]
    assert made.overlooked(read, ["x"]) == [2, 3, 5, 6]
    none_is_read = {name: {"r2": None} for name in WITH_POINTS}
    assert made.overlooked(none_is_read, []) == [2, 5]


def test_predictions_stay_when_a_number_is_measured_on_a_wider_scale():
    spec = {name: {"kind": "number", "low": 0, "high": 255, "unit": "px"} for name in ("still", "moving")}
    torch.manual_seed(0)
    made = LabelPredictors(LabelSchema.from_dict(spec, "test"), 4)
    narrow = np.stack([np.full(50, 7), np.linspace(20, 80, 50)], axis=1).astype(np.float32)
    made.begin_at(narrow)
    features = torch.randn(6, 4)
    made.linear.weight.data.mul_(0.1)
    before, scale = made.rows(made.signals(made(features) + torch.tensor([0, 0, 9, 9]))), made.scale.clone()
    wide = np.stack([np.linspace(0, 200, 50), np.linspace(10, 90, 50)], axis=1).astype(np.float32)
    made.widen(wide)
    after = made.rows(made.signals(made(features) + torch.tensor([0, 0, 9, 9])))
    torch.testing.assert_close(after, before, rtol=1e-3, atol=1e-2)
    assert made.scale[0] > 10 * scale[0]
    assert made.scale[1] == scale[1]


def test_signals_of_what_is_overlooked_do_not_change_others():
    made = LabelPredictors(LabelSchema.from_dict(WITH_POINTS, "test"), 4)
    outputs = torch.randn(3, made.n_outputs).abs()
    changed = outputs.clone()
    changed[:, 2] += 1
    differs = (made.signals(outputs) != made.signals(changed)).any(dim=0)
    assert differs.nonzero().flatten().tolist() == [2]


def test_a_number_that_never_changes_or_never_comes_has_a_scale_above_nothing():
    for values in ([[5, 0, 0]] * 3, [[NAN, 0, 0]] * 3):
        made = LabelPredictors(SCHEMA, 4)
        made.begin_at(np.array(values, np.float32))
        assert made.loss(torch.randn(3, made.n_outputs), rows(*values)).isfinite()  # type: ignore[arg-type]


def test_predictions_from_rescaled_features_are_those_from_the_old_ones():
    made = predictors()
    features = torch.randn(5, 4)
    before = made(features)
    mean, scale = torch.randn(4), torch.rand(4) + 0.5
    made.rescale_inputs(mean, scale)
    torch.testing.assert_close(made((features - mean) / scale), before, rtol=1e-4, atol=1e-5)


def scored(true: list[Any], predicted: list[Any]) -> dict[str, dict[str, Any]]:
    return scores(SCHEMA, np.array(true, np.float32), np.array(predicted, np.float32))


class TestScores:
    @settings(deadline=None, max_examples=50)
    @given(st.integers(0, 10_000))
    def test_are_those_of_scikit_learn(self, seed: int):
        generator = np.random.default_rng(seed)

        def draw() -> npt.NDArray[np.float32]:
            x, screen, visible = (
                generator.uniform(0, 80, 20),
                generator.integers(3, size=20),
                generator.integers(2, size=20),
            )
            return np.stack([x, screen, visible], axis=1).astype(np.float32)

        true, predicted = draw(), draw()
        true[generator.random(true.shape) < 0.3] = np.nan
        found = scores(SCHEMA, true, predicted)
        x, screen, visible = (~np.isnan(true)).T
        assert found["x"]["r2"] == pytest.approx(r2_score(true[x, 0].astype(float), predicted[x, 0]))
        assert found["screen"]["accuracy"] == pytest.approx(accuracy_score(true[screen, 1], predicted[screen, 1]))
        assert found["visible"]["f1"] == pytest.approx(f1_score(true[visible, 2] == 1, predicted[visible, 2] == 1))
        assert [found[name]["frames"] for name in SCHEMA] == [x.sum(), screen.sum(), visible.sum()]
        assert [found[name]["kind"] for name in SCHEMA] == ["number", "category", "flag"]

    def test_by_hand(self):
        found = scored([[0, 0, 1], [10, 1, 1], [20, 2, 0]], [[0, 0, 1], [10, 2, 0], [10, 2, 0]])
        assert found["x"]["r2"] == pytest.approx(1 - 100 / 200)
        assert found["screen"]["accuracy"] == pytest.approx(2 / 3)
        assert found["visible"]["f1"] == pytest.approx(2 / 3)

    def test_take_a_number_predicted_to_be_absent_for_the_mean_and_others_for_wrong(self):
        found = scored([[0, 0, 1], [10, 1, 1], [20, 2, 0]], [[0, 0, 1], [NAN, NAN, NAN], [20, 2, NAN]])
        assert found["x"]["r2"] == 1.0
        assert found["screen"]["accuracy"] == pytest.approx(2 / 3)
        assert found["visible"]["f1"] == pytest.approx(2 / (2 + 1 + 1))

    def test_are_none_where_the_frames_cannot_tell(self):
        found = scored([[5, NAN, 0], [5, NAN, 0]], [[5, 0, 0], [6, 0, 0]])
        assert found["x"] == {"kind": "number", "r2": None, "frames": 2}
        assert found["screen"] == {"kind": "category", "accuracy": None, "frames": 0}
        assert found["visible"] == {"kind": "flag", "f1": None, "frames": 2}

    def test_are_none_without_any_value(self):
        found = scored([[NAN] * 3] * 2, [[5, 0, 0]] * 2)
        assert [found["x"]["r2"], found["screen"]["accuracy"], found["visible"]["f1"]] == [None] * 3
        assert {label["frames"] for label in found.values()} == {0}

    def test_of_what_has_one_value_alone_cannot_be_told(self):
        assert scored([[0, 0, 1]] * 3, [[0, 0, 1]] * 3)["visible"]["f1"] is None
        assert scored([[0, 1, 0]] * 3, [[0, 1, 0]] * 3)["screen"]["accuracy"] is None

    def test_of_a_flag_predicted_but_never_true_are_nothing(self):
        assert scored([[0, 0, 0]], [[0, 0, 1]])["visible"]["f1"] == 0.0
