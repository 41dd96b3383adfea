"""What the trainer is fed: many token sequences stored flat, without padding."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from rl.data.token_sequence import Floats, Ints, TokenSequence
from sampler.vision_input import VisionInput


@dataclass(frozen=True)
class StepCounts:
    """Of a whole optimizer step, whatever ranks and micro-batches it is cut into: so every part is normalised alike.

    ``num_right_tokens``: loss tokens of right responses, where there is a scalar ``is_right``. Where there is a scalar
    ``count``, a sequence counts as so many.
    """

    num_loss_tokens: int
    num_loss_sequences: int
    num_right_tokens: int = 0


@dataclass(frozen=True, eq=False)
class Batch:
    """Sequences end to end. Columns are those of the sequences, [sum of lengths]; scalars [n].

    What is computed of a batch (log-probabilities, values, advantages) is computed for the tokens learnt from alone:
    ``column`` reads and ``with_columns`` writes a column there, flat, [tokens learnt from].

    >>> batch = Batch.of([TokenSequence.of_response("r0", "p0", [1, 2, 3], [4, 5])])
    >>> batch.num_tokens, batch.counts.num_loss_tokens
    (5, 2)
    >>> batch.with_columns(advantages=np.float32([0.5, 1])).columns["advantages"].tolist()
    [0.0, 0.0, 0.0, 0.5, 1.0]
    """

    sequence_ids: tuple[str, ...]
    prompt_ids: tuple[str, ...]
    token_ids: npt.NDArray[np.int32]
    lengths: Ints
    loss_mask: Floats
    vision_inputs: tuple[tuple[VisionInput, ...], ...]  # [n]; what is equal is one object, so it travels once
    columns: Mapping[str, Floats] = field(default_factory=dict)
    scalars: Mapping[str, Floats] = field(default_factory=dict)

    @classmethod
    def of(cls, sequences: Sequence[TokenSequence]) -> Batch:
        """Put sequences end to end. They have the same scalars; a column that one of them lacks is 0 there."""
        names = dict.fromkeys(name for sequence in sequences for name in sequence.columns)

        def column(name: str) -> Floats:
            parts = [sequence.columns.get(name, np.zeros_like(sequence.loss_mask)) for sequence in sequences]
            return np.concatenate(parts).astype(np.float32)

        return cls(
            sequence_ids=tuple(sequence.sequence_id for sequence in sequences),
            prompt_ids=tuple(sequence.prompt_id for sequence in sequences),
            token_ids=np.concatenate([sequence.token_ids for sequence in sequences]).astype(np.int32),
            lengths=np.array([len(sequence.token_ids) for sequence in sequences], np.int64),
            loss_mask=np.concatenate([sequence.loss_mask for sequence in sequences]).astype(np.float32),
            columns={name: column(name) for name in names},
            scalars={
                name: np.array([sequence.scalars[name] for sequence in sequences], np.float32)
                for name in sequences[0].scalars
            },
            vision_inputs=_once(sequence.vision_inputs for sequence in sequences),
        )

    @classmethod
    def joined(cls, batches: Sequence[Batch]) -> Batch:
        """Batches with the same columns and scalars, end to end."""
        first = batches[0]
        return cls(
            sequence_ids=tuple(each for batch in batches for each in batch.sequence_ids),
            prompt_ids=tuple(each for batch in batches for each in batch.prompt_ids),
            token_ids=np.concatenate([batch.token_ids for batch in batches]),
            lengths=np.concatenate([batch.lengths for batch in batches]),
            loss_mask=np.concatenate([batch.loss_mask for batch in batches]),
            columns={
                name: np.concatenate([batch.columns[name] for batch in batches]) for name in first.columns
            },
            scalars={
                name: np.concatenate([batch.scalars[name] for batch in batches]) for name in first.scalars
            },
            vision_inputs=_once(shown for batch in batches for shown in batch.vision_inputs),
        )

    def __len__(self) -> int:
        return len(self.sequence_ids)

    @property
    def num_tokens(self) -> int:
        return int(self.lengths.sum())

    @property
    def learnt(self) -> npt.NDArray[np.bool_]:
        """[sum of lengths]: which tokens are learnt from."""
        return self.loss_mask > 0

    @property
    def loss_lengths(self) -> Ints:
        """[n]: how many tokens of each sequence are learnt from."""
        return self._sums(self.learnt.astype(np.float32)).astype(np.int64)

    @property
    def counts(self) -> StepCounts:
        """The batch as one whole optimizer step."""
        sums = self._sums(self.loss_mask)
        is_right = self.scalars.get("is_right", np.zeros_like(sums))
        count = self.scalars.get("count", np.ones_like(sums))
        return StepCounts(
            num_loss_tokens=round(float((sums * count).sum(dtype=np.float64))),
            num_loss_sequences=round(float(((sums > 0) * count).sum())),
            num_right_tokens=round(float((sums * is_right).sum())),
        )

    def column(self, name: str) -> Floats:
        """A column at the tokens learnt from."""
        return self.columns[name][self.learnt]

    def rows(self, values: Floats) -> list[Floats]:
        """Numbers of the tokens learnt from, cut at the sequences' ends."""
        return np.split(values, np.cumsum(self.loss_lengths)[:-1]) if len(self) else []

    def with_columns(self, **values: Floats) -> Batch:
        """A copy with these columns, given at the tokens learnt from."""
        columns = dict(self.columns)
        for name, given in values.items():
            columns[name] = np.zeros_like(self.loss_mask)
            columns[name][self.learnt] = given
        return dataclasses.replace(self, columns=columns)

    def with_scalars(self, **values: Floats) -> Batch:
        """A copy with these scalars, [n]."""
        return dataclasses.replace(self, scalars={**self.scalars, **values})

    def select(self, indices: Sequence[int]) -> Batch:
        """The sequences at these indices, in this order."""
        index = np.asarray(indices, dtype=np.int64)
        tokens = _spans(offsets(self.lengths), self.lengths, index)
        return Batch(
            sequence_ids=tuple(self.sequence_ids[i] for i in index),
            prompt_ids=tuple(self.prompt_ids[i] for i in index),
            token_ids=self.token_ids[tokens],
            lengths=self.lengths[index],
            loss_mask=self.loss_mask[tokens],
            columns={name: column[tokens] for name, column in self.columns.items()},
            scalars={name: scalar[index] for name, scalar in self.scalars.items()},
            vision_inputs=tuple(self.vision_inputs[i] for i in index),
        )

    def _sums(self, column: Floats) -> Floats:
        """[n]: a column's sum over each sequence."""
        return np.add.reduceat(column, offsets(self.lengths)) if len(self) else np.zeros(0, np.float32)


def _once(shown: Iterable[tuple[VisionInput, ...]]) -> tuple[tuple[VisionInput, ...], ...]:
    """The same, with the first of those that are equal in place of each."""
    first: dict[tuple[VisionInput, ...], tuple[VisionInput, ...]] = {}
    return tuple(first.setdefault(one, one) for one in shown)


def offsets(lengths: Ints) -> Ints:
    """Where each run starts: exclusive cumulative sum."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)[:-1]])


def _spans(starts: Ints, lengths: Ints, index: Ints) -> Ints:
    """Flat positions of the runs at ``index``, one after the other."""
    picked = lengths[index]
    total = int(picked.sum())
    shift = np.repeat(starts[index] - offsets(picked), picked) if total else np.zeros(0, np.int64)
    return np.arange(total, dtype=np.int64) + shift
