"""How much an SFT after RL makes a policy forget, by what its rows are and how many.

    hone bench forgetting runs/digits_cpu

From one RL policy an SFT on N rows of one source, then an evaluation; no RL follows. A source, a number and a seed
leave a record, a small JSON file; table, plot and page are made of records alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from recipes.benchmarks.learning.arm import slug_of
from recipes.benchmarks.learning.first_round import FirstRound
from recipes.benchmarks.learning.paired_arms import missing_arms
from rl.run.progress import ProgressDisplay
from rl.run.provenance import code_version
from rl.runner import StageRunner
from rl.stages.evaluate import EvaluateStage
from rl.stages.supervised.sft import SftStage
from sampler.atomic_file import write_atomically
from verifiers.errors import BadInput, near_name

STREAM = "forgetting"  # of random numbers: every evaluation asks the same
KL_COEF, MIN_RATIO = 1.0, 0.2
NUM_ROWS = (125, 250, 500, 1000, 2000)


def _cold_start(frac: float) -> dict[str, Any]:
    return {"later_cold_start_frac": frac}


def _left_by_rl(frac: float) -> dict[str, Any]:
    return {"later_cold_start_frac": frac, "later_cold_start_min_ratio": MIN_RATIO}


def _right_rollouts(num_rows: int) -> dict[str, Any]:
    return {"later_cold_start_frac": 0.0, "later_replay_rows": num_rows}


# Keys of ``sft`` that all sources share: what a run's own recipe says of a later SFT is left out.
PLAIN: Mapping[str, Any] = {
    "start_from": "previous",
    "later_lr": 5e-4,
    "later_epochs": 1.0,
    "later_cold_start_frac": 1.0,
    "later_cold_start_min_ratio": None,
    "later_kl_coef": 0.0,
    "later_replay_rows": None,
    "later_validation_prompts": None,
}
# What the rows are: keys of ``sft`` by the number of rows asked for and their share of the cold start.
SOURCES: Mapping[str, Callable[[int, float], dict[str, Any]]] = {
    "cold start": lambda num, frac: _cold_start(frac),
    "cold start, KL": lambda num, frac: {**_cold_start(frac), "later_kl_coef": KL_COEF},
    "cold start that RL left": lambda num, frac: _left_by_rl(frac),
    "right rollouts of RL": lambda num, frac: _right_rollouts(num),
    "right rollouts of RL, KL": lambda num, frac: {**_right_rollouts(num), "later_kl_coef": KL_COEF},
}


@dataclass(frozen=True)
class ForgettingRecord:
    """Held-out pass@1 before and after an SFT on ``num_rows`` rows, and the loss of right rollouts of the RL before it
    (nats a token), which tells what is forgotten. ``asked`` rows are fewer where a source has no more or chooses."""

    run: str
    source: str
    asked: int
    seed: int
    num_rows: int
    before: float
    after: float
    replay_loss_before: float
    replay_loss_after: float
    code_version: str

    def save(self, directory: Path) -> None:
        """As ``RUN-SOURCE-ASKED-sSEED.json``."""
        name = f"{self.run}-{slug_of(arm_of(self.source, self.asked), self.seed)}.json"
        write_atomically(directory / name, json.dumps(asdict(self), indent=1) + "\n")


def read_records(directory: Path) -> list[ForgettingRecord]:
    """Every record there is, in the order of their files."""
    return [ForgettingRecord(**json.loads(file.read_text())) for file in sorted(directory.glob("*.json"))]


def arm_of(source: str, asked: int) -> str:
    """
    >>> arm_of("cold start", 500)
    'cold start 500'
    """
    return f"{source} {asked}"


def run_forgetting(
    source: Path,
    out: Path,
    records: Path,
    *,
    sources: Sequence[str],
    numbers: Sequence[int],
    seeds: Sequence[int],
    overrides: Sequence[str],
    display: ProgressDisplay,
) -> None:
    """Run every source, number of rows and seed that has no record yet.

    Raises: BadInput for an unknown source, and where ``source`` has no RL policy."""
    unknown = next((name for name in sources if name not in SOURCES), None)
    if unknown is not None:
        raise BadInput(
            f"there are no rows {unknown!r}{near_name(unknown, SOURCES)} (known: {'; '.join(SOURCES)})"
        )
    records.mkdir(parents=True, exist_ok=True)
    known = {arm_of(name, num): (name, num) for name in SOURCES for num in numbers}
    missing = missing_arms(
        source,
        out,
        arms=[arm_of(name, num) for name in sources for num in numbers],
        known=known,
        seeds=seeds,
        done={(one.run, arm_of(one.source, one.asked), one.seed) for one in read_records(records)},
        overrides=overrides,
        display=display,
        start_of=lambda first: first.policy,
        stream=STREAM,
    )
    for arm in missing:
        name, asked = known[arm.name]
        keys = SOURCES[name](asked, min(1.0, asked / max(1, len(arm.first.data.cold_start))))
        with arm.run(arm.name, arm.seed, {"sft": {**PLAIN, **keys}}) as run:
            record = forgotten(run, arm.first, name, asked, arm.start)
        replace(record, run=source.name).save(records)


def forgotten(
    run: StageRunner, first: FirstRound, source: str, asked: int, before: float
) -> ForgettingRecord:
    """The SFT, from the RL policy whose held-out pass@1 was ``before``, and an evaluation.

    Raises: BadInput where RL left no right rollouts to measure by."""
    trained = run(SftStage(1, (), first.cold_started), first.policy)
    if trained.replay_loss_before is None or trained.replay_loss_after is None:
        raise BadInput(
            f"{first.policy.stage} left no right rollouts to measure by: its log is gone, too few prompts were right, "
            "or all are longer than sampler.max_model_len"
        )
    after = run(EvaluateStage(1, after="sft", stream=STREAM), trained.policy)
    return ForgettingRecord(
        run=first.policy.stage,
        source=source,
        asked=asked,
        seed=run.recipe.seed,
        num_rows=sum(trained.num_rows.values()),
        before=before,
        after=after.pass_at_1,
        replay_loss_before=trained.replay_loss_before,
        replay_loss_after=trained.replay_loss_after,
        code_version=code_version(),
    )
