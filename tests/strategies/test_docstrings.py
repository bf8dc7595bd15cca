"""The examples in the strategies' docstrings, each a plain PyTorch loop, do what they say."""

from __future__ import annotations

import doctest
import importlib
import inspect

import pytest
import torch

from agentlab import strategies

EXAMPLES = [strategies.ModeChoice, strategies.RandomPatience, strategies.HardClusters, strategies.FixNorm]


@pytest.mark.parametrize("strategy", [*EXAMPLES, strategies.ScaleInvariantLinear])
def test_the_example_in_the_docstring_runs(strategy: type):
    torch.manual_seed(0)
    module = importlib.import_module(strategy.__module__)
    (example,) = doctest.DocTestFinder(recurse=False).find(strategy, strategy.__name__, module, vars(module))
    assert doctest.DocTestRunner().run(example).failed == 0


@pytest.mark.parametrize("strategy", EXAMPLES)
def test_the_loop_in_the_docstring_is_short(strategy: type):
    lines = [line for line in inspect.getdoc(strategy).splitlines() if line.startswith((">>>", "..."))]
    assert 8 <= len(lines) <= 15
