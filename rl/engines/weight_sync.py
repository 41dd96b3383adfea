"""Weights from the trainer to the sampler, and the proof that they arrived: log-probabilities agree on pictures."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from ray.exceptions import RayError

from rl.data.batch import TrainBatch, TrainSequence
from rl.experience.step_metrics import Mismatch
from rl.recipe.run_config import SyncConfig
from rl.run.stage_result import Proof
from rl.trainer.trainer import Trainer
from sampler.prompt import Prompt
from sampler.rollout import RolloutGroup, SamplingPlan
from sampler.vllm_pool.pool import SamplerPool
from verifiers.errors import HoneError


class SyncError(HoneError):
    """A sync that did not take: the sampler does not compute what the trainer computes."""


class WeightSync:
    """Moves weights and proves it. A sync counts only when the engine reports the version and, where a proof is asked
    for, the log-probabilities of a fixed probe set with pictures agree within the tolerance."""

    def __init__(
        self,
        config: SyncConfig,
        trainer: Trainer,
        sampler: SamplerPool,
        probe: Sequence[Prompt],
        *,
        forbidden_token_ids: tuple[int, ...],
        seed: int,
    ) -> None:
        self.config = config
        self.trainer = trainer
        self.sampler = sampler
        self.probe = list(probe)[: config.probe_prompts]
        self.forbidden_token_ids = forbidden_token_ids
        self.seed = seed

    def sync(self, policy_version: int) -> float:
        """Make ``policy_version``, the trainer's current weights, what the sampler samples from; seconds it took.

        A sync during which rollout workers died is done once more with those that take their place.

        Raises: HoneError when a worker refuses the weights or serves another version.
        """
        start = time.perf_counter()
        try:
            self._send(policy_version)
        except (HoneError, RayError):
            if not self.sampler.revive():
                raise
            self._send(policy_version)
        if self.config.prove == "every_sync":
            self.prove()
        return time.perf_counter() - start

    def _send(self, policy_version: int) -> None:
        client = self.sampler.weight_sync_client(policy_version)
        self.trainer.send_weights(
            self.sampler.config.weight_transfer_backend, client, self.sampler.num_inference_ranks
        )
        self.sampler.commit_weights(policy_version)

    def prove(self) -> Proof:
        """Sample the probe prompts and compare each token's log-probability with the trainer's.

        Raises: SyncError when one differs by more than the tolerance.
        """
        plan = SamplingPlan(
            num_samples=1,
            max_response_tokens=self.config.probe_tokens,
            run_seed=self.seed,
            step=0,
            stage="probe",
            forbidden_token_ids=self.forbidden_token_ids,
        )
        groups = sorted(self.sampler.sample(self.probe, plan), key=lambda group: group.prompt.prompt_id)
        if not groups:
            raise SyncError(
                "no probe prompt fits sampler.max_model_len, so a weight sync cannot be proven: raise it"
            )
        batch = TrainBatch.of([sequence for group in groups for sequence in sequences_of(group)])
        trainer_logprobs, _ = self.trainer.logprobs(batch)
        mismatch = Mismatch.between(batch.sample_logprobs, trainer_logprobs)
        if not mismatch.max_difference <= self.config.tolerance:
            raise SyncError(
                f"the weight sync did not take: on {len(groups)} probe prompts a token's log-probability "
                f"differs by {mismatch.max_difference:.2g} between sampler and trainer (sync.tolerance="
                f"{self.config.tolerance:.2g}, policy version {self.sampler.policy_version})"
            )
        return Proof(mismatch.max_difference, batch.num_loss_tokens)


def sequences_of(group: RolloutGroup) -> list[TrainSequence]:
    """A group's rollouts as trainable sequences, without rewards yet."""
    return [
        TrainSequence(
            sequence_id=rollout.rollout_id,
            prompt_id=group.prompt.prompt_id,
            token_ids=np.concatenate([rollout.prompt_token_ids, rollout.response_token_ids]),
            num_prompt_tokens=len(rollout.prompt_token_ids),
            vision_inputs=group.prompt.vision_inputs,
            sample_logprobs=rollout.sample_logprobs,
        )
        for rollout in group.rollouts
    ]
