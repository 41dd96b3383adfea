"""`hone prompts rejudge`: corrections applied to stored answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recipes.commands.prompts.opened_store import opened_store

if TYPE_CHECKING:
    from rich.console import Console

    from rl.experience.rejudging import Rejudging
    from rl.recipe.judging_config import JudgingConfig

MOST_NAMED = 10


def rejudge(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run directories.")],
    verifier: Annotated[
        list[str] | None,
        typer.Option(help="Judge all its answers again, because its code changed; repeatable."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would be judged.")] = False,
) -> None:
    """Judge the stored answers of corrected prompts again, without sampling. Statistics and selections then count the
    new verdicts; the rollout log stays as it is. Called again, it does what is left."""
    from recipes.commands.output.console import plain_console
    from rl.experience.rejudging import Rejudging
    from verifiers.counted import counted

    console = plain_console()
    for path in runs:
        with opened_store([path]) as (store, run):
            work = Rejudging(store, run, verifier or ())
            if work.skipped:
                skipped = counted(len(work.skipped), "corrected prompt")
                console.print(f"{run}: {skipped} judged by a reward model, left as judged")
            pending = work.num_pending
            total = sum(pending.values())
            if not total:
                console.print(f"{run}: no answer is left to judge again")
                continue
            if dry_run:
                console.print(
                    f"{run}: would judge {counted(total, 'answer')} of {counted(len(pending), 'prompt')}"
                )
                _print_most(console, pending)
                continue
            _judge(console, work, path, total, len(pending))


def _judge(console: Console, work: Rejudging, path: Path, total: int, num_prompts: int) -> None:
    from rl.experience.judge import verifier_service
    from rl.run.progress import ProgressDisplay
    from rl.run.run_history import REJUDGED
    from verifiers.counted import counted

    with ProgressDisplay(console) as display, verifier_service(_judging(path)) as service:
        with display.stage(work.run, total_steps=total) as progress:
            for num in work.judge(service, path / REJUDGED):
                progress.advance(num)
            progress.finish(
                f"{counted(total, 'answer')} of {counted(num_prompts, 'prompt')} judged: {work.changes}"
            )
    _print_most(console, dict(work.changes.by_prompt.most_common()))


def _judging(path: Path) -> JudgingConfig:
    """As the run judged, in processes of this machine. Its reward model is not asked."""
    import yaml

    from rl.recipe.judging_config import JudgingConfig

    section = yaml.safe_load((path / "recipe.yaml").read_text()) if (path / "recipe.yaml").is_file() else {}
    known = (section or {}).get("judging") or {}
    return JudgingConfig(**{name: known[name] for name in ("num_workers", "timeout_s") if name in known})


def _print_most(console: Console, by_prompt: dict[str, int]) -> None:
    for prompt_id, num in list(by_prompt.items())[:MOST_NAMED]:
        console.print(f"  {prompt_id}  {num:,}", highlight=False)
    if len(by_prompt) > MOST_NAMED:
        console.print(f"  and {len(by_prompt) - MOST_NAMED:,} more prompts")
