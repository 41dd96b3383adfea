"""`hone gym list | sample | sheet | build`: drawn questions, to be looked at and as prompt sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Drawn questions of any difficulty: see some, build sets.", no_args_is_help=True)

Seed = Annotated[int, typer.Option(help="Another seed draws other questions.")]
Out = Annotated[Path, typer.Option(help="Where to write.")]
OpenIt = Annotated[bool, typer.Option("--open", help="Show the contact sheet.")]


@app.command("list")
def list_exercises() -> None:
    """Every exercise: what it asks, which verifier judges, how large its pictures are at least."""
    from rich.table import Table

    from recipes.commands.output.console import plain_console
    from recipes.gym.catalogue import EXERCISES

    table = Table("exercise", "asks for", "verifier", "least px, easy to hard")
    for one in EXERCISES.values():
        table.add_row(one.name, one.summary, one.verifier, f"{one.easy_px} to {one.hard_px}")
    plain_console().print(table)


@app.command()
def sample(
    exercise: Annotated[str, typer.Argument(help="Name of an exercise (`hone gym list`).")],
    difficulty: Annotated[float, typer.Option(help="From 0 to 1.")] = 0.5,
    num: Annotated[int, typer.Option(min=1, help="How many questions.")] = 9,
    px: Annotated[int, typer.Option(help="Side of the pictures, where they can be read so small.")] = 112,
    seed: Seed = 0,
    out: Out = Path("gym-sample"),
    open_it: OpenIt = False,
) -> None:
    """Some questions as files: a prompt set (`prompts.jsonl`), its pictures, a contact sheet (`sheet.png`)."""
    import random

    from recipes.commands.output.out_file import require_new_folder
    from recipes.gym.catalogue import exercise_named
    from recipes.gym.contact_sheet import contact_sheet
    from recipes.gym.sample_files import write_sample

    drawn_by = exercise_named(exercise)
    require_new_folder(out)
    rngs = [random.Random(f"gym sample {seed} {index}") for index in range(num)]
    questions = [drawn_by.make(rng, difficulty, px) for rng in rngs]
    write_sample(out, [(drawn_by.prompt(one, difficulty), one) for one in questions])
    _write_sheet(out / "sheet.png", contact_sheet(questions, min(num, 4)), open_it)


@app.command()
def sheet(seed: Seed = 0, out: Out = Path("gym.png"), open_it: OpenIt = False) -> None:
    """One picture of every exercise at three difficulties."""
    import random

    from recipes.gym.catalogue import EXERCISES
    from recipes.gym.contact_sheet import contact_sheet

    cells = [(one, difficulty) for one in EXERCISES.values() for difficulty in (0.0, 0.5, 1.0)]
    questions = [one.make(random.Random(f"gym sheet {seed} {one.name} {at}"), at) for one, at in cells]
    _write_sheet(out, contact_sheet(questions, 6, [f"{one.name} {at}" for one, at in cells]), open_it)


@app.command()
def build(
    out: Annotated[Path, typer.Argument(help="Folder of the sets.")],
    options: Annotated[
        list[str] | None, typer.Argument(help="key=value pairs of recipes.gym:build_gym.")
    ] = None,
) -> None:
    """Prompt sets as a recipe's builder makes them: train, heldout, and where rows are asked for cold_start."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    from recipes.commands.output.out_file import require_new_folder
    from sampler.data.data_builder import build_data
    from verifiers.errors import BadInput

    require_new_folder(out)

    try:
        given = OmegaConf.to_container(OmegaConf.from_dotlist(options or []))
    except OmegaConfBaseException as why:
        raise BadInput(f"options are key=value: {why}") from None
    assert isinstance(given, dict)
    named = {str(key): value for key, value in given.items()}
    for path in build_data("recipes.gym:build_gym", out, seed=0, options=named).values():
        typer.echo(str(path))


def _write_sheet(path: Path, drawn: object, open_it: bool) -> None:
    import webbrowser

    from PIL import Image

    assert isinstance(drawn, Image.Image)
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn.save(path, "PNG", optimize=True)
    typer.echo(str(path))
    if open_it:
        webbrowser.open(path.absolute().as_uri())
