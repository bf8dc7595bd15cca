from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import Tensor, nn

from agentlab import export
from agentlab.artefact import sha256
from agentlab.errors import AgentlabError, InputError, MissingExtraError
from agentlab.export import export_onnx, real_frames
from agentlab.extractor import fit
from agentlab.head import Agent, train
from agentlab.inspection import describe
from agentlab.onnx_model import to_onnx
from agentlab.recipe import ExtractorConfig, HeadConfig, PPOConfig
from agentlab.recording import Recording

onnxruntime = pytest.importorskip("onnxruntime")

ENV = "agentlab/Catch-v0"


@dataclass(frozen=True)
class Exported:
    """A run as far as export needs it, and the model made of it."""

    run: Path
    model: Path
    report: dict[str, Any]


def export_of(algorithm: str, recording: Path, folder: Path) -> Exported:
    """Fits an extractor once over the recording, trains a head for 64 steps and exports both."""
    extractor = fit([Recording(recording)], ExtractorConfig(epochs=1), folder / "extractor", device="cpu", threads=1)
    ppo = PPOConfig(rollout=32, epochs=1)
    config = HeadConfig(algorithm=algorithm, total_steps=64, n_envs=2, ppo=ppo)  # type: ignore[arg-type]
    train(extractor, ENV, {}, config, folder / "head", device="cpu", threads=1)
    return Exported(folder, folder / "agent.onnx", export_onnx(folder, folder / "agent.onnx"))


@pytest.fixture(scope="module")
def dqn(_catch: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export_of("dqn", _catch, tmp_path_factory.mktemp("dqn"))


@pytest.fixture(scope="module")
def ppo(_catch: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export_of("ppo", _catch, tmp_path_factory.mktemp("ppo"))


@pytest.fixture(params=["dqn", "ppo"])
def exported(request: pytest.FixtureRequest) -> Exported:
    found: Exported = request.getfixturevalue(request.param)
    return found


def test_the_model_acts_as_the_agent_does_on_real_frames(exported: Exported) -> None:
    agent = Agent.load(exported.run, "cpu")
    stacks = real_frames(agent, 20, seed=5)
    action, values = onnxruntime.InferenceSession(exported.model).run(None, {"frames": stacks})
    agent.reset(20)
    for position in range(stacks.shape[1]):
        chosen = agent.act(stacks[:, position], np.full(20, position == 0))
    expected = agent.values()
    assert expected is not None
    near = 0.02 * np.abs(expected).max()  # the agent may compute in bfloat16
    np.testing.assert_allclose(values, expected, atol=near)
    second, best = np.sort(expected, axis=1)[:, -2:].T
    np.testing.assert_array_equal(action[best - second > 2 * near], chosen[best - second > 2 * near])


def test_the_report_tells_how_close_the_model_is(exported: Exported) -> None:
    assert exported.report["frames_checked"] == 64
    assert exported.report["action_agreement"] >= 0.95
    assert exported.report["max_difference"] < 1e-3
    assert exported.report["bytes"] == exported.model.stat().st_size


def test_any_number_of_stacks_goes_in(exported: Exported) -> None:
    session = onnxruntime.InferenceSession(exported.model)
    assert session.get_inputs()[0].type == "tensor(uint8)"
    for n in (1, 3):
        action, values = session.run(None, {"frames": np.zeros((n, *exported.report["input"][1:]), np.uint8)})
        assert action.shape == (n,)
        assert values.shape == (n, 3)


def test_the_model_says_where_it_came_from(dqn: Exported) -> None:
    found = describe(dqn.model)
    assert found["env"] == ENV
    parents = {parent["kind"]: parent["sha256"] for parent in found["parents"]}
    assert parents == {part: sha256(dqn.run / part / "weights.safetensors") for part in ("extractor", "head")}


def test_frames_are_real_and_stacked_in_order(dqn: Exported) -> None:
    stacks = real_frames(Agent.load(dqn.run, "cpu"), 8, seed=0)
    assert stacks.dtype == np.uint8
    assert stacks.shape[0] == 8
    np.testing.assert_array_equal(stacks[1:, :-1], stacks[:-1, 1:])
    assert len(np.unique(stacks, axis=0)) == 8


def test_an_existing_file_is_kept_unless_forced(dqn: Exported, tmp_path: Path) -> None:
    file = tmp_path / "agent.onnx"
    file.write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        export_onnx(dqn.run, file)
    assert file.read_text() == "mine"
    export_onnx(dqn.run, file, force=True)
    assert describe(file)["kind"] == "ONNX model"


def test_a_missing_folder_or_run_is_refused(dqn: Exported, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"its folder .* does not exist"):
        export_onnx(dqn.run, tmp_path / "none" / "agent.onnx")
    with pytest.raises(InputError, match="no such file"):
        export_onnx(tmp_path, tmp_path / "agent.onnx")
    assert not (tmp_path / "agent.onnx").exists()


def test_a_model_that_differs_is_not_written(dqn: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = export._outputs

    def shifted(*args: Any) -> Any:
        return {name: output + 0.5 for name, output in outputs(*args).items()}

    monkeypatch.setattr(export, "_outputs", shifted)
    with pytest.raises(AgentlabError, match="differs from PyTorch by"):
        export_onnx(dqn.run, tmp_path / "agent.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_extra_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else find(name))
    with pytest.raises(MissingExtraError, match=r"onnxruntime is not installed: run  pip install 'agentlab\[onnx\]'"):
        export_onnx(tmp_path, tmp_path / "agent.onnx")


class Steering(nn.Module):
    """A continuous action from each stack: how bright it is."""

    def forward(self, frames: Tensor) -> tuple[Tensor]:
        return (frames.float().mean(dim=(1, 2, 3)).unsqueeze(1),)


def test_continuous_actions_are_compared_by_their_values() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (5, 2, 8, 8), dtype=np.uint8)
    outputs = export._outputs(Steering(), frames)
    model = to_onnx(Steering(), frames, "frames", list(outputs))
    assert list(outputs) == ["action"]
    found = export.compare(outputs, model, frames)
    assert found["action_agreement"] == 1.0
    assert found["max_difference"] < 1e-3
