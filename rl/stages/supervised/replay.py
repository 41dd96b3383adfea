"""What RL has just got right, for the SFT after it: rows to replay, and a sample whose loss tells what is forgotten."""

from __future__ import annotations

import json
import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rl.algorithm.rollouts.response_form import language_mixing_frac
from rl.data.batch import Batch
from rl.recipe.recipe import Recipe
from rl.run.results.manifest import kind_of
from rl.run.results.stage_result import PolicyState, RlResult
from rl.run.stage_directory import MANIFEST
from rl.stages.sampled.harvest import rule_of
from sampler.data.sft_row import SftRow
from sampler.prompt import Prompt
from sampler.rejection_sampling import Candidate, HarvestRule
from sampler.store.prompt_store import PromptStore, StorePart

if TYPE_CHECKING:
    from rl.trainer.trainer import Trainer

SOURCE = "replay"  # of rows
REPLAY_BEFORE, REPLAY_METRIC = "replay/nll_before", "replay/nll"  # nats a token
MEASURED_PROMPTS, MEASURED_FRAC = 64, 0.25  # at most so many, and of those with a right rollout this share
READ_AT_ONCE = 512  # prompts whose responses are read from the log together

# Of each prompt the rollouts of the last step that sampled it: those of the newest policy.
_RIGHT = """
    WITH judged AS (
        SELECT *, max(step) OVER (PARTITION BY prompt_id) AS last_step FROM rollouts
        WHERE verifier IS NOT NULL AND reward IS NOT NULL AND NOT coalesce(blind, false)
    ), counted AS (
        SELECT *, count(*) OVER of_prompt AS num, count(*) FILTER (reward >= $1) OVER of_prompt AS num_right
        FROM judged WHERE step = last_step WINDOW of_prompt AS (PARTITION BY prompt_id)
    )
    SELECT prompt_id, rollout_id, revision, num, num_right FROM counted WHERE reward >= $1 ORDER BY prompt_id, "index"
"""
_RESPONSES = """
    SELECT prompt_id, rollout_id, response, num_response_tokens, policy_version, "index" FROM rollouts
    WHERE rollout_id IN (SELECT unnest($1)) ORDER BY prompt_id, "index"
"""


class RightRollouts(NamedTuple):
    """Of one prompt, in the order of their index, and whether others of the same group were wrong."""

    rollout_ids: list[str]
    some_wrong: bool


@dataclass(frozen=True)
class Replay:
    """``rows`` to learn from, and rows of other prompts, which are ``measured`` and never learnt from as replay."""

    rows: list[SftRow]
    measured: list[SftRow]


def replay_of(
    policy: PolicyState,
    prompts: Sequence[Prompt],
    recipe: Recipe,
    *,
    seed: str,
    without: Collection[str] = (),
) -> Replay | None:
    """Of the rollouts by which RL came to ``policy``, from the log of its run; None where it logged none.

    Only prompts that are still among those to train on and that a verifier judges, each in the last step that sampled
    it. Measured is the first right rollout of prompts drawn by ``seed``: the same whatever is replayed. Replayed are
    ``sft.later_replay_rows`` prompts that were right sometimes and not always, but none that asks a question of
    ``without`` (ids): of each the
    shortest right rollout that passes the harvest's rules.
    """
    files = rl_log(policy)
    if not files:
        return None
    known = {prompt.prompt_id: prompt for prompt in prompts}
    with PromptStore([StorePart("run", files, {})]) as store:
        right = _right(store, known, recipe.evaluation.pass_score)
        order = list(right)
        random.Random(seed).shuffle(order)
        num_measured = min(MEASURED_PROMPTS, int(MEASURED_FRAC * len(order)))
        measured = {name: [right[name].rollout_ids[0]] for name in order[:num_measured]}
        asked = {
            name: right[name].rollout_ids
            for name in order[num_measured:]
            if right[name].some_wrong and known[name].question_id not in without
        }
        rule = replace(rule_of(recipe.harvest), max_per_prompt=1, keep="shortest", opening=None)
        rows = _rows(store, known, asked, rule, recipe.sft.later_replay_rows or 0)
        return Replay(rows, [_row(one[0]) for one in _candidates(store, known, measured).values()])


def rl_log(policy: PolicyState) -> list[Path]:
    """The log's files, beside the stage that left the policy; none where that was no RL stage."""
    stage = policy.hub.parent
    manifest = stage / MANIFEST
    if not manifest.is_file() or kind_of(json.loads(manifest.read_text())) != RlResult.kind:
        return []
    return sorted((stage.parent.parent / "rollouts" / policy.stage).glob("*.parquet"))


def _right(store: PromptStore, known: Mapping[str, Prompt], pass_score: float) -> dict[str, RightRollouts]:
    """By prompt id, in its order; none that was right by a reference which was corrected since."""
    found: dict[str, RightRollouts] = {}
    for row in store.query(_RIGHT, [pass_score]).to_pylist():
        prompt = known.get(row["prompt_id"])
        if prompt is not None and row["revision"] in (None, prompt.revision):
            some_wrong = row["num_right"] < row["num"]
            found.setdefault(row["prompt_id"], RightRollouts([], some_wrong)).rollout_ids.append(
                row["rollout_id"]
            )
    return found


def _rows(
    store: PromptStore,
    known: Mapping[str, Prompt],
    asked: Mapping[str, Sequence[str]],
    rule: HarvestRule,
    num: int,
) -> list[SftRow]:
    """One of each prompt, in the order of ``asked``, until there are ``num``."""
    rows, names = list[SftRow](), list(asked)
    for start in range(0, len(names), READ_AT_ONCE):
        if len(rows) >= num:
            break
        part = names[start : start + READ_AT_ONCE]
        candidates = _candidates(store, known, {name: asked[name] for name in part})
        rows += [_row(one) for name in part for one in rule.choose(candidates[name])[0]]
    return rows[:num]


def _candidates(
    store: PromptStore, known: Mapping[str, Prompt], rollout_ids: Mapping[str, Sequence[str]]
) -> dict[str, list[Candidate]]:
    """By prompt id, in the given order."""
    found: dict[str, list[Candidate]] = {name: [] for name in rollout_ids}
    names = [one for of_prompt in rollout_ids.values() for one in of_prompt]
    for row in store.query(_RESPONSES, [names]).to_pylist():
        prompt = known[row.pop("prompt_id")]
        mixing = language_mixing_frac(row["response"], prompt.text)
        found[prompt.prompt_id].append(Candidate(prompt, **row, verdict={}, language_mixing_frac=mixing))
    return found


def _row(one: Candidate) -> SftRow:
    return SftRow(
        one.prompt, one.response, source=SOURCE, rollout_id=one.rollout_id, policy_version=one.policy_version
    )


class ReplayLoss:
    """The mean negative log-likelihood of the tokens of measured responses, nats: under the policy that the trainer
    holds when this is made (``before``), and under the one that it then holds. Without a batch both are left out."""

    def __init__(self, trainer: Trainer, batch: Batch | None) -> None:
        self._trainer = trainer
        self._batch = batch
        self.before = self._measured(REPLAY_BEFORE)

    def now(self) -> dict[str, float]:
        """One forward pass."""
        return self._measured(REPLAY_METRIC)

    def _measured(self, name: str) -> dict[str, float]:
        if self._batch is None:
            return {}
        logprobs, _ = self._trainer.logprobs(self._batch)
        return {name: -float(logprobs.mean(dtype=np.float64))}
