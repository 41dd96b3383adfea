"""``hone bench``: how close generation and training come to the bare engines, as ratios of interleaved runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="How close generation and training come to the bare engines.", no_args_is_help=True)


@app.command()
def generation(
    recipe: Annotated[str, typer.Argument(help="Recipe whose sampler section is measured.")] = "digits_cpu",
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value pairs over the recipe's.")] = None,
    runs: Annotated[int, typer.Option(min=1, help="Counted runs of each contender.")] = 7,
) -> None:
    """The pool against one bare vllm.LLM.generate call over the same requests."""
    from recipes.benchmarks.workload import Workload
    from recipes.recipe_file import load_recipe

    with Workload(load_recipe(recipe, overrides or [])) as workload:
        from recipes.benchmarks.generation import measure_generation

        result = measure_generation(
            workload.model_path,
            workload.recipe.sampler,
            workload.prompts,
            workload.plan,
            num_runs=runs,
            log_dir=workload.log_dir,
        )
        workload.say(str(result))


@app.command()
def training(
    recipe: Annotated[str, typer.Argument(help="Recipe whose trainer section is measured.")] = "digits_cpu",
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value pairs over the recipe's.")] = None,
    runs: Annotated[int, typer.Option(min=1, help="Counted runs of each contender.")] = 9,
) -> None:
    """A training step against a bare DeepSpeed loop over the same micro-batches."""
    from recipes.benchmarks.workload import Workload
    from recipes.recipe_file import load_recipe

    with Workload(load_recipe(recipe, overrides or [])) as workload:
        from recipes.benchmarks.training import measure_training

        result = measure_training(
            workload.recipe,
            workload.model_path,
            workload.sft_batch(),
            num_runs=runs,
            log_dir=workload.log_dir,
        )
        workload.say(str(result))


@app.command()
def step(
    run: Annotated[Path, typer.Argument(help="Directory of a run.")],
) -> None:
    """What a run's RL steps spent outside generation and training: controller, judging, data, sync."""
    from recipes.benchmarks.overhead import measure_overhead

    typer.echo(str(measure_overhead(run)))
