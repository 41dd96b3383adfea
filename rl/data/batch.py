"""What the trainer is fed: sequences stored flat, split over ranks and micro-batches before they are sent."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from sampler.vision_input import VisionInput

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class TrainSequence:
    """One prompt with one response, as it enters a batch.

    token_ids [P + T]: prompt (placeholders expanded) then response; loss_mask [T]: which response tokens count;
    advantages, sample_logprobs [T]; kl_coef: the weight of the KL to the reference policy for this sample; is_right:
    a judge found the response right.
    """

    sequence_id: str
    prompt_id: str
    token_ids: npt.NDArray[np.int32]
    num_prompt_tokens: int
    vision_inputs: tuple[VisionInput, ...] = ()
    loss_mask: Floats | None = None
    advantages: Floats | None = None
    sample_logprobs: Floats | None = None
    kl_coef: float = 0.0
    is_right: bool = False

    @property
    def num_response_tokens(self) -> int:
        return len(self.token_ids) - self.num_prompt_tokens


@dataclass(frozen=True, eq=False)
class TrainBatch:
    """Many sequences, packed: token columns are concatenated without padding, response columns likewise.

    >>> batch = TrainBatch.of([TrainSequence("r0", "p0", np.arange(5, dtype=np.int32), 3)])
    >>> batch.num_tokens, batch.num_loss_tokens
    (5, 2)

    ``num_loss_tokens``, ``num_loss_sequences`` and ``num_right_tokens`` (loss tokens of right responses) count over the
    whole optimizer step: they stay those of the step when a batch is split over ranks and micro-batches, so that every
    part is normalised alike.
    """

    sequence_ids: tuple[str, ...]
    prompt_ids: tuple[str, ...]
    token_ids: npt.NDArray[np.int32]  # [sum of lengths]
    lengths: Ints  # [n]
    prompt_lengths: Ints  # [n]
    loss_mask: Floats  # [sum of response lengths], as are the columns below
    advantages: Floats
    sample_logprobs: Floats
    old_logprobs: Floats
    ref_logprobs: Floats
    old_values: Floats  # the critic's before the update, V(s_t) at token t
    returns: Floats  # what the critic learns
    kl_coef: Floats  # [n]
    is_right: Floats  # [n], 1 or 0
    vision_inputs: Mapping[str, tuple[VisionInput, ...]] = field(
        default_factory=dict
    )  # by prompt id: once a group
    num_loss_tokens: int = 0
    num_loss_sequences: int = 0
    num_right_tokens: int = 0

    @classmethod
    def of(cls, sequences: Sequence[TrainSequence]) -> TrainBatch:
        """Pack sequences. Columns not given are ones (mask) or zeros."""
        response_lengths = [sequence.num_response_tokens for sequence in sequences]
        total = sum(response_lengths)

        def column(name: str, default: float) -> Floats:
            parts = [getattr(sequence, name) for sequence in sequences]
            filled = [
                np.full(length, default, np.float32) if part is None else np.asarray(part, np.float32)
                for part, length in zip(parts, response_lengths, strict=True)
            ]
            return np.concatenate(filled) if filled else np.zeros(0, np.float32)

        zeros = np.zeros(total, np.float32)
        batch = cls(
            sequence_ids=tuple(sequence.sequence_id for sequence in sequences),
            prompt_ids=tuple(sequence.prompt_id for sequence in sequences),
            token_ids=np.concatenate([sequence.token_ids for sequence in sequences]).astype(np.int32),
            lengths=np.array([len(sequence.token_ids) for sequence in sequences], np.int64),
            prompt_lengths=np.array([sequence.num_prompt_tokens for sequence in sequences], np.int64),
            loss_mask=column("loss_mask", 1.0),
            advantages=column("advantages", 0.0),
            sample_logprobs=column("sample_logprobs", 0.0),
            old_logprobs=zeros,
            ref_logprobs=zeros,
            old_values=zeros,
            returns=zeros,
            kl_coef=np.array([sequence.kl_coef for sequence in sequences], np.float32),
            is_right=np.array([sequence.is_right for sequence in sequences], np.float32),
            vision_inputs={
                sequence.prompt_id: sequence.vision_inputs for sequence in sequences if sequence.vision_inputs
            },
        )
        return batch.counted()

    def __len__(self) -> int:
        return len(self.sequence_ids)

    @property
    def num_tokens(self) -> int:
        return int(self.lengths.sum())

    @property
    def response_lengths(self) -> Ints:
        return self.lengths - self.prompt_lengths

    def counted(self) -> TrainBatch:
        """The batch as one whole optimizer step: global counts taken from its own mask."""
        sums = np.add.reduceat(self.loss_mask, offsets(self.response_lengths)) if len(self) else np.zeros(0)
        return dataclasses.replace(
            self,
            num_loss_tokens=round(float(self.loss_mask.sum())),
            num_loss_sequences=int((sums > 0).sum()),
            num_right_tokens=round(float((sums * self.is_right).sum())),
        )

    def replace(self, **columns: object) -> TrainBatch:
        """A copy with other columns."""
        return dataclasses.replace(self, **columns)  # type: ignore[arg-type]

    def select(self, indices: Sequence[int]) -> TrainBatch:
        """The sequences at these places, in this order; the step's global counts stay."""
        index = np.asarray(indices, dtype=np.int64)
        tokens = _spans(offsets(self.lengths), self.lengths, index)
        responses = _spans(offsets(self.response_lengths), self.response_lengths, index)
        prompt_ids = tuple(self.prompt_ids[i] for i in index)
        return dataclasses.replace(
            self,
            sequence_ids=tuple(self.sequence_ids[i] for i in index),
            prompt_ids=prompt_ids,
            token_ids=self.token_ids[tokens],
            lengths=self.lengths[index],
            prompt_lengths=self.prompt_lengths[index],
            kl_coef=self.kl_coef[index],
            is_right=self.is_right[index],
            vision_inputs={
                prompt_id: self.vision_inputs[prompt_id]
                for prompt_id in prompt_ids
                if prompt_id in self.vision_inputs
            },
            **{name: getattr(self, name)[responses] for name in RESPONSE_COLUMNS},
        )

    def split_response_column(self, values: Floats) -> list[Floats]:
        """A flat response column cut at the sequences' ends."""
        return np.split(values, np.cumsum(self.response_lengths)[:-1]) if len(self) else []


RESPONSE_COLUMNS = (
    "loss_mask",
    "advantages",
    "sample_logprobs",
    "old_logprobs",
    "ref_logprobs",
    "old_values",
    "returns",
)


def offsets(lengths: Ints) -> Ints:
    """Where each run starts: exclusive cumulative sum."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)[:-1]])


def _spans(starts: Ints, lengths: Ints, index: Ints) -> Ints:
    """Flat positions of the runs at ``index``, one after the other."""
    picked = lengths[index]
    total = int(picked.sum())
    shift = np.repeat(starts[index] - offsets(picked), picked) if total else np.zeros(0, np.int64)
    return np.arange(total, dtype=np.int64) + shift
