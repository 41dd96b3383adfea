"""What a round's SFT learns from: cold-start rows, harvests and replayed rollouts, as rows and as sequences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from rl.data.prompt_encoder import PromptEncoder
from rl.data.run_data import image_limits
from rl.data.sft_batches import rows_of, sft_sequences
from rl.data.token_sequence import TokenSequence
from rl.run.results.stage_result import HarvestResult, PolicyState
from rl.stages.stage import StageContext
from rl.stages.supervised.cold_start import cold_start_rows, rows_left_by_rl
from rl.stages.supervised.replay import SOURCE, Replay, replay_of
from sampler.data.sft_row import SftRow, load_sft_rows
from sampler.prompt import Prompt
from verifiers.counted import counted
from verifiers.errors import BadInput


@dataclass(frozen=True, eq=False)
class SftRows:
    """``rows`` that are learnt from, and these as ``sequences``; how many others were too long. ``measured``: right
    rollouts of the RL before whose loss is told. ``warnings``: what a person should know of them."""

    rows: list[SftRow]
    sequences: list[TokenSequence]
    measured: list[TokenSequence]
    num_too_long: int
    warnings: tuple[str, ...] = ()

    @property
    def num_by_source(self) -> dict[str, int]:
        return dict(Counter(row.source for row in self.rows))

    @classmethod
    def of(
        cls,
        context: StageContext,
        harvests: Sequence[HarvestResult],
        cold_started: PolicyState | None,
        without: Sequence[Prompt],
    ) -> SftRows:
        """Of the context's round, whose policy the trainer holds. ``cold_started``: the policy that the first SFT left.
        Later rounds learn ``without`` the questions of these prompts.

        Raises: BadInput where no row is left, or what a choice of rows needs is not there."""
        recipe, is_later = context.recipe, context.round_index > 0
        asked = {prompt.question_id for prompt in without} if is_later else set()
        max_tokens = recipe.sampler.max_model_len
        with context.watch("encode"):
            encoder = PromptEncoder(context.engines.base.hub, recipe.sampler.chat_template_kwargs)
            cold_start = cold_start_rows(context.data.cold_start, recipe, context.round_index)
            rows = _without(asked, cold_start)
        replay, num_too_long = None, 0
        if is_later:
            with context.watch("select"):
                rows, num_too_long = _left_by_rl(context, rows, encoder, cold_started)
                replay = _replay(context, without)
        with context.watch("encode"):
            for harvest in harvests:
                rows += _without(asked, load_sft_rows(str(harvest.rows), limits=image_limits(recipe)))
            rows += replay.rows if replay else ()
            sequences, num_dropped = sft_sequences(rows, encoder, max_tokens=max_tokens)
            num_too_long += num_dropped
            measured, _ = sft_sequences(replay.measured if replay else (), encoder, max_tokens=max_tokens)
        if not sequences:
            raise BadInput(
                f"all {counted(num_too_long, 'supervised row')} longer than sampler.max_model_len={max_tokens}: raise "
                "it"
                if num_too_long
                else "no supervised row is left: those there were ask what the SFT is validated on "
                "(sft.later_validation_prompts), or sft.later_cold_start_frac leaves none"
            )
        warnings = _warnings(rows, recipe.sft.later_replay_rows if is_later else None)
        return cls(rows_of(sequences, rows), sequences, measured, num_too_long, warnings)


def _without(question_ids: Collection[str], rows: Sequence[SftRow]) -> list[SftRow]:
    """Rows that ask another question than these."""
    return [row for row in rows if not question_ids or row.prompt.question_id not in question_ids]


def _warnings(rows: Sequence[SftRow], asked: int | None) -> tuple[str, ...]:
    """Where fewer rollouts are replayed than were asked for."""
    num = sum(row.source == SOURCE for row in rows)
    if asked is None or num >= asked:
        return ()
    fewer = (
        f"RL left {counted(num, 'rollout')} to replay, not sft.later_replay_rows={asked}: right ones, of prompts that "
        "it got right sometimes but not always"
    )
    return (fewer,)


def _left_by_rl(
    context: StageContext, rows: list[SftRow], encoder: PromptEncoder, cold_started: PolicyState | None
) -> tuple[list[SftRow], int]:
    """Those that ``sft.later_cold_start_min_ratio`` keeps, and how many were too long for that. Raises: BadInput where
    the program did not say which policy the cold start had left."""
    recipe, min_ratio = context.recipe, context.recipe.sft.later_cold_start_min_ratio
    if min_ratio is None:
        return rows, 0
    if cold_started is None:
        raise BadInput("sft.later_cold_start_min_ratio needs SftStage(..., cold_started=policy)")
    trainer, before = context.engines.trainer, cold_started.hub
    trainer.load_frozen([str(before)])
    return rows_left_by_rl(trainer, before, rows, encoder, recipe.sampler.max_model_len, min_ratio)


def _replay(context: StageContext, without: Sequence[Prompt]) -> Replay | None:
    """Raises: BadInput where rows are asked for, and no RL came before."""
    recipe = context.recipe
    replay = replay_of(
        context.policy,
        context.data.train,
        recipe,
        seed=f"{recipe.seed} replay round {context.round_index}",
        without={prompt.question_id for prompt in without},
    )
    if replay is None and recipe.sft.later_replay_rows:
        raise BadInput(
            f"sft.later_replay_rows={recipe.sft.later_replay_rows}: {context.policy.stage} logged no rollouts to "
            "replay: start the SFT from what an RL stage left"
        )
    return replay
