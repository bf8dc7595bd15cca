"""Keys mean what the environment says, the largest combination first, and arrow keys what the letters mean."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from agentlab.environment import open_environment
from agentlab.errors import InputError
from agentlab.recording import describe

pygame = pytest.importorskip("pygame")

from agentlab.play.keys import keys_of  # noqa: E402

LEFT, RIGHT, UP, DOWN, SPACE = pygame.K_LEFT, pygame.K_RIGHT, pygame.K_UP, pygame.K_DOWN, pygame.K_SPACE


class Game(gym.Env):
    def __init__(self, actions, keys=None):
        self.observation_space = spaces.Box(0, 255, (4, 4), np.uint8)
        self.action_space = actions
        if keys is not None:
            self.keys_to_action = keys


def keys(actions, mapping=None, names=()):
    return keys_of(Game(actions, mapping), names, "environment 'Test'")


def letters(text):
    return [ord(letter) for letter in text]


def of_an_environment(env_id, **kwargs):
    env = open_environment(env_id, kwargs)
    found = keys_of(env, describe(env, env_id, {}, {}).action_names or (), env_id)
    env.close()
    return found


def test_atari_games_are_played_with_letters_or_arrows_and_space():
    pytest.importorskip("ale_py")
    found = of_an_environment("ALE/Berzerk-v5")
    names = open_environment("ALE/Berzerk-v5", {}).unwrapped.get_action_meanings()
    for held, name in (
        ([], "NOOP"),
        (letters("a"), "LEFT"),
        ([LEFT], "LEFT"),
        ([UP, RIGHT], "UPRIGHT"),
        ([UP, RIGHT, SPACE], "UPRIGHTFIRE"),
        ([*letters("w"), SPACE], "UPFIRE"),
        ([LEFT, RIGHT], "RIGHT"),
        ([RIGHT, LEFT], "LEFT"),
        ([pygame.K_F5], "NOOP"),
    ):
        assert names[found.action(held)] == name
    assert not found.waits
    assert found.names == "space FIRE, a/left LEFT, d/right RIGHT, s/down DOWN, w/up UP"


def test_car_racing_is_played_as_gymnasium_plays_it():
    pytest.importorskip("Box2D")
    found = of_an_environment("CarRacing-v3")
    for held, action in (
        ([], [0, 0, 0]),
        ([LEFT], [-1, 0, 0]),
        ([RIGHT, UP], [1, 1, 0]),
        (letters("as"), [-1, 0, 0.8]),
        ([UP, DOWN], [0, 0, 0.8]),
    ):
        np.testing.assert_array_almost_equal(found.action(held), action)
    discrete = of_an_environment("CarRacing-v3", continuous=False)
    assert [discrete.action(held) for held in ([], [RIGHT], [LEFT], [UP], [DOWN])] == [0, 1, 2, 3, 4]


def test_names_of_actions_say_their_keys():
    found = keys(spaces.Discrete(4, start=1), names=["LEFT", "NOOP", "UP_FIRE", "Teleport"])
    assert [found.action(held) for held in ([LEFT], [], [UP, SPACE], [SPACE, UP])] == [1, 2, 3, 3]
    assert found.names == "space, left LEFT, up"


@pytest.mark.parametrize("mapping", [{"ad": 2}, {("a", "d"): 2}, {(97, 100): 2}, {("A", "D"): 2}])
def test_combinations_are_written_as_gymnasium_writes_them(mapping):
    assert keys(spaces.Discrete(3), mapping).action(letters("da")) == 2
    assert keys(spaces.Discrete(3), mapping).action(letters("a")) == 0


def test_a_key_may_be_a_number_or_a_name():
    found = keys(spaces.Discrete(3), {UP: 1, ("pageup",): 2})
    assert [found.action([UP]), found.action([pygame.K_PAGEUP])] == [1, 2]


def test_arrows_are_themselves_where_the_map_has_them():
    found = keys(spaces.Discrete(3), {"a": 1, ("left",): 2})
    assert found.action([LEFT]) == 2


def test_a_game_in_which_every_action_does_something_waits_for_keys():
    found = keys(spaces.Discrete(2), {"a": 0, "d": 1})
    assert found.waits
    assert found.action([]) is None


def test_what_no_key_does_can_be_said():
    assert keys(spaces.Discrete(2), {"a": 0, (): 1}).action([]) == 1


def test_no_key_is_nothing_in_other_spaces():
    low = np.array([0.5, -1], np.float32)
    box = keys(spaces.Box(low, low + 2, dtype=np.float32), {"a": [1, 0]})
    np.testing.assert_array_equal(box.action([]), [0.5, 0])
    np.testing.assert_array_equal(box.action(letters("a")), [1, 0])
    np.testing.assert_array_equal(keys(spaces.MultiBinary(2), {"a": np.ones(2, np.int8)}).action([]), [0, 0])


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        (None, "expected a key map to play it by hand, found none"),
        ({}, "expected a key map to play it by hand, found none"),
        ({"a": 7}, r"expected actions in Discrete\(3\), found 7"),
        ({("nokey",): 1}, r"expected keys, such as \('a', 'left'\), found \('nokey',\)"),
        ({1.5: 1}, "found 1.5"),
        ({"p": 1}, "p is for the recorder"),
        ({("escape",): 1}, "escape is for the recorder"),
        ([("a", 1)], "expected a mapping from keys to actions"),
    ],
)
def test_what_no_one_can_play_by_is_refused(mapping, message):
    with pytest.raises(InputError, match=message):
        keys(spaces.Discrete(3), mapping)
