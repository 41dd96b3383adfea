"""A run's share of a prompt store: where its rollouts and prompt sets lie, and when a response of it is right."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from rl.run.results.manifest import read_manifests
from rl.run.results.stage_result import PrepareResult, ProfileResult, SftResult
from rl.run.run_record import RunRecord
from sampler.data.set_reading import DescribedSet, SetReading
from sampler.rows.dataset_rows import SUFFIXES
from sampler.store.belief import believed
from sampler.store.decisions.event_log import EventLog
from sampler.store.prompt_store import PromptStore, StorePart
from verifiers.errors import BadInput

REJUDGED = "rejudged"  # in a run directory: verdicts on its answers that came later


def store_part(path: str | Path) -> StorePart:
    """Of a run in progress too. Raises: BadInput where there is no run."""
    run = RunRecord.open(path)
    prepared = next(iter(reversed(run.results(PrepareResult))), None)
    named = prepared.paths if prepared else {}
    inside = {split: run.path / named[split] for split in ("train", "heldout") if split in named}
    sets: dict[str, str] = {
        split: str(place) if place.exists() else named[split] for split, place in inside.items()
    }
    beside = (EventLog.beside(DescribedSet.of(place, SetReading()).path_or_hub_id) for place in sets.values())
    obeyed = [run.path / named["curation"]] if "curation" in named else []
    return StorePart(
        run.path.name,
        sorted((run.path / "rollouts").glob("**/*.parquet")),
        sets,
        run.pass_score,
        run.path / "store" / "attempts.parquet",
        sorted((run.path / REJUDGED).glob("*.parquet")),
        [*obeyed, *(log.path for log in beside if log.path.is_file())],
        {one.shown: (one.prompts, one.band) for one in run.results(ProfileResult) if one.prompts.is_file()},
        partial(store_part, run.path),
    ).with_events(EventLog.beside(run.path))


def store_part_of(run_or_set: str | Path) -> StorePart:
    """Of a run, or of a prompt set that no run has sampled yet: its file, its folder or its hub id."""
    path = Path(run_or_set)
    if (path / "stages").is_dir() or (path / "summary.json").is_file():
        return store_part(path)
    if not path.exists() and path.suffix in SUFFIXES:
        raise BadInput(f"there is no run and no prompt set at {path}")
    return StorePart(path.stem, (), {"train": str(path)}).with_events(EventLog.beside(path))


def without_idle_sets(part: StorePart) -> StorePart:
    """The prompt sets of a run are asked only for the revisions of prompts that somebody corrected."""
    return part if any(file.is_file() for file in part.event_files) else replace(part, prompt_sets={})


@dataclass(frozen=True)
class RunPast:
    """What is known of prompts before a stage of the run at ``path`` begins: the rollouts of its stages that are done,
    whatever the stage itself has logged before it was killed; see `rl.experience.prompt_source.Past`."""

    path: Path
    policy_version: int
    right_score: float

    def evidence(self, half_life: float, runs: Sequence[str] = ()) -> dict[str, tuple[float, float]]:
        """An SFT's rollouts validate policies that are mostly thrown away: they are left out.

        Of the run itself by the verdicts of its log alone: what people decide meanwhile, or have judged again,
        changes no stage that is begun again. Raises: BadInput where one of ``runs`` is no run, or has no rollout."""
        done = {one["stage"] for one in read_manifests(self.path) if one["kind"] != SftResult.kind}
        own = store_part(self.path)
        own = replace(
            own,
            rollout_files=[file for file in own.rollout_files if file.parent.name in done],
            prompt_sets={},
            rejudged_files=(),
            event_files=(),
            relist=None,
        )
        parts = [*map(without_idle_sets, map(store_part, runs)), own]
        found: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
        for part in parts:
            if part is parts[-1] and not part.rollout_files:
                continue
            with PromptStore([replace(part, pass_score=self.right_score)]) as store:
                known = believed(store, part.run, half_life=half_life)
            columns = (known[name].to_pylist() for name in ("prompt_id", "num_right", "num_wrong"))
            for name, right, wrong in zip(*columns, strict=True):
                found[name][0] += right
                found[name][1] += wrong
        # Threads add up in any order: rounded, so that a stage that is begun again begins from the same.
        return {name: (round(right, 6), round(wrong, 6)) for name, (right, wrong) in found.items()}
