"""Prompts that flipped, with their pictures and the answers of both sides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from recipes.report.attempt import Attempt
from recipes.report.comparison import Attempts, ComparedPrompt
from recipes.report.in_force import RunInForce
from recipes.report.prompts.flips import Flip, Flips
from recipes.report.rollout_table import RolloutTable
from recipes.report.shown_prompt import ShownPrompt
from sampler.store.prompt_store import PromptStore

InForce = tuple[RunInForce, RunInForce]  # of the side before, and of the side after


@contextmanager
def opened_sides(flips: Flips) -> Iterator[InForce]:
    """Of stores of their own, which count the rollouts of both sides: to be opened once for all that is shown."""
    with ExitStack() as stack:
        stores = [stack.enter_context(PromptStore([side.part])) for side in (flips.before, flips.after)]
        before, after = (RunInForce.of(store, run) for store in stores for run in store.parts)
        yield before, after


def shown_flips(flips: Flips, chosen: Sequence[Flip], in_force: InForce) -> list[ComparedPrompt]:
    """With question, pictures and the answers of both sides; those whose prompt the data no longer holds are left
    out. Only the files of the log that hold a rollout of one are read."""
    sides = (flips.before, flips.after)
    names = [flip.prompt_id for flip in chosen]
    prompts: dict[str, ShownPrompt] = {}
    attempts: list[dict[str, tuple[Attempt, ...]]] = []
    for side, now in zip(sides, in_force, strict=True):
        held = {file for name in names for file in now.shards(name)}
        files = [file for file in side.shards if file in held]
        with RolloutTable(side.run, side.pass_score, files) as log:
            prompts |= log.prompts([name for name in names if name not in prompts], now.curated)
            logged = {name: [one for one in log.attempts(name) if not one.blind] for name in names}
        attempts.append(now.attempts(logged))
    return [
        ComparedPrompt(
            prompts[name],
            tuple(Attempts(side.label, made[name]) for side, made in zip(sides, attempts, strict=True)),
        )
        for name in names
        if name in prompts
    ]
