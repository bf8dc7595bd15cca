"""Exports a run as one ONNX model, from stacked frames to actions, checked against PyTorch before it is written."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from agentlab import __version__
from agentlab.artefact import require_new_file, sha256, write_file
from agentlab.errors import AgentlabError, MissingExtraError
from agentlab.evaluate import first_evaluation_seed
from agentlab.onnx_model import OPSET, to_onnx

if TYPE_CHECKING:
    from torch import nn

    from agentlab.head import Agent

Outputs: TypeAlias = dict[str, npt.NDArray[Any]]

FRAMES_CHECKED = 64
TOLERANCE = 1e-3
"""Largest difference allowed between the outputs of ONNX Runtime and PyTorch, relative to the largest output."""


def export_onnx(run: Path, file: Path, *, seed: int = 0, force: bool = False) -> dict[str, Any]:
    """Writes the agent of `run` to `file` and gives what was written and how it compared with PyTorch.

    Input `frames`: uint8 (n, stack, *frame_shape), oldest frame first. Outputs: `action` (n, ...) and, for discrete
    actions, `values` (n, n_actions). Raises `MissingExtraError` without onnxruntime, `InputError` when `file`
    exists (and not `force`) or cannot be written, `AgentlabError` when both runtimes disagree; then nothing is written.
    """
    if importlib.util.find_spec("onnxruntime") is None:
        raise MissingExtraError("onnxruntime", "onnx")
    require_new_file(file, force=force)
    from agentlab.head import Agent

    agent = Agent.load(run, device="cpu")
    module = agent.module().eval()
    frames = real_frames(agent, FRAMES_CHECKED, seed)
    outputs = _outputs(module, frames)
    model = _with_origin(to_onnx(module, frames[:2], "frames", list(outputs)), agent, run)
    comparison = compare(outputs, model, frames)
    write_file(file, model)
    return {
        "file": str(file),
        "bytes": len(model),
        "input": ["n", *frames.shape[1:]],
        "outputs": list(outputs),
        "opset": OPSET,
        **comparison,
    }


def compare(expected: Outputs, model: bytes, frames: npt.NDArray[np.uint8]) -> dict[str, Any]:
    """How far the model's outputs are from those expected: the largest difference, and the share of equal actions.

    The difference is of the values, where there are any, else of the actions. Raises `AgentlabError` when it is above
    the tolerance.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    found = dict(zip(expected, session.run(list(expected), {"frames": frames}), strict=True))
    judged = list(expected)[-1]
    largest = float(np.abs(found[judged] - expected[judged]).max())
    if not largest <= TOLERANCE * max(1.0, float(np.abs(expected[judged]).max())):
        raise AgentlabError(
            f"the ONNX model differs from PyTorch by {largest:.3g} on {len(frames)} frames: not written"
        )
    agreement = np.isclose(found["action"], expected["action"], atol=TOLERANCE).reshape(len(frames), -1).all(axis=1)
    return {"frames_checked": len(frames), "max_difference": largest, "action_agreement": float(agreement.mean())}


def _outputs(module: nn.Module, frames: npt.NDArray[np.uint8]) -> Outputs:
    """What PyTorch gives: `action` and, where the module has them, `values`."""
    import torch

    with torch.inference_mode():
        return {name: output.numpy() for name, output in zip(("action", "values"), module(torch.from_numpy(frames)))}  # noqa: B905


def real_frames(agent: Agent, n: int, seed: int) -> npt.NDArray[np.uint8]:
    """`n` stacks of consecutive frames from random play of the agent's game, uint8 (n, stack, *frame_shape)."""
    import agentlab_envs

    stack = agent.meta["stack"]
    env = agentlab_envs.make(agent.env_id, **agent.env_kwargs)
    try:
        frame, _ = env.reset(seed=first_evaluation_seed(seed))
        env.action_space.seed(seed)
        frames = [frame]
        while len(frames) < n + stack - 1:
            frame, _, terminated, truncated, _ = env.step(env.action_space.sample())
            if terminated or truncated:
                frame, _ = env.reset()
            frames.append(frame)
    finally:
        env.close()
    return np.stack([np.stack(frames[first : first + stack]) for first in range(n)])


def _with_origin(model: bytes, agent: Agent, run: Path) -> bytes:
    """The model with where it came from among its properties, for `agentlab inspect` and for whoever deploys it."""
    import onnx

    loaded = onnx.load_from_string(model)
    origin = {
        "agentlab_version": __version__,
        "env": agent.env_id,
        "actions": ", ".join(agent.action_names),
        "extractor_sha256": sha256(run / "extractor" / "weights.safetensors"),
        "head_sha256": sha256(run / "head" / "weights.safetensors"),
    }
    onnx.helper.set_model_props(loaded, origin)
    onnx.checker.check_model(loaded)
    content: bytes = loaded.SerializeToString()
    return content
