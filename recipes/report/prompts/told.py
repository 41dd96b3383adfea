"""All that the report tells of prompts, as far as the run still has them."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import quote

from recipes.report.exam_table import WordTable
from recipes.report.prompts.answer_shares import AnswerShares, answer_shares, blind_baseline
from recipes.report.prompts.data_table import data_table
from recipes.report.prompts.round_moves import round_moves
from recipes.report.prompts.training_signal import TrainingSignal, training_signal
from rl.run.run_history import store_part
from rl.run.run_record import RunRecord
from sampler.store.prompt_store import PromptStore
from verifiers.errors import HoneError

VIEWER = "http://127.0.0.1:8640"  # where `hone view` answers unless told otherwise


@dataclass(frozen=True)
class ToldOfPrompts:
    """Each is none or empty where the run does not hold what it would be made of."""

    moves: WordTable | None = None
    signal: TrainingSignal | None = None
    shares: list[AnswerShares] = field(default_factory=list)
    blind: WordTable | None = None
    data: WordTable | None = None
    viewer: str = VIEWER

    @classmethod
    def of(cls, run: RunRecord) -> ToldOfPrompts:
        """Sets that have gone since, and logs too old to be read so, are left out: the rest of the page stands."""
        viewer = f"{VIEWER}/prompt?of={quote(run.path.resolve().name)}&id="
        moves, signal = round_moves(run), training_signal(run)
        try:
            with PromptStore([store_part(run.path)], may_lack_rollouts=True) as store:
                shares, blind = answer_shares(run, store), blind_baseline(run, store)
                return cls(moves, signal, shares, blind, data_table(store, next(iter(store.parts))), viewer)
        except (HoneError, OSError):
            return cls(moves, signal, viewer=viewer)
