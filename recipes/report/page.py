"""`report.html` of a run: one file that needs nothing else, no script, and lets no model output become markup."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

from recipes.report.axis import percent, short_number
from recipes.report.comparison import Comparison, compare
from recipes.report.harvest import harvests
from recipes.report.held_out import held_out_tables, pass_at_k
from recipes.report.picture import box_of
from recipes.report.rollout_table import RolloutTable
from recipes.report.run_record import WORDS_OF_KIND, RunRecord, evaluation_label
from recipes.report.stage_time import stage_times
from recipes.report.step_curves import pass_curve, step_curves
from rl.progress import duration_words

MAX_STEP_ROWS = 200
STEP_COLUMNS = (
    ("rollout/reward_mean", "reward"),
    ("train/loss", "loss"),
    ("rollout/response_tokens_mean", "tokens a response"),
    ("train/mismatch_kl", "mismatch_kl"),
    ("rollout/tokens_per_s", "rollout tok/s"),
    ("train/tokens_per_s", "train tok/s"),
)


def write_report(run_dir: str | Path, out: str | Path | None = None) -> Path:
    """Write the page (RUN/report.html unless `out` says otherwise) and return its path. Raises `BadInput`."""
    run = RunRecord.open(run_dir)
    target = Path(out) if out is not None else run.path / "report.html"
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    unfinished.write_text(render_report(run), encoding="utf-8", errors="replace")
    unfinished.replace(target)
    return target


def render_report(run: RunRecord) -> str:
    """The page as text."""
    with RolloutTable(run.path, run.pass_score) as log:
        page: str = template("page.html.j2").render(
            run=run,
            summary=run.summary,
            headline=_headline(run),
            story=_story(run),
            facts=_facts(run),
            tables=held_out_tables(run),
            pass_curve=pass_curve(run),
            curves=step_curves(run),
            steps=_step_rows(run),
            step_columns=[name for _, name in STEP_COLUMNS],
            times=stage_times(run),
            comparison=_comparison(run, log),
            harvests=harvests(run, log),
        )
        return page


@cache
def template(name: str) -> Any:
    """A page of this package. Everything put into one is escaped unless our own code drew it."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=percent, short=short_number, box=box_of)
    return environment.get_template(name)


def _story(run: RunRecord) -> str:
    """What was done, in the order it was done: "2 rounds: SFT → RL → harvest → SFT → RL"."""
    trained = [manifest for manifest in run.manifests if manifest.get("kind") in WORDS_OF_KIND]
    chain = " → ".join(WORDS_OF_KIND[manifest["kind"]] for manifest in trained)
    num_rounds = len({manifest.get("round") for manifest in trained})
    return f"{num_rounds} round{'s' if num_rounds != 1 else ''}: {chain}" if chain else ""


def _headline(run: RunRecord) -> dict[str, Any] | None:
    """Cold start and newest held-out pass@1 with the change in points; None before the first evaluation."""
    before, after = run.cold_start, run.final
    if before is None:
        return None
    change = 100 * (after["pass_at_1"] - before["pass_at_1"]) if after else None
    return {
        "before": before,
        "before_label": evaluation_label(before) + (" (cold start)" if before.get("after") == "sft" else ""),
        "measured": _measured(run, before),
        "after": after,
        "after_label": evaluation_label(after) if after else "",
        "points": None if change is None else f"{change:+.1f}",
        "rose": change is not None and change > 0,
    }


def _measured(run: RunRecord, evaluation: dict[str, Any]) -> str:
    """How a held-out figure was taken, as far as the manifest and the recipe say."""
    num_prompts, num_samples = evaluation.get("num_prompts"), evaluation.get("samples_per_prompt")
    words = f"pass@1 on {num_prompts:,} held-out prompts" if num_prompts else "pass@1 on held-out prompts"
    temperature = run.evaluation_setting("temperature")
    heat = f" at temperature {temperature:g}" if temperature is not None else ""
    return words + (f", the mean of {num_samples} responses each{heat}" if num_samples else "")


def _facts(run: RunRecord) -> list[tuple[str, str]]:
    """The figures under the headline, each with its name."""
    summary = run.summary
    before, after = run.cold_start, run.final
    facts = []
    if before and (first := pass_at_k(before)):
        last = pass_at_k(after) if after else None
        words = percent(first[1]) + (f" → {percent(last[1])}" if last and last[0] == first[0] else "")
        facts.append((f"held-out {first[0]}", words))
    facts.append(("wall time", duration_words(summary["wall_s"])))
    rollout, train = (summary["throughput"][name] for name in ("rollout_tokens_per_s", "train_tokens_per_s"))
    if rollout is not None:
        facts.append(("rollout tokens/s", short_number(rollout)))
    if train is not None:
        facts.append(("training tokens/s", short_number(train)))
    if summary["mismatch_kl"]["max"] is not None:
        facts.append(("largest mismatch_kl", short_number(summary["mismatch_kl"]["max"])))
    return facts


def _comparison(run: RunRecord, log: RolloutTable) -> Comparison | None:
    evaluations = [one for one in (run.cold_start, run.final) if one is not None]
    if not evaluations or not log.rollout_files:
        return None
    compared = compare(log, [(one["stage"], evaluation_label(one)) for one in evaluations])
    return compared if compared.shown else None


def _step_rows(run: RunRecord) -> list[list[str]]:
    """Every step (or every n-th of a long run) with the values of `STEP_COLUMNS` in words."""
    stride = -(-len(run.metrics) // MAX_STEP_ROWS) or 1
    rows = []
    for line in run.metrics[::stride]:
        values = [(line.get("metrics") or {}).get(metric) for metric, _ in STEP_COLUMNS]
        words = [short_number(value) if isinstance(value, (int, float)) else "" for value in values]
        rows.append([str(line["stage"]), str(line["step"]), *words])
    return rows
