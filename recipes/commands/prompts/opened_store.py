"""The runs that a command of `hone prompts` is given, and their store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from sampler.store.prompt_store import PromptStore

Runs = Annotated[
    list[Path], typer.Argument(metavar="RUN...", help="Run directories; beliefs are those of the last.")
]
RunOrSet = Annotated[
    Path,
    typer.Argument(
        metavar="RUN_OR_FILE", help="A run directory, or a prompt set that no run has sampled yet."
    ),
]
PromptId = Annotated[str, typer.Argument(help="The prompt's id, or the beginning of it.")]
HalfLife = Annotated[
    float, typer.Option(min=0.1, help="Policy versions after which a sample counts half for the belief.")
]


@contextmanager
def opened_store(runs: list[Path]) -> Iterator[tuple[PromptStore, str]]:
    """The store of these runs, and the name of the last."""
    from rl.run.run_history import store_part
    from sampler.store.prompt_store import PromptStore
    from verifiers.errors import BadInput

    for run in runs:
        if run.is_file():
            raise BadInput(
                f"{run} is a file, and this asks what runs have sampled: give run directories (`hone prompts profile` "
                "makes one of a prompt set; `hone view` and `hone prompts review` and `export` take sets as they are)"
            )
    parts = [store_part(run) for run in runs]
    with PromptStore(parts) as store:
        yield store, parts[-1].run


@contextmanager
def opened(run_or_set: Path, *beside: Path) -> Iterator[tuple[PromptStore, str]]:
    """The store of one run, or of a prompt set, and its name in it; the runs ``beside`` it can be asked too."""
    from rl.run.run_history import store_part, store_part_of
    from sampler.store.prompt_store import PromptStore

    part = store_part_of(run_or_set)
    with PromptStore([*map(store_part, beside), part], may_lack_rollouts=True) as store:
        yield store, part.run


def whole_id(store: PromptStore, beginning: str) -> str:
    """The id of the one prompt whose id begins so. Raises: BadInput where there is none, or several."""
    from verifiers.errors import BadInput

    # A prefix as a range: "%" and "_" in an id are no wildcards.
    ids: list[str] = store.query(
        "SELECT DISTINCT prompt_id FROM (SELECT prompt_id FROM prompts UNION ALL SELECT prompt_id FROM rollouts) "
        "WHERE starts_with(prompt_id, ?) ORDER BY prompt_id LIMIT 2",
        [beginning],
    )["prompt_id"].to_pylist()
    if not ids or (len(ids) > 1 and ids[0] != beginning):
        raise BadInput(
            f"{'no prompt has' if not ids else 'several prompts have'} an id that begins with {beginning!r}"
        )
    return ids[0]


def row_of(store: PromptStore, prompt_id: str) -> dict[str, Any]:
    """What a prompt set says of the prompt. Raises: BadInput where no set has it."""
    from verifiers.errors import BadInput

    rows: list[dict[str, Any]] = store.query(
        "SELECT * FROM prompts WHERE prompt_id = ? LIMIT 1", [prompt_id]
    ).to_pylist()
    if not rows:
        raise BadInput(f"prompt {prompt_id} was sampled, but no prompt set has it")
    return rows[0]
