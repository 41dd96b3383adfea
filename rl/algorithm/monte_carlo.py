"""Value pre-training's algorithm: that of a recipe, with returns that are the rewards."""

from __future__ import annotations

from rl.algorithm.advantage.estimator import DECOUPLED_GAE
from rl.algorithm.algorithm import Algorithm, extended
from sampler.prompt import Prompt


class MonteCarlo(Algorithm):
    """Of value pre-training before another algorithm: returns that do not lean on the values (lambda 1), of the same
    rewards. No KL: policy and reference are one. All else is as the other has it."""

    needs_logprobs = False
    needs_groups = False
    needs_critic = True
    estimate = Algorithm.estimate

    def __new__(cls, before: Algorithm) -> MonteCarlo:
        return object.__new__(extended(cls, type(before)))

    def __init__(self, before: Algorithm) -> None:
        loss = before.config.loss.model_copy(update={"kl_coef_verifiable": 0.0, "kl_coef_general": 0.0})
        changed = {"advantage": DECOUPLED_GAE, "lambda_actor": 1.0, "lambda_critic": 1.0, "loss": loss}
        super().__init__(before.config.model_copy(update=changed | {"dynamic_sampling": False}))

    def teacher_of(self, prompt: Prompt) -> str:
        """Nobody: the policy stays as it is."""
        return ""
