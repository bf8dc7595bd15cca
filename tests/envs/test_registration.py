"""The ids that Gymnasium finds, in interpreters of their own."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points

import pytest
from gymnasium.envs.registration import registry

MAKE = "env = gymnasium.make({id!r}); env.reset(seed=0); print(env.step(0)[0].shape)"


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("name", ["Catch", "Starfall"])
def test_ids_are_found_with_only_gymnasium_imported_by_naming_the_module(name: str) -> None:
    assert run("import gymnasium; " + MAKE.format(id=f"agentlab_envs:agentlab/{name}-v0")) == "(84, 84)"


@pytest.mark.parametrize("name", ["Catch", "Starfall"])
def test_importing_the_package_registers_its_ids(name: str) -> None:
    assert run("import gymnasium, agentlab_envs; " + MAKE.format(id=f"agentlab/{name}-v0")) == "(84, 84)"


def test_the_entry_point_registers_and_does_so_once(recwarn: pytest.WarningsRecorder) -> None:
    (entry_point,) = (point for point in entry_points(group="gymnasium.envs") if "agentlab_envs" in point.value)
    entry_point.load()()
    assert "agentlab/Catch-v0" in registry
    assert "agentlab/Starfall-v0" in registry
    assert not recwarn.list


def test_importing_the_package_imports_neither_torch_nor_sb3() -> None:
    code = "import sys, agentlab_envs; print([name for name in ('torch', 'stable_baselines3') if name in sys.modules])"
    assert run(code) == "[]"


def test_making_one_environment_imports_neither_torch_nor_sb3() -> None:
    code = "import sys, agentlab_envs; agentlab_envs.make('agentlab/Catch-v0'); print('torch' in sys.modules)"
    assert run(code) == "False"
