"""The runs that a measurement is made of: one for each game, seed or setting, each made once."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import agentlab
import agentlab_envs
from agentlab import environment
from agentlab.artefact import META, read_json, write_json
from agentlab.bench import machine
from agentlab.errors import InputError
from agentlab.fields import to_plain
from agentlab.progress import Progress
from agentlab.recipe import Recipe, RefreshConfig, in_environment
from agentlab.runfolder import RunFolder

Runner: TypeAlias = Callable[[Recipe, Path], Mapping[str, Any]]
"""Runs a recipe in a folder, or goes on with its interrupted run there."""
MADE_BY = "made_by.json"
"""What the name of a file beside a run ends with, which says what code began it on which machine."""


def finished(recipe: Recipe, path: Path, run: Runner, progress: Progress) -> RunFolder:
    """The finished run of a recipe in the folder `path`, which is run, or gone on with, unless it is there.

    Raises `InputError` when the one there is of another recipe, or was begun by other code: what a run reaches depends
    on both. That it was begun on another machine is said: its times are not to be compared.
    """
    folder, made_by = RunFolder(path), path.with_name(f"{path.name}.{MADE_BY}")
    elsewhere = ""
    if path.exists() and made_by.exists():
        folder.check(recipe, resume=True, force=False)
        began = read_json(made_by)
        if began["code"] != code():
            raise InputError(f"{path}: was made by other code of agentlab; choose another --out, or remove it")
        elsewhere = "" if began["machine"] == machine.describe() else ", though begun on another machine"
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(made_by, {"code": code(), "machine": machine.describe()})
    if all(part.exists() for part in (folder.scores, folder.head / META, folder.timings)):
        progress.say(f"{path}: finished, so it is read{elsewhere}")
    else:
        run(recipe, path)
    return folder


@cache
def code() -> str:
    """A fingerprint of the code of agentlab and its environments, and of the built-in recipes."""
    digest = hashlib.sha256()
    for package in (agentlab, agentlab_envs):
        (folder,) = package.__path__
        for file in sorted(Path(folder).rglob("*")):
            if file.suffix in (".py", ".yaml", ".json"):
                digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()


def settings(recipe: Recipe) -> dict[str, Any]:
    """What a recipe says, but for what differs from run to run: environment, what that is made with, and seed."""
    return {name: value for name, value in to_plain(recipe).items() if name not in ("env", "env_kwargs", "seed")}


def unrefreshed(recipe: Recipe, progress: Progress) -> Recipe:
    """The recipe without refreshes of the eye; if it has any, that is said."""
    if recipe.refresh.at:
        progress.say(f"the recipe's refreshes of the eye, at {list(recipe.refresh.at)}, are left out")
    return replace(recipe, refresh=replace(recipe.refresh, at=RefreshConfig().at))


def id_of(game: str) -> str:
    """The environment id of a game: an Atari game's name, such as `Pong`, or an id."""
    return game if re.search(r"[/:]|-v\d+$", game) else f"{environment.ATARI_NAMESPACE}{game}-v5"


def in_game(recipe: Recipe, env_id: str) -> Recipe:
    """The recipe in another environment; `InputError` unless that can be opened."""
    recipe = in_environment(recipe, env_id)
    environment.open_environment(env_id, recipe.env_kwargs).close()
    return recipe


def recipes_of(games: Sequence[str], recipe: Recipe, seeds: int) -> dict[str, Recipe]:
    """The recipe in each of the games, such as `Pong` or an id, by the name of the game.

    Raises `InputError` for an unknown game, with the nearest one, for a game named twice, for fewer than one seed, and
    for a recipe that names recordings.
    """
    if not games:
        raise InputError("games: expected at least one, found none")
    if seeds < 1:
        raise InputError(f"seeds: expected at least 1, found {seeds}")
    if recipe.recordings:
        raise InputError(f"recordings: expected none, each game makes its own; found {', '.join(recipe.recordings)}")
    recipes: dict[str, Recipe] = {}
    for game in games:
        of_game = in_game(recipe, id_of(game))
        name = re.sub(r"-v\d+$", "", re.split("[/:]", of_game.env)[-1])
        if name in recipes:
            raise InputError(f"games: expected each once, found {name} twice")
        recipes[name] = of_game
    return recipes
