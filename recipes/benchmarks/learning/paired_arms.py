"""Every arm of a benchmark under every seed: those that have left no record yet, paired by one first evaluation."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from recipes.benchmarks.learning.arm import ArmRunner
from recipes.benchmarks.learning.first_round import FirstRound
from rl.engines.engines import Engines
from rl.run.progress import ProgressDisplay
from rl.run.results.stage_result import PolicyState
from rl.stages.evaluate import EvaluateStage
from verifiers.errors import BadInput, near_name


@dataclass(frozen=True)
class PairedArm:
    """One to be run: ``start`` is the held-out pass@1 of the policy that all arms of its seed start from."""

    first: FirstRound
    run: ArmRunner
    name: str
    seed: int
    start: float


def missing_arms(
    source: Path,
    out: Path,
    *,
    arms: Sequence[str],
    known: Collection[str],
    seeds: Sequence[int],
    done: Collection[tuple[str, str, int]],
    overrides: Sequence[str],
    display: ProgressDisplay,
    start_of: Callable[[FirstRound], PolicyState],
    stream: str,
) -> Iterator[PairedArm]:
    """Seed by seed; engines are started once, where anything is missing. ``done``: (run, arm, seed) of the records;
    ``stream`` names the random numbers of every evaluation.

    Raises: BadInput for an arm that is not ``known``, and where ``source`` has no policy to start from."""
    for name in arms:
        if name not in known:
            raise BadInput(f"there is no arm {name!r}{near_name(name, known)} (known: {'; '.join(known)})")
    missing = {seed: [name for name in arms if (source.name, name, seed) not in done] for seed in seeds}
    if not any(missing.values()):
        return
    first = FirstRound.of(source, overrides)
    with Engines(first.recipe, first.base, out / "logs", probe=first.data.heldout) as engines:
        arm_of = ArmRunner(first.recipe, first.data, first.base, engines, out, display)
        for seed, names in missing.items():
            if names:
                with arm_of("start", seed, {}) as run:
                    start = run(EvaluateStage(stream=stream), start_of(first)).pass_at_1
            for name in names:
                yield PairedArm(first, arm_of, name, seed, start)
