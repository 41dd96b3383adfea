"""`hone prompts compact`: a run's many small rollout shards as a few."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recipes.commands.arguments import RunPath

if TYPE_CHECKING:
    from sampler.store.compaction import Compaction


def compact(run: RunPath) -> None:
    """Make the rollout log of every complete stage of few files: faster to ask, the same rows.

    It may be stopped at any moment: a log is as it was, or compacted. Whoever reads meanwhile sees either."""
    from recipes.commands.output.console import plain_console
    from rl.run.log_compaction import compact_run
    from verifiers.counted import counted

    console = plain_console()
    done = compact_run(run)
    changed: dict[str, Compaction] = {
        stage: one for stage, one in done.items() if one.num_after < one.num_before
    }
    for stage, one in changed.items():
        files = f"{counted(one.num_before, 'file')} are now {one.num_after:,}"
        console.print(f"{stage}: {files}, {counted(one.num_rows, 'rollout')}", highlight=False)
    if not changed:
        console.print("nothing to compact")
