"""`hone view RUN`: a local browser of a run's rollouts, with pictures and verdicts."""

from __future__ import annotations

from typing import Annotated

import typer

from recipes.commands.arguments import RunPath


def view(
    run: RunPath,
    port: Annotated[int, typer.Option(min=0, max=65535, help="On this machine; 0 takes a free one.")] = 8640,
    open_page: Annotated[bool, typer.Option("--open/--no-open", help="Show it in the web browser.")] = True,
) -> None:
    """Look through the rollouts of a run: filter by stage, question type, verdict and reward. Ctrl-C ends it."""
    from recipes.view.rollout_browser import RolloutBrowser

    with RolloutBrowser(run, port) as server:
        print(f"{server.url}  (Ctrl-C ends it)", flush=True)
        if open_page:
            import webbrowser

            webbrowser.open(server.url)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
