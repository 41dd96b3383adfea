"""Scores in the background: comparisons are handed in as rollouts finish, and scored in batches meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace

from reward_models.answer_comparison import AnswerComparison
from reward_models.score import Score

Compare = Callable[[Sequence[AnswerComparison]], dict[str, Score]]


class ScoringService:
    """Runs one reward model from a thread of its own.

    Consumes: comparisons, from any thread. Waits for: the reward model. Unblocked by: a comparison, ``close``.
    Produces: one score per comparison, through its future, which never holds an exception.
    """

    def __init__(self, compare: Compare, *, max_batch: int = 512) -> None:
        self._compare = compare
        self._max_batch = max_batch
        self._waiting: list[tuple[AnswerComparison, Future[Score]]] = []
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="reward-model", daemon=True)
        self._thread.start()

    def __enter__(self) -> ScoringService:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def submit(self, comparison: AnswerComparison) -> Future[Score]:
        """Queue one comparison. After ``close`` its score is an error."""
        future: Future[Score] = Future()
        with self._changed:
            if self._closing:
                future.set_result(Score.failed("the scoring service is closed"))
            else:
                self._waiting.append((comparison, future))
                self._changed.notify()
        return future

    def close(self) -> None:
        """Finish the batch under way; what still waits gets status ``error``. Safe to call twice."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing)
                closing = self._closing
                batch, self._waiting = self._waiting[: self._max_batch], self._waiting[self._max_batch :]
            if closing:
                for _, future in [*batch, *self._waiting]:
                    future.set_result(Score.failed("the scoring service was closed"))
                return
            for future, score in zip([future for _, future in batch], self._scores(batch), strict=True):
                future.set_result(score)

    def _scores(self, batch: Sequence[tuple[AnswerComparison, Future[Score]]]) -> list[Score]:
        """One a comparison. Ids may repeat between callers, so the model is given its own."""
        named = {
            f"{index}/{comparison.comparison_id}": comparison for index, (comparison, _) in enumerate(batch)
        }
        try:
            scores = self._compare([replace(one, comparison_id=name) for name, one in named.items()])
        except Exception as why:  # noqa: BLE001 - the boundary where a plug-in model may fail
            return [Score.failed(f"the reward model raised {type(why).__name__}: {why}")] * len(batch)
        return [scores.get(name, Score.failed("the reward model gave no score")) for name in named]
