"""``hone eval``: pass@1, pass@k and win rate of a policy on held-out prompts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recipes.commands.arguments import Overrides, RecipeName

if TYPE_CHECKING:
    from rich.console import Console

    from rl.recipe.recipe import Recipe
    from rl.run.results.evaluation_result import ExamChange
    from sampler.prompt import Prompt

app = typer.Typer()


@app.command("eval")
def evaluate_policy(
    recipe: RecipeName,
    overrides: Overrides = None,
    policy: Annotated[
        list[Path] | None,
        typer.Option(help="Checkpoint in the hub layout; given twice: what flipped. [default: RUN/policy]"),
    ] = None,
    prompts: Annotated[
        str | None, typer.Option(help="Prompt set. [default: the run's held-out prompts]")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write figures as JSON here.")] = None,
) -> None:
    """Evaluate a policy: pass@1 as the mean of k samples and pass@k, per question type and verifier; win rates."""
    import json

    from recipes.commands.output.out_file import require_out
    from recipes.settings.recipe_file import load_recipe
    from sampler.atomic_file import write_atomically
    from verifiers.errors import BadInput

    settings = load_recipe(recipe, overrides or [])
    require_out(out)
    checkpoints = policy or [Path(settings.run_dir) / "policy"]
    for hub in checkpoints:
        if not (hub / "config.json").is_file():
            raise BadInput(f"no policy at {hub}: give --policy a checkpoint directory in the hub layout")
    figures = _evaluate(settings, [hub.resolve() for hub in checkpoints], prompts)
    if out is not None:
        write_atomically(out, json.dumps(figures[0] if len(figures) == 1 else figures, indent=2))


def _evaluate(settings: Recipe, checkpoints: list[Path], prompt_set: str | None) -> list[dict[str, Any]]:
    import tempfile

    from rich.console import Console

    from recipes.commands.output.console import plain_console
    from rl.run.boundary.output import command_log

    run_path = Path(settings.run_dir).absolute()
    log = run_path / "logs" / "eval.log"
    with (
        tempfile.TemporaryDirectory(prefix="hone-eval-") as scratch,
        command_log(log) as terminal,
    ):
        from recipes.programs.evaluate_policies import evaluate_policies
        from rl.data.run_data import RunData
        from rl.experience.scorer import reward_model_path
        from rl.run.progress import ProgressDisplay
        from rl.run.results.stage_result import PolicyState
        from rl.run.run_directory import RunDirectory
        from rl.runner import StageRunner

        run, console = RunDirectory(Path(scratch)), plain_console(terminal)
        run.logs = log.parent
        data = RunData((), _heldout(settings, prompt_set, run_path, run.path), ())
        with ProgressDisplay(Console(quiet=True)) as display, StageRunner(settings, run, display) as runner:
            base = PolicyState(0, checkpoints[0], checkpoints[0].name)
            runner.begin(data, base, reward_model_path(settings.judging, run_path))
            runner.engines.judge.check(data.heldout)
            results = evaluate_policies(runner, checkpoints)
        for hub, result in zip(checkpoints, results, strict=True):
            print_figures(console, str(hub), result.to_json(run.path))
            for warning in result.warnings:
                console.print(f"! {warning}", highlight=False)
        for before, after in pairwise(results):
            console.print(_flipped(run.path, before.stage, after.stage, settings.evaluation.pass_score))
            for line in change_lines(after.changes[before.stage]):
                console.print(line, highlight=False)
    return [result.to_json(run.path) for result in results]


def _flipped(run_path: Path, before: str, after: str, pass_score: float) -> str:
    """How many prompts the second policy does better and worse than the first, in one line."""
    from recipes.report.comparison import compare
    from recipes.report.rollout_table import RolloutTable

    with RolloutTable(run_path, pass_score) as log:
        found = compare(log, [(before, before), (after, after)])
    lines = [
        f"{counts['better']} prompts better{by}, {counts['worse']} worse, {counts['same']} as before"
        for counts, by in ((found.num_changed, ""), (found.num_compared_changed, " by the reward model"))
        if counts
    ]
    return "\n".join(lines) or "no prompt was judged for both"


def change_lines(change: ExamChange) -> list[str]:
    """The change of all prompts, then that of the question types which rose or fell beyond noise."""
    lines = (
        [f"change in points, 95% interval, paired by prompt: {change.gain.in_points}"] if change.gain else []
    )
    moved = {name: one for name, one in change.by_type.items() if one.high < 0 or one.low > 0}
    return lines + [
        f"  {name} {'fell' if one.high < 0 else 'rose'}: {one.in_points}" for name, one in moved.items()
    ]


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
            table.add_row(
                name, str(one["num_prompts"]), _with_interval(one["pass_at_1"], one.get("pass_at_1_interval"))
            )
        console.print(table)
        for k, value in figures["pass_at_k"].items():
            rate = _with_interval(value, (figures.get("pass_at_k_interval") or {}).get(k))
            console.print(f"pass@{k}: {rate}", highlight=False)
    for line in _win_lines(figures["general"]):
        console.print(line, highlight=False)


def _with_interval(rate: float, interval: dict[str, float] | None) -> str:
    """ "88.2% (85.9 to 90.4)"; the bare rate where too few prompts were judged."""
    bounds = f" ({100 * interval['low']:.1f} to {100 * interval['high']:.1f})" if interval else ""
    return f"{100 * rate:.1f}%{bounds}"


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


def _heldout(settings: Recipe, prompt_set: str | None, run_path: Path, scratch: Path) -> Sequence[Prompt]:
    """Prompts given by hand, as the decisions beside them leave them, else those of the run, else what the recipe would
    make."""
    from rl.data.run_data import build_data, image_limits, load, read_set
    from rl.run.results.manifest import first_result, results_of
    from rl.run.results.stage_result import PrepareResult
    from sampler.store.decisions.event_log import EventLog

    limits = image_limits(settings)
    if prompt_set is not None:
        prompts: Sequence[Prompt] = read_set(
            "heldout", prompt_set, limits, EventLog.beside(prompt_set).curated()
        ).rows
        return prompts
    prepared = first_result(results_of(run_path), PrepareResult)
    paths, folder = (
        (build_data(settings, scratch), scratch) if prepared is None else (prepared.paths, run_path)
    )
    return load(paths, folder, limits).heldout
