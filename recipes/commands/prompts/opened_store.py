"""The runs that a command of `hone prompts` is given, and their store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sampler.store.prompt_store import PromptStore

Runs = Annotated[
    list[Path], typer.Argument(metavar="RUN...", help="Run directories; beliefs are those of the last.")
]
HalfLife = Annotated[
    float, typer.Option(min=0.1, help="Policy versions after which a sample counts half for the belief.")
]


@contextmanager
def opened_store(runs: list[Path]) -> Iterator[tuple[PromptStore, str]]:
    """The store of these runs, and the name of the last."""
    from rl.run.run_history import store_part
    from sampler.store.prompt_store import PromptStore

    parts = [store_part(run) for run in runs]
    with PromptStore(parts) as store:
        yield store, parts[-1].run
