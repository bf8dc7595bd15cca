"""Search: runs a recipe again and again with other values, and keeps the best; Optuna proposes and stores."""

from __future__ import annotations

import hashlib
import json
import math
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from agentlab.artefact import read_json, write_json
from agentlab.errors import InputError, InterruptedWorkError, MissingExtraError
from agentlab.fields import to_plain
from agentlab.lock import WriterLock
from agentlab.progress import Progress
from agentlab.recipe import Recipe
from agentlab.space import Between, OneOf, Space, with_values
from agentlab.strategies.rate_search import Attempt, RateSearch, Result

if TYPE_CHECKING:
    import optuna

    from agentlab.strategies.random_patience import RandomPatience

Method: TypeAlias = Literal["tpe", "random", "rates"]
Score: TypeAlias = Callable[[Recipe, Path], float]
"""Runs a recipe in a folder, going on there if it was interrupted, and gives its validation score."""

SEARCHED = "searched.json"
"""In the folder of a search: the recipe, space and method that it is of."""
MOST_REPEATS = 100
"""Proposals in a row that have been tried before, after which the space is taken to be exhausted."""
WIDEST = 1_000
"""How far beyond its bounds a search of rates may go, as a factor."""
BUDGET, ERROR, REPEATS, SECONDS = "budget", "error", "repeats", "seconds"
"""What is stored with a trial: its share of the budget, why it failed, the trial that it would have repeated, and the
seconds that it ran, pauses left out."""


class Search:
    """A search that is stored trial by trial: whoever goes on with it finds what was tried and what was under way.

    A trial is stored before it runs and has a folder of its own, so that one that was killed is gone on with: none is
    lost or run twice. One that fails is stored with its error, and the search goes on.
    """

    def __init__(
        self, recipe: Recipe, space: Space, out: Path, *, storage: str | None, method: Method, objective: str = "eye"
    ) -> None:
        """`objective`: the name of what trials are scored by. `storage`: any URL of Optuna's; none keeps an SQLite file
        in `out`.

        Raises `InputError` when the storage cannot be used or holds trials that `out` does not, when `out` holds
        another search, and for rates in a space of anything but one number.
        """
        fields = list(space.items())
        if method == "rates" and not (len(fields) == 1 and _is_of_rates(fields[0][1])):
            raise InputError(
                f"method rates: expected a space of one number above 0, not only whole ones, found {', '.join(space)}"
            )
        self._seed, self._space, self._out, self._method = recipe.seed, space, out, method
        searched = {
            "recipe": to_plain(recipe),
            "space": {field: asdict(values) for field, values in space.items()},
            "method": method,
            "objective": objective,
        }
        described = json.dumps(searched, sort_keys=True)
        if (out / SEARCHED).exists() and read_json(out / SEARCHED) != json.loads(described):
            raise InputError(
                f"{out}: holds a search of another recipe, space, method or objective; choose another --out"
            )
        name = f"agentlab {hashlib.sha256(described.encode()).hexdigest()[:16]}"
        self._study = _open(f"sqlite:///{out / 'search.db'}" if storage is None else storage, name)
        missing = [trial.number for trial in self._finished() if not self._file(trial.number).exists()]
        if missing:
            raise InputError(f"{out}: expected trial {missing[0]}, which the storage has; search on in its own folder")
        write_json(out / SEARCHED, searched)

    def run(
        self,
        recipe: Recipe,
        score: Score,
        *,
        trials: int | None = None,
        timeout_s: float | None = None,
        patience: RandomPatience | None = None,
        progress: Progress,
    ) -> dict[str, Any]:
        """Tries values in the recipe and gives what was found.

        It ends when there are so many trials in all, time is up, patience is out or nothing new is proposed. Raises
        `InputError` when all trials have failed, when the folder holds another trial of the same number and when
        another process is searching there, `InterruptedWorkError` on Ctrl-C.
        """
        if patience is not None and self._method == "rates":
            raise InputError(
                "random-patience: expected rounds on the whole budget, which method rates does not give the first "
                "ones; leave out one of the two"
            )
        lock = WriterLock(self._out)
        try:
            return self._run(recipe, score, trials, timeout_s, patience, progress)
        finally:
            lock.release()

    def _run(
        self,
        recipe: Recipe,
        score: Score,
        trials: int | None,
        timeout_s: float | None,
        patience: RandomPatience | None,
        progress: Progress,
    ) -> dict[str, Any]:
        ends_s = math.inf if timeout_s is None else time.monotonic() + timeout_s
        done = self._finished()
        stops = False
        if patience is not None:
            for earlier in done:
                stops = patience.after_round(_score(earlier))
        n_done = len(done)
        while not stops and n_done < (math.inf if trials is None else trials) and time.monotonic() < ends_s:
            trial = self._next()
            if trial is None:
                progress.say("search: nothing is left to be tried")
                break
            value = self._tried(trial, recipe, score, progress)
            n_done += 1
            if patience is not None:
                stops = patience.after_round(value)
        return self._found(patience)

    def _tried(self, trial: optuna.Trial, recipe: Recipe, score: Score, progress: Progress) -> float:
        """Runs a trial and stores what came of it: its score, NaN if it failed."""
        from optuna.trial import TrialState

        values, budget = _plain(trial.params), float(trial.user_attrs.get(BUDGET, 1.0))
        progress.say(f"search: trial {trial.number}: {_in_words(values, budget)}")
        self._claim(trial.number, {"values": values, "budget": budget})
        folder = self._file(trial.number).with_suffix("")
        began_s = time.monotonic() - trial.user_attrs.get(SECONDS, 0.0)
        try:
            value = score(_at_budget(with_values(recipe, values, "search"), budget), folder)
            if not math.isfinite(value):
                raise ValueError(f"the score is {value}")
        except (KeyboardInterrupt, InterruptedWorkError) as interrupt:
            trial.set_user_attr(SECONDS, time.monotonic() - began_s)
            raise InterruptedWorkError(
                f"interrupted; {self._out} keeps what was tried; the same command goes on with trial {trial.number}"
            ) from interrupt
        except Exception as error:
            trial.set_user_attr(ERROR, f"{type(error).__name__}: {error}")
            trial.set_user_attr(SECONDS, time.monotonic() - began_s)
            self._study.tell(trial.number, state=TrialState.FAIL)
            progress.say(f"search: trial {trial.number} failed: {error}")
            return math.nan
        trial.set_user_attr(SECONDS, time.monotonic() - began_s)
        self._study.tell(trial.number, value)
        progress.say(f"search: trial {trial.number} scores {value:.4f}")
        return value

    def _file(self, number: int) -> Path:
        """What keeps the values of a trial, beside its folder."""
        return self._out / "trials" / f"{number}.json"

    def _claim(self, number: int, values: Mapping[str, Any]) -> None:
        """Makes the trial's folder that of these values; `InputError` if it is of others."""
        file = self._file(number)
        if file.exists() and read_json(file) != values:
            raise InputError(
                f"{file}: expected {values}, found {read_json(file)}, of another search; choose another --out"
            )
        file.parent.mkdir(exist_ok=True)
        write_json(file, values)

    def _finished(self) -> list[optuna.trial.FrozenTrial]:
        """The trials that have run, by number."""
        return [
            trial
            for trial in self._study.get_trials(deepcopy=False)
            if trial.state.is_finished() and REPEATS not in trial.user_attrs
        ]

    def _next(self) -> optuna.Trial | None:
        """The trial that was under way when the search was stopped, or a new one; of values that were not tried before,
        None if there seem to be none."""
        from optuna.trial import TrialState

        tried = {_key(trial.params, trial.user_attrs.get(BUDGET, 1.0)): trial.number for trial in self._finished()}
        for _ in range(MOST_REPEATS):
            asked = self._under_way() or self._asked()
            if asked is None:
                return None
            trial = self._with_values(asked)
            key = _key(trial.params, trial.user_attrs.get(BUDGET, 1.0))
            if key not in tried:
                return trial
            trial.set_user_attr(REPEATS, tried[key])
            self._study.tell(trial.number, state=TrialState.PRUNED)
        return None

    def _under_way(self) -> optuna.Trial | None:
        """The trial that was running when the search was stopped, maybe before it had all its values."""
        from optuna.trial import Trial, TrialState

        running = self._study.get_trials(deepcopy=False, states=[TrialState.RUNNING])
        return Trial(self._study, running[0]._trial_id) if running else None

    def _asked(self) -> optuna.Trial | None:
        """A new trial, None if there is no other rate to try."""
        if self._method == "rates" and not self._enqueue_rate():
            return None
        return self._study.ask()

    def _with_values(self, trial: optuna.Trial) -> optuna.Trial:
        """The trial with a value for each field; those that it has already stay."""
        self._study.sampler = _sampler(self._method, self._seed, trial.number)
        for field, values in self._space.items():
            if not isinstance(values, Between):
                trial.suggest_categorical(field, [json.dumps(choice) for choice in values.choices])
            elif values.is_whole:
                trial.suggest_int(field, int(values.low), int(values.high), log=values.log)
            else:
                beyond = WIDEST if self._method == "rates" else 1
                trial.suggest_float(field, values.low / beyond, values.high * beyond, log=values.log or beyond > 1)
        return trial

    def _enqueue_rate(self) -> bool:
        """Lets the next trial be that of the next rate, if there is one."""
        ((field, values),) = self._space.items()
        results = [
            Result(Attempt(trial.params[field], trial.user_attrs[BUDGET]), _score(trial)) for trial in self._finished()
        ]
        attempt = RateSearch(values.extremes[0], values.extremes[-1]).next(results)
        if attempt is not None:
            self._study.enqueue_trial({field: attempt.rate}, user_attrs={BUDGET: attempt.budget})
        return attempt is not None

    def _found(self, patience: RandomPatience | None) -> dict[str, Any]:
        trials = [
            {
                "number": trial.number,
                "values": _plain(trial.params),
                "budget": trial.user_attrs.get(BUDGET, 1.0),
                "score": None if math.isnan(_score(trial)) else _score(trial),
                "error": trial.user_attrs.get(ERROR),
                "seconds": trial.user_attrs.get(SECONDS),
            }
            for trial in self._finished()
        ]
        whole = [trial for trial in trials if trial["score"] is not None and trial["budget"] == 1]
        scored = whole or [trial for trial in trials if trial["score"] is not None]
        if not scored:
            raise InputError(f"{self._out}: {_why_none(trials)}")
        best = max(scored, key=lambda trial: trial["score"])
        found = {
            "best": best | {"folder": str(self._file(best["number"]).with_suffix(""))},
            "trials": trials,
            "patience": None if patience is None else patience.state_dict(),
        }
        write_json(self._out / "search.json", found)
        return found


def _why_none(trials: Sequence[Mapping[str, Any]]) -> str:
    """Why no trial has a score."""
    return f"all trials failed; the last: {trials[-1]['error']}" if trials else "time was up before a trial was begun"


def _is_of_rates(values: Between | OneOf) -> bool:
    return isinstance(values, Between) and values.low > 0 and not values.is_whole


def _open(storage: str, name: str) -> optuna.Study:
    """The study of this name, new unless it is there."""
    try:
        import optuna
    except ImportError as error:
        raise MissingExtraError("optuna", "search") from error
    from sqlalchemy.exc import SQLAlchemyError

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return optuna.create_study(study_name=name, storage=storage, direction="maximize", load_if_exists=True)
    except (SQLAlchemyError, ValueError, ImportError) as error:
        raise InputError(
            f"storage {_without_password(storage)}: cannot be used ({' '.join(str(error).split())[:200]})"
        ) from error


def _without_password(url: str) -> str:
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return repr(url)


def _sampler(method: Method, seed: int, number: int) -> optuna.samplers.BaseSampler:
    """Proposes for one trial; seeded by its number, so that an interrupted search goes on as a whole one."""
    import optuna

    seed = zlib.crc32(f"{seed} {number}".encode())
    return optuna.samplers.RandomSampler(seed) if method == "random" else optuna.samplers.TPESampler(seed=seed)


def _at_budget(recipe: Recipe, share: float) -> Recipe:
    """The recipe with a share of its passes over the frames and of its agent steps."""
    epochs = max(1, round(share * recipe.extractor.epochs))
    steps = max(1, round(share * recipe.head.total_steps))
    less = {"extractor.epochs": epochs, "head.total_steps": steps}
    return recipe if share == 1 else with_values(recipe, less, "search")


def _plain(params: Mapping[str, Any]) -> dict[str, Any]:
    """The values that a trial's parameters stand for; choices are stored as JSON."""
    return {field: json.loads(value) if isinstance(value, str) else value for field, value in params.items()}


def _key(params: Mapping[str, Any], budget: float) -> str:
    return json.dumps([params, budget], sort_keys=True)


def _score(trial: optuna.trial.FrozenTrial) -> float:
    return math.nan if trial.value is None else float(trial.value)


def _in_words(values: Mapping[str, Any], budget: float) -> str:
    words = [
        f"{field} {value:.4g}" if isinstance(value, float) else f"{field} {value}" for field, value in values.items()
    ]
    return ", ".join(words) + ("" if budget == 1 else f", {budget:.0%} of the budget")
