"""Weights from the trainer to the sampler, and the proof that they arrived: log-probabilities agree on pictures."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ray.exceptions import RayError

from rl.data.batch import Batch
from rl.experience.step_metrics import Mismatch
from rl.experience.training_batch import rollout_sequence
from rl.recipe.run_config import SyncConfig
from rl.run.results.stage_result import Proof
from sampler.prompt import Prompt
from sampler.rollout import SamplingPlan
from sampler.vllm_pool.pool import SamplerPool
from verifiers.counted import counted
from verifiers.errors import HoneError

if TYPE_CHECKING:
    from rl.trainer.trainer import Trainer

SYNC_ATTEMPTS = 3  # while workers die: each is a fresh start of those that died


class SyncError(HoneError):
    """The sampler does not hold what the trainer holds, or does not compute what it computes."""


@dataclass(frozen=True)
class Tolerance:
    """How far sampler and trainer may be apart on the probe: of a token's log-probability (nats) the largest and the
    median difference, and the mean KL (k3, nats a token). None bounds nothing.

    It is about arithmetic: that the weights arrived, checksums show. float32 rounds to 4e-5 at most, so 1e-4 for every
    token. In bfloat16 no limit of the largest difference means anything: one token whose experts a rounding has changed
    is off by 1.5. Measured on the tiny model (1,400 tokens, weights six times as large, so that predictions are
    peaked): with the same weights the median is 0.012 to 0.020 and the KL 1.2e-3 to 2.7e-3; with weights that moved by
    1, 3 and 10% of their spread 0.06, 0.16 and 0.51, and 0.013, 0.047 and 0.27. 48 layers instead of 2 make 2.5 times
    the median and 3 times the KL, and the KL of Qwen3-30B-A3B between two engines is published as 1.5e-3. Hence a
    median of 0.1, which lone tokens do not move, and for faults of few tokens the KL with which RL itself goes on
    (``rl.max_mismatch_kl``).
    """

    max_difference: float | None = None
    median_difference: float | None = None
    kl: float | None = None

    @classmethod
    def of(cls, config: SyncConfig, *dtypes: str) -> Tolerance:
        """The recipe's own limit, or what fits the coarser of the trainer's and the sampler's ``dtypes``."""
        if config.tolerance is not None:
            return cls(max_difference=config.tolerance)
        return FLOAT32 if set(dtypes) == {"float32"} else BFLOAT16

    def exceeded_by(self, mismatch: Mismatch) -> str:
        """What is too far apart, in words; empty where nothing is."""
        figures = {
            "the largest difference of a log-probability": (mismatch.max_difference, self.max_difference),
            "the median difference of log-probabilities": (
                mismatch.median_difference,
                self.median_difference,
            ),
            "the mean KL": (mismatch.kl, self.kl),
        }
        too_large = [
            f"{name} is {figure:.2g}, above {limit:.2g}"
            for name, (figure, limit) in figures.items()
            if limit is not None and not figure <= limit  # not a number is too large
        ]
        return ", ".join(too_large)


FLOAT32 = Tolerance(max_difference=1e-4)
BFLOAT16 = Tolerance(median_difference=0.1, kl=0.05)


@dataclass(eq=False)
class WeightSync:
    """Moves weights and proves it. A sync counts only when the engine reports the version and, where a proof is asked
    for, every tensor's checksum and the log-probabilities of a fixed probe set with pictures agree. ``dtype`` is of the
    trainer's weights."""

    config: SyncConfig
    trainer: Trainer
    sampler: SamplerPool
    probe: Sequence[Prompt]
    tolerance: Tolerance
    dtype: str
    forbidden_token_ids: tuple[int, ...]
    seed: int

    def sync(self, policy_version: int) -> float:
        """Make ``policy_version``, the trainer's current weights, what the sampler samples from; seconds it took.

        A sync during which rollout workers died is done again with those that take their place, up to
        ``SYNC_ATTEMPTS`` times in all.

        Raises: HoneError when a worker refuses the weights or serves another version.
        """
        start = time.perf_counter()
        for attempt in range(1, SYNC_ATTEMPTS + 1):
            try:
                self._send(policy_version)
                break
            except (HoneError, RayError):
                if attempt == SYNC_ATTEMPTS or not self.sampler.revive():
                    raise
        if self.config.prove == "every_sync":
            self.prove()
        return time.perf_counter() - start

    def _send(self, policy_version: int) -> None:
        client = self.sampler.weight_sync_client(policy_version)
        self.trainer.send_weights(
            self.sampler.config.weight_transfer_backend, client, self.sampler.num_inference_ranks
        )
        self.sampler.commit_weights(policy_version)

    def prove(self, *more: Prompt) -> Proof:
        """Compare the checksum of each tensor, which shows that the weights arrived; then sample the probe prompts, and
        ``more``, and compare each token's log-probability with the trainer's: both compute the same of them.

        Raises: SyncError when a tensor is another, or when log-probabilities differ by more than the tolerance.
        """
        plan = SamplingPlan(
            num_samples=1,
            max_response_tokens=self.config.probe_tokens,
            run_seed=self.seed,
            step=0,
            stage="probe",
            forbidden_token_ids=self.forbidden_token_ids,
        )
        self._require_arrival()
        groups = sorted(
            self.sampler.sample([*self.probe[: self.config.probe_prompts], *more], plan),
            key=lambda group: group.prompt.prompt_id,
        )
        if not groups:
            raise SyncError(
                "no probe prompt fits sampler.max_model_len, so a weight sync cannot be proven: raise it"
            )
        batch = Batch.of(
            [rollout_sequence(rollout, group.prompt) for group in groups for rollout in group.rollouts]
        )
        trainer_logprobs, _ = self.trainer.logprobs(batch)
        mismatch = Mismatch.between(batch.column("sample_logprobs"), trainer_logprobs)
        exceeded = self.tolerance.exceeded_by(mismatch)
        if exceeded:
            raise SyncError(
                f"sampler and trainer do not compute the same of the same weights: on {len(groups)} probe prompts "
                f"{exceeded} (sync.tolerance, policy version {self.sampler.policy_version})"
            )
        return Proof(mismatch.max_difference, batch.counts.num_loss_tokens)

    def _require_arrival(self) -> None:
        """Nothing that moved is too small: the smallest step of RL shows."""
        sent = self.trainer.weight_checksums()
        for held in self.sampler.weight_checksums(self.dtype):
            others = sorted(name for name, checksum in sent.items() if held.get(name) != checksum)
            if others:
                raise SyncError(
                    f"the weight sync did not take: {len(others)} of {counted(len(sent), 'tensor')} are not the "
                    f"trainer's in the sampler, {others[0]} among them (policy version {self.sampler.policy_version})"
                )
