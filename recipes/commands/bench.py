"""``hone bench``: how close Hone comes to the bare engines and graders, as ratios of interleaved runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from recipes.commands.arguments import FinishedRun, Overrides, RecipeName, RunPath

ABLATION = Path("runs/ablation")
ROUNDS = Path("runs/rounds")
SELECTION = Path("runs/selection")
Policy = Annotated[Path, typer.Option(help="Checkpoint in the hub layout: an early one or a late one.")]
FAULTS = "Only this: so many cases through the service, 1% hang, 1% crash."

app = typer.Typer(help="How close Hone comes to the bare engines and graders.", no_args_is_help=True)


@app.command()
def generation(
    recipe: RecipeName = "digits_cpu",
    overrides: Overrides = None,
    runs: Annotated[int, typer.Option(min=1, help="Counted runs of each contender.")] = 7,
) -> None:
    """The pool against one bare vllm.LLM.generate call over the same requests."""
    from recipes.benchmarks.workload import Workload
    from recipes.settings.recipe_file import load_recipe

    with Workload.of(load_recipe(recipe, overrides or [])) as workload:
        from recipes.benchmarks.generation import measure_generation

        result = measure_generation(workload.engines, workload.prompts, workload.plan, num_runs=runs)
        workload.say(str(result))


@app.command()
def training(
    recipe: RecipeName = "digits_cpu",
    overrides: Overrides = None,
    runs: Annotated[int, typer.Option(min=1, help="Counted runs of each contender.")] = 9,
) -> None:
    """A training step against a bare DeepSpeed loop over the same micro-batches."""
    from recipes.benchmarks.workload import Workload
    from recipes.settings.recipe_file import load_recipe

    with Workload.of(load_recipe(recipe, overrides or [])) as workload:
        from recipes.benchmarks.training import measure_training

        result = measure_training(workload.engines, workload.sft_batch(), num_runs=runs)
        workload.say(str(result))


@app.command()
def step(run: Annotated[Path, typer.Argument(help="Directory of a run.")]) -> None:
    """What a run's RL steps spent outside generation and training: controller, judging, data, sync."""
    from recipes.benchmarks.overhead import measure_overhead

    typer.echo(str(measure_overhead(run)))


@app.command()
def economy(
    run: RunPath,
    policy: Policy,
    overrides: Overrides = None,
    steps: Annotated[int, typer.Option(min=1, help="Counted steps.")] = 10,
) -> None:
    """An RL step's training beside the same with nothing left out, on the same rollouts."""
    from recipes.benchmarks.workload import rl_workload

    with rl_workload(run, policy, overrides or []) as (context, terminal):
        from recipes.benchmarks.economy import measure_economy

        print(measure_economy(context, num_steps=steps), file=terminal)


@app.command()
def peer(
    run: RunPath,
    policy: Policy,
    overrides: Overrides = None,
    steps: Annotated[int, typer.Option(min=1, help="Counted steps of each.")] = 9,
    python: Annotated[Path, typer.Option(help="One that has TRL and Hone's packages.")] = Path(
        sys.executable
    ),
) -> None:
    """A GRPO step beside TRL's GRPOTrainer with transformers' generate, in turn."""
    from recipes.benchmarks.workload import rl_workload

    counted = [f"rl.steps={steps + 1}", "rl.checkpoint_every_steps=null", *(overrides or [])]
    with rl_workload(run, policy, counted) as (context, terminal):
        from recipes.benchmarks.peer_trl import Peer, Setting, measure_beside

        forbidden = context.engines.forbidden_token_ids
        prompts = context.data.train[: context.recipe.rl.prompts_per_step * (steps + 1)]
        setting = Setting(policy.absolute(), prompts, context.recipe, forbidden, context.run.path)
        with Peer(python, setting, context.run.logs / "trl.log") as trl:
            print(measure_beside(context, trl), file=terminal)


@app.command()
def ablation(
    run: FinishedRun,
    out: Annotated[Path, typer.Option(help="Runs and page go here; the same again goes on.")] = ABLATION,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds of each arm.")] = 3,
    steps: Annotated[int, typer.Option(min=1, help="RL steps of each run.")] = 32,
    rollouts: Annotated[int, typer.Option(min=4, help="Rollouts a step.")] = 160,
    samples: Annotated[int, typer.Option(min=1, help="Samples a held-out prompt.")] = 4,
) -> None:
    """Hybrid PPO with one part left out at a time, from one SFT policy: medians, a table and a page."""
    from recipes.commands.output.console import plain_console
    from rl.run.output import command_log
    from rl.run.progress import ProgressDisplay

    with command_log(out / "logs" / "driver.log") as terminal:
        from recipes.benchmarks.learning.ablation import run_ablation
        from recipes.benchmarks.learning.ablation_page import page, table

        with ProgressDisplay(plain_console(terminal)) as display:
            sizes = {"steps": steps, "rollouts": rollouts, "samples": samples}
            result = run_ablation(run, out, seeds=range(1, seeds + 1), **sizes, display=display)
        (out / "ablation.html").write_text(page(result, "Hybrid PPO, one part left out at a time"))
        print(table(result), file=terminal)


@app.command()
def rounds(
    run: Annotated[Path, typer.Argument(help="A run that has finished its first RL.")],
    overrides: Overrides = None,
    out: Annotated[Path, typer.Option(help="Runs go here; the same again goes on.")] = ROUNDS,
    records: Annotated[Path, typer.Option(help="A small file an arm and seed goes here.")] = ROUNDS
    / "records",
    arms: Annotated[list[str] | None, typer.Option("--arm", help="Only this one; may be repeated.")] = None,
    seeds: Annotated[
        int, typer.Option(min=0, help="Seeds of each arm; 0: only the page of the records.")
    ] = 8,
    rollouts: Annotated[
        int, typer.Option(min=1, help="Rollouts of each arm, its harvest's included.")
    ] = 24576,
) -> None:
    """What a second round is worth: from one RL policy several ways on, each with as many rollouts. A table with
    intervals, a plot and a page. An arm takes some minutes a seed on two cores; docs/rounds.md has the arms' names."""
    from recipes.commands.output.console import plain_console
    from rl.run.output import command_log
    from rl.run.progress import ProgressDisplay

    with command_log(out / "logs" / "driver.log") as terminal:
        from recipes.benchmarks.learning.rounds import ARMS, read_records, run_rounds
        from recipes.benchmarks.learning.rounds_page import page, plot, table

        with ProgressDisplay(plain_console(terminal)) as display:
            run_rounds(
                run,
                out,
                records,
                arms=arms or list(ARMS),
                seeds=range(1, seeds + 1),
                num_rollouts=rollouts,
                overrides=overrides or [],
                display=display,
            )
        done = read_records(records)
        (out / "rounds.html").write_text(page(done, "What the second round is for"))
        (out / "rounds.svg").write_text(plot(done))
        print(table(done), file=terminal)


@app.command()
def selection(
    run: Annotated[Path, typer.Argument(help="A run that has finished its first RL.")],
    overrides: Overrides = None,
    target: Annotated[float, typer.Option(min=0, max=1, help="Held-out pass@1 to be reached.")] = 0.8,
    out: Annotated[Path, typer.Option(help="Runs go here; the same again goes on.")] = SELECTION,
    records: Annotated[Path, typer.Option(help="A small file an arm and seed goes here.")] = SELECTION
    / "records",
    arms: Annotated[list[str] | None, typer.Option("--arm", help="Only this one; may be repeated.")] = None,
    seeds: Annotated[
        int, typer.Option(min=0, help="Seeds of each arm; 0: only the page of the records.")
    ] = 12,
    legs: Annotated[int, typer.Option(min=1, help="Evaluations of each arm.")] = 10,
    steps: Annotated[int, typer.Option(min=1, help="RL steps before each evaluation.")] = 6,
) -> None:
    """Rollouts until a held-out pass@1, each rule of selection against uniform: from the cold-started policy of a run,
    paired by seed. A table with intervals, a plot and a page; docs/selection.md has the arms."""
    from recipes.commands.output.console import plain_console
    from rl.run.output import command_log
    from rl.run.progress import ProgressDisplay
    from verifiers.errors import BadInput

    with command_log(out / "logs" / "driver.log") as terminal:
        from recipes.benchmarks.learning.selection import ARMS, read_records, run_selection
        from recipes.benchmarks.learning.selection_page import page, plot, table

        with ProgressDisplay(plain_console(terminal)) as display:
            run_selection(
                run,
                out,
                records,
                arms=arms or list(ARMS),
                seeds=range(1, seeds + 1),
                num_legs=legs,
                steps=steps,
                overrides=overrides or [],
                display=display,
            )
        done = read_records(records)
        if not done:
            raise BadInput(f"{records} has no record yet: give --seeds")
        (out / "selection.html").write_text(page(done, target, "Which prompts RL should take"))
        (out / "selection.svg").write_text(plot(done, target))
        print(table(done, target), file=terminal)


@app.command()
def scoring(
    run: FinishedRun,
    overrides: Overrides = None,
    runs: Annotated[int, typer.Option(min=1, help="Counted steps of each kind.")] = 9,
) -> None:
    """A reward model's scoring: as rollouts finish, beside after the last of them."""
    from rl.run.output import command_log, scratch_with_logs

    with (
        scratch_with_logs("hone-bench-") as scratch,
        command_log(scratch / "logs" / "driver.log") as terminal,
    ):
        from recipes.benchmarks.hybrid_run import HybridRun
        from recipes.benchmarks.scoring import measure_scoring

        started_from = HybridRun.of(run, overrides or [])
        print(measure_scoring(started_from, num_runs=runs, log_dir=scratch / "logs"), file=terminal)


@app.command()
def verifiers(
    cases: Annotated[int, typer.Option(min=20, help="Cases of the golden table.")] = 300,
    rounds: Annotated[int, typer.Option(min=1, help="Interleaved rounds.")] = 3,
    faults: Annotated[int, typer.Option(min=0, help=FAULTS)] = 0,
) -> None:
    """`math` beside math-verify in one run, then the service with 1 and 2 workers."""
    if faults:
        from verifiers.bench.fault_benchmark import run_with_faults

        print(run_with_faults(faults))
        return
    from rich.table import Table

    from recipes.commands.output.console import plain_console
    from verifiers.bench.benchmark import compare_graders
    from verifiers.bench.service_scaling import measure_scaling

    console = plain_console()
    columns = ("grader", "cases/s", "median ms", "p99 ms", "accuracy", "false positives")
    table = Table(*columns, title=f"{cases} cases, CPU time")
    measured = compare_graders(cases, rounds)
    for one in measured:
        times = f"{one.cases_per_s:.0f}", f"{one.percentile_ms(0.5):.3f}", f"{one.percentile_ms(0.99):.1f}"
        table.add_row(one.name, *times, f"{one.accuracy:.1%}", f"{one.false_positive_frac:.1%}")
    console.print(table)
    console.print(f"ratio of rates: {measured[0].cases_per_s / measured[1].cases_per_s:.1f}")
    console.print(str(measure_scaling(4 * rounds)), highlight=False, soft_wrap=True)
