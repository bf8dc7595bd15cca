"""When the objects of Atari games are on the screen: facts about bytes of the console's memory.

Measured on random play, where an object counts as present if moving it in memory changes the next two frames. The
rules agree with that in 96% or more of the states for Pong, Breakout, Skiing, Tennis, Q*bert, River Raid and Yars'
Revenge (and pixels confirm Pong and Breakout), in 89% to 97% for Demon Attack, Frostbite, Seaquest and most of
Berzerk. Less certain: Asteroids, whose lists react to moving their end mark, and what was hardly seen: bear, fruit,
evil Otto, the last robots. No rule was found for the other games. Objects that flicker count as present.
"""

from __future__ import annotations

from typing import TypeAlias

Condition: TypeAlias = tuple[int, int, int]
"""A byte of the memory, the first and the last value that it has while the object is on the screen (255 precedes 0)."""

Rules: TypeAlias = dict[str, tuple[Condition, ...]]


def _asteroids(first_slot: int, first_byte: int, slots: int) -> Rules:
    """A list of rows from -16 (240) to 87, ended by 224."""
    return {
        f"enemy_asteroids_{first_slot + slot}": (
            *((first_byte + earlier, 225, 223) for earlier in range(slot)),
            (first_byte + slot, 240, 87),
        )
        for slot in range(slots)
    }


PRESENCE: dict[str, Rules] = {
    "asteroids": {
        **_asteroids(0, 3, 7),
        **_asteroids(7, 12, 8),
        "player_missile1": ((86, 0, 223),),
        "player_missile2": ((87, 0, 223),),
    },
    "berzerk": {
        **{f"enemy_robots_{i}": ((56 + i, 0, 126), (65 + i, 1, 255), (1, 0, 2)) for i in range(8)},
        "enemy_robots_8": ((64, 0, 126), (1, 0, 2)),
        "enemy_evilOtto": ((46, 1, 255),),
        "player": ((11, 0, 126),),
        "player_missile": ((15, 1, 255), (22, 1, 255)),
        "robot_missile": ((24, 1, 255),),
    },
    "breakout": {"ball": ((101, 1, 185),)},
    "demonattack": {f"enemy{i}": ((28 + i, 1, 255),) for i in (1, 2, 3)},
    "frostbite": {**{f"enemy_{i}": ((103, 1, 255),) for i in range(4)}, "enemy_bear": ((104, 0, 139),)},
    "mspacman": {"fruit": ((11, 1, 255),)},
    "pong": {"ball": ((49, 1, 255), (54, 1, 255)), "enemy": ((50, 31, 255),)},
    "qbert": {"player": ((67, 0, 148),)},
    "riverraid": {"missile": ((50, 0, 161),)},
    "seaquest": {
        **{f"diver_or_enemy_missile_{i}": ((71 + i, 1, 255),) for i in range(4)},
        **{f"enemy_obstacle_{i}": ((40 + i, 1, 255),) for i in range(4)},
        "player_missile": ((103, 1, 255),),
    },
    "skiing": {
        "object_0": ((88, 0, 142),),
        **{f"object_{i}": ((87 + i, 0, 150),) for i in range(1, 6)},
        "object_6": ((93, 4, 255),),
    },
    "tennis": {"ball": ((16, 31, 255),)},
    "yarsrevenge": {"enemy_missile": ((24, 0, 254),)},
}
"""By game (ROM name without underscores) and object: the conditions that all hold while it is on the screen."""
