"""``hone reward-model score``: a reward model's scores of a file of answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from reward_models.answer_comparison import AnswerComparison
    from sampler.vllm_pool.sampler_config import SamplerConfig


def score(
    file: Annotated[
        Path, typer.Argument(help="JSONL or Parquet: messages, images, reference, answer or response.")
    ],
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

    from recipes.commands.output.score_file import read_comparisons
    from rl.experience.judge import require_reward_model
    from sampler.vllm_pool.sampler_config import SamplerConfig
    from verifiers.errors import BadInput

    try:
        sampler = SamplerConfig(
            device=device,
            num_workers=workers,
            threads=threads,
            max_model_len=max_model_len,
            kv_cache_gib=1.0 if device == "cpu" else None,
        )
    except ValidationError as why:
        raise BadInput(f"--device {device!r}: {why.errors()[0]['msg']}") from None
    require_reward_model(model, "--model")
    comparisons = read_comparisons(file, expects_thought=expects_thought)
    if not _score(comparisons, model.resolve(), sampler, out):
        raise typer.Exit(1)


def _score(
    comparisons: Sequence[AnswerComparison], model: Path, sampler: SamplerConfig, out: Path | None
) -> bool:
    """Whether every answer could be scored."""
    from rich.console import Console

    from recipes.commands.output.score_file import scored, words_of, write_scores
    from rl.run.output import command_log, scratch_with_logs

    with scratch_with_logs("hone-score-") as scratch:
        logs = scratch / "logs"
        with command_log(logs / "driver.log") as terminal:
            from reward_models.serving import served
            from rl.run.progress import ProgressDisplay
            from rl.run.ray_session import ray_session

            rows = []
            with ProgressDisplay(Console(file=terminal)) as display, ray_session(2, 512):
                with display.stage("score", total_steps=len(comparisons)) as progress:
                    with served(model, sampler, logs) as reward_model:
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
