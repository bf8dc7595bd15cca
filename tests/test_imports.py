"""Imports run one way, and nothing heavy is imported before it is needed."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentlab.cli import COMMANDS

ROOT = Path(__file__).parent.parent
HEAVY = ("torch", "stable_baselines3", "gymnasium", "pyarrow", "cv2", "sklearn", "matplotlib", "ale_py")
STAGES = ("recording", "labels", "extractor", "head", "report")
FOUNDATION = ("errors", "artefact", "fields", "recipe", "progress", "metrics", "statistics")


def imports(folder: str) -> Iterator[tuple[Path, str, bool]]:
    """Every import below a folder: the file, the module imported, and whether that is only for type checkers."""
    for file in sorted((ROOT / folder).rglob("*.py")):
        yield from (
            (file.relative_to(ROOT), module, typing) for module, typing in _imports(ast.parse(file.read_text()))
        )


def _imports(tree: ast.AST, typing: bool = False) -> Iterator[tuple[str, bool]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, typing) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((f"{node.module}.{alias.name}", typing) for alias in node.names)
        else:
            guard = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
            yield from _imports(node, typing or guard)


def is_in(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def test_the_command_line_is_imported_by_nothing():
    users = {str(file) for file, module, _ in imports("agentlab") if is_in(module, "agentlab.cli")}
    assert {user for user in users if not user.startswith("agentlab/cli/")} <= {"agentlab/__main__.py"}


def test_the_pipeline_is_imported_by_the_command_line_alone():
    users = {str(file) for file, module, _ in imports("agentlab") if is_in(module, "agentlab.pipeline")}
    assert {user for user in users if not user.startswith("agentlab/cli/")} == set()


@pytest.mark.parametrize("stage", STAGES)
def test_stages_use_no_internals_of_each_other(stage: str):
    others = [f"agentlab.{other}" for other in STAGES if other != stage]
    for file, module, _ in imports(f"agentlab/{stage}"):
        is_inside = ROOT.joinpath(*module.split(".")[:3]).with_suffix(".py").exists()
        assert not (is_inside and any(is_in(module, other) for other in others)), f"{file} imports {module}"


@pytest.mark.parametrize("name", FOUNDATION)
def test_what_everything_stands_on_imports_no_stage(name: str):
    tree = ast.parse((ROOT / "agentlab" / f"{name}.py").read_text())
    stages = [f"agentlab.{stage}" for stage in STAGES]
    assert [
        module for module, typing in _imports(tree) if not typing and any(is_in(module, stage) for stage in stages)
    ] == []


def test_the_environments_never_import_agentlab():
    assert [f"{file}: {module}" for file, module, _ in imports("envs") if is_in(module, "agentlab")] == []


def test_nothing_is_ever_unpickled():
    forbidden = ("pickle", "cloudpickle", "torch.load", "yaml.load", "joblib", "dill", "shelve")
    for folder in ("agentlab", "envs"):
        for file, module, _ in imports(folder):
            assert not any(is_in(module, name) for name in forbidden), f"{file} imports {module}"
        for file in (ROOT / folder).rglob("*.py"):
            calls = [
                ast.unparse(node.func) for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)
            ]
            assert not {"torch.load", "yaml.load", "pickle.load", "pickle.loads"} & set(calls), file
            assert "allow_pickle" not in file.read_text(), file


def loaded_by(code: str) -> set[str]:
    """The heavy packages in memory after running some code in a new Python."""
    script = f"{code}\nimport sys\nprint(*(name for name in {HEAVY!r} if name in sys.modules))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(run.stdout.splitlines()[-1].split())


def test_importing_agentlab_loads_nothing_heavy():
    assert loaded_by("import agentlab") == set()


def test_help_loads_nothing_heavy():
    assert loaded_by("from agentlab.cli import main\nmain(['--help'])") == set()


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_loads_nothing_heavy(command: str):
    assert loaded_by(f"from agentlab.cli import main\nmain([{command!r}, '--help'])") == set()


def test_the_recorder_loads_no_torch():
    assert "torch" not in loaded_by("import agentlab.play, agentlab.recording")


def test_help_answers_within_half_a_second_of_cpu_time():
    code = "import time\nfrom agentlab.cli import main\nmain(['--help'])\nprint(time.process_time())"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(run.stdout.splitlines()[-1]) < 0.5


def test_public_names_are_there_and_others_are_not():
    import agentlab

    for name in agentlab.__all__:
        assert getattr(agentlab, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Rekording'"):
        _ = agentlab.Rekording
