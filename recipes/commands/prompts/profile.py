"""`hone prompts profile`: a policy's pass rates on a prompt set, with as few samples as decide."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recipes.commands.arguments import Overrides, RecipeName

if TYPE_CHECKING:
    from rich.console import Console

    from rl.recipe.profile_config import ProfileConfig
    from rl.recipe.recipe import ProfileRecipe
    from rl.run.results.stage_result import ProfileResult

BAR_WIDTH = 40
NUM_BINS = 10
SHOWN_WORDS = {"whole": "", "blind": " without pictures", "caption": " with captions for pictures"}
FEW_SAMPLES = 10  # of the middle prompt: under so many a believed rate is mostly the prior's


def profile(
    recipe: RecipeName,
    prompts: Annotated[str, typer.Argument(metavar="SET", help="Prompt set: a file, or a hub id.")],
    overrides: Overrides = None,
    policy: Annotated[
        Path | None, typer.Option(help="Checkpoint in the hub layout. [default: policy of the recipe's run]")
    ] = None,
    samples: Annotated[int, typer.Option(min=1, help="Samples of a prompt, at most.")] = 16,
    band: Annotated[
        tuple[float, float],
        typer.Option(help="Decide whether a pass rate is above the one, up to the other."),
    ] = (0.1, 0.75),
    per_pass: Annotated[
        int, typer.Option(min=1, help="Samples between two decisions; as many as --samples: no early stop.")
    ] = 2,
    sureness: Annotated[
        float, typer.Option(help="A prompt stops when all samples would so surely decide the same.")
    ] = 0.92,
    blind: Annotated[
        bool, typer.Option("--blind", help="Then once more without pictures and films.")
    ] = False,
    captions: Annotated[
        str | None,
        typer.Option(help="Then with captions for pictures: a file (prompt_id, caption), or `policy`."),
    ] = None,
    caption_tokens: Annotated[int, typer.Option(min=1, help="Of a caption that the policy writes.")] = 512,
    out: Annotated[Path | None, typer.Option(help="The run to write. [default: runs/profile-SET]")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what there is to do; run nothing.")] = False,
) -> None:
    """Sample a policy on a prompt set, judged as in RL, and write a run that every `hone prompts` command opens.

    In passes of a few samples: a prompt is left alone once they decide whether its pass rate lies in the band. Run it
    again to go on after a stop."""
    from pydantic import ValidationError

    from rl.recipe.profile_config import ProfileConfig
    from verifiers.errors import BadInput

    shown = ("whole", *(["blind"] if blind else []), *([] if captions is None else ["caption"]))
    own = None if captions in (None, "policy") else str(captions)
    if own is not None and not Path(own).is_file():
        raise BadInput(f"--captions {own}: no such file; `--captions policy` has the policy write them")
    try:
        config = ProfileConfig(
            samples=samples,
            pass_samples=min(per_pass, samples),
            band=band,
            sureness=sureness,
            shown=shown,
            caption_tokens=caption_tokens,
            captions=own and str(Path(own).absolute()),
        )
    except ValidationError as why:
        first = why.errors()[0]
        key = "".join(f"{name}: " for name in first["loc"])
        raise BadInput(key + str(first["msg"]).removeprefix("Value error, ")) from None
    settings = profile_recipe(recipe, overrides or [], prompts, policy, config, out)
    if dry_run:
        raise typer.Exit(0 if print_profile_plan(settings) else 1)
    run_profile(settings)


def profile_recipe(
    recipe: str,
    overrides: list[str],
    prompts: str,
    policy: Path | None,
    config: ProfileConfig,
    out: Path | None,
) -> ProfileRecipe:
    """The recipe's engines and judges on this set. Raises: BadInput where policy or recipe is not there, and where
    captions leave no room for prompts."""
    from recipes.settings.recipe_file import load_recipe
    from rl.data.token_limits import require_caption_room
    from rl.experience.scorer import reward_model_path
    from rl.recipe.recipe import ProfileRecipe
    from verifiers.errors import BadInput

    settings = load_recipe(recipe, overrides)
    require_caption_room(settings, config)
    hub = policy or Path(settings.run_dir) / "policy"
    if not (hub / "config.json").is_file():
        raise BadInput(f"no policy at {hub}: give --policy a checkpoint directory in the hub layout")
    place = Path(prompts)
    if out is None:
        out = Path("runs") / f"profile-{place.stem if place.exists() else place.name}"
    judge = reward_model_path(settings.judging, Path(settings.run_dir).absolute())
    return ProfileRecipe.of(
        settings,
        config,
        prompts=str(place.absolute()) if place.exists() else prompts,
        policy=str(hub.resolve()),
        run_dir=str(out),
        reward_model=None if judge is None else str(judge),
    )


def run_profile(settings: ProfileRecipe, *, quiet: bool = False) -> ProfileResult:
    """Run it, or go on with it, and unless it is to be quiet print what was found. What the last stage left."""
    from recipes.commands.output.held_run import held_run
    from recipes.programs.profile_prompts import program

    with held_run(settings, other_key="--out") as (run, display):
        display.note(f"{settings.run_dir}: loading the engines, which takes up to a minute")
        from rl.program import run_program
        from rl.run.results.manifest import results_of
        from rl.run.results.stage_result import ProfileResult

        run_program(settings, run, display, program)
        results = [one for one in results_of(run.path) if isinstance(one, ProfileResult)]
        if not quiet:
            for result in results:
                print_profile(display.console, result)
            display.console.print(f"hone prompts stats {settings.run_dir}", highlight=False)
    return results[-1]


def print_profile_plan(settings: ProfileRecipe) -> bool:
    """What there is to do, and the checks of the set that need no engine. Whether all of them pass."""
    from rich.table import Table

    from recipes.commands.output.console import all_pass, plain_console
    from recipes.programs.profile_prompts import program
    from recipes.settings.recipe_file import dump_recipe
    from rl.data.curated_prompts import chosen_events
    from rl.data.run_data import LoadedSet
    from rl.preflight.data import check_reading
    from rl.run.run_directory import RunDirectory
    from rl.runner import plan_of
    from sampler.store.decisions.curation_events import curation_of
    from verifiers.counted import counted

    table = Table("stage", "work", "state", title=f"{settings.data.train_prompts} into {settings.run_dir}")
    run = RunDirectory(Path(settings.run_dir))
    run.require_recipe(dump_recipe(settings), other_key="--out")
    for stage in plan_of(program, settings, run):
        table.add_row(stage.title, stage.work, "done" if stage.is_done else "to do")
    console, sets = plain_console(), dict[str, LoadedSet]()
    console.print(table)
    location = str(settings.data.train_prompts)
    curated = curation_of(chosen_events(settings.data, {"train": location}))
    if not all_pass(
        check_reading(settings, {"train": location}, sets, own=("train",), curated=curated), console
    ):
        return False
    prompts, ways = sets["train"].rows, settings.profile.shown
    showing = sum(bool(prompt.vision_inputs) for prompt in prompts) if ways != ("whole",) else 0
    num_asked = sum(len(prompts) if shown == "whole" else showing for shown in ways)
    written = "caption" in ways and settings.profile.captions is None
    captions = f" and {counted(showing, 'caption')}" if written else ""
    rollouts = f"{num_asked * settings.profile.samples:,} rollouts{captions}"
    console.print(f"at most {rollouts} of {settings.model.path}")
    return True


def print_profile(console: Console, result: ProfileResult) -> None:
    """How many prompts lie where, what stopping early saved, and the believed pass rates as a histogram."""
    from statistics import median

    import pyarrow.parquet as pq

    from verifiers.counted import counted

    console.print(f"{counted(result.num_prompts, 'prompt')}{SHOWN_WORDS[result.shown]}", highlight=False)
    low, high = result.band
    names = {
        "below": f"too hard, up to {low:.0%}",
        "inside": f"inside, above {low:.0%} and up to {high:.0%}",
        "above": f"too easy, above {high:.0%}",
        "undecided": "undecided: nothing was judged",
    }
    for decision, count in result.decisions.items():
        if count or decision != "undecided":
            console.print(f"  {names[decision]}: {count:,}", highlight=False)
    for words, count in {
        "not asked, they show nothing": result.num_not_asked,
        "dropped, too long for the sampler": result.num_dropped,
        "rollouts that no judge decided": result.num_unjudged,
    }.items():
        if count:
            console.print(f"  {words}: {count:,}", highlight=False)
    if note := unreadable_note(result):
        console.print(f"! {note}", highlight=False)
    table = pq.read_table(result.prompts, columns=["n", "mean"]).to_pylist()
    print_histogram(console, [row["mean"] for row in table if row["n"]])
    samples = [row["n"] for row in table if row["n"]]
    if note := few_samples_note(median(samples) if samples else None):
        console.print(note)
    console.print(f"each prompt: {result.prompts}", highlight=False)


def unreadable_note(result: ProfileResult) -> str:
    """What pass rates are worth where most answers have no readable form; nothing elsewhere."""
    from verifiers.counted import counted

    if not result.mostly_unreadable:
        return ""
    return (
        f"{result.num_unreadable:,} of {counted(result.num_rollouts, 'answer')}{SHOWN_WORDS[result.shown]} have no "
        "readable form and are wrong by that alone: these pass rates measure the form, not what the policy knows"
    )


def few_samples_note(middle: float | None) -> str:
    """What a histogram of believed pass rates is worth where most of the prompts tried have few samples, ``middle`` of
    them in the median; nothing elsewhere."""
    if middle is None or middle >= FEW_SAMPLES:
        return ""
    return (
        f"half of the prompts have at most {middle:g} samples: their rates take few values and are drawn towards 50%, "
        "so bars and gaps come from that"
    )


def print_histogram(console: Console, rates: list[float]) -> None:
    """Believed pass rates in ten bars."""
    counts = [0] * NUM_BINS
    for rate in rates:
        counts[min(int(rate * NUM_BINS), NUM_BINS - 1)] += 1
    console.print("believed pass rate")
    for place, count in enumerate(counts):
        bar = "#" * round(BAR_WIDTH * count / max(counts)) if count else ""
        bounds = f"{place / NUM_BINS:4.0%} to {(place + 1) / NUM_BINS:4.0%}"
        console.print(f"  {bounds} {count:8,} {bar}", highlight=False)
