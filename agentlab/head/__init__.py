"""The features environment, the reward-difference loss and the two heads trained by it (CN110837858B)."""

from agentlab.head.agent import Agent
from agentlab.head.agent_policy import AgentPolicy
from agentlab.head.dqn import RewardDifferenceDQN
from agentlab.head.features_env import FrozenFeatures, FrozenFeaturesWrapper
from agentlab.head.motion import MotionExtractor
from agentlab.head.patience import StopOnRandomPatience
from agentlab.head.ppo import RewardDifferencePPO
from agentlab.head.reward import RewardFunction, State, Target, environment_reward, find_reward_function, sign_of_reward
from agentlab.head.training import require_learning_from_recordings, train
from agentlab.head.updates import UPDATE_MODES

__all__ = [
    "UPDATE_MODES",
    "Agent",
    "AgentPolicy",
    "FrozenFeatures",
    "FrozenFeaturesWrapper",
    "MotionExtractor",
    "RewardDifferenceDQN",
    "RewardDifferencePPO",
    "RewardFunction",
    "State",
    "StopOnRandomPatience",
    "Target",
    "environment_reward",
    "find_reward_function",
    "require_learning_from_recordings",
    "sign_of_reward",
    "train",
]
