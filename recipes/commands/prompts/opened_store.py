"""The runs that a command of `hone prompts` is given, and their store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
def opened_store(runs: list[Path], out: Path | None = None) -> Iterator[tuple[PromptStore, str]]:
    """The store of these runs, and the name of the last. ``out`` is a Parquet file that will be written: none that is
    read."""
    from recipes.commands.output.out_file import require_out
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
    sets = [Path(place) for part in parts for place in part.prompt_sets.values()]
    require_out(out, ".parquet", inputs=sets)
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


# By the counts, not by the log. A prefix as it stands: "%" and "_" in an id are no wildcards.
_BEGINNING = """
    SELECT beginning, min(prompt_id) AS first, count(*) AS num
    FROM (SELECT DISTINCT unnest(?) AS beginning) JOIN (
        SELECT prompt_id FROM prompts UNION SELECT prompt_id FROM attempts UNION SELECT prompt_id FROM blind_attempts
    ) ON starts_with(prompt_id, beginning) GROUP BY beginning
"""


def whole_ids(store: PromptStore, beginnings: Sequence[str]) -> list[str]:
    """The ids of the prompts whose ids begin so, one for each. Raises: BadInput where one begins none, or several."""
    from verifiers.errors import BadInput

    found = {row["beginning"]: row for row in store.query(_BEGINNING, [list(beginnings)]).to_pylist()}
    for one in beginnings:
        if one not in found or (found[one]["num"] > 1 and found[one]["first"] != one):
            raise BadInput(
                f"{'several prompts have' if one in found else 'no prompt has'} an id that begins with {one!r}"
            )
    return [found[one]["first"] for one in beginnings]


def rows_of(store: PromptStore, prompt_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """By id what a prompt set says of each prompt. Raises: BadInput where no set has one."""
    from verifiers.errors import BadInput

    asked = "SELECT * FROM prompts WHERE list_contains(?, prompt_id)"
    found = {row["prompt_id"]: row for row in store.query(asked, [list(prompt_ids)]).to_pylist()[::-1]}
    if missing := next((one for one in prompt_ids if one not in found), None):
        raise BadInput(f"prompt {missing} was sampled, but no prompt set has it")
    return {one: found[one] for one in prompt_ids}


def row_of(store: PromptStore, prompt_id: str) -> dict[str, Any]:
    """``rows_of`` one."""
    return rows_of(store, [prompt_id])[prompt_id]
