"""The section on strategies, of a run that was fitted with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from test_run_report import Checker, page_of, text_of
from tiny import CATCH, recorded

from agentlab.artefact import write_json

COSTS = {
    "samples_forward": 1_234,
    "samples_backward": 1_000,
    "cost": 3_234,
    "seconds": 75.5,
    "peak_memory_bytes": 8e8,
    "seed": 0,
}
ROUND = {"random": 9, "errors": 0, "similar": 0, "replayed": 0, "looked_at": 0, "clusters": 0, "quarantined": 0}


def trial(rate: float | None, failed: str | None = None) -> dict[str, object]:
    interval = None if rate is None else [rate - 0.01, rate + 0.01]
    return {"step_s": 0.05, "fall": 0.1, "rate": rate, "interval": interval, "warmup_s": 0.2, "failed": failed}


@pytest.fixture
def strategies(tmp_path: Path) -> dict[str, Any]:
    """What a ledger says of each strategy."""
    recording = recorded(CATCH, tmp_path / "played", episodes=1)
    place = {"recording": str(recording.path), "episode": 0, "step": 3}
    mined = ROUND | {
        "random": 2,
        "errors": 4,
        "similar": 2,
        "replayed": 1,
        "looked_at": 12,
        "clusters": 1,
        "quarantined": 2_345,
    }
    trials = {"float32": trial(0.42), "bfloat16": trial(0.77), "odd": trial(None, "the loss was not finite")}
    left_out = {"at_step": 90, "before": "bfloat16", "after": "bfloat16", "trials": {}, "seconds": 0.1}
    comparison = {"at_step": 30, "before": "bfloat16", "after": "bfloat16", "trials": trials, "seconds": 2.5}
    comparisons = [comparison, left_out]
    return {
        "hard-clusters": {
            "rounds": [ROUND, mined],
            "clusters": [[place, place | {"recording": "gone"}]],
            "probably_wrong_labels": [place | {"step": 7}],
        },
        "mode-choice": {
            "basic": "float32",
            "mode": "bfloat16",
            "skipped": {"compiled": "a C++ compiler"},
            "comparisons": comparisons,
        },
        "fixnorm": {"norms": [2.5]},
    }


def ledger(run: Path, used: dict[str, object]) -> str:
    write_json(run / "extractor" / "ledger.json", COSTS | {"strategies": used})
    return page_of(run)


def test_a_plain_fit_says_what_it_cost(run: Path):
    text = text_of(ledger(run, {}), "strategies")
    assert "Fitted plainly, with no strategy." in text
    for figure in ("1,234", "1,000", "3,234", "800 MB"):
        assert figure in text


def test_a_run_whose_eye_was_refreshed_shows_each_fit(run: Path, strategies: dict[str, object]):
    modes = {"mode-choice": strategies["mode-choice"]}
    refreshed = COSTS | {"cost": 77, "strategies": modes}
    write_json(run / "extractor" / "ledger.json", refreshed | {"earlier": [COSTS | {"strategies": modes}]})
    text = text_of(page_of(run), "strategies")
    for said in ("Fit, refresh 1", "3,234", "77", "Mode choice, refresh 1"):
        assert said in text


def test_a_run_without_a_ledger_has_no_such_section(run: Path):
    assert 'id="strategies"' not in page_of(run)


def test_each_strategy_says_what_it_did(run: Path, strategies: dict[str, object]):
    with (run / "metrics.jsonl").open("a") as file:
        for step in (1, 2):
            file.write(json.dumps({"stage": "fit", "t_s": step, "step": step, "norm_1": 2.5}) + "\n")
    page = ledger(run, strategies)
    Checker(page)
    text = text_of(page, "strategies")
    assert "Fitted with hard-clusters, mode-choice, fixnorm." in text
    assert "2 random, 4 errors, 2 similar, 1 replayed in the last round" in text
    assert "Frames that are probably labelled wrongly, to be looked at: 2,345" in text
    assert "the loss was not finite" in text
    assert "left out: too short a fit to tell modes apart" in text
    assert "compiled: skipped, for this machine lacks a C++ compiler." in text
    assert "Norms of the weights of hidden layers." in text
    section = page[page.index('id="strategies"') :].split("</section>")[0]
    assert section.count("data:image/png;base64,") == 1
    assert "episode 0, step 3: no longer there" in section
    assert section.count("<svg") == 2


def test_a_strategy_that_did_not_help_says_so(run: Path, strategies: dict[str, Any]):
    gained, mattered = "Choosing gained nothing here: it is the basic mode.", "They did not matter here: 4.5% of the"
    text = text_of(ledger(run, strategies), "strategies")
    assert gained not in text
    assert mattered not in text
    strategies["mode-choice"]["mode"] = "float32"
    strategies["hard-clusters"]["rounds"] = [ROUND | {"random": 10}, ROUND | {"random": 11, "errors": 1}]
    text = text_of(ledger(run, strategies), "strategies")
    assert gained in text
    assert mattered in text
