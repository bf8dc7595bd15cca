"""The runs that a measurement is made of: one for each game, seed or setting, each made once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from agentlab import environment
from agentlab.artefact import META
from agentlab.errors import InputError
from agentlab.progress import Progress
from agentlab.recipe import Recipe
from agentlab.runfolder import RunFolder

Runner: TypeAlias = Callable[[Recipe, Path], Mapping[str, Any]]
"""Runs a recipe in a folder, or goes on with its interrupted run there."""


def finished(recipe: Recipe, path: Path, run: Runner, progress: Progress) -> RunFolder:
    """The finished run of a recipe in the folder `path`, which is run unless it is there.

    Raises `InputError` when the one there is of another recipe.
    """
    folder = RunFolder(path)
    if all(part.exists() for part in (folder.scores, folder.head / META, folder.timings)):
        folder.check(recipe, resume=True, force=False)
        progress.say(f"{path}: finished, so it is read")
    else:
        run(recipe, path)
    return folder


def id_of(game: str) -> str:
    """The environment id of a game: an Atari game's name, such as `Pong`, or an id."""
    return game if re.search(r"[/:]|-v\d+$", game) else f"{environment.ATARI_NAMESPACE}{game}-v5"


def ids_of(games: Sequence[str], recipe: Recipe, seeds: int) -> dict[str, str]:
    """The environment ids of games, such as `Pong` or an id, by the name of the game.

    Raises `InputError` for an unknown game, with the nearest one, for a game named twice, for fewer than one seed, and
    for a recipe that names recordings.
    """
    if not games:
        raise InputError("games: expected at least one, found none")
    if seeds < 1:
        raise InputError(f"seeds: expected at least 1, found {seeds}")
    if recipe.recordings:
        raise InputError(f"recordings: expected none, each game makes its own; found {', '.join(recipe.recordings)}")
    ids: dict[str, str] = {}
    for game in games:
        env_id = id_of(game)
        environment.open_environment(env_id, recipe.env_kwargs).close()
        name = re.sub(r"-v\d+$", "", re.split("[/:]", env_id)[-1])
        if name in ids:
            raise InputError(f"games: expected each once, found {name} twice")
        ids[name] = env_id
    return ids
