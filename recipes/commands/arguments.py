"""Arguments that several commands take, in the same words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

RecipeName = Annotated[str, typer.Argument(help="Recipe file, or the name of one in recipes/.")]
Overrides = Annotated[list[str] | None, typer.Argument(help="key=value pairs over the recipe's.")]
RunPath = Annotated[
    Path,
    typer.Argument(metavar="RUN", help="Run directory, such as runs/digits; it may still be in progress."),
]
FinishedRun = Annotated[
    Path, typer.Argument(help="A finished hybrid run: its SFT policy, reward model and data.")
]
CaseTable = Annotated[Path | None, typer.Option(help="Its case table (JSONL), if not in the usual place.")]
VerifierName = Annotated[str, typer.Argument(help="Kind, plug-in name or package.module:Name.")]
