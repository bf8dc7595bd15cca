"""Searching: stored trial by trial, gone on with after any stop, with failures noted and nothing run twice."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

from agentlab.artefact import write_json
from agentlab.errors import InputError, InterruptedWorkError
from agentlab.lock import WriterLock
from agentlab.progress import NoProgress
from agentlab.recipe import Recipe
from agentlab.search import Search
from agentlab.space import Between, OneOf
from agentlab.strategies import RandomPatience

RECIPE = Recipe(env="agentlab/Catch-v0")
SPACE = {"extractor.channels": OneOf((4, 8, 16)), "extractor.dropout": Between(0.0, 0.5)}
RATES = {"extractor.learning_rate": Between(1e-4, 1e-1, log=True)}


class Scored:
    """Scores a recipe by a formula; stops or fails where it is told to."""

    def __init__(
        self,
        stop_at: int | None = None,
        fail_at: tuple[int, ...] = (),
        stop_by: BaseException | type[BaseException] = KeyboardInterrupt,
    ) -> None:
        self.ran: list[tuple[int, Recipe]] = []
        self.stop_by = stop_by
        self.stop_at, self.fail_at = stop_at, fail_at

    def __call__(self, recipe: Recipe, path: Path) -> float:
        number = int(path.name)
        if number == self.stop_at:
            self.stop_at = None
            raise self.stop_by
        self.ran.append((number, recipe))
        if number in self.fail_at:
            raise RuntimeError("out of memory")
        rate = recipe.extractor.learning_rate
        return recipe.extractor.channels - recipe.extractor.dropout - math.log(rate / 3e-3) ** 2


def run(out: Path, score: Scored, space=SPACE, method="tpe", **settings):
    out.mkdir(exist_ok=True)
    return Search(RECIPE, space, out, storage=None, method=method).run(RECIPE, score, progress=NoProgress(), **settings)


def test_the_best_trial_is_found_and_all_are_kept(tmp_path: Path):
    score = Scored()
    found = run(tmp_path, score, trials=12)
    assert [number for number, _ in score.ran] == list(range(12)) == [trial["number"] for trial in found["trials"]]
    assert found["best"]["score"] == max(trial["score"] for trial in found["trials"])
    assert found["best"]["values"]["extractor.channels"] == 16
    assert (tmp_path / "search.json").exists()


@pytest.mark.parametrize("stop_at", [0, 3, 7])
@pytest.mark.parametrize(("space", "method"), [(SPACE, "tpe"), (SPACE, "random"), (RATES, "rates")])
def test_a_search_that_was_stopped_goes_on_as_a_whole_one(stop_at, space, method, tmp_path: Path):
    whole = run(tmp_path / "whole", Scored(), space, method, trials=8)
    score = Scored(stop_at=stop_at)
    with pytest.raises(InterruptedWorkError, match=f"goes on with trial {stop_at}"):
        run(tmp_path / "stopped", score, space, method, trials=8)
    resumed = run(tmp_path / "stopped", score, space, method, trials=8)
    assert sorted(number for number, _ in score.ran) == list(range(8))
    assert [trial["values"] for trial in resumed["trials"]] == [trial["values"] for trial in whole["trials"]]


def test_a_run_that_was_interrupted_has_not_failed(tmp_path: Path):
    """As `agentlab run` tells of Ctrl-C."""
    score = Scored(stop_at=1, stop_by=InterruptedWorkError("interrupted"))
    with pytest.raises(InterruptedWorkError, match="goes on with trial 1"):
        run(tmp_path, score, trials=3)
    found = run(tmp_path, score, trials=3)
    assert [trial["error"] for trial in found["trials"]] == [None] * 3


@pytest.mark.parametrize("method", ["tpe", "random"])
def test_a_trial_that_was_killed_before_it_had_its_values_gets_those_of_a_whole_search(method, tmp_path: Path):
    whole = run(tmp_path / "whole", Scored(), method=method, trials=4)
    run(tmp_path / "killed", Scored(), method=method, trials=2)
    Search(RECIPE, SPACE, tmp_path / "killed", storage=None, method=method)._study.ask()
    resumed = run(tmp_path / "killed", Scored(), method=method, trials=4)
    assert [trial["values"] for trial in resumed["trials"]] == [trial["values"] for trial in whole["trials"]]


def test_a_storage_may_hold_several_searches(tmp_path: Path):
    storage = f"sqlite:///{tmp_path / 'shared.db'}"
    for name, space in (("one", SPACE), ("other", RATES)):
        (tmp_path / name).mkdir()
        search = Search(RECIPE, space, tmp_path / name, storage=storage, method="tpe")
        assert len(search.run(RECIPE, Scored(), trials=2, progress=NoProgress())["trials"]) == 2


def test_more_trials_may_be_asked_for_later(tmp_path: Path):
    score = Scored()
    run(tmp_path, score, trials=3)
    assert len(run(tmp_path, score, trials=5)["trials"]) == 5
    assert len(score.ran) == 5


def test_no_values_are_tried_twice_and_an_exhausted_space_ends_the_search(tmp_path: Path):
    found = run(tmp_path, Scored(), {"extractor.channels": OneOf((4, 8, 16))}, trials=20)
    assert sorted(trial["values"]["extractor.channels"] for trial in found["trials"]) == [4, 8, 16]


def test_a_trial_that_fails_is_noted_and_the_search_goes_on(tmp_path: Path):
    found = run(tmp_path, Scored(fail_at=(1, 2)), trials=5)
    assert [trial["error"] for trial in found["trials"]] == [
        None,
        "RuntimeError: out of memory",
        "RuntimeError: out of memory",
        None,
        None,
    ]


def test_all_trials_failed_is_an_error(tmp_path: Path):
    with pytest.raises(InputError, match="all trials failed; the last: RuntimeError: out of memory"):
        run(tmp_path, Scored(fail_at=(0, 1, 2)), trials=3)


def test_a_score_that_is_no_number_is_a_failure(tmp_path: Path):
    out = tmp_path / "s"
    out.mkdir()
    searched = Search(RECIPE, SPACE, out, storage=None, method="random")
    with pytest.raises(InputError, match="all trials failed"):
        searched.run(RECIPE, lambda *_: math.nan, trials=2, progress=NoProgress())


def test_patience_ends_it_also_when_it_is_gone_on_with(tmp_path: Path):
    def patience() -> RandomPatience:
        return RandomPatience(10, 0.8, p=math.log(0.375))

    whole = run(tmp_path / "whole", Scored(), trials=100, patience=patience())
    assert whole["patience"]["misses"] == 3
    score = Scored(stop_at=2)
    with pytest.raises(InterruptedWorkError):
        run(tmp_path / "stopped", score, trials=100, patience=patience())
    assert run(tmp_path / "stopped", score, trials=100, patience=patience())["patience"] == whole["patience"]


def test_time_that_is_up_ends_it(tmp_path: Path):
    with pytest.raises(InputError, match="time was up before a trial was begun"):
        run(tmp_path, Scored(), timeout_s=0.0)


def test_rates_begin_on_a_third_of_the_budget(tmp_path: Path):
    score = Scored()
    found = run(tmp_path, score, RATES, "rates", trials=8)
    assert [trial["budget"] for trial in found["trials"]] == [pytest.approx(1 / 3)] * 5 + [1.0] * 3
    epochs = [recipe.extractor.epochs for _, recipe in score.ran]
    assert epochs == [round(RECIPE.extractor.epochs / 3)] * 5 + [RECIPE.extractor.epochs] * 3
    assert found["best"]["values"]["extractor.learning_rate"] == pytest.approx(3e-3, rel=0.1)


def test_another_search_in_the_same_storage_is_refused(tmp_path: Path):
    run(tmp_path, Scored(), trials=1)
    with pytest.raises(InputError, match="holds a search of another recipe, space, method or objective"):
        run(tmp_path, Scored(), RATES, trials=1)
    with pytest.raises(InputError, match="holds a search of another"):
        Search(RECIPE, SPACE, tmp_path, storage=None, method="tpe", objective="score")
    logarithmic = SPACE | {"extractor.dropout": Between(0.0, 0.5, log=True)}
    with pytest.raises(InputError, match="holds a search of another"):
        Search(RECIPE, logarithmic, tmp_path, storage=None, method="tpe")


def test_a_storage_of_trials_that_the_folder_does_not_hold_is_refused(tmp_path: Path):
    storage = f"sqlite:///{tmp_path / 'shared.db'}"
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    search = Search(RECIPE, SPACE, tmp_path / "one", storage=storage, method="tpe")
    search.run(RECIPE, Scored(), trials=1, progress=NoProgress())
    with pytest.raises(InputError, match="other: expected trial 0, which the storage has"):
        Search(RECIPE, SPACE, tmp_path / "other", storage=storage, method="tpe")


def test_a_folder_of_other_trials_is_not_written_over(tmp_path: Path):
    run(tmp_path, Scored(), trials=1)
    (tmp_path / "search.db").unlink()
    write_json(tmp_path / "trials" / "0.json", {"values": {"extractor.channels": 99}, "budget": 1.0})
    score = Scored()
    with pytest.raises(InputError, match=r"0\.json: expected .*, of another search; choose another --out"):
        run(tmp_path, score, trials=1)
    assert not score.ran


def test_two_processes_do_not_search_in_one_folder(tmp_path: Path):
    lock = WriterLock(tmp_path)
    with pytest.raises(InputError, match=f"is being written by process {os.getpid()}"):
        run(tmp_path, Scored(), trials=1)
    lock.release()
    run(tmp_path, Scored(), trials=1)


def test_a_password_is_not_shown(tmp_path: Path):
    with pytest.raises(InputError) as raised:
        Search(RECIPE, SPACE, tmp_path, storage="mydb://me:secret@host/x", method="tpe")
    assert "secret" not in str(raised.value)
    assert "mydb://me:***@host/x" in str(raised.value)


@pytest.mark.parametrize("storage", ["", "nonsense", "sqlite:////no/such/folder/x.db", "mydb://x"])
def test_a_storage_that_cannot_be_used_is_named(storage, tmp_path: Path):
    with pytest.raises(InputError, match=f"storage '?{storage}'?: cannot be used"):
        Search(RECIPE, SPACE, tmp_path, storage=storage, method="tpe")


def test_rates_that_fail_on_the_whole_budget_end_the_search(tmp_path: Path):
    found = run(tmp_path, Scored(fail_at=(5, 6, 7)), RATES, "rates", trials=20)
    assert len(found["trials"]) == 8
    assert found["best"]["budget"] == pytest.approx(1 / 3)


def test_random_patience_does_not_count_rounds_on_less_than_the_budget(tmp_path: Path):
    with pytest.raises(InputError, match="random-patience: expected rounds on the whole budget"):
        run(tmp_path, Scored(), RATES, "rates", trials=3, patience=RandomPatience(10))


def test_a_trials_seconds_leave_out_the_time_it_lay_idle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    now = [0.0]
    monkeypatch.setattr("agentlab.search.time.monotonic", lambda: now[0])

    class Working(Scored):
        def __call__(self, recipe: Recipe, path: Path) -> float:
            now[0] += 3.0
            return super().__call__(recipe, path)

    score = Working(stop_at=0)
    with pytest.raises(InterruptedWorkError):
        run(tmp_path, score, trials=1)
    now[0] += 36_000.0
    assert run(tmp_path, score, trials=1)["trials"][0]["seconds"] == 6.0


def test_whole_numbers_are_not_searched_as_rates(tmp_path: Path):
    with pytest.raises(InputError, match=r"not only whole ones, found extractor\.channels"):
        Search(RECIPE, {"extractor.channels": Between(1, 4)}, tmp_path, storage=None, method="rates")


def test_rates_are_searched_in_a_space_of_one_number(tmp_path: Path):
    with pytest.raises(InputError, match="method rates: expected a space of one number above 0"):
        Search(RECIPE, SPACE, tmp_path, storage=None, method="rates")
