"""How fast: generation, training and a step beside bare calls and a peer."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from recipes.commands.arguments import FinishedRun, Overrides, RecipeName, RunPath

Policy = Annotated[Path, typer.Option(help="Checkpoint in the hub layout: an early one or a late one.")]


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


def step(run: Annotated[Path, typer.Argument(help="Directory of a run.")]) -> None:
    """What a run's RL steps spent outside generation and training: controller, judging, data, sync."""
    from recipes.benchmarks.overhead import measure_overhead

    typer.echo(str(measure_overhead(run)))


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


def scoring(
    run: FinishedRun,
    overrides: Overrides = None,
    runs: Annotated[int, typer.Option(min=1, help="Counted steps of each kind.")] = 9,
) -> None:
    """A reward model's scoring: as rollouts finish, beside after the last of them."""
    from rl.run.boundary.output import command_log, scratch_with_logs

    with (
        scratch_with_logs("hone-bench-") as scratch,
        command_log(scratch / "logs" / "driver.log") as terminal,
    ):
        from recipes.benchmarks.hybrid_run import HybridRun
        from recipes.benchmarks.scoring import measure_scoring

        started_from = HybridRun.of(run, overrides or [])
        print(measure_scoring(started_from, num_runs=runs, log_dir=scratch / "logs"), file=terminal)
