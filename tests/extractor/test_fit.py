"""Fitting: equal for equal seeds, also when interrupted; scored on episodes it has not seen; refusals."""

from __future__ import annotations

import json
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from tiny import CONFIG, fitted, recorded

from agentlab.artefact import sha256
from agentlab.errors import InputError
from agentlab.extractor import FrozenExtractor, fit
from agentlab.extractor.dataset import FrameDataset, split
from agentlab.extractor.eye import Eye
from agentlab.extractor.fit import CHECKPOINT, architecture
from agentlab.extractor.learner import PlainStages, Seams, ShuffledFrames, one_cycle
from agentlab.extractor.scores import scores
from agentlab.labels import LabelSchema
from agentlab.progress import on_stderr
from agentlab.recording import Recording

OPTIONS: dict[str, Any] = {"device": "cpu", "threads": 1}
LONGER = replace(CONFIG, epochs=3, dropout=0.3)


class Interrupt:
    """Metrics that stop the fit after some stages, as Ctrl-C would."""

    def __init__(self, after: int) -> None:
        self._after = after
        self.steps: list[int] = []
        self.numbers: list[dict[str, float]] = []

    def write(self, step: int, **numbers: float) -> None:
        self.steps.append(step)
        self.numbers.append(numbers)
        if step > self._after:
            raise KeyboardInterrupt


def fingerprint(folder: Path) -> str:
    return sha256(folder / "weights.safetensors")


class TestEqualSeeds:
    def test_give_equal_weights_and_other_seeds_others(self, squares: Recording, tmp_path: Path):
        prints = [
            fit([squares], LONGER, tmp_path / name, seed=seed, **OPTIONS).fingerprint
            for name, seed in (("a", 1), ("b", 1), ("c", 2))
        ]
        assert prints[0] == prints[1] != prints[2]
        metas = [json.loads((tmp_path / name / "meta.json").read_text()) for name in "ab"]
        assert metas[0] == metas[1]

    @pytest.mark.parametrize("stages", [0, 1, 2])
    def test_give_equal_weights_when_interrupted(self, stages: int, squares: Recording, tmp_path: Path):
        whole = fit([squares], LONGER, tmp_path / "whole", seed=3, **OPTIONS)
        options = OPTIONS | {"seed": 3, "checkpoint": tmp_path / "kept"}
        with pytest.raises(KeyboardInterrupt):
            fit([squares], LONGER, tmp_path / "out", metrics=Interrupt(after=stages), **options)
        assert not (tmp_path / "out").exists()
        rest = Interrupt(after=99)
        resumed = fit([squares], LONGER, tmp_path / "out", metrics=rest, **options)
        assert rest.steps == list(range(stages + 1, 4))
        assert resumed.fingerprint == whole.fingerprint

    def test_resumed_after_the_last_stage_only_freezes(self, squares: Recording, tmp_path: Path):
        options = OPTIONS | {"checkpoint": tmp_path / "kept"}
        first = fit([squares], CONFIG, tmp_path / "a", **options)
        metrics = Interrupt(after=99)
        again = fit([squares], CONFIG, tmp_path / "b", metrics=metrics, **options)
        assert metrics.steps == []
        assert again.fingerprint == first.fingerprint


def test_strategies_stand_in_at_the_seams(squares: Recording, tmp_path: Path):
    stages: list[int] = []

    class EveryOther(ShuffledFrames):
        def __iter__(self) -> Any:
            return iter(list(super().__iter__())[::2])

        def __len__(self) -> int:
            return (super().__len__() + 1) // 2

    class Counted(PlainStages):
        def run(self, learner: Any, batches: Any, task: Any) -> float:
            kept = list(batches)
            stages.append(sum(len(frames) for frames, _ in kept))
            return super().run(learner, kept, task)

    class OtherSeams(Seams):
        def sampler(self, data: Any, learner: Any, config: Any, seed: int) -> Any:  # noqa: ARG002
            return EveryOther(len(data), config.epochs, seed)

        def stages(self, data: Any, learner: Any) -> Any:  # noqa: ARG002
            return Counted()

        def optimizer(self, eye: Eye, config: Any, frames: Any) -> torch.optim.Optimizer:  # noqa: ARG002
            return torch.optim.SGD(eye.parameters(), config.learning_rate)

    plain = fit([squares], LONGER, tmp_path / "plain", **OPTIONS)
    fitted = fit([squares], LONGER, tmp_path / "seams", seams=OtherSeams(), **OPTIONS)
    trained_on, _ = split([squares], LONGER.holdout, 0)
    assert stages == [(len(trained_on) + 1) // 2] * LONGER.epochs
    assert fitted.fingerprint != plain.fingerprint


@pytest.mark.parametrize("changed", ["seed", "holdout"])
def test_a_checkpoint_of_another_fit_is_refused(changed: str, squares: Recording, tmp_path: Path):
    options = OPTIONS | {"checkpoint": tmp_path / "kept"}
    with pytest.raises(KeyboardInterrupt):
        fit([squares], LONGER, tmp_path / "out", seed=1, metrics=Interrupt(after=1), **options)
    config = replace(LONGER, holdout=0.4) if changed == "holdout" else LONGER
    with pytest.raises(InputError, match=f"field '{changed}': interrupted with"):
        fit([squares], config, tmp_path / "out", seed=2 if changed == "seed" else 1, **options)


def test_a_garbled_checkpoint_is_refused(squares: Recording, tmp_path: Path):
    (tmp_path / CHECKPOINT).write_bytes(b"garbage" * 99)
    with pytest.raises(InputError, match=r"fit\.safetensors: expected safetensors"):
        fit([squares], CONFIG, tmp_path / "out", checkpoint=tmp_path, **OPTIONS)


def test_a_checkpoint_of_another_configuration_is_refused(squares: Recording, tmp_path: Path):
    fit([squares], CONFIG, tmp_path / "a", checkpoint=tmp_path / "kept", **OPTIONS)
    with pytest.raises(InputError, match="field 'features': interrupted with 8, now 9"):
        fit([squares], replace(CONFIG, features=9), tmp_path / "b", checkpoint=tmp_path / "kept", **OPTIONS)


class TestScores:
    def test_are_taken_on_held_out_episodes(self, squares: Recording, square_extractor: FrozenExtractor):
        trained_on, held_out = split([squares], CONFIG.holdout, seed=0)
        predicted = square_extractor.predict_labels(held_out.frames(np.arange(len(held_out))))
        expected = scores(square_extractor.label_schema, held_out.labels, predicted)["square_x"]
        found = square_extractor.meta["labels"]["square_x"]
        assert found["frames"] == len(held_out) < len(trained_on)
        assert found["kind"] == "number"
        assert found["r2"] == pytest.approx(expected["r2"], abs=0.05)

    def test_come_with_values_to_plot(self, square_extractor: FrozenExtractor):
        plotted = json.loads((square_extractor.folder / "holdout.json").read_text())["square_x"]
        frames = square_extractor.meta["labels"]["square_x"]["frames"]
        assert len(plotted["true"]) == len(plotted["predicted"]) == frames

    def test_rise_as_the_fit_goes_on(self, squares: Recording, tmp_path: Path):
        metrics = Interrupt(after=99)
        config = replace(CONFIG, epochs=25, dropout=0.0, batch_size=8)
        found = fit([squares], config, tmp_path / "out", metrics=metrics, **OPTIONS)
        assert found.meta["labels"]["square_x"]["r2"] > 0.95
        assert metrics.numbers[-1]["holdout_loss"] < 0.2 * metrics.numbers[0]["holdout_loss"]


def test_the_artefact_says_what_it_is_and_where_it_came_from(square_extractor: FrozenExtractor, squares: Recording):
    meta = json.loads((square_extractor.folder / "meta.json").read_text())
    assert meta["kind"] == "extractor"
    assert meta["parents"] == [{"kind": "recording", "path": str(squares.path), "sha256": squares.fingerprint()}]
    assert LabelSchema.from_dict(meta["label_schema"], "meta") == squares.label_schema
    assert meta["recipe"]["channels"] == 4
    assert meta["architecture"]["frame_shape"] == [32, 32]
    assert {"seed", "agentlab_version", "format_version", "preprocessing", "env", "env_kwargs"} <= meta.keys()


class TestPrecision:
    def test_float32_and_bfloat16_both_do_what_they_say(self, squares: Recording, tmp_path: Path):
        prints = {
            precision: fit([squares], replace(CONFIG, precision=precision), tmp_path / precision, **OPTIONS).fingerprint
            for precision in ("float32", "bfloat16")
        }
        assert prints["float32"] != prints["bfloat16"]
        for precision in prints:
            tensors = load_file(tmp_path / precision / "weights.safetensors")
            assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}


class TestStandardisedFeatures:
    def test_have_mean_0_and_spread_1_on_what_was_fitted(self, squares: Recording, square_extractor: FrozenExtractor):
        trained_on, _ = split([squares], CONFIG.holdout, seed=0)
        features = square_extractor.features(trained_on.frames(np.arange(len(trained_on))))
        np.testing.assert_allclose(features.mean(axis=0), 0, atol=0.1)  # it is compiled to bfloat16
        np.testing.assert_allclose(features.std(axis=0), 1, atol=0.1)

    def test_leave_predictions_as_they_were(self, squares: Recording):
        assert squares.label_schema is not None
        torch.manual_seed(0)
        eye = Eye(architecture([squares], squares.require_labels(), [], CONFIG, 0), squares.require_labels()).eval()
        frames = torch.from_numpy(squares[0].frames(range(11)))
        with torch.no_grad():
            before = eye.predictors(eye.network(frames))
            eye.standardise_features(eye.network(frames))
            features = eye.network(frames)
        torch.testing.assert_close(eye.predictors(features), before, rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(features.mean(dim=0), torch.zeros(8), atol=1e-3, rtol=0)
        torch.testing.assert_close(features.std(dim=0, correction=0), torch.ones(8), atol=1e-3, rtol=0)


class TestLoop:
    @given(st.integers(1, 200), st.integers(0, 10), st.integers(0, 5))
    def test_every_frame_comes_once_a_stage_in_an_order_of_its_own(self, n: int, seed: int, stage: int):
        sampler = ShuffledFrames(n, 1, seed)
        orders = []
        for begun in (stage, stage, stage + 1):
            sampler.begin_stage(begun)
            orders.append(list(sampler))
        assert sorted(orders[0]) == list(range(n)) == sorted(orders[2])
        assert orders[0] == orders[1]
        assert n < 10 or orders[0] != orders[2]

    def test_the_learning_rate_rises_then_falls_to_nearly_nothing(self):
        rates = [one_cycle(share / 1000) for share in range(1001)]
        top = rates.index(max(rates))
        assert top == 100
        assert rates[top] == pytest.approx(1.0, abs=1e-3)
        assert rates[: top + 1] == sorted(rates[: top + 1])
        assert rates[top:] == sorted(rates[top:], reverse=True)
        assert 0 < rates[-1] < 1e-3

    def test_few_frames_are_in_memory_at_once(
        self, squares: Recording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        asked: list[int] = []
        whole = FrameDataset.frames

        def counted(self: FrameDataset, indices: Any) -> Any:
            asked.append(len(indices))
            return whole(self, indices)

        monkeypatch.setattr(FrameDataset, "frames", counted)
        monkeypatch.setattr(sys.modules["agentlab.extractor.fit"], "BYTES_LOOKED_AT", 20 * 32 * 32)
        fit([squares], replace(CONFIG, batch_size=16), tmp_path / "out", **OPTIONS)
        assert max(asked) <= 33  # the whole held-out part, in one batch of the scoring
        assert sorted(asked)[-2] <= 20


class TestRefusals:
    @pytest.fixture
    def own(self, squares: Recording, tmp_path: Path) -> Path:
        return Path(shutil.copytree(squares.path, tmp_path / "own"))

    def refused(self, recordings: list[Recording], said: str, out: Path, **options: Any) -> None:
        before = {path: path.stat().st_mtime_ns for path in out.parent.rglob("*")}
        with pytest.raises(InputError, match=said):
            fit(recordings, CONFIG, out, **OPTIONS | options)
        assert {path: path.stat().st_mtime_ns for path in out.parent.rglob("*")} == before

    def test_no_recordings(self, tmp_path: Path):
        self.refused([], "expected at least one recording, found none", tmp_path / "out")

    def test_without_labels(self, tmp_path: Path):
        unlabelled = recorded("games:Test/Unlabelled-v0", tmp_path / "rec", episodes=2)
        self.refused([unlabelled], "expected labelled frames", tmp_path / "out")

    def test_one_episode(self, tmp_path: Path):
        one = recorded("games:Test/Square-v0", tmp_path / "rec", episodes=1)
        self.refused([one], "at least 2 episodes, found 1", tmp_path / "out")

    def test_no_episode(self, own: Path, tmp_path: Path):
        metadata = own / "data" / "metadata.json"
        content = json.loads(metadata.read_text())
        metadata.write_text(json.dumps({**content, "total_episodes": 0, "total_steps": 0}))
        self.refused([Recording(own)], "at least 2 episodes, found 0", tmp_path / "out")

    def test_other_labels(self, squares: Recording, tmp_path: Path):
        other = recorded("games:Test/OtherLabels-v0", tmp_path / "rec", episodes=1)
        self.refused([squares, other], "rec: .*'square_x'.*", tmp_path / "out")

    def test_other_frames(self, squares: Recording, tmp_path: Path):
        wide = recorded("games:Test/Wide-v0", tmp_path / "rec", episodes=1)
        said = r"rec: expected frames of shape \(32, 32\) as in .*, found \(32, 40\)"
        self.refused([squares, wide], said, tmp_path / "out")

    def test_an_output_that_exists(self, squares: Recording, square_extractor: FrozenExtractor):
        self.refused([squares], "exists already", square_extractor.folder)

    def test_an_output_that_is_somebody_s_folder(self, squares: Recording, tmp_path: Path):
        (tmp_path / "thesis").mkdir()
        (tmp_path / "thesis" / "chapter.tex").write_text("precious")
        self.refused([squares], "expected an artefact", tmp_path / "thesis", force=True)

    def test_a_device_that_is_not_there(self, squares: Recording, tmp_path: Path):
        self.refused([squares], r"device 'cpuu': .* Did you mean 'cpu'\?", tmp_path / "out", device="cpuu")

    def test_threads_that_cannot_be(self, squares: Recording, tmp_path: Path):
        self.refused([squares], "threads: expected at least 0, found -1", tmp_path / "out", threads=-1)

    def test_a_forced_output_is_replaced(self, own: Path, tmp_path: Path):
        recordings = [Recording(own)]
        first = fit(recordings, CONFIG, tmp_path / "out", seed=1, **OPTIONS).fingerprint
        again = fit(recordings, CONFIG, tmp_path / "out", seed=2, force=True, **OPTIONS).fingerprint
        assert fingerprint(tmp_path / "out") == again != first


def test_a_fit_that_diverges_is_bad_input_and_leaves_nothing(squares: Recording, tmp_path: Path):
    config = replace(CONFIG, learning_rate=1e30, epochs=3)
    with pytest.raises(InputError, match=r"fit: the loss became \S+: the fit diverged; take a learning rate"):
        fit([squares], config, tmp_path / "out", device="cpu", threads=1)
    assert not (tmp_path / "out").exists()


def test_a_fit_of_few_frames_says_how_many_epochs_it_takes(squares: Recording, tmp_path: Path, capsys: Any):
    fitted(squares, tmp_path / "few", progress=on_stderr())
    said = re.search(r"too few to learn much; (\d+) epochs are 500", capsys.readouterr().err)
    assert said
    fitted(squares, tmp_path / "many", replace(CONFIG, epochs=int(said[1])), progress=on_stderr())
    assert "too few to learn" not in capsys.readouterr().err
