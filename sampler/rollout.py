"""What is asked of the sampler (`SamplingPlan`) and what it gives back (`Rollout`, `RolloutGroup`)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from sampler.prompt import Prompt

Number = TypeVar("Number", np.int32, np.float32)
FinishReason = Literal["stop", "length", "repetition"]
DropReason = Literal["prompt_too_long", "visual_too_large"]


def rollout_seed(run_seed: int, stage: str, step: int, prompt_id: str, index: int) -> int:
    """A seed in [0, 2**63) fixed by what the rollout is, never by where or when it is sampled.

    Worker, batch and order do not enter, so a group sampled again after a worker's death is the same group;
    `stage` enters, so two stages of one run never share a seed.

    >>> rollout_seed(0, "rl", 3, "a1", 0) == rollout_seed(0, "rl", 3, "a1", 0)
    True
    >>> rollout_seed(0, "rl", 3, "a1", 0) == rollout_seed(0, "harvest", 3, "a1", 0)
    False
    """
    identity = "\x1f".join((str(run_seed), stage, str(step), prompt_id, str(index)))
    digest = hashlib.blake2b(identity.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


@dataclass(frozen=True)
class SamplingPlan:
    """How every prompt of one `SamplerPool.sample` call is sampled.

    `num_samples_by_kind` overrides `num_samples` for a kind of prompt (the paper: 1 for general, 8 for
    verifiable, in one batch). `first_index` continues the numbering where an earlier call of the same stage and
    step stopped, so that topping up a prompt gives new seeds. `forbidden_token_ids` can never be sampled
    (vision placeholders, without which the trainer could not read the response back), and log-probabilities are over
    the tokens left. `allowed_token_ids`, where given, are the only tokens that can be (a judge that answers 1 or 2),
    and log-probabilities are over these alone. Sampling ends at the model's own end-of-sequence tokens or one of
    `stop_token_ids`.
    """

    num_samples: int
    max_response_tokens: int
    run_seed: int
    step: int
    stage: str = "rl"
    temperature: float = 1.0
    top_p: float = 1.0
    num_samples_by_kind: Mapping[str, int] = field(default_factory=dict)
    first_index: int = 0
    forbidden_token_ids: tuple[int, ...] = ()
    allowed_token_ids: tuple[int, ...] = ()
    stop_token_ids: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if min(self.num_samples, *self.num_samples_by_kind.values(), 1) < 1:
            raise ValueError("num_samples must be at least 1")
        if self.max_response_tokens < 1:
            raise ValueError(f"max_response_tokens must be at least 1, got {self.max_response_tokens}")
        if self.temperature < 0:
            raise ValueError(f"temperature must be 0 (greedy) or more, got {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be in (0, 1], got {self.top_p}")

    def num_samples_for(self, prompt: Prompt) -> int:
        """By the prompt's kind, where ``num_samples_by_kind`` has it."""
        return self.num_samples_by_kind.get(prompt.kind, self.num_samples)

    def indices_for(self, prompt: Prompt) -> range:
        """The indices this plan gives the prompt's rollouts."""
        return range(self.first_index, self.first_index + self.num_samples_for(prompt))

    def rollout_id(self, prompt_id: str, index: int) -> str:
        """Unique in a run: results are joined by it, never by position."""
        return f"{self.stage}-{self.step}-{prompt_id}-{index}"

    def seed_for(self, prompt_id: str, index: int) -> int:
        """Of one rollout: the same in every run of that seed, whichever worker draws it."""
        return rollout_seed(self.run_seed, self.stage, self.step, prompt_id, index)


@dataclass(frozen=True, eq=False)
class Turn:
    """What the policy said at once, behind what it was given for it: the prompt, or in later turns a tool's answer.

    `prompt_token_ids` holds the image placeholders expanded, as the trainer must feed them; a first turn's is one array
    shared by the group. `response_token_ids` ends with the stop token when `finish_reason` is "stop".
    `sample_logprobs[t]` is the log-probability with which `response_token_ids[t]` was drawn: after temperature,
    top-p and the forbidden tokens (at temperature 0: under the untempered distribution).
    `policy_versions` are runs of (version, number of response tokens that it drew), in order.
    """

    prompt_token_ids: npt.NDArray[np.int32]  # [P]
    response_token_ids: npt.NDArray[np.int32]  # [T]
    sample_logprobs: npt.NDArray[np.float32]  # [T]
    finish_reason: FinishReason
    policy_versions: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        assert sum(num for _, num in self.policy_versions) == len(self.response_token_ids)

    def same_sample(self, other: Turn) -> bool:
        """Whether both are the same draw to the last bit."""
        return (
            self.policy_versions == other.policy_versions
            and self.finish_reason == other.finish_reason
            and np.array_equal(self.prompt_token_ids, other.prompt_token_ids)
            and np.array_equal(self.response_token_ids, other.response_token_ids)
            and self.sample_logprobs.tobytes() == other.sample_logprobs.tobytes()
        )


@dataclass(frozen=True, eq=False)
class Rollout:
    """One sampled conversation: turns, of which every engine makes one today.

    `text` is what the policy said, without the stop token. `routed_experts` is [all tokens - 1, layers, top_k], where
    the engine was asked for it. A `PoolingEngine`'s has no response, and instead `hidden_state`, the backbone's output
    at the prompt's last token.
    """

    rollout_id: str
    prompt_id: str
    index: int
    turns: tuple[Turn, ...]
    text: str
    routed_experts: npt.NDArray[np.integer] | None = None
    hidden_state: npt.NDArray[np.float32] | None = None  # [hidden]

    @property
    def prompt_token_ids(self) -> npt.NDArray[np.int32]:
        """Of the first turn, [P]."""
        return self.turns[0].prompt_token_ids

    @property
    def response_token_ids(self) -> npt.NDArray[np.int32]:
        """What the policy said in all turns, [T]."""
        return _joined([turn.response_token_ids for turn in self.turns])

    @property
    def sample_logprobs(self) -> npt.NDArray[np.float32]:
        """Of the tokens that the policy said, [T]."""
        return _joined([turn.sample_logprobs for turn in self.turns])

    @property
    def finish_reason(self) -> FinishReason:
        """Of the last turn."""
        return self.turns[-1].finish_reason

    @property
    def policy_versions(self) -> tuple[tuple[int, int], ...]:
        """Runs of (policy version, number of tokens that it drew), in order."""
        return tuple(run for turn in self.turns for run in turn.policy_versions)

    @property
    def policy_version(self) -> int:
        """The newest that drew a token."""
        return max(version for version, _ in self.policy_versions)

    @property
    def num_response_tokens(self) -> int:
        return sum(len(turn.response_token_ids) for turn in self.turns)

    def same_sample(self, other: Rollout) -> bool:
        """Whether both are the same draw to the last bit, whichever worker made it."""
        return (
            self.rollout_id == other.rollout_id
            and self.text == other.text
            and len(self.turns) == len(other.turns)
            and all(mine.same_sample(its) for mine, its in zip(self.turns, other.turns, strict=True))
        )


def _joined(parts: Sequence[npt.NDArray[Number]]) -> npt.NDArray[Number]:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


@dataclass(frozen=True, eq=False)
class RolloutGroup:
    """One prompt and its rollouts, in index order."""

    prompt: Prompt
    rollouts: tuple[Rollout, ...]

    def __post_init__(self) -> None:
        indices = [rollout.index for rollout in self.rollouts]
        assert indices == sorted(set(indices)), f"rollouts of {self.prompt.prompt_id} out of order: {indices}"
        assert all(rollout.prompt_id == self.prompt.prompt_id for rollout in self.rollouts)


@dataclass(frozen=True)
class DroppedPrompt:
    """A prompt left out of a sampling call by rule, with the figures that say why."""

    prompt_id: str
    reason: DropReason
    num_tokens: int
    limit: int

    def __str__(self) -> str:
        return (
            f"prompt {self.prompt_id} dropped: {self.reason} ({self.num_tokens} tokens, limit {self.limit})"
        )
