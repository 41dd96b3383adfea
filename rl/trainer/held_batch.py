"""A batch on the trainer's ranks: it travels once, and what is computed of it comes back in its order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain, count
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rl.algorithm.loss.losses import LossSpec, has_signal
from rl.data.batch import Batch, StepCounts
from rl.data.failed_batch import require_finite
from rl.data.token_sequence import Floats
from rl.recipe.trainer_config import TrainerConfig
from rl.trainer.layout import ParallelLayout
from rl.trainer.micro_batch import Plan, balanced, cut_micro_batches
from rl.trainer.rank_work import RankStep, RankWork

COUNTED_PER_STEP = ("loss", "positive_nll")  # already normalised: the ranks' shares are added
NO_COUNTS = StepCounts(0, 0)

Cut = tuple[
    Plan, list[str]
]  # micro-batches, and for each, on all ranks alike, the frozen policy of its sequences

_keys = count()


class HeldBatch:
    """``batch``, cut into ``steps`` (indices; together each sequence once), on the trainer's ranks. ``call`` takes a
    method's name and, for each of its parameters, a list with one argument a rank.

    Each step is shared out so that its work is balanced, and a rank keeps the sequences it gets for all that is
    computed of them: these and their pictures travel with the first call, later calls bring indices and the columns
    that are new. The ranks hold one batch: working on another ends this one.
    """

    def __init__(
        self,
        batch: Batch,
        steps: Sequence[Sequence[int]],
        config: TrainerConfig,
        call: Callable[..., list[Any]],
        log_dir: Path,
    ) -> None:
        self._config = config
        self._layout = ParallelLayout.of(config)
        self._call_ranks = call
        self._log_dir = log_dir
        self._batch = batch
        self._key = next(_keys)
        self._steps = steps
        self._sent: Batch | None = None
        shares = [
            [[step[i] for i in share] for share in balanced(batch.lengths[step], self._layout.data)]
            for step in map(list, steps)
        ]
        parts = [sorted(chain.from_iterable(of_rank)) for of_rank in zip(*shares, strict=True)]
        self._shares = shares
        self._whole = parts
        self._parts = [part or [0] for part in parts]  # a rank without work runs along on the first sequence

    def logprobs(
        self,
        temperature: float = 1.0,
        *,
        of: Sequence[str] | None = None,
        where: npt.NDArray[np.bool_] | None = None,
    ) -> tuple[Floats, Floats]:
        """Log-probabilities and entropies (nats) of the tokens learnt from, flat, in the batch's order; 0 for the
        sequences that ``where``, [n], leaves out. ``of`` names for each sequence the frozen policy that is asked (see
        ``Trainer.load_frozen``); empty: the one that is trained."""
        parts = self._whole
        if where is not None:
            parts = [[i for i in part if where[i]] for part in parts]
        cut = self._cut(parts, of)
        outputs = self._call("logprobs", [(cut, NO_COUNTS, 0.0)], temperature)
        logprobs, entropies = zip(*outputs, strict=True)
        return self._in_order(cut, logprobs), self._in_order(cut, entropies)

    def values(self) -> Floats:
        """The critic's values of the states before the tokens learnt from, flat, in the batch's order."""
        cut = self._cut(self._whole)
        return self._in_order(cut, self._call("values", [(cut, NO_COUNTS, 0.0)]))

    def update(
        self, batch: Batch, rates: Sequence[float], loss: LossSpec, teachers: Sequence[str] | None = None
    ) -> list[dict[str, float]]:
        """The optimizer steps, in order, on ``batch``: the same sequences with the columns that the loss reads.
        ``teachers`` names for each the frozen policy that ``loss.teacher_coef`` draws it to, empty for none. Those
        without a gradient are not computed, but count: the step is that of all. Returns each step's metrics, averaged
        over the loss tokens computed, with ``num_tokens``, the tokens computed, and ``no_signal_frac``, the share of
        sequences that were not.

        Raises: HoneError where a loss or a gradient norm is no number, whatever is being trained.
        """
        assert batch.sequence_ids == self._batch.sequence_ids
        self._batch = batch
        signal = has_signal(loss, batch)
        computed = [[[i for i in share if signal[i]] for share in of_step] for of_step in self._shares]
        counts = [batch.select(step).counts for step in self._steps]
        teachers = teachers if loss.teacher_coef else None
        plans = [self._cut(of_step, teachers) for of_step in computed]
        outputs = self._call("update", list(zip(plans, counts, rates, strict=True)), loss)
        metrics = []
        for step, of_step, ranks in zip(self._steps, computed, zip(*outputs, strict=True), strict=True):
            indices = list(chain.from_iterable(of_step))
            part = batch.select(indices)
            figures = _joined(ranks, part.counts.num_loss_tokens)
            figures |= {"num_tokens": part.num_tokens, "no_signal_frac": 1 - len(indices) / len(step)}
            metrics.append(figures)
        require_finite(metrics, batch, self._steps, self._log_dir, f"{loss.name} loss")
        return metrics

    def _cut(self, shares: Sequence[Sequence[int]], of: Sequence[str] | None = None) -> Cut:
        """``of``: for each sequence of the batch the frozen policy it has; those of one are cut together."""
        config, of = self._config, of or [""] * len(self._batch)
        plan, names = [list[list[int]]() for _ in shares], list[str]()
        for name in dict.fromkeys(of[i] for share in shares for i in share) or [""]:
            own = [[i for i in share if of[i] == name] for share in shares]
            cut = cut_micro_batches(
                self._batch.lengths, own, config.micro_batch_tokens, packed=config.layout == "packed"
            )
            plan = [before + more for before, more in zip(plan, cut, strict=True)]
            names += [name] * len(cut[0])
        return plan, names

    def _call(
        self, method: str, steps: Sequence[tuple[Cut, StepCounts, float]], *arguments: Any
    ) -> list[Any]:
        """A method on all ranks: each gets its part of the steps, and of the batch what it has not had yet."""
        work = []
        for rank, part in enumerate(self._parts):
            local = {index: i for i, index in enumerate(part)}
            own_steps = [
                RankStep([[local[i] for i in micro_batch] for micro_batch in plan[rank]], names, counts, rate)
                for (plan, names), counts, rate in steps
            ]
            work.append(RankWork(self._key, own_steps, **self._news(self._batch.select(part))))
        self._sent = self._batch
        work = self._layout.of_ranks(work)
        outputs = self._call_ranks(method, work, *([each] * len(work) for each in arguments))
        return self._layout.of_replicas(outputs)

    def _news(self, part: Batch) -> dict[str, Any]:
        """A rank's part of the batch, or what of its columns and scalars was not sent before."""
        if self._sent is None:
            return {"batch": part}
        now, sent = self._batch, self._sent
        columns = [name for name in now.columns if sent.columns.get(name) is not now.columns[name]]
        scalars = [name for name in now.scalars if sent.scalars.get(name) is not now.scalars[name]]
        return {
            "columns": {name: part.column(name) for name in columns},
            "scalars": {name: part.scalars[name] for name in scalars},
        }

    def _in_order(self, cut: Cut, outputs: Sequence[Sequence[Floats]]) -> Floats:
        """Flat columns of each rank's micro-batches as one column in the order of the batch, 0 where none is."""
        loss_lengths = self._batch.loss_lengths
        rows = [np.zeros(length, np.float32) for length in loss_lengths]
        for rank_plan, rank_outputs in zip(cut[0], outputs, strict=True):
            for micro_batch, column in zip(filter(None, rank_plan), rank_outputs, strict=True):
                ends = np.cumsum(loss_lengths[micro_batch])[:-1]
                for index, row in zip(micro_batch, np.split(column, ends), strict=True):
                    rows[index] = row
        return np.concatenate(rows)


def _joined(rank_metrics: Sequence[Mapping[str, float]], num_tokens: int) -> dict[str, float]:
    """Sums over ranks, divided by the tokens they are of, and left out where these are none; norms and seconds are the
    same everywhere or the slowest."""

    def added(name: str) -> float:
        return sum(metrics.get(name, 0.0) for metrics in rank_metrics)

    joined: dict[str, float] = {}
    names = sorted({name for metrics in rank_metrics for name in metrics})
    for name in names:
        figure = name.removesuffix("_sum")
        if name != figure:
            num = added(f"{figure}_count") if f"{figure}_count" in names else max(1, num_tokens)
            if num:
                joined[figure] = added(name) / num
        elif name in COUNTED_PER_STEP:
            joined[name] = added(name)
        elif not name.endswith("_count"):
            joined[name] = max(metrics[name] for metrics in rank_metrics if name in metrics)
    return joined
