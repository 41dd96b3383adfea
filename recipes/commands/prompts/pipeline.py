"""`hone prompts pipeline`: a prompt set through the stages of a curation recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recipes.commands.arguments import Overrides

if TYPE_CHECKING:
    from recipes.pipelines.pipeline import Pipeline, StageReport
    from recipes.pipelines.stage import Profiler
    from rl.recipe.profile_config import ProfileConfig
    from sampler.prompt import Prompt

MAX_REASONS = 12


def pipeline(
    name: Annotated[str, typer.Argument(metavar="PIPELINE", help="visual_stem, general, or a YAML file.")],
    prompts: Annotated[str, typer.Argument(metavar="SET", help="Prompt set: a file, or a hub id.")],
    out: Annotated[Path, typer.Option(help="Folder of what comes out; the same again resumes.")],
    overrides: Overrides = None,
    recipe: Annotated[
        str | None, typer.Option(help="Recipe whose engines and judges sample. [default: the pipeline's]")
    ] = None,
    policy: Annotated[
        Path | None, typer.Option(help="Checkpoint that is sampled, in the hub layout.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Apply the rules on text, write nothing, sample nothing.")
    ] = False,
) -> None:
    """Run a curation pipeline: each stage drops or rewrites prompts and says how many for which reason.

    It leaves OUT/prompts.parquet, OUT/history.parquet (what became of the other prompts), OUT/pipeline.json (counts),
    and a run for every stage that samples. key=value pairs are the recipe's."""
    from recipes.pipelines.pipeline import load_pipeline, run_pipeline
    from rl.data.run_data import read_set
    from sampler.store.decisions.event_log import EventLog
    from verifiers.errors import BadInput

    loaded = load_pipeline(name)
    recipe = recipe or loaded.config.recipe
    if loaded.samples_policy and not dry_run and (recipe is None or policy is None):
        missing = " and ".join(
            option for option, given in (("--recipe", recipe), ("--policy", policy)) if given is None
        )
        raise BadInput(f"pipeline {loaded.config.name} samples a policy: give {missing}")
    if recipe is not None and policy is not None:
        _check_profiles(loaded, recipe, overrides or [], prompts, policy, out)
    whole = list(read_set("train", prompts, curated=EventLog.beside(prompts).curated()).rows)
    if dry_run:
        _print_dry(loaded, whole)
        return
    out.mkdir(parents=True, exist_ok=True)
    location = Path(prompts)

    def profiler_of(stage: str) -> Profiler:
        assert recipe is not None or not loaded.samples_policy
        return _StageProfiler(recipe or "", overrides or [], policy, out, stage)

    left = run_pipeline(loaded, whole, out, profiler_of, _print_report)
    typer.echo(f"{len(left):,} of {len(whole):,} prompts of {location.name} in {out / 'prompts.parquet'}")
    if not left:
        raise BadInput(f"no prompt is left: {out / 'pipeline.json'} says which stage dropped them")


def _check_profiles(
    loaded: Pipeline, recipe: str, overrides: list[str], prompts: str, policy: Path, out: Path
) -> None:
    """Before the first of them has sampled for an hour. Raises: BadInput naming the stage."""
    from recipes.commands.prompts.profile import profile_recipe
    from verifiers.errors import BadInput

    for name, stage in loaded.stages:
        if stage.profile is not None:
            try:
                profile_recipe(recipe, overrides, prompts, policy, stage.profile, out)
            except BadInput as why:
                raise BadInput(f"stage {name}: {why}") from why


class _StageProfiler:
    """Samples the prompts that have come to a stage, in a run under OUT/runs/."""

    def __init__(self, recipe: str, overrides: list[str], policy: Path | None, out: Path, stage: str) -> None:
        self.recipe = recipe
        self.overrides = overrides
        self.policy = policy
        self.out = out
        self.stage = stage

    def __call__(self, prompts: Sequence[Prompt], config: ProfileConfig) -> Mapping[str, Mapping[str, Any]]:
        import pyarrow.parquet as pq

        from recipes.commands.output.console import plain_console
        from recipes.commands.prompts.profile import profile_recipe, run_profile, unreadable_note

        if not prompts:
            return {}
        settings = profile_recipe(
            self.recipe,
            self.overrides,
            str(self._set_of(prompts)),
            self.policy,
            config,
            self.out / "runs" / self.stage,
        )
        result = run_profile(settings, quiet=True)
        if note := unreadable_note(result):
            plain_console().print(f"! {note}", highlight=False)
        return {row["prompt_id"]: row for row in pq.read_table(result.prompts).to_pylist()}

    def _set_of(self, prompts: Sequence[Prompt]) -> Path:
        """The prompts as a set of their own; one that is there is left as it is, and its run with it."""
        import pyarrow.parquet as pq

        from sampler.data.prompt_dataset import save_prompts

        path, ids = self.out / "sets" / f"{self.stage}.parquet", [prompt.prompt_id for prompt in prompts]
        if not path.is_file() or pq.read_table(path, columns=["prompt_id"])["prompt_id"].to_pylist() != ids:
            path.parent.mkdir(parents=True, exist_ok=True)
            save_prompts(path, prompts)
        return path


def _print_report(report: StageReport) -> None:
    from recipes.commands.output.console import plain_console

    console = plain_console()
    rewritten = f", {report.num_rewritten:,} rewritten" if report.num_rewritten else ""
    console.print(
        f"{report.stage}: {report.num_in:,} in, {report.num_kept:,} kept{rewritten}", highlight=False
    )
    for reason, count in list(report.reasons.items())[:MAX_REASONS]:
        console.print(f"  dropped, {reason}: {count:,}", highlight=False)
    for warning in report.warnings[:MAX_REASONS]:
        console.print(f"! {warning}", highlight=False)


def _print_dry(loaded: Pipeline, prompts: Sequence[Prompt]) -> None:
    """The rules applied; of a stage that samples, what it would be given at most."""
    from recipes.commands.output.console import plain_console
    from recipes.pipelines.pipeline import report_of
    from verifiers.counted import counted

    console, left = plain_console(), list(prompts)

    def nothing(prompts: Sequence[Prompt], config: ProfileConfig) -> Mapping[str, Mapping[str, Any]]:
        raise AssertionError("a dry run samples nothing")

    for name, stage in loaded.stages:
        if stage.samples_policy:
            samples = getattr(stage, "samples", 0)
            at_most = f"at most {counted(len(left), 'prompt')} x {counted(samples, 'sample')}"
            console.print(f"{name}: {stage.work()}: {at_most}", highlight=False)
            continue
        outcome = stage.apply(left, nothing)
        _print_report(report_of(name, left, outcome))
        left = list(outcome.kept)
