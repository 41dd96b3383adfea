"""``hone run --dry-run``: what a recipe would do, counted, without starting an engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from rich.table import Table

from recipes.commands.output.console import all_pass, plain_console
from recipes.settings.recipe_file import dump_recipe
from rl.algorithm.algorithm import algorithm_of
from rl.data.curated_prompts import chosen_events, event_logs
from rl.data.preference_pairs import training_of, trains_reward_model
from rl.data.run_data import NOUNS, LoadedSet, own_sets
from rl.engines.placement import Placement
from rl.families.family import load_family, require_whole
from rl.preflight.check import Check, Finding
from rl.preflight.data import check_reading, check_sets
from rl.preflight.environment import check_environment
from rl.preflight.teachers import check_teachers
from rl.preflight.thought import check_thoughts
from rl.preflight.token_limits import comparison_room, response_room
from rl.program import program_of
from rl.recipe.recipe import Recipe
from rl.run.run_directory import RunDirectory
from rl.runner import PlannedStage, plan_of
from sampler.data.data_builder import builder_call
from sampler.rows.dataset_rows import SUFFIXES
from sampler.store.decisions.curation_events import CurationEvent, curation_of
from sampler.store.decisions.event_log import EventLog
from verifiers.counted import counted
from verifiers.errors import near_name


def print_plan(recipe: Recipe) -> bool:
    """One line a stage with the work in it, and whether it is done already; then the checks that need no engine.
    Whether all of them pass.

    Data files are read and checked; what a builder would make is not made. Raises: BadInput where the run directory
    holds a run of another recipe, as the run itself would.
    """
    what = recipe.program.function or counted(recipe.program.rounds, "round")
    run = RunDirectory(Path(recipe.run_dir))
    run.require_recipe(dump_recipe(recipe))
    stages = plan_of(program_of(recipe), recipe, run)
    has_begun = any(stage.is_done for stage in stages)
    table = Table("stage", "work", title=f"{recipe.name}: {what} into {recipe.run_dir}")
    if has_begun:
        table.add_column("state")
    for stage in stages:
        work = _data(recipe) if stage.kind == "prepare" else stage.work
        table.add_row(stage.title, work, *(["done" if stage.is_done else "to do"] if has_begun else []))
    judge = recipe.judging.reward_model
    console, num_gpus = plain_console(), sum(Placement.of(recipe).gpus.values())
    console.print(table)
    console.print(
        f"engines: {counted(recipe.trainer.num_ranks, 'trainer rank')} (ZeRO-{recipe.trainer.zero_stage}), "
        f"{counted(recipe.sampler.num_workers, 'rollout worker')} on {recipe.sampler.device}"
        + (f", {judge.sampler.num_workers} of the reward model" if judge and judge.has_checkpoint else "")
        + (f"; {num_gpus:g} GPUs at once" if num_gpus else "")
    )
    return all_pass(_checks(recipe, stages, run), console)


def _checks(recipe: Recipe, stages: Sequence[PlannedStage], run: RunDirectory) -> Iterator[Check]:
    """Of the files that the recipe names, and of what it says by itself."""
    files = {name: path for name, path in own_sets(recipe).items() if _is_local(path)}
    sets: dict[str, LoadedSet] = {}
    if recipe.data.builder is not None:
        yield Check("data builder", partial(_builder, recipe))
    events: list[CurationEvent] = []
    if recipe.data.curation is not None or event_logs(recipe.data, files):
        yield Check("curation events", partial(_events, recipe, files, events))
    yield from check_reading(recipe, files, sets, own=files, curated=curation_of(events))
    yield from check_sets(recipe, sets, [name for name in files if name not in sets])
    yield from check_environment(recipe)
    if any(stage.kind == "rl" for stage in stages):
        yield Check("the algorithm and its settings", partial(_algorithm, recipe, sets))
    hub = None if recipe.model.path is None else Path(recipe.model.path)
    policy = Check("policy to start from", partial(_policy, recipe, hub))
    yield policy
    if policy.passed:
        train = sets["train"].rows if "train" in sets else None
        yield from check_teachers(recipe, hub, train, stages, run)
        yield from check_thoughts(recipe, sets, hub)
    yield Check("prompts and responses fit", partial(response_room, recipe))
    if recipe.judging.reward_model is not None and recipe.judging.reward_model.has_checkpoint:
        yield Check("comparisons fit the reward model", partial(comparison_room, recipe))


def _builder(recipe: Recipe) -> Finding:
    """The function is there and takes the recipe's options; it is not called."""
    config = recipe.data
    assert config.builder is not None
    builder_call(config.builder, seed=recipe.seed, options=config.builder_options)
    return Finding("ok", f"{config.builder}, called when the run starts")


def _policy(recipe: Recipe, hub: Path | None) -> Finding:
    if hub is not None:
        require_whole(hub)
        return Finding("ok", str(hub))
    load_family(recipe.model.family).require_tiny(recipe.model.tiny)
    return Finding("ok", "a tiny random one")


def _events(recipe: Recipe, files: Mapping[str, str], events: list[CurationEvent]) -> Finding:
    events += chosen_events(recipe.data, files)
    logs = event_logs(recipe.data, files)
    return Finding("ok", f"{counted(len(events), 'event')} in {', '.join(str(log.path) for log in logs)}")


def _algorithm(recipe: Recipe, sets: Mapping[str, LoadedSet]) -> Finding:
    algorithm = algorithm_of(recipe.rl)
    algorithm.check_settings(sets["train"].rows if "train" in sets else ())
    return Finding("ok", f"{algorithm}, {recipe.rl.samples_per_prompt} samples a prompt")


def _data(recipe: Recipe) -> str:
    """One line a set: its file, or who makes it."""
    own = own_sets(recipe)
    builders = dict.fromkeys(("train", "heldout", "cold_start"), recipe.data.builder)
    if trains_reward_model(recipe):
        builders |= dict.fromkeys(
            ("preferences_train", "preferences_heldout"), training_of(recipe).data.builder
        )
    lines = [f"{NOUNS[name]}s: {_origin(own.get(name), made_by)}" for name, made_by in builders.items()]
    beside = [log.path for log in map(EventLog.beside, own.values()) if log.path.is_file()]
    events = dict.fromkeys(map(str, [*beside, *([recipe.data.curation] if recipe.data.curation else [])]))
    return "\n".join([*lines, *([f"as curated by {', '.join(events)}"] if events else [])])


def _origin(file: str | None, builder: str | None) -> str:
    if file is None:
        return f"made by {builder}" if builder else "none"
    if not _is_local(file):
        return f"hub id {file}, not read"
    if Path(file).exists():
        return file
    return f"NOT FOUND {file}{near_name(Path(file).name, [one.name for one in Path(file).parent.glob('*')])}"


def _is_local(path: str) -> bool:
    return Path(path).exists() or Path(path).suffix in SUFFIXES
