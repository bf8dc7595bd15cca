"""What a run is made of: one frozen dataclass per stage; YAML in and out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import yaml

from agentlab.artefact import write_file
from agentlab.errors import InputError, nearest
from agentlab.fields import Range, flatten, from_plain, to_plain
from agentlab.seeds import HIGHEST

BUILT_IN = Path(__file__).parent / "recipes"
SAMPLES = Path(__file__).parent.parent / "recordings"
"""The sample recordings; only a checkout has them."""
SAMPLES_PREFIX = "samples:"

Count: TypeAlias = Annotated[int, Range(1)]
Several: TypeAlias = Annotated[int, Range(2)]
EpisodeSteps: TypeAlias = Annotated[int, Range(1, 32_767)]
"""Steps of a recorded episode: readers of Minari read no more."""
Seed: TypeAlias = Annotated[int, Range(0, HIGHEST)]
Precision: TypeAlias = Literal["auto", "float32", "bfloat16"]
MOST_EVALUATION_SEED = 29_999_999
EvaluationSeed: TypeAlias = Annotated[int, Range(0, MOST_EVALUATION_SEED)]
Positive: TypeAlias = Annotated[float, Range(0, above_low=True)]
Discount: TypeAlias = Annotated[float, Range(0, 1, below_high=True)]
Share: TypeAlias = Annotated[float, Range(0, 1, above_low=True, below_high=True)]
Scalar: TypeAlias = bool | int | float | str | None


@dataclass(frozen=True)
class RecordConfig:
    """Record: episodes played to be looked at, when the recipe names no recordings."""

    episodes: Count = 20
    """Episodes to record."""
    policy: str = "wandering"
    """Who plays: `random`, `wandering` (random actions held for a while), `human`, the folder of a trained run,
    `module:name` of a function or class, the zip of an SB3 model, or a mixture such as `random:0.3,runs/pong:0.7`."""
    max_steps: EpisodeSteps | None = None
    """Agent steps after which an episode is cut."""
    enough_steps: Count | None = None
    """Agent steps after which no further episode is begun, even if there are fewer than `episodes`."""
    n_envs: Count = 1
    """Episodes played at once, each in a process of its own."""
    trust: bool = False
    """Whether an SB3 model may be loaded: SB3 unpickles its file, which can run any code that is in it."""
    fps: Positive | None = None
    """Steps a second when a person plays; none takes the game's own speed."""


@dataclass(frozen=True)
class ExtractorConfig:
    """Fit: the network that turns a frame into features, and how it is fitted."""

    frames: Count | None = None
    """Labelled frames to fit on, evenly spread over those there are; none takes all."""
    features: Count = 128
    """Numbers in a feature vector."""
    channels: Count = 16
    """Channels of each convolution."""
    keypoints: Count = 16
    """Learned patterns whose positions the network reads off."""
    dropout: Annotated[float, Range(0, 1, below_high=True)] = 0.02
    """Highest dropout probability; each component draws its own below it."""
    erasing: Annotated[float, Range(0, 1)] = 0.0
    """Probability of each of two small rectangles painted over in the first 60% of updates, for new screens' sake."""
    scoreboard: bool = True
    """Whether rows that change with rewards alone are read for points and counters only, and kept from other labels."""
    epochs: Count = 8
    """Passes over the labelled frames."""
    batch_size: Count = 32
    """Frames in an update."""
    learning_rate: Positive = 4e-3
    """Largest step size of the schedule."""
    weight_decay: Annotated[float, Range(0)] = 1e-3
    """Decay of the weights."""
    holdout: Share = 0.2
    """Share of the episodes that is kept for scoring."""
    validation: Annotated[float, Range(0, 1, below_high=True)] = 0.0
    """Share of the other episodes that is kept for choosing between several fits; none is needed for one."""
    precision: Precision = "auto"
    """Precision of the fit; `auto` takes the fastest this machine has."""


@dataclass(frozen=True)
class DQNConfig:
    """How `RewardDifferenceDQN` learns."""

    gamma: Discount = 0.99
    """Discount of a step."""
    n_steps: Count = 5
    """Steps whose differences a return adds up before it trusts the network."""
    n_steps_final: Count | None = None
    """As many later in the training, with numbers in between; none keeps the first."""
    learning_rate: Positive = 5e-4
    """Step size at the start; it falls to a hundredth at the end."""
    batch_size: Count = 128
    """States in an update."""
    updates_per_step: Positive = 0.5
    """Updates for each agent step."""
    recorded_updates: Annotated[int, Range(0)] = 0
    """Updates on recorded play before the first step of its own, instead of random play before the first update;
    recorded play stays in memory."""
    imitation: Annotated[float, Range(0)] = 0.0
    """Weight of acting as recorded in those updates, for recordings of good play; 0 learns only what actions paid."""
    tau: Share = 0.005
    """Share of the network that the target network takes over with each update."""
    memory: Count = 1_000_000
    """Agent steps that the replay memory holds."""
    learning_starts: Count = 2_000
    """Agent steps of random play before the first update; none after updates on recorded play."""
    without: tuple[Literal["double", "dueling", "layer_norm", "histogram"], ...] = ()
    """What the network and its targets do without, to see what it is worth."""
    exploration_share: Share = 0.1
    """Share of the training over which random actions fade out."""
    exploration_final: Annotated[float, Range(0, 1)] = 0.4
    """Share of random actions that stays in the boldest environment; the others explore less and less."""
    advantage_learning: Annotated[float, Range(0, 1, below_high=True)] = 0.0
    """Share of how far an action is behind the best that is added to its difference, so that the best stands out."""
    longest_hold: Count = 1
    """Most steps for which a random action is held; 1 draws each anew."""
    hidden: tuple[Count, ...] = (256, 256)
    """Widths of the hidden layers."""
    precision: Precision = "auto"
    """Precision of the updates; `auto` takes the fastest this machine has."""


@dataclass(frozen=True)
class PPOConfig:
    """How `RewardDifferencePPO` learns."""

    gamma: Discount = 0.99
    """Discount of a step."""
    gae_lambda: Annotated[float, Range(0, 1)] = 0.95
    """How far a difference still to come is counted out before the baseline takes over."""
    learning_rate: Positive = 3e-4
    """Step size at the start; it falls to nothing at the end."""
    rollout: Several = 16
    """Steps of each environment between two rounds of updates."""
    batch_size: Several = 512
    """States in an update."""
    epochs: Count = 4
    """Passes over a rollout."""
    clip_range: Positive = 0.2
    """How far the probability of an action may move in a round of updates."""
    entropy: Annotated[float, Range(0)] = 0.01
    """Weight of the policy's entropy, which keeps it exploring."""
    recorded_updates: Annotated[int, Range(0)] = 0
    """Updates on recorded play before the first step of its own, by which it acts as recorded (behaviour cloning)."""
    hidden: tuple[Count, ...] = (64, 64)
    """Widths of the hidden layers."""


@dataclass(frozen=True)
class HeadConfig:
    """Train: the head that turns features into actions, and how it is trained."""

    algorithm: Literal["dqn", "ppo"] = "dqn"
    """`dqn` (discrete actions) or `ppo` (any)."""
    total_steps: Count = 100_000
    """Agent steps of training."""
    n_envs: Count | None = None
    """Environments stepped side by side; none takes 16 for `dqn` and 128 for `ppo`, or, where each needs a process, 8
    and rollouts as much longer."""
    stack: Count = 4
    """Last frames of which a state holds what the extractor makes of them."""
    sees: Literal["labels", "all"] = "labels"
    """What a state holds of a frame: the labels predicted from its features, or `all`, the features too."""
    reward: str = "environment"
    """Reward function: `environment`, `sign` of it, or `module:function` of a state."""
    true_labels: bool = False
    """Whether the reward function sees the environment's labels instead of those the extractor predicts."""
    target: float = 1.0
    """Reward value R* of the target state."""
    life_loss_ends: bool = True
    """Whether a lost life counts as an end while training; in evaluation it never does."""
    dqn: DQNConfig = DQNConfig()
    ppo: PPOConfig = PPOConfig()

    @property
    def learner(self) -> DQNConfig | PPOConfig:
        """The configuration of the algorithm that is used."""
        return self.ppo if self.algorithm == "ppo" else self.dqn

    @property
    def recorded_updates(self) -> int:
        """Updates on recorded play before the first step."""
        return self.learner.recorded_updates

    @property
    def num_envs(self) -> int:
        """Environments stepped side by side."""
        return self.n_envs or {"dqn": 16, "ppo": 128}[self.algorithm]


@dataclass(frozen=True)
class RefreshConfig:
    """While the head is trained: play of its own is recorded, and the eye fitted on that too; the head goes on with it.

    For games whose later screens random play never sees. The head goes on seeing the labels that it saw before, and
    rewards already in its memory stay as they were.
    """

    at: tuple[Share, ...] = ()
    """Shares of the training after which the eye is refreshed; none leaves it as it is."""
    episodes: Count = 16
    """Episodes to record for it, played by the head with more or less random actions in between."""
    max_steps: EpisodeSteps = 800
    """Agent steps after which an episode is cut."""
    enough_steps: Count = 5_000
    """Agent steps after which no further episode is begun."""
    epochs: Count = 3
    """Passes over all labelled frames."""
    learning_rate: Positive = 2e-3
    """Largest step size of the schedule."""
    erasing: Annotated[float, Range(0, 1)] = 0.0
    """Probability of each of two rectangles painted over; screens that the head has reached need no stand-ins."""


Strategy: TypeAlias = Literal["hard-clusters", "mode-choice", "fixnorm", "random-patience"]


@dataclass(frozen=True)
class HardClustersConfig:
    """Hard clusters: rounds train on what the eye reads wrongly, and its like."""

    first_share: Annotated[float, Range(0, 1, above_low=True)] = 0.1
    """Share of the frames that make a round."""
    second_share: Annotated[float, Range(0, 1, above_low=True)] = 0.05
    """Share of a round that is taken for being similar to errors, equally for each cluster of them."""
    replay_share: Annotated[float, Range(0, 1, above_low=True)] = 0.05
    """Share of a round that was trained on before."""
    errors: Annotated[float, Range(0, above_low=True)] = 0.1
    """Errors that are looked for, as a share of a round."""
    looks: Annotated[float, Range(0, above_low=True)] = 0.2
    """Frames that are looked at for them at most, as a share of a round."""
    clusters: Count = 8
    """Clusters of errors."""
    source: Literal["pool", "errors"] = "pool"
    """Where similar frames come from: what was looked at, or the errors themselves."""
    noise: Annotated[int, Range(0, 255)] = 2
    """Grey levels by which the pixels of frames that are looked at are off at random, at most."""
    quarantine_after: Count = 3
    """Rounds in a row with a sure error after which a frame is taken to be labelled wrongly."""
    quarantine_confidence: Annotated[float, Range(0, 1)] = 0.9
    """How sure an error is to count for that."""
    cost: Annotated[float, Range(0, 1, above_low=True)] = 1.0
    """Cost of the fit, looks and all, as a share of that on all frames; less saves time, and quality in short fits."""
    good_enough: Annotated[float, Range(0, 1)] | None = None
    """Share of labels read rightly on validation frames (`extractor.validation`) at which the fit ends, before its
    learning rate has come down; none goes on to the end."""
    stale_after: Count | None = None
    """Looks at the validation frames, one a pass, after which it ends if that share no longer rises."""


@dataclass(frozen=True)
class ModeChoiceConfig:
    """Mode choice: goes on in the mode in which the loss falls fastest."""

    modes: tuple[str, ...] = ("float32", "bfloat16")
    """`float32`, `bfloat16`, `channels-last`, `compiled`, several joined by `+`; the first is the basic one."""
    stages: tuple[Annotated[float, Range(0, 1, below_high=True)], ...] = (0.02,)
    """Shares of the fit after which modes are compared."""
    steps: Count | None = None
    """Updates of a comparison; none takes as many as make all of them cost 4% of the fit's time."""


@dataclass(frozen=True)
class FixNormConfig:
    """Fixed norm: one rate controls the steps, for weights keep their norm."""

    normalise_update: bool = False
    """Whether a step's length depends on the rate alone."""


@dataclass(frozen=True)
class RandomPatienceConfig:
    """Random patience: eyes of several architectures are fitted in turn until none has been better for a while."""

    rounds: Count = 10
    """Architectures to try, raised while the patience exceeds those left."""
    ratio: Annotated[float, Range(0.7, 0.9)] = 0.8
    """Highest patience, as a share of the rounds."""
    max_rounds: Count | None = None
    """Most rounds; none is twice the rounds."""
    ties_count_as_misses: bool = False
    """Whether a score equal to the best counts as one that is worse."""


@dataclass(frozen=True)
class Strategies:
    """Which strategies a fit is run with, and how; `InputError` for one that is named twice."""

    use: tuple[Strategy, ...] = ()
    hard_clusters: HardClustersConfig = HardClustersConfig()
    mode_choice: ModeChoiceConfig = ModeChoiceConfig()
    fixnorm: FixNormConfig = FixNormConfig()
    random_patience: RandomPatienceConfig = RandomPatienceConfig()

    def __post_init__(self) -> None:
        twice = next((name for name in self.use if self.use.count(name) > 1), None)
        if twice is not None:
            raise InputError(f"strategies: expected each once, found {twice} twice")


@dataclass(frozen=True)
class EvaluateConfig:
    """Evaluate: the episodes a score is taken on."""

    episodes: Count = 30
    """Evaluation episodes."""
    seed: EvaluationSeed = 0
    """Which evaluation episodes; none of them is ever trained or recorded on."""


@dataclass(frozen=True)
class Recipe:
    """What a run is made of."""

    env: str
    """Gymnasium id, such as `ALE/Pong-v5` or `module:Namespace/Name-v0`."""
    env_kwargs: Mapping[str, Scalar] = field(default_factory=dict)
    """What the environment is made with."""
    seed: Seed = 0
    """Seed of everything that is random."""
    device: str = "auto"
    """Where networks run: `auto`, `cpu`, `cuda`."""
    threads: Annotated[int, Range(0)] = 0
    """Threads for networks; 0 takes one per core, and one for the head while it trains."""
    recordings: tuple[str, ...] = ()
    """Folders to fit the extractor on, `samples:NAME` for one that ships with agentlab; none records anew."""
    record: RecordConfig = RecordConfig()
    extractor: ExtractorConfig = ExtractorConfig()
    head: HeadConfig = HeadConfig()
    refresh: RefreshConfig = RefreshConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    strategies: tuple[Strategy, ...] = ()
    """Training strategies of the fit; `--with hard-clusters,fixnorm` says the same."""
    hard_clusters: HardClustersConfig = HardClustersConfig()
    mode_choice: ModeChoiceConfig = ModeChoiceConfig()
    fixnorm: FixNormConfig = FixNormConfig()
    random_patience: RandomPatienceConfig = RandomPatienceConfig()

    @property
    def fit_strategies(self) -> Strategies:
        """The strategies with their settings."""
        return Strategies(self.strategies, self.hard_clusters, self.mode_choice, self.fixnorm, self.random_patience)


def require_no_rounds(strategies: Sequence[Strategy]) -> None:
    """Raises `InputError` for a strategy that ends a search over rounds, where there is but one."""
    if "random-patience" in strategies:
        raise InputError("strategies: random-patience ends a search over rounds: use it with agentlab search")


def built_in() -> dict[str, Path]:
    """The recipes that ship with agentlab, by name."""
    return {file.stem: file for file in sorted(BUILT_IN.glob("*.yaml"))}


def find(name: str) -> Path:
    """The file of a built-in recipe's name, or of a path to a YAML file; `InputError` with the nearest match."""
    if name in built_in():
        return built_in()[name]
    path = Path(name)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        return path
    raise InputError(f"recipe {name!r}: expected a built-in recipe or a YAML file.{nearest(name, built_in())}")


def load(path: Path) -> Recipe:
    """The recipe in a YAML file; `InputError` naming file and field."""
    return from_plain(Recipe, _read_yaml(path), str(path))


def save(recipe: Recipe, path: Path) -> None:
    """Writes a recipe as YAML."""
    write_file(path, yaml.safe_dump(to_plain(recipe), sort_keys=False))


def recording_path(name: str) -> Path:
    """The folder of a recording that a recipe names, `samples:NAME` in agentlab's own."""
    return SAMPLES / name.removeprefix(SAMPLES_PREFIX) if name.startswith(SAMPLES_PREFIX) else Path(name)


def require_sample(name: str) -> None:
    """Raises `InputError` with the nearest match for the name of a sample that is not there."""
    if name.startswith(SAMPLES_PREFIX) and not recording_path(name).exists():
        there = [f"{SAMPLES_PREFIX}{folder.parent.name}" for folder in sorted(SAMPLES.glob("*/data"))]
        raise InputError(f"recordings: no sample {name!r}.{nearest(name, there)}")


def in_environment(recipe: Recipe, env: str) -> Recipe:
    """`recipe` in another environment: what its own is made with stays only within the family, such as Atari's."""
    of_family = _family(env) == _family(recipe.env)
    return replace(recipe, env=env, env_kwargs=recipe.env_kwargs if of_family else {})


def _family(env: str) -> str:
    """What an environment id begins with, before its name: `ALE`."""
    return env.split(":")[-1].rpartition("/")[0]


def resolve(recipe: Recipe, base: Recipe) -> Recipe:
    """`recipe`, made from `base` by overriding fields, without what belongs to the environment of `base` alone.

    What that is made with goes unless both are of one family. Recordings that `base` names are dropped, and so made
    anew, when the environment is another one, and when they are samples that this installation has not got.
    """
    if recipe.env_kwargs == base.env_kwargs:
        recipe = replace(recipe, env_kwargs=in_environment(base, recipe.env).env_kwargs)
    another = (recipe.env, recipe.env_kwargs) != (base.env, base.env_kwargs)
    missing = any(name.startswith(SAMPLES_PREFIX) and not recording_path(name).exists() for name in recipe.recordings)
    if recipe.recordings == base.recordings and (another or missing):
        return replace(recipe, recordings=())
    return recipe


def first_difference(found: Recipe, expected: Recipe) -> tuple[str, Any, Any] | None:
    """The first field in which two recipes differ: its dotted name and both values."""
    wanted = dict(flatten(expected))
    return next(((name, value, wanted[name]) for name, value in flatten(found) if value != wanted[name]), None)


def _read_yaml(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except yaml.YAMLError as error:
        problem = " ".join(str(error).split())
        raise InputError(f"{path}: expected YAML, found a garbled file ({problem})") from error
