"""Starfall: catch the falling star, dodge the meteor and the comet; a title screen before, a game-over screen after."""

from __future__ import annotations

from typing import Any, ClassVar

import cv2
import numpy as np

from agentlab_envs.game import SIZE, Bools, Floats, Frames, Game, Ints, Label, VectorGame
from agentlab_envs.glyphs import sprite, write

SCREENS = ("title", "play", "game_over")
TITLE, PLAY, GAME_OVER = range(3)
OBJECTS = ("star", "meteor", "comet")
STAR = 0
SPEEDS = np.array([2, 4, 3])  # rows a step, of each object
SPAWNS = 128  # appearances of an object that are drawn for an episode, after which they repeat

HUD_ROWS = 12  # score and lives
RADIUS = 4  # sprites are squares of 2 * RADIUS + 1 pixels
LEFT, RIGHT = RADIUS, SIZE - 1 - RADIUS  # columns that a centre can have
TOP, GROUND = HUD_ROWS + 1 + RADIUS, SIZE - 1 - RADIUS  # rows that a centre can have
PLAYER_SPEED = 4  # pixels a step
TOUCH_X, TOUCH_Y = 7, 5  # centres this near touch
LIVES, MAX_SCORE = 3, 99
GAME_OVER_STEPS = 8


class StarfallVectorEnv(VectorGame):
    """Copies of Starfall: actions stay, start, left and right; each star caught is worth 1.

    FIRE leaves the title screen. A meteor or comet that touches the ship takes one of three lives; after the last,
    or at 99 stars, the game-over screen stays for 8 steps and the episode ends.
    """

    label_schema: ClassVar[dict[str, Any]] = {
        "screen": {"kind": "category", "classes": list(SCREENS)},
        "score": {"kind": "number", "low": 0, "high": MAX_SCORE, "unit": "points"},
        "lives": {"kind": "number", "low": 0, "high": LIVES, "unit": "lives"},
        "player_x": {"kind": "number", "low": LEFT, "high": RIGHT, "unit": "px"},
    } | {
        f"{name}_{part}": spec
        for name in OBJECTS
        for part, spec in {
            "visible": {"kind": "flag"},
            "x": {"kind": "number", "low": LEFT, "high": RIGHT, "unit": "px"},
            "y": {"kind": "number", "low": TOP, "high": GROUND, "unit": "px"},
        }.items()
    }
    action_meanings: ClassVar = ["NOOP", "FIRE", "LEFT", "RIGHT"]
    keys_to_action: ClassVar = {(" ",): 1, ("a",): 2, ("d",): 3}

    def __init__(self, num_envs: int = 1, render_mode: str | None = None, max_episode_steps: int | None = None) -> None:
        super().__init__(num_envs, render_mode, max_episode_steps)
        objects = (num_envs, len(OBJECTS))
        self._index = np.ogrid[: objects[0], : objects[1]]
        self._spawn_x = np.zeros((*objects, SPAWNS), np.int64)
        self._spawn_drift = np.zeros((*objects, SPAWNS), np.int64)
        self._spawn_wait = np.zeros((*objects, SPAWNS), np.int64)
        self._spawned = np.zeros(objects, np.int64)
        self._wait = np.zeros(objects, np.int64)  # steps until the object appears; 0: it is on the screen
        self._x = np.zeros(objects, np.int64)
        self._y = np.zeros(objects, np.int64)
        self._drift = np.zeros(objects, np.int64)  # columns a step
        self._screen = np.zeros(num_envs, np.int64)
        self._over_left = np.zeros(num_envs, np.int64)  # steps that the game-over screen stays
        self._score = np.zeros(num_envs, np.int64)
        self._lives = np.zeros(num_envs, np.int64)
        self._player_x = np.zeros(num_envs, np.int64)

    def begin(self, copy: int, generator: np.random.Generator) -> None:
        size = (len(OBJECTS), SPAWNS)
        self._spawn_x[copy] = generator.integers(LEFT, RIGHT + 1, size)
        self._spawn_drift[copy] = generator.integers(-1, 2, size)
        self._spawn_wait[copy] = generator.integers(1, 20, size)
        self._player_x[copy] = generator.integers(LEFT, RIGHT + 1)
        self._wait[copy] = self._spawn_wait[copy, :, 0]
        self._spawned[copy] = 0
        self._screen[copy] = TITLE
        self._over_left[copy] = GAME_OVER_STEPS
        self._score[copy] = 0
        self._lives[copy] = LIVES

    def advance(self, actions: Ints) -> tuple[Floats, Bools]:
        playing = self._screen == PLAY
        step = PLAYER_SPEED * ((actions == 3).astype(np.int64) - (actions == 2))
        self._player_x = np.minimum(np.maximum(self._player_x + step * playing, LEFT), RIGHT)
        touched = self._move_objects(playing)
        caught = touched[:, STAR]
        self._score += caught
        self._lives = np.maximum(self._lives - touched[:, STAR + 1 :].sum(axis=1), 0)
        self._change_screen(playing, actions)
        return caught.astype(np.float64), self._over_left == 0

    def _move_objects(self, playing: Bools) -> Bools:
        """Moves what falls and makes the next of each appear; says which objects touched the ship and are gone."""
        falling = (self._wait == 0) & playing[:, None]
        self._y += SPEEDS * falling
        self._x = np.minimum(np.maximum(self._x + self._drift * falling, LEFT), RIGHT)
        near = np.abs(self._x - self._player_x[:, None]) <= TOUCH_X
        touched: Bools = falling & near & (self._y >= GROUND - TOUCH_Y)
        gone = touched | (falling & (self._y > GROUND))
        waiting = ~falling & playing[:, None]
        self._wait -= waiting
        appearing = waiting & (self._wait == 0)
        if gone.any() or appearing.any():
            spawn = (*self._index, self._spawned % SPAWNS)
            self._x = np.where(appearing, self._spawn_x[spawn], self._x)
            self._y = np.where(appearing, TOP, self._y)
            self._drift = np.where(appearing, self._spawn_drift[spawn], self._drift)
            self._spawned += appearing
            self._wait = np.where(gone, self._spawn_wait[spawn], self._wait)
        return touched

    def _change_screen(self, playing: Bools, actions: Ints) -> None:
        over = self._screen == GAME_OVER
        self._over_left -= over
        lost_or_won = playing & ((self._lives == 0) | (self._score == MAX_SCORE))
        started = (self._screen == TITLE) & (actions == 1)
        self._screen = np.where(lost_or_won, GAME_OVER, np.where(started, PLAY, self._screen))

    def draw(self) -> Frames:
        frames = _BACKGROUNDS[self._screen]
        shown = self._screen != TITLE
        frames[shown, :HUD_ROWS] = _HUDS[self._lives[shown], self._score[shown]]
        for copy in np.flatnonzero(self._screen == PLAY).tolist():
            _stamp(frames[copy], _SHIP, int(self._player_x[copy]), GROUND)
            for picture, wait, x, y in zip(
                _SPRITES, self._wait[copy].tolist(), self._x[copy].tolist(), self._y[copy].tolist(), strict=True
            ):
                if wait == 0:
                    _stamp(frames[copy], picture, x, y)
        return frames

    def labels(self) -> dict[str, Label]:
        playing = self._screen == PLAY
        shown = self._screen != TITLE
        labels: dict[str, Label] = {
            "screen": (_SCREEN_NAMES[self._screen], None),
            "score": (self._score, shown),
            "lives": (self._lives, shown),
            "player_x": (self._player_x, playing),
        }
        visible = (self._wait == 0) & playing[:, None]
        for column, name in enumerate(OBJECTS):
            present = visible[:, column]
            labels[f"{name}_visible"] = (present, None)
            labels[f"{name}_x"] = (self._x[:, column], present)
            labels[f"{name}_y"] = (self._y[:, column], present)
        return labels


class StarfallEnv(Game):
    """Starfall, one copy."""

    game_class = StarfallVectorEnv


def _stamp(frame: Frames, picture: Frames, x: int, y: int) -> None:
    patch = frame[y - RADIUS : y + RADIUS + 1, x - RADIUS : x + RADIUS + 1]
    np.maximum(patch, picture, out=patch)


def _huds() -> Frames:
    """The strip with the score in digits and a mark for each life, by lives and score."""
    huds = np.zeros((LIVES + 1, MAX_SCORE + 1, HUD_ROWS, SIZE), np.uint8)
    for lives, score in np.ndindex(LIVES + 1, MAX_SCORE + 1):
        write(huds[lives, score], f"{score:02d}", 1, 1, scale=2, level=255)
        for life in range(lives):
            left = SIZE - 7 - 8 * life
            cv2.rectangle(huds[lives, score], (left, 3), (left + 4, 7), 200, cv2.FILLED)
    return huds


def _backgrounds() -> Frames:
    """The screens without what moves, by number."""
    title, play, game_over = backgrounds = np.zeros((len(SCREENS), SIZE, SIZE), np.uint8)
    write(title, "STARFALL", 11, 26, scale=2, level=255)
    write(title, "PRESS FIRE", 22, 54, scale=1, level=140)
    play[HUD_ROWS] = game_over[HUD_ROWS] = 60
    write(game_over, "GAME", 19, 30, scale=3, level=255)
    write(game_over, "OVER", 19, 54, scale=3, level=255)
    return backgrounds


_SHIP = sprite("......... ......... ......... ....#.... ...###... ..#####.. .#######. ######### ##.....##", level=190)
_SPRITES = [
    sprite("......... ....#.... .#..#..#. ..#.#.#.. .#######. ..#.#.#.. .#..#..#. ....#.... .........", level=255),
    sprite("......... ..#####.. .#######. .#######. .#######. .#######. .#######. ..#####.. .........", level=120),
    sprite("..o...o.. ..o.o.o.. ..o.o.o.. ...ooo... ...###... ..#####.. ..#####.. ..#####.. ...###...", level=230),
]  # in the order of `OBJECTS`
_HUDS = _huds()
_BACKGROUNDS = _backgrounds()
_SCREEN_NAMES: Any = np.array(SCREENS)
