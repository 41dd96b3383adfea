"""`hone view RUN_OR_STORE...`: prompts, answers and curves of runs and prompt files in a web browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def view(
    places: Annotated[
        list[Path],
        typer.Argument(metavar="RUN_OR_SET...", help="Run directories or prompt files; the last opens."),
    ],
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8640,
    host: Annotated[
        str,
        typer.Option(help="Where to listen. Other than localhost asks for a token, which the address holds."),
    ] = "127.0.0.1",
    author: Annotated[
        str, typer.Option(help="Who accepts, rejects, tags and corrects. [default: your login name]")
    ] = "",
    open_page: Annotated[bool, typer.Option("--open/--no-open", help="Show it in the web browser.")] = True,
) -> None:
    """Look through prompts and answers, and decide about them: accept, reject, tag, correct. Ctrl-C ends it.

    What is decided is written beside the run or prompt file (curation.jsonl), never into it."""
    from recipes.view.server import ViewServer

    with ViewServer(places, port, host=host, author=author) as server:
        print(f"{server.url}  (Ctrl-C ends it)", flush=True)
        if open_page:
            import webbrowser

            webbrowser.open(server.url)
        try:
            server.serve()
        except KeyboardInterrupt:
            print()
