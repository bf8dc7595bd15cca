"""Labels of Gymnasium's CarRacing: where the car is on the road, how it moves, and how the road goes on."""

from __future__ import annotations

import math
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs

ENTRY_POINT = "gymnasium.envs.box2d.car_racing:CarRacing"
AHEAD = (4, 8, 12, 16)
"""How many tiles ahead of the car the road's direction is told; more are off the screen."""
ROAD_IN_SIGHT = 25.0
"""How far off the middle of the road the car sees it, in the game's units; the road is 13 wide."""
LEFT, RIGHT, GAS, BRAKE = np.array([[-1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 0.8]], np.float32)
"""What each key does, as in Gymnasium's own game: the wheels still turn under the brake."""

Vector = npt.NDArray[np.float64]
Info = dict[str, Any]


class CarRacingLabels(gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Adds `info["labels"]`, all read from the simulation: lengths in its units, angles in radians, left is positive.

    `speed`, `spin` (a second) and `steering` of the car; `off_middle`, its distance from the middle of the road, and
    `road_angle` and `road_angle_<n>`, the direction of the road beside the car and n tiles ahead as the car sees it.
    What concerns the road is `None` where the road is out of sight.
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        RecordConstructorArgs.__init__(self)
        gym.Wrapper.__init__(self, env)
        turn = math.pi
        self.label_schema = {
            "speed": _number(0, 150, "units/s"),
            "spin": _number(-20, 20, "rad/s"),
            "steering": _number(-1, 1, "rad"),
            "off_middle": _number(-ROAD_IN_SIGHT, ROAD_IN_SIGHT, "units"),
            "road_angle": _number(-turn, turn, "rad"),
            **{f"road_angle_{tiles}": _number(-turn, turn, "rad") for tiles in AHEAD},
        }
        self._middles: Vector = np.zeros((0, 2))
        self._directions: Vector = np.zeros(0)

    @staticmethod
    def knows(env: gym.Env[Any, Any]) -> bool:
        """Whether the environment is CarRacing."""
        return env.spec is not None and env.spec.entry_point == ENTRY_POINT

    def get_keys_to_action(self) -> dict[tuple[str, ...], Any]:
        """The action of each combination of keys, in the form of `gymnasium.utils.play`: w gas, s brake, a and d."""
        if isinstance(self.action_space, spaces.Discrete):
            return {("d",): 1, ("a",): 2, ("w",): 3, ("s",): 4}
        turns, speeds = {"a": LEFT, "d": RIGHT}, {"w": GAS, "s": BRAKE}
        actions: dict[tuple[str, ...], Any] = {(key,): action for key, action in (turns | speeds).items()}
        return actions | {(speed, turn): speeds[speed] + turns[turn] for speed in speeds for turn in turns}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, Info]:
        frame, info = self.env.reset(seed=seed, options=options)
        track = np.array(self.get_wrapper_attr("track"))
        self._directions, self._middles = track[:, 1], track[:, 2:]
        return frame, info | {"labels": self._read()}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, Info]:
        frame, reward, terminated, truncated, info = self.env.step(action)
        return frame, reward, terminated, truncated, info | {"labels": self._read()}

    def _read(self) -> Info:
        car = self.get_wrapper_attr("car")
        labels = {
            "speed": math.hypot(*car.hull.linearVelocity),
            "spin": car.hull.angularVelocity,
            "steering": car.wheels[0].joint.angle,
            **self._road(np.array(car.hull.position), car.hull.angle),
        }
        return {name: None if value is None else self._within(name, value) for name, value in labels.items()}

    def _road(self, position: Vector, angle: float) -> dict[str, float | None]:
        from_middle = position - self._middles
        tile = int((from_middle**2).sum(axis=1).argmin())
        direction = self._directions[tile]
        off_middle = float(-from_middle[tile] @ (math.cos(direction), math.sin(direction)))
        in_sight = math.hypot(*from_middle[tile]) < ROAD_IN_SIGHT
        tiles = {"road_angle": 0} | {f"road_angle_{ahead}": ahead for ahead in AHEAD}
        angles = {
            name: math.remainder(self._directions[(tile + ahead) % len(self._directions)] - angle, 2 * math.pi)
            for name, ahead in tiles.items()
        }
        return {name: value if in_sight else None for name, value in ({"off_middle": off_middle} | angles).items()}

    def _within(self, name: str, value: float) -> float:
        bounds = self.label_schema[name]
        return float(min(max(value, bounds["low"]), bounds["high"]))


def _number(low: float, high: float, unit: str) -> dict[str, Any]:
    return {"kind": "number", "low": low, "high": high, "unit": unit}
