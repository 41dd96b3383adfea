"""`report.html` of a run: one file that needs nothing else, no script, and lets no model output become markup."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote

from recipes.report.attempt import without_control
from recipes.report.comparison import Comparison, compare
from recipes.report.drawing.curve import percent, short_number
from recipes.report.drawing.template import template
from recipes.report.evaluation import WORDS_OF_KIND, evaluation_label, pass_at_k, win_rate
from recipes.report.exam_table import exam_tables
from recipes.report.harvest import harvests
from recipes.report.held_out import headline, held_out_curve, held_out_tables
from recipes.report.in_force import part_of_stages
from recipes.report.prompts.spot_check_page import write_spot_checks
from recipes.report.prompts.told import ToldOfPrompts
from recipes.report.rollout_table import RolloutTable
from recipes.report.stage_time import stage_times
from recipes.report.step_curves import step_curves
from rl.run.progress import duration_words
from rl.run.results.manifest import kind_of
from rl.run.results.stage_result import RewardModelResult
from rl.run.run_record import RunRecord
from sampler.atomic_file import write_atomically
from sampler.store.prompt_store import PromptStore
from verifiers.counted import counted
from verifiers.errors import HoneError

MAX_STEP_ROWS = 200
STEP_COLUMNS = {
    "rollout/reward_mean": "reward",
    "kind/verifiable/reward_mean": "verifiable",
    "kind/general/reward_mean": "general",
    "kind/general/kl_response_mean": "general KL",
    "train/loss": "loss",
    "critic/explained_variance": "explained",
    "rollout/response_tokens_mean": "tokens a response",
    "train/mismatch_kl": "mismatch_kl",
    "rollout/tokens_per_s": "rollout tok/s",
    "train/tokens_per_s": "train tok/s",
}


def write_report(
    run_dir: str | Path, out: str | Path | None = None, on_warning: Callable[[str], None] = lambda _: None
) -> Path:
    """Write the page (RUN/report.html unless `out` says otherwise) and return its path; the spot checks of harvests are
    pages of their own beside it, which it links; ``on_warning`` is told of those that there could be no page of.
    Raises `BadInput`."""
    run = RunRecord.open(run_dir)
    target = Path(out) if out is not None else run.path / "report.html"
    pages = {stage: quote(page.name) for stage, page in write_spot_checks(run, target, on_warning).items()}
    write_atomically(target, render_report(run, pages))
    return target


def render_report(run: RunRecord, spot_check_pages: Mapping[str, str] = MappingProxyType({})) -> str:
    """The page as text; with the addresses of the harvests' spot checks by stage."""
    logged = {metric for line in run.metrics for metric in line.get("metrics") or {}}
    columns = [metric for metric in STEP_COLUMNS if metric in logged]
    with RolloutTable(run.path, run.pass_score) as log:
        page: str = template("page.html.j2").render(
            run=run,
            place=_place(run.path),
            has_cold_start=bool(run.cold_start and run.cold_start.get("after") == "sft"),
            summary=run.summary,
            headline=headline(run),
            story=_story(run),
            facts=_facts(run),
            tables=held_out_tables(run),
            exam_tables=exam_tables(run),
            held_out_curve=held_out_curve(run),
            has_win_rate=any(win_rate(one) is not None for one in run.evaluations),
            curves=step_curves(run),
            steps=_step_rows(run, columns),
            step_columns=[STEP_COLUMNS[metric] for metric in columns],
            times=stage_times(run),
            comparison=_comparison(run, log),
            harvests=harvests(run, log, spot_check_pages),
            told=ToldOfPrompts.of(run),
        )
        return without_control(page)


def _place(path: Path) -> str:
    """What to type for a run: from here where it lies below, else from anywhere."""
    path, here = path.absolute(), Path.cwd()
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))


def _story(run: RunRecord) -> str:
    """What was done, in the order it was done: "2 rounds: SFT → RL → harvest → SFT → RL"."""
    trained = [manifest for manifest in run.manifests if kind_of(manifest) in WORDS_OF_KIND]
    chain = " → ".join(WORDS_OF_KIND[kind_of(manifest)] for manifest in trained)
    num_rounds = len({manifest.get("round") for manifest in trained})
    return f"{counted(num_rounds, 'round')}: {chain}" if chain else ""


def _facts(run: RunRecord) -> list[tuple[str, str]]:
    """The figures under the headline, each with its name."""
    summary = run.summary
    before, after = run.cold_start, run.final
    facts = []
    if before and (first := pass_at_k(before)):
        last = pass_at_k(after) if after else None
        words = percent(first[1]) + (f" → {percent(last[1])}" if last and last[0] == first[0] else "")
        facts.append((f"held-out {first[0]}", words))
    reward_model = next((one.report for one in reversed(run.results(RewardModelResult))), None)
    if reward_model is not None:
        biased = (
            reward_model.position_bias_frac
        )  # none of a scalar model, which is shown one answer at a time
        rates = {"reward model's pairwise accuracy": reward_model.accuracy, "its position bias": biased}
        facts += [(name, percent(value)) for name, value in rates.items() if value is not None]
    facts.append(("wall time", duration_words(summary["wall_s"])))
    numbers = {
        "rollout tokens/s": summary["throughput"]["rollout_tokens_per_s"],
        "training tokens/s": summary["throughput"]["train_tokens_per_s"],
        "largest mismatch_kl": summary["mismatch_kl"]["max"],
    }
    return facts + [(name, short_number(value)) for name, value in numbers.items() if value is not None]


def _comparison(run: RunRecord, log: RolloutTable) -> Comparison | None:
    evaluations = [one for one in (run.cold_start, run.final) if one is not None]
    if not evaluations or not log.rollout_files:
        return None
    stages = [(one["stage"], evaluation_label(one)) for one in evaluations]
    compared = _compared_in_force(run, log, stages)
    return compared if compared.shown else None


def _compared_in_force(run: RunRecord, log: RolloutTable, stages: Sequence[tuple[str, str]]) -> Comparison:
    """By the verdicts that count now, or by the log's where decisions or corrected data cannot be read."""
    try:
        part = part_of_stages(run.path, [stage for stage, _ in stages])
        if not part.rejudged_files and not any(file.is_file() for file in part.event_files):
            return compare(log, stages)
        with PromptStore([part]) as store:
            return compare(log, stages, store)
    except (HoneError, OSError):
        return replace(compare(log, stages), num_otherwise=None)


def _step_rows(run: RunRecord, columns: Sequence[str]) -> list[list[str]]:
    """Every step (or every n-th of a long run) with its values of these metrics in words."""
    stride = -(-len(run.metrics) // MAX_STEP_ROWS) or 1
    rows = []
    for line in run.metrics[::stride]:
        values = [(line.get("metrics") or {}).get(metric) for metric in columns]
        words = [short_number(value) if isinstance(value, (int, float)) else "" for value in values]
        rows.append([str(line["stage"]), str(line["step"]), *words])
    return rows
