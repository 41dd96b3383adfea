"""What RL learnt from: training prompts by their pass rate, and the groups whose rewards are all equal."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from recipes.report.drawing.histogram import NUM_BINS, Histogram, bins_of
from recipes.report.exam_table import Cell, WordTable
from recipes.report.prompts.proportion import share_words
from recipes.report.rollout_table import RolloutTable
from rl.run.results.manifest import kind_of
from rl.run.run_record import RunRecord

MAX_TYPES = 12

# One row for each step's group of a prompt: equal rewards teach nothing under a group advantage.
_GROUPS = """
    SELECT stage, question_type, count(*) AS num_groups,
           count(*) FILTER (lowest = highest AND lowest > 0) AS all_right,
           count(*) FILTER (lowest = highest AND lowest <= 0) AS all_wrong
    FROM (
        SELECT stage, step, prompt_id, any_value(question_type) AS question_type, min(reward) AS lowest,
               max(reward) AS highest
        FROM rollouts WHERE reward IS NOT NULL GROUP BY stage, step, prompt_id HAVING count(*) > 1
    ) GROUP BY stage, question_type
"""
_RATES = f"""
    SELECT question_type, least(floor({NUM_BINS} * rate), {NUM_BINS - 1})::INTEGER AS bin, count(*) AS num,
           sum(rate) AS total
    FROM (
        SELECT prompt_id, any_value(question_type) AS question_type,
               avg((word IN ('right', 'won'))::INTEGER + 0.5 * (word = 'even')::INTEGER) AS rate
        FROM rollouts WHERE stage = ? AND reward IS NOT NULL GROUP BY prompt_id
    ) GROUP BY question_type, bin
"""


@dataclass(frozen=True)
class TrainingSignal:
    """``histograms`` are of the prompts of the last RL stage by question type; ``groups`` of all RL stages."""

    stage: str
    histograms: list[Histogram]
    groups: WordTable


def training_signal(run: RunRecord) -> TrainingSignal | None:
    """None where no RL stage has sampled."""
    stages = [one["stage"] for one in run.manifests if kind_of(one) == "rl"]
    stages += [stage for stage in run.unfinished if "-rl" in stage]
    sampled = [stage for stage in stages if (run.path / "rollouts" / stage).is_dir()]
    files = [file for stage in sampled for file in sorted((run.path / "rollouts" / stage).glob("*.parquet"))]
    if not files:
        return None
    with RolloutTable(run.path, run.pass_score, files) as log:
        groups, rates = log.query(_GROUPS), log.query(_RATES, [sampled[-1]])
    found: dict[str, dict[str, dict[str, int]]] = defaultdict(dict)
    for row in groups:
        found[row["question_type"]][row["stage"]] = row
    rows = {
        name: tuple(_cell(of_stage.get(stage)) for stage in sampled)
        for name, of_stage in sorted(found.items())
    }
    whole = {
        stage: _sum([of_stage[stage] for of_stage in found.values() if stage in of_stage])
        for stage in sampled
    }
    rows = {"all": tuple(_cell(whole[stage]) for stage in sampled)} | (rows if len(rows) > 1 else {})
    table = WordTable("groups that teach nothing, 95% interval: all right, all wrong", tuple(sampled), rows)
    return TrainingSignal(sampled[-1], _histograms(rates), table)


def _sum(rows: list[dict[str, int]]) -> dict[str, int]:
    return {name: sum(row[name] for row in rows) for name in ("num_groups", "all_right", "all_wrong")}


def _cell(row: dict[str, int] | None) -> Cell:
    if not row or not row["num_groups"]:
        return Cell("–")
    num, right, wrong = row["num_groups"], row["all_right"], row["all_wrong"]
    return Cell(f"{share_words(right + wrong, num)}: {right / num:.0%}, {wrong / num:.0%}")


def _histograms(rates: list[dict[str, float]]) -> list[Histogram]:
    counts: dict[str, dict[int, int]] = defaultdict(dict)
    totals: dict[str, float] = defaultdict(float)
    for row in rates:
        counts[str(row["question_type"])][int(row["bin"])] = int(row["num"])
        totals[str(row["question_type"])] += row["total"]
    return [
        Histogram(name, bins_of(counts[name]), totals[name] / max(sum(counts[name].values()), 1))
        for name in sorted(counts)[:MAX_TYPES]
    ]
