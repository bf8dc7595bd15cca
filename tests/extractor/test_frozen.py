"""The frozen extractor: the same after anything done to it, and refused when its files are not whole."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from stable_baselines3 import PPO
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import DummyVecEnv
from tiny import CATCH, fitted

import agentlab
import agentlab_envs
from agentlab.artefact import sha256
from agentlab.errors import InputError
from agentlab.extractor import FrozenExtractor, Sees
from agentlab.recording import Recording


def weights_of(extractor: FrozenExtractor) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in extractor.state_dict().items()}


def unchanged(extractor: FrozenExtractor, before: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(tensor, before[name]) for name, tensor in extractor.state_dict().items())


@pytest.fixture
def folder(square_extractor: FrozenExtractor, tmp_path: Path) -> Path:
    return Path(shutil.copytree(square_extractor.folder, tmp_path / "extractor"))


class TestIsFrozen:
    def test_no_parameter_asks_for_a_gradient(self, square_extractor: FrozenExtractor, frames: Any):
        assert not any(parameter.requires_grad for parameter in square_extractor.parameters())
        assert not square_extractor(torch.from_numpy(frames)).requires_grad

    def test_training_mode_and_initialisers_do_nothing(self, folder: Path, frames: Any):
        extractor = FrozenExtractor.load(folder, "cpu")
        before = weights_of(extractor)
        assert extractor.train() is extractor
        torch.nn.Sequential(extractor).train().apply(lambda module: module.train())
        extractor.apply(lambda module: [parameter.data.zero_() for parameter in module.parameters()])
        assert not any(module.training for module in extractor.modules())
        assert unchanged(extractor, before)
        np.testing.assert_array_equal(extractor.features(frames), extractor.features(frames))

    def test_an_sb3_policy_that_holds_it_does_not_change_it(
        self, catches: Recording, tmp_path_factory: pytest.TempPathFactory
    ):
        extractor = fitted(catches, tmp_path_factory.mktemp("catch") / "extractor")
        before = weights_of(extractor)

        class Features(BaseFeaturesExtractor):
            def __init__(self, space: Any) -> None:
                super().__init__(space, extractor.n_features)
                self.extractor = extractor

            def forward(self, observations: torch.Tensor) -> torch.Tensor:
                return self.extractor(observations.to(torch.uint8)).clone()

        env = DummyVecEnv([lambda: agentlab_envs.make(CATCH)])
        policy = {"features_extractor_class": Features, "normalize_images": False, "ortho_init": True}
        model = PPO("MlpPolicy", env, n_steps=16, batch_size=16, n_epochs=1, policy_kwargs=policy, device="cpu", seed=0)
        model.learn(32)
        assert unchanged(extractor, before)


class TestWhatItGives:
    def test_features_percepts_and_labels_of_frames(self, square_extractor: FrozenExtractor, frames: Any):
        features, signals = square_extractor.features(frames), square_extractor.percepts(frames)
        percepts = square_extractor.percepts(frames, "all")
        assert features.shape == (11, square_extractor.n_features) == (11, 8)
        assert signals.shape == (11, square_extractor.n_percepts()) == (11, 2)
        assert percepts.shape == (11, square_extractor.n_percepts("all")) == (11, 10)
        assert features.dtype == signals.dtype == percepts.dtype == np.float32
        np.testing.assert_array_equal(percepts, np.concatenate([signals, features], axis=1))
        in_float32 = square_extractor(torch.from_numpy(frames)).numpy()
        np.testing.assert_allclose(features, in_float32, atol=0.2 * in_float32.std())

    def test_labels_are_rows_of_the_schema_also_when_taken_from_percepts(
        self, square_extractor: FrozenExtractor, frames: Any
    ):
        rows = square_extractor.predict_labels(frames)
        assert rows.shape == (11, 1)
        assert np.nanmin(rows) >= 0
        assert np.nanmax(rows) <= 31
        for sees in get_args(Sees):
            found = square_extractor.labels_of(square_extractor.percepts(frames, sees))
            np.testing.assert_allclose(found, rows, rtol=1e-5)

    def test_any_number_of_frames(self, square_extractor: FrozenExtractor, frames: Any):
        many = np.concatenate([frames] * 30)
        found = square_extractor.features(many)
        assert found.shape == (330, 8)
        np.testing.assert_allclose(found[:11], found[-11:], rtol=1e-4, atol=1e-4)
        assert square_extractor.features(many[:0]).shape == (0, 8)

    def test_frames_of_any_memory_layout(self, square_extractor: FrozenExtractor, frames: Any):
        backwards = np.asfortranarray(frames)
        np.testing.assert_array_equal(square_extractor.features(backwards), square_extractor.features(frames))

    def test_other_frames_are_refused(self, square_extractor: FrozenExtractor):
        with pytest.raises(InputError, match=r"expected frames of shape \(32, 32\), .* found \(32, 40\)"):
            square_extractor.features(np.zeros((2, 32, 40), np.uint8))
        with pytest.raises(InputError, match="frames: expected uint8, found float32"):
            square_extractor.features(np.zeros((2, 32, 32), np.float32))


class TestLoading:
    def test_gives_the_extractor_that_was_fitted(self, folder: Path, square_extractor: FrozenExtractor, frames: Any):
        loaded = agentlab.FrozenExtractor.load(str(folder), device="cpu")
        assert loaded.fingerprint == square_extractor.fingerprint == sha256(folder / "weights.safetensors")
        assert loaded.frame_shape == (32, 32)
        assert loaded.label_schema == square_extractor.label_schema
        assert loaded.meta["labels"].keys() == {"square_x"}
        np.testing.assert_array_equal(loaded.percepts(frames), square_extractor.percepts(frames))

    @pytest.mark.parametrize("name", ["weights.safetensors", "meta.json"])
    @pytest.mark.parametrize("damage", ["truncated", "garbled", "missing"])
    def test_a_damaged_file_is_refused(self, name: str, damage: str, folder: Path):
        file = folder / name
        content = file.read_bytes()
        if damage == "missing":
            file.unlink()
        else:
            file.write_bytes(content[: len(content) // 2] if damage == "truncated" else b"\x93garbage" * 20)
        self.refused(folder, str(file))

    def test_one_flipped_byte_of_the_weights_is_refused(self, folder: Path):
        file = folder / "weights.safetensors"
        content = bytearray(file.read_bytes())
        content[-5] ^= 1
        file.write_bytes(content)
        self.refused(folder, str(file))

    def test_weights_of_another_shape_are_refused(self, folder: Path):
        file = folder / "weights.safetensors"
        save_file({**load_file(file), "eye": torch.zeros(1)}, file)
        self.refused(folder, "weight 'eye': not a weight of this network")
        tensors = {name: tensor for name, tensor in load_file(file).items() if name != "eye"}
        save_file({**tensors, "predictors.linear.bias": torch.zeros(9)}, file)
        self.refused(folder, r"weight 'predictors.linear.bias': expected shape \[2\], found \[9\]")

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"kind": "head"}, "field 'kind': expected 'extractor', found 'head'"),
            ({"format_version": 1}, "field 'format_version': this agentlab reads 5, found 1"),
            ({"architecture": None}, "field 'architecture'"),
            ({"architecture": {"layers": 3}}, "field 'architecture'"),
            ({"architecture": {"n_features": -1}}, "field 'architecture'"),
            ({"architecture": {"channels": 4.5}}, "field 'architecture'"),
            ({"architecture": {"dropout": [7.0] * 5}}, "field 'architecture'"),
            ({"architecture": {"dropout": []}}, "field 'architecture'"),
            ({"architecture": {"frame_shape": [0, 0]}}, "field 'architecture'"),
            ({"architecture": {"frame_shape": [32, 40]}}, "expected shape"),
            ({"architecture": {"scoreboard": [32, 0]}}, "scoreboard: expected fewer rows than 32"),
            ({"architecture": {"scoreboard": [1.5, "a"]}}, "field 'architecture'"),
            ({"architecture": {"board_labels": "square_x!"}}, "board_labels: expected names of labels"),
            ({"counters": None}, "field 'counters': expected a list, found None"),
            ({"labels": []}, "field 'labels': expected a dict"),
            ({"env": 5}, "field 'env': expected a str"),
            ({"label_schema": {}}, "field 'label_schema'"),
            ({"label_schema": {"x": {"kind": "nmber"}}}, "Did you mean 'number'"),
        ],
    )
    def test_a_meta_that_is_none_of_ours_is_refused(self, change: dict[str, Any], said: str, folder: Path):
        file = folder / "meta.json"
        meta = json.loads(file.read_text())
        for name, value in change.items():
            partly = name == "architecture" and value is not None
            meta[name] = {**meta[name], **value} if partly else value
        file.write_text(json.dumps(meta))
        self.refused(folder, said)

    @pytest.mark.parametrize("make", [lambda _: None, Path.mkdir, Path.touch])
    def test_what_is_no_extractor_is_refused(self, make: Callable[[Path], None], tmp_path: Path):
        make(tmp_path / "x")
        self.refused(tmp_path / "x", str(tmp_path / "x" / "meta.json"))

    def refused(self, folder: Path, said: str) -> None:
        with pytest.raises(InputError, match=said.replace("(", r"\(")) as caught:
            FrozenExtractor.load(folder, "cpu")
        assert "\n" not in str(caught.value)
