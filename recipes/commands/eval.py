"""``hone eval``: pass@1, pass@k and win rate of a policy on held-out prompts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer()


@app.command("eval")
def evaluate_policy(
    recipe: Annotated[str, typer.Argument(help="Recipe file, or the name of one in recipes/.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value pairs over the recipe's.")] = None,
    policy: Annotated[
        Path | None, typer.Option(help="Checkpoint in the hub layout. [default: RUN/policy]")
    ] = None,
    prompts: Annotated[
        str | None, typer.Option(help="Prompt set. [default: the run's held-out prompts]")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write figures as JSON here.")] = None,
) -> None:
    """Evaluate a policy: pass@1 as the mean of k samples and pass@k, per question type and verifier; win rates."""
    import json

    from recipes.settings.recipe_file import load_recipe
    from verifiers.errors import BadInput

    settings = load_recipe(recipe, overrides or [])
    run_path = Path(settings.run_dir)
    hub = policy or run_path / "policy"
    if not (hub / "config.json").is_file():
        raise BadInput(f"no policy at {hub}: give --policy a checkpoint directory in the hub layout")
    figures = _evaluate(settings, hub.resolve(), prompts, run_path)
    if out is not None:
        out.write_text(json.dumps(figures, indent=2))


def _evaluate(settings: Any, hub: Path, prompt_set: str | None, run_path: Path) -> dict[str, Any]:
    import tempfile

    from rich.console import Console

    from rl.run.output import command_log

    log = run_path / "logs" / "eval.log"
    with (
        tempfile.TemporaryDirectory(prefix="hone-eval-") as scratch,
        command_log(log) as terminal,
    ):
        from rl.stages import policy_evaluation

        figures = policy_evaluation.evaluate_policy(
            settings, hub, _heldout(settings, prompt_set, run_path, Path(scratch)), log.parent
        )
        print_figures(Console(file=terminal), str(hub), figures)
    return figures


def print_figures(console: Console, title: str, figures: dict[str, Any]) -> None:
    """pass@1 as a table where a verifier judged, then pass@k; the win rate where a reward model did."""
    from rich.table import Table

    console.print(title, highlight=False)
    if figures["num_prompts"]:
        table = Table("", "prompts", "pass@1")
        groups = {
            "all": figures,
            **{f"type {name}": one for name, one in figures["by_tag"].items()},
            **{f"verifier {name}": one for name, one in figures["by_verifier"].items()},
        }
        for name, one in groups.items():
            table.add_row(name, str(one["num_prompts"]), f"{100 * one['pass_at_1']:.1f}%")
        console.print(table)
        for k, value in figures["pass_at_k"].items():
            console.print(f"pass@{k}: {100 * value:.1f}%", highlight=False)
    for line in _win_lines(figures["general"]):
        console.print(line, highlight=False)


def _win_lines(general: dict[str, Any]) -> list[str]:
    """How the answers to prompts without a verifier compare with their references; nothing without such prompts."""
    if not general["num_prompts"]:
        return []
    from verifiers.counted import counted

    wins = general["against_reference"]
    failed = f", {wins['num_failed']:,} not judged" if wins["num_failed"] else ""
    prompts = counted(general["num_prompts"], "general prompt")
    of = f"{counted(wins['num_comparisons'], 'comparison')} on {prompts}{failed}"
    if wins["win_rate"] is None:
        return [f"win rate against references: none of {of}"]
    return [
        f"win rate against references: {100 * wins['win_rate']:.1f}% of {of}",
        f"mean probability of winning: {wins['win_probability']:.3f}, 0.5 is parity",
    ]


def _heldout(settings: Any, prompt_set: str | None, run_path: Path, scratch: Path) -> Any:
    """Prompts given by hand, else those of the run, else what the recipe would make."""
    from rl.data.run_data import build_data, load
    from rl.run.run_directory import RunDirectory
    from rl.stages.prepare import STAGE
    from sampler.data.prompt_dataset import load_prompts

    if prompt_set is not None:
        return load_prompts(prompt_set)
    stage = RunDirectory(run_path).stage(STAGE)
    if stage.is_complete:
        return load(stage.manifest()["result"]["paths"], run_path.absolute()).heldout
    return load(build_data(settings, scratch), scratch).heldout
