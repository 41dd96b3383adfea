"""The profile of a prompt set: each prompt is sampled until it is decided whether its pass rate lies in a band."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from rl.data.run_data import RunData
from rl.experience.judge import JudgedRollout
from rl.experience.pass_tally import PassTally
from rl.experience.rollout_log import shard_path
from rl.experience.shown_sampler import ShownSampler
from rl.experience.source import Sampler
from rl.recipe.profile_config import ProfileConfig, Shown
from rl.recipe.recipe import Recipe
from rl.run.results.stage_result import PolicyState, ProfileResult
from rl.run.stage_directory import StageDirectory
from rl.stages.stage import Stage, StageContext
from sampler.atomic_file import written_whole
from sampler.blind_prompt import without_vision
from sampler.prompt import Prompt
from sampler.rows.dataset_rows import dataset_rows
from sampler.store.stopping_rule import StoppingRule
from verifiers.counted import counted
from verifiers.errors import BadInput

PROMPTS_FILE = "profile.parquet"


class ProfileStage(Stage[ProfileResult]):
    """Sampling in passes. After each, a prompt whose samples so far decide what all of them would say is left alone;
    from the second on that is judged in the light of how the set's pass rates lie.

    A rollout's seed depends on its prompt and its index, so those that are drawn are the first of those that sampling
    without a stop would draw. A pass is logged in shards. A shard that is there is read and not sampled again, so a
    stage that was killed goes on with the same rollouts.
    """

    leaves = ProfileResult
    label = "profile"
    needs = ("sampler", "judge")

    def __init__(self, config: ProfileConfig, shown: Shown = "whole", captions: Path | None = None) -> None:
        """``captions``: the file of ``config.captions``, where the policy wrote it."""
        super().__init__()
        self.config = config
        self.shown = shown
        self.captions = str(captions) if captions is not None else config.captions

    @property
    def title(self) -> str:
        ways = {"whole": "profile", "blind": "profile without pictures", "caption": "profile with captions"}
        return ways[self.shown]

    def directory_name(self, number: int) -> str:
        shown = "" if self.shown == "whole" else f"-{self.shown}"
        return f"{number:02d}-profile{shown}-r0"

    def work(self, recipe: Recipe) -> str:
        low, high = self.config.band
        return (
            f"every prompt x at most {counted(self.config.samples, 'sample')}, {self.config.pass_samples} at a time, "
            f"until above {low:.0%} and up to {high:.0%} is decided"
        )

    def expected(
        self, recipe: Recipe, directory: StageDirectory, policy: PolicyState | None
    ) -> ProfileResult:
        return ProfileResult(prompts=directory.path / PROMPTS_FILE, shown=self.shown)

    def inputs(self) -> Mapping[str, Any]:
        return {"captions": self.captions} if self.shown == "caption" else {}

    def num_steps(self, recipe: Recipe, data: RunData) -> int:
        return len(self._asked(data)) * self.config.samples  # drawn, or not needed

    def run(self, context: StageContext) -> ProfileResult:
        """Raises: HoneError where too many rollouts have no decision."""
        config, directory = self.config, context.directory
        prompts = self._asked(context.data)
        context.engines.judge.check(prompts)
        sampler = self._sampler(context)
        directory.go_on()
        tally = PassTally(prompts, context.recipe.evaluation.pass_score)
        rule = StoppingRule(config.samples, config.band, config.sureness)
        num_shards = 0
        for first_index in range(0, config.samples, config.pass_samples):
            if first_index == config.pass_samples:  # every prompt has as many: what the set is like
                rule = rule.fitted(tally.right, tally.wrong)
            num_samples = min(config.pass_samples, config.samples - first_index)
            going = tally.undecided(rule)
            context.progress.advance(tally.num_settled(rule, going) - context.progress.step)
            for part in _parts(going, config.shard_prompts):
                asked = [prompts[place] for place in part]
                shard = shard_path(directory.rollouts, num_shards)
                if shard.is_file():
                    tally.count(pq.read_table(shard, columns=PassTally.COLUMNS).to_pylist())
                else:
                    judged = self._sample(context, sampler, asked, first_index, num_samples)
                    context.engines.judge.require_judged(
                        judged, num_unjudged_before=tally.num_unjudged, num_before=tally.num_rollouts
                    )
                    context.log_rollouts(num_shards, judged, blind=self.shown != "whole")
                    tally.count_judged(judged)
                tally.drop_unseen(part)
                num_shards += 1
                context.progress.advance(num_samples * len(part), samples=tally.num_rollouts)
        return self._result(context, tally, rule)

    def _asked(self, data: RunData) -> Sequence[Prompt]:
        """Where nothing is shown, the prompts that have something to show; with captions, those that have one."""
        if self.shown == "whole":
            return data.train
        showing = [prompt for prompt in data.train if prompt.vision_inputs]
        if self.shown == "blind":
            return showing
        missing = [prompt.prompt_id for prompt in showing if prompt.prompt_id not in self._read_captions]
        if missing and self.config.captions is not None:
            raise BadInput(
                f"{self.captions}: {counted(len(missing), 'prompt')} without a caption, first {missing[0]}"
            )
        return [prompt for prompt in showing if prompt.prompt_id in self._read_captions]

    @cached_property
    def _read_captions(self) -> dict[str, str]:
        return read_captions(self.captions)

    def _sampler(self, context: StageContext) -> Sampler:
        if self.shown == "whole":
            return context.engines.sampler
        captions = self._read_captions if self.shown == "caption" else {}
        return ShownSampler(
            context.engines.sampler, lambda prompt: without_vision(prompt, captions.get(prompt.prompt_id))
        )

    def _sample(
        self, context: StageContext, sampler: Sampler, prompts: Sequence[Prompt], first_index: int, num: int
    ) -> Sequence[JudgedRollout]:
        rl = context.recipe.rl
        return context.sample(
            prompts,
            sampler=sampler,
            requires_judged=False,  # counted over all shards
            num_samples=num,
            first_index=first_index,
            temperature=rl.temperature,
            top_p=rl.top_p,
        ).rollouts

    def _result(self, context: StageContext, tally: PassTally, rule: StoppingRule) -> ProfileResult:
        table, path = tally.table(rule), context.directory.path / PROMPTS_FILE
        with written_whole(path) as temporary:
            pq.write_table(table, temporary)
        decisions = Counter(table["decision"].to_pylist())
        return ProfileResult(
            prompts=path,
            shown=self.shown,
            num_prompts=len(tally.prompts),
            num_rollouts=tally.num_rollouts,
            num_of_fixed=self.config.samples * (len(tally.prompts) - tally.num_dropped),
            num_unjudged=tally.num_unjudged,
            num_unreadable=_num_unreadable(context.directory.rollouts),
            num_dropped=tally.num_dropped,
            num_not_asked=len(context.data.train) - len(tally.prompts),
            band=self.config.band,
            decisions={name: decisions[name] for name in ("below", "inside", "above", "undecided")},
        )

    def summary(self, result: ProfileResult) -> str:
        inside = result.decisions.get("inside", 0)
        share = result.num_rollouts / max(1, result.num_of_fixed)
        unreadable = (
            f", {result.num_unreadable:,} of them without a readable answer"
            if result.mostly_unreadable
            else ""
        )
        return (
            f"{inside:,} of {counted(result.num_prompts, 'prompt')} inside the band, "
            f"{counted(result.num_rollouts, 'rollout')} ({share:.0%} of sampling all to the end)"
            f"{unreadable}"
        )


def read_captions(file: str | None) -> dict[str, str]:
    """By prompt id. Raises: BadInput where a row is no caption."""
    assert file is not None, "the program has them written"
    captions: dict[str, str] = {}
    for row in dataset_rows(file):
        prompt_id, caption = (row.values.get(name) for name in ("prompt_id", "caption"))
        if not isinstance(prompt_id, str) or not isinstance(caption, str):
            raise BadInput(f"{row.location}: a caption is a row with the texts prompt_id and caption")
        captions[prompt_id] = caption
    return captions


def _num_unreadable(rollouts: Path) -> int:
    """Answers of a stage's log whose form no judge could read."""
    files = sorted(rollouts.glob("*.parquet"))
    statuses = Counter(
        status
        for file in files
        for status in pq.read_table(file, columns=["answer_status"])["answer_status"].to_pylist()
    )
    return statuses.total() - statuses["ok"]


def _parts(places: np.ndarray[Any, Any], size: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(places), size):
        yield places[start : start + size].tolist()
