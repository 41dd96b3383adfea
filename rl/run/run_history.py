"""A run's share of a prompt store: where its rollouts and prompt sets lie, and when a response of it is right."""

from __future__ import annotations

from pathlib import Path

from rl.run.run_record import RunRecord
from rl.run.stage_result import PrepareResult
from sampler.rows.dataset_rows import SUFFIXES
from sampler.store.curation_events import EventLog
from sampler.store.prompt_store import StorePart
from verifiers.errors import BadInput

REJUDGED = "rejudged"  # in a run directory: verdicts on its answers that came later


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
        sorted((run.path / REJUDGED).glob("*.parquet")),
        [run.path / prepared.paths["curation"]] if prepared and "curation" in prepared.paths else [],
    ).with_events(EventLog.beside(run.path))


def store_part_of(run_or_set: str | Path) -> StorePart:
    """Of a run, or of a prompt set that no run has sampled yet: its file, its folder or its hub id."""
    path = Path(run_or_set)
    if (path / "stages").is_dir() or (path / "summary.json").is_file():
        return store_part(path)
    if not path.exists() and path.suffix in SUFFIXES:
        raise BadInput(f"there is no run and no prompt set at {path}")
    return StorePart(path.stem, (), {"train": str(path)}).with_events(EventLog.beside(path))
