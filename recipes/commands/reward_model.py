"""``hone reward-model train | score``: the learned judge of prompts that no rule can judge."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recipes.commands.arguments import Overrides, RecipeName

if TYPE_CHECKING:
    from reward_models.answer_comparison import AnswerComparison
    from reward_models.preferences.preference_report import PairReport
    from rl.recipe.recipe import RewardRecipe
    from rl.run.progress import ProgressDisplay
    from rl.run.run_directory import RunDirectory
    from sampler.vllm_pool.sampler_config import SamplerConfig

app = typer.Typer(help="Train a reward model on preferences; score answers with one.", no_args_is_help=True)

ANSWERS = "JSONL or Parquet: messages, images, reference, answer or response."


@app.command("train")
def train(recipe: RecipeName, overrides: Overrides = None) -> None:
    """Train on preference lists, then report on held-out pairs. The same command resumes."""
    from recipes.commands.output.held_run import held_run
    from recipes.settings.recipe_file import load_settings
    from rl.recipe.recipe import RewardRecipe

    settings = load_settings(recipe, overrides or [], RewardRecipe)
    with held_run(settings) as (run, display):
        if (run.path / "report.json").is_file():  # runs before 2026-11-29 have it and no stages like today's
            display.done_before("reward model")
        else:
            train_reward_model(settings, run, display)
        display.note(f"reward model: {run.path / 'model'}, report: report.json beside it")


def train_reward_model(settings: RewardRecipe, run: RunDirectory, display: ProgressDisplay) -> PairReport:
    """Leaves RUN/model and RUN/report.json. The same call after a kill goes on."""
    import dataclasses
    import json

    from recipes.programs.reward_model_only import program
    from rl.program import run_program
    from rl.run.results.manifest import results_of
    from rl.run.results.stage_result import RewardModelResult
    from sampler.atomic_file import point_to, write_atomically

    run_program(settings.as_recipe(), run, display, program)
    result = next(one for one in results_of(run.path) if isinstance(one, RewardModelResult))
    assert result.model is not None and result.report is not None
    point_to(run.path / "model", result.model)
    write_atomically(run.path / "report.json", json.dumps(dataclasses.asdict(result.report), indent=2) + "\n")
    return result.report


@app.command("score")
def score(
    file: Annotated[Path, typer.Argument(help=ANSWERS)],
    model: Annotated[Path, typer.Option(help="Checkpoint that `hone reward-model train` left.")],
    out: Annotated[Path | None, typer.Option(help="Write one score a row (JSONL).")] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    workers: Annotated[int, typer.Option(min=1, help="vLLM workers.")] = 1,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of each worker.")] = 2,
    max_model_len: Annotated[int, typer.Option(min=2, help="Tokens of the longest comparison.")] = 1024,
    expects_thought: Annotated[bool, typer.Option(help="A response without a thought loses.")] = True,
) -> None:
    """Score answers against the references of their rows: probability of winning, 0.5 = parity.

    A `response` is cut at the end of its thought first; an `answer` is taken as it stands. Exit status 1 when an answer
    could not be scored.
    """
    from pydantic import ValidationError

    from recipes.commands.output.out_file import require_out
    from recipes.commands.output.score_file import read_comparisons
    from rl.experience.scorer import require_reward_model
    from sampler.vllm_pool.sampler_config import SamplerConfig
    from verifiers.errors import BadInput

    kv_cache_gib = 1.0 if device == "cpu" else None
    try:
        sampler = SamplerConfig(
            device=device,
            num_workers=workers,
            threads=threads,
            max_model_len=max_model_len,
            kv_cache_gib=kv_cache_gib,
        )
    except ValidationError as why:
        raise BadInput(f"--device {device!r}: {why.errors()[0]['msg']}") from None
    require_reward_model(model, "--model")
    require_out(out, inputs=[file])
    comparisons = read_comparisons(file, expects_thought=expects_thought)
    if not _score(comparisons, model.resolve(), sampler, out):
        raise typer.Exit(1)


def _score(
    comparisons: Sequence[AnswerComparison], model: Path, sampler: SamplerConfig, out: Path | None
) -> bool:
    """Whether every answer could be scored."""
    from recipes.commands.output.console import plain_console
    from recipes.commands.output.score_file import scored, words_of, write_scores
    from rl.run.boundary.output import command_log, scratch_with_logs

    with (
        scratch_with_logs("hone-score-") as scratch,
        command_log(scratch / "logs" / "driver.log") as terminal,
    ):
        from reward_models.serving import served
        from rl.run.progress import ProgressDisplay
        from rl.run.ray_session import ray_session

        rows = []
        with ProgressDisplay(plain_console(terminal)) as display, ray_session(2, 512):
            with display.stage("score", total_steps=len(comparisons)) as progress:
                with served(model, sampler, scratch / "logs") as reward_model:
                    for row in scored(comparisons, reward_model.compare):
                        rows.append(row)
                        progress.advance()
                progress.finish(words_of(rows))
            failed = [(one, score) for one, score in rows if not score.judged]
            for one, failure in failed[:5]:
                display.note(f"not scored: {one.comparison_id}: {failure.reason}")
            if out is not None:
                write_scores(out, rows)
                display.note(f"scores written to {out}")
    return not failed
