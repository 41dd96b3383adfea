"""The harvest: prompts the RL policy solves sometimes are sampled more, and what is right becomes supervised rows."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from rl.algorithm.rollouts.response_form import language_mixing_frac
from rl.data.run_data import RunData
from rl.data.validation_slice import not_validated_on
from rl.experience.judge import JudgedRollout
from rl.recipe.recipe import Recipe
from rl.recipe.sft_config import HarvestConfig
from rl.run.results.stage_result import HarvestResult, PolicyState
from rl.run.stage_directory import StageDirectory
from rl.stages.sampled.hard_prompts import (
    Evidence,
    draw_candidates,
    hard_prompts,
    logged_evidence,
    probed_evidence,
)
from rl.stages.sampled.spot_check import FILE as SPOT_CHECK_FILE
from rl.stages.sampled.spot_check import reasoned, write_spot_check
from rl.stages.stage import Stage, StageContext
from sampler.data.sft_row import SftRow, save_sft_rows
from sampler.prompt import Prompt
from sampler.rejection_sampling import Candidate, HarvestRule
from sampler.store.belief import Belief
from verifiers.counted import counted

ROWS_FILE = "harvest_rows.parquet"


class HarvestStage(Stage[HarvestResult]):
    """Rejection sampling in two passes: a few samples (or the run's rollout log) find the hard prompts, many samples of
    those are the harvest."""

    leaves = HarvestResult
    label = "harvest"
    needs = ("sampler", "judge")

    def work(self, recipe: Recipe) -> str:
        harvest = recipe.harvest
        probes = f"{counted(harvest.num_prompts, 'prompt')} x {counted(harvest.probe_samples, 'sample')}"
        at_most = "" if harvest.part_samples is None else "at most "
        known = ", fewer where RL has just sampled" if harvest.probe == "store" else ""
        return f"{probes}{known}, hard ones x {at_most}{harvest.samples_per_prompt} more"

    def expected(
        self, recipe: Recipe, directory: StageDirectory, policy: PolicyState | None
    ) -> HarvestResult:
        return HarvestResult(rows=directory.path / ROWS_FILE, num_hard=recipe.harvest.num_prompts)

    def num_steps(self, recipe: Recipe, data: RunData) -> int:
        return 1 + len(_parts(recipe.harvest))

    def run(self, context: StageContext) -> HarvestResult:
        """Find hard prompts, sample them more, filter what is right, and write the rows. None of what the later SFT is
        validated on. Raises: BadInput where there are too few prompts for that."""
        config, directory = context.recipe.harvest, context.directory
        directory.begin()
        known = {}
        if config.probe == "store":
            known = logged_evidence(context.run, config, policy_version=context.policy.version)
        candidates = draw_candidates(
            not_validated_on(context.data.train, context.recipe),
            config.num_prompts,
            seed=f"{context.recipe.seed} harvest round {self.round_index}",
            known=known,
        )
        unknown = [prompt for prompt in candidates if prompt.prompt_id not in known]
        probed = self._sample(context, 0, unknown, 0, config.probe_samples) if unknown else []
        evidence = {**known, **probed_evidence(probed, config.min_score)}
        hard = hard_prompts(evidence, candidates, config)
        context.progress.advance()
        rule = rule_of(config)
        more, num_hopeless = self._harvest(context, hard, probed, rule)

        hard_ids = {prompt.prompt_id for prompt in hard}
        tried = [one for one in (*probed, *more) if one.prompt.prompt_id in hard_ids]
        right = _right(tried, config)
        harvest = rule.apply([candidate_of(one) for one in right])
        rows = [self._row(one) for one in harvest.kept]
        rows_file, spot_check = directory.path / ROWS_FILE, directory.path / SPOT_CHECK_FILE
        if rows:
            save_sft_rows(rows_file, rows)
        write_spot_check(spot_check, reasoned(tried, harvest), config.spot_check_rows)
        return HarvestResult(
            rows=rows_file if rows else None,
            spot_check=spot_check,
            num_prompts_sampled=len(candidates),
            num_known=len(candidates) - len(unknown),
            num_hard=len(hard),
            num_hopeless=num_hopeless,
            num_rollouts=len(probed) + len(more),
            num_of_fixed=len(probed) + len(hard) * config.samples_per_prompt,
            num_correct=len(right),
            num_kept=len(rows),
            dropped=harvest.dropped,
            by_tag=dict(Counter(row.prompt.question_type for row in rows)),
            policy_version=context.policy.version,
            warnings=() if rows else (_why_no_rows(candidates, evidence, hard, right, config),),
        )

    def _row(self, one: Candidate) -> SftRow:
        """With its lineage."""
        return SftRow(
            prompt=one.prompt,
            response=one.response,
            source="harvest",
            rollout_id=one.rollout_id,
            policy_version=one.policy_version,
            round=self.round_index,
            verdict=dict(one.verdict),
        )

    def _harvest(
        self,
        context: StageContext,
        hard: Sequence[Prompt],
        probed: Sequence[JudgedRollout],
        rule: HarvestRule,
    ) -> tuple[list[JudgedRollout], int]:
        """Further samples of the hard prompts, part by part of those that lack rows; and how many were hopeless."""
        config = context.recipe.harvest
        seen: dict[str, list[JudgedRollout]] = defaultdict(list)
        for one in probed:
            seen[one.prompt.prompt_id].append(one)
        more: list[JudgedRollout] = []
        waiting, num_hopeless = list(hard), 0
        if (
            config.part_samples is not None
            and rule.opening is not None
            and rule.opening <= config.probe_samples
        ):
            waiting = [prompt for prompt in hard if lacks_rows(seen[prompt.prompt_id], rule, config)]
        for number, (first_index, num) in enumerate(_parts(config), start=1):
            if waiting:
                part = self._sample(context, number, waiting, first_index, num)
                more += part
                context.engines.judge.require_judged(more)
                for one in part:
                    seen[one.prompt.prompt_id].append(one)
            if config.part_samples is not None:
                waiting = [prompt for prompt in waiting if lacks_rows(seen[prompt.prompt_id], rule, config)]
                hopeless = {prompt for prompt in waiting if _is_hopeless(seen[prompt.prompt_id], config)}
                waiting = [prompt for prompt in waiting if prompt not in hopeless]
                num_hopeless += len(hopeless)
            context.progress.advance()
        return more, num_hopeless

    def _sample(
        self, context: StageContext, shard: int, prompts: Sequence[Prompt], first_index: int, num: int
    ) -> Sequence[JudgedRollout]:
        """Samples are numbered over all parts, and their seeds depend on that number alone."""
        rl = context.recipe.rl
        experience = context.sample(
            prompts,
            requires_judged=not shard,  # the parts are counted together
            step=min(shard, 1),
            num_samples=num,
            first_index=first_index,
            temperature=rl.temperature,
            top_p=rl.top_p,
        )
        context.log_rollouts(shard, experience.rollouts)
        return experience.rollouts

    def summary(self, result: HarvestResult) -> str:
        return f"{counted(result.num_kept, 'row')} from {counted(result.num_hard, 'hard prompt')}"


def rule_of(config: HarvestConfig) -> HarvestRule:
    """The recipe's filters. Where samples come in parts, over-thinking is told by the samples that every prompt has:
    the probe, or without one the first part."""
    opening = None
    if config.part_samples is not None:
        opening = config.probe_samples + (config.part_samples if config.probe == "store" else 0)
    return HarvestRule(
        config.max_response_tokens,
        config.max_repeats,
        config.max_per_prompt,
        config.balance_ratio,
        keep=config.keep,
        max_over_median=config.max_over_median,
        max_over_shortest=config.max_over_shortest,
        opening=opening,
        max_language_mixing_frac=config.max_language_mixing_frac,
        drops_template_leftovers=config.drop_template_leftovers,
        max_similarity=config.max_similarity,
    )


def lacks_rows(tried: Sequence[JudgedRollout], rule: HarvestRule, config: HarvestConfig) -> bool:
    """Whether a prompt with these samples could have further rows: where none are missing, later samples add none."""
    chosen, _ = rule.choose([candidate_of(one) for one in _right(tried, config)])
    return len(chosen) < config.max_per_prompt


def _is_hopeless(tried: Sequence[JudgedRollout], config: HarvestConfig) -> bool:
    num_right = len(_right(tried, config))
    num_decided = sum(one.reward.value is not None for one in tried)
    belief = Belief(np.array([float(num_right)]), np.array([float(num_decided - num_right)]))
    return bool(belief.standing[0] == "hopeless")


def _parts(config: HarvestConfig) -> list[tuple[int, int]]:
    """Of the further samples of a hard prompt the first index and the number, part by part."""
    size, total = config.part_samples or config.samples_per_prompt, config.samples_per_prompt
    return [(config.probe_samples + start, min(size, total - start)) for start in range(0, total, size)]


def _right(tried: Sequence[JudgedRollout], config: HarvestConfig) -> list[JudgedRollout]:
    return [one for one in tried if one.reward.value is not None and one.reward.value >= config.min_score]


def _why_no_rows(
    candidates: Sequence[Prompt],
    evidence: Mapping[str, Evidence],
    hard: Sequence[Prompt],
    right: Sequence[JudgedRollout],
    config: HarvestConfig,
) -> str:
    if not candidates:
        return "no prompt is left to try: sft.later_validation_prompts takes them all, lower it"
    if right:
        return "every right response was dropped by the harvest's rules: the report says by which"
    if hard:
        return "not one response to the hard prompts is right: raise harvest.samples_per_prompt"
    seen = [evidence[prompt.prompt_id] for prompt in candidates if prompt.prompt_id in evidence]
    num, num_right = round(sum(one.num for one in seen)), round(sum(one.num_right for one in seen))
    return (
        f"no prompt is hard by harvest.min_pass_frac and max_pass_frac: {num_right:,} of {counted(num, 'response')} to "
        "the prompts tried are right"
    )


def candidate_of(one: JudgedRollout) -> Candidate:
    """A right response with its lineage."""
    verdict = {} if one.reward.judged is None else one.reward.judged.to_json()
    verdict.pop("seconds", None)  # the same run writes the same rows, however long its judge took
    return Candidate(
        one.prompt,
        one.rollout.rollout_id,
        one.rollout.text,
        one.rollout.num_response_tokens,
        one.rollout.policy_version,
        verdict,
        index=one.rollout.index,
        language_mixing_frac=language_mixing_frac(one.rollout.text, one.prompt.text),
    )
