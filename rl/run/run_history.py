"""A run's share of a prompt store: where its rollouts and prompt sets lie, and when a response of it is right."""

from __future__ import annotations

from pathlib import Path

from rl.run.run_record import RunRecord
from rl.run.stage_result import PrepareResult
from sampler.store.prompt_store import StorePart


def store_part(path: str | Path) -> StorePart:
    """Of a run in progress too. Raises: BadInput where there is no run."""
    run = RunRecord.open(path)
    prepared = next(iter(reversed(run.results(PrepareResult))), None)
    named = prepared.paths if prepared else {}
    inside = {split: run.path / named[split] for split in ("train", "heldout") if split in named}
    return StorePart(
        run.path.name,
        sorted((run.path / "rollouts").glob("**/*.parquet")),
        {split: str(place) if place.exists() else named[split] for split, place in inside.items()},
        run.pass_score,
        run.path / "store" / "attempts.parquet",
    )
