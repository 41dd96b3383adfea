"""The harvest: prompts the RL policy solves sometimes are sampled more, and what is right becomes supervised rows."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence

from rl.data.run_data import RunData
from rl.experience.judge import JudgedRollout
from rl.experience.prompt_source import FixedSource
from rl.experience.source import ExperienceSource
from rl.recipe.recipe import Recipe
from rl.recipe.sft_config import HarvestConfig
from rl.run.stage_directory import StageDirectory
from rl.run.stage_result import HarvestResult, PolicyState
from rl.stages.stage import Stage, StageContext
from sampler.data.sft_row import SftRow, save_sft_rows
from sampler.prompt import Prompt
from sampler.rejection_sampling import Candidate, HarvestRule
from verifiers.counted import counted

ROWS_FILE = "harvest_rows.parquet"


class HarvestStage(Stage[HarvestResult]):
    """Rejection sampling in two passes: a few samples find the hard prompts, many samples of those are the harvest."""

    leaves = HarvestResult
    label = "harvest"
    needs = ("sampler", "judge")

    def work(self, recipe: Recipe) -> str:
        harvest = recipe.harvest
        probes = f"{counted(harvest.num_prompts, 'prompt')} x {counted(harvest.probe_samples, 'sample')}"
        return f"{probes}, hard ones x {harvest.samples_per_prompt} more"

    def expected(
        self, recipe: Recipe, directory: StageDirectory, policy: PolicyState | None
    ) -> HarvestResult:
        return HarvestResult(rows=directory.path / ROWS_FILE, num_hard=recipe.harvest.num_prompts)

    def num_steps(self, recipe: Recipe, data: RunData) -> int:
        return 2

    def run(self, context: StageContext) -> HarvestResult:
        """Probe the candidates, sample the hard ones more, filter what is right, and write the rows."""
        config = context.recipe.harvest
        context.directory.begin()
        candidates = draw_candidates(
            context.data.train,
            config.num_prompts,
            seed=f"{context.recipe.seed} harvest round {self.round_index}",
        )
        probed = self._sample(context, 0, candidates, config.probe_samples, first_index=0)
        hard = hard_prompts(probed, candidates, config)
        context.progress.advance()
        num_more, probes = config.samples_per_prompt, config.probe_samples
        more = self._sample(context, 1, hard, num_more, first_index=probes) if hard else []
        context.progress.advance()
        hard_ids = {prompt.prompt_id for prompt in hard}
        tried = [one for one in (*probed, *more) if one.prompt.prompt_id in hard_ids]
        right = [
            one for one in tried if one.reward.value is not None and one.reward.value >= config.min_score
        ]
        rule = HarvestRule(
            config.max_response_tokens, config.max_repeats, config.max_per_prompt, config.balance_ratio
        )
        harvest = rule.apply([_candidate(one) for one in right])
        rows = [
            SftRow(
                prompt=one.prompt,
                response=one.response,
                source="harvest",
                rollout_id=one.rollout_id,
                policy_version=one.policy_version,
                round=self.round_index,
                verdict=dict(one.verdict),
            )
            for one in harvest.kept
        ]
        rows_file = context.directory.path / ROWS_FILE
        if rows:
            save_sft_rows(rows_file, rows)
        return HarvestResult(
            rows=rows_file if rows else None,
            num_prompts_sampled=len(candidates),
            num_hard=len(hard),
            num_rollouts=len(probed) + len(more),
            num_correct=len(right),
            num_kept=len(rows),
            dropped=dict(harvest.dropped),
            by_tag=dict(Counter(row.prompt.question_type for row in rows)),
            policy_version=context.policy.version,
            warnings=() if rows else (_why_no_rows(probed, hard, right, config),),
        )

    def _sample(
        self,
        context: StageContext,
        step: int,
        prompts: Sequence[Prompt],
        num_samples: int,
        *,
        first_index: int,
    ) -> Sequence[JudgedRollout]:
        rl = context.recipe.rl
        plan = context.plan(
            step=step,
            num_samples=num_samples,
            first_index=first_index,
            max_response_tokens=rl.max_response_tokens,
            temperature=rl.temperature,
            top_p=rl.top_p,
        )
        engines = context.engines
        experience = next(ExperienceSource(engines.sampler, engines.judge, FixedSource(prompts), plan))
        context.watch.include(experience.seconds)
        context.log_rollouts(step, experience.rollouts)
        return experience.rollouts

    def summary(self, result: HarvestResult) -> str:
        return f"{counted(result.num_kept, 'row')} from {counted(result.num_hard, 'hard prompt')}"


def _why_no_rows(
    probed: Sequence[JudgedRollout],
    hard: Sequence[Prompt],
    right: Sequence[JudgedRollout],
    config: HarvestConfig,
) -> str:
    if right:
        return "every right response was dropped by the harvest's rules: the report says by which"
    if hard:
        return "not one response to the hard prompts is right: raise harvest.samples_per_prompt"
    solved = sum(one.reward.value is not None and one.reward.value >= config.min_score for one in probed)
    return (
        f"no prompt is hard by harvest.min_pass_frac and max_pass_frac: {solved:,} of "
        f"{counted(len(probed), 'response')} to the prompts tried are right"
    )


def draw_candidates(prompts: Sequence[Prompt], num: int, *, seed: str) -> list[Prompt]:
    """Prompts that are tried, in an order that hangs on the seed alone."""
    return random.Random(seed).sample(list(prompts), min(num, len(prompts)))


def hard_prompts(
    probed: Sequence[JudgedRollout], candidates: Sequence[Prompt], config: HarvestConfig
) -> list[Prompt]:
    """Prompts with min_pass_frac < pass rate <= max_pass_frac over the decided samples."""
    right: dict[str, list[bool]] = defaultdict(list)
    for one in probed:
        if one.reward.value is not None:
            right[one.prompt.prompt_id].append(one.reward.value >= config.min_score)
    rates = {prompt_id: sum(of_prompt) / len(of_prompt) for prompt_id, of_prompt in right.items()}
    low, high = config.min_pass_frac, config.max_pass_frac
    return [prompt for prompt in candidates if low < rates.get(prompt.prompt_id, 0.0) <= high]


def _candidate(one: JudgedRollout) -> Candidate:
    assert one.reward.verdict is not None, "a kept response was judged"
    verdict = one.reward.verdict.to_json()
    del verdict["seconds"]  # the same run writes the same rows, however long its judge took
    return Candidate(
        one.prompt,
        one.rollout.rollout_id,
        one.rollout.text,
        one.rollout.num_response_tokens,
        one.rollout.policy_version,
        verdict,
    )
