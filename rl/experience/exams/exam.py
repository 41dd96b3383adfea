"""Two policies on the same held-out prompts, prompt by prompt: what changed beyond noise, read from the rollout log."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import pyarrow.parquet as pq

from reward_models.score import PARITY_TOLERANCE
from rl.experience.exams.interval import LEVEL, paired_change
from rl.run.results.evaluation_result import ExamChange
from rl.run.results.stage_result import Interval

COLUMNS = ["prompt_id", "kind", "tags", "verifier", "reward"]


@dataclass(frozen=True)
class PromptResult:
    """The share of a prompt's judged samples that were right, or won against its reference."""

    question_type: str
    verified: bool
    rate: float


Exam = Mapping[str, PromptResult]  # by prompt id


def read_exam(directory: Path, pass_score: float) -> Exam:
    """An evaluation's results from its part of the rollout log; a sample without a decision does not count."""
    samples: dict[str, list[float]] = defaultdict(list)
    about: dict[str, tuple[str, bool]] = {}
    for shard in sorted(directory.glob("*.parquet")):
        for row in pq.read_table(shard, columns=COLUMNS).to_pylist():
            if row["reward"] is not None:
                samples[row["prompt_id"]].append(_worth(row, pass_score))
                question_type = (row["tags"] or [row["kind"]])[0]
                about[row["prompt_id"]] = (question_type, row["verifier"] is not None)
    return {name: PromptResult(*about[name], fmean(rates)) for name, rates in samples.items()}


def exam_change(before: Exam, after: Exam) -> ExamChange:
    """From one policy to another, over the prompts that both were judged on."""
    both = [name for name in before if name in after]
    types = sorted({after[name].question_type for name in both})

    def change(names: list[str], level: float) -> Interval | None:
        return paired_change(
            *({name: exam[name].rate for name in names} for exam in (before, after)), level=level
        )

    level = 1 - (1 - LEVEL) / max(1, len(types))
    by_type = {
        one: change([name for name in both if after[name].question_type == one], level) for one in types
    }
    verified = [name for name in both if after[name].verified]
    return ExamChange(
        change(verified or both, LEVEL), {name: found for name, found in by_type.items() if found is not None}
    )


def _worth(row: Mapping[str, Any], pass_score: float) -> float:
    """1 of a right answer or a win, half of a tie; see ``rl.experience.exams.evaluation.win_rate``."""
    reward = float(row["reward"])
    if row["verifier"] is not None:
        return float(reward >= pass_score)
    return 0.5 if abs(reward - 0.5) <= PARITY_TOLERANCE else float(reward > 0.5)
