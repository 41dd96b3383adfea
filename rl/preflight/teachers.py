"""Preflight of distillation: every teacher is there, fits the policy and says something else than it does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rl.algorithm.distillation import ALL, Distillation, of_prompt, teacher_advantages
from rl.data.batch import Batch
from rl.experience.training_batch import rollout_sequence
from rl.families.family import require_whole
from rl.preflight.check import Check, Finding
from rl.recipe.recipe import Recipe
from rl.run.run_directory import RunDirectory
from rl.runner import PlannedStage
from rl.stages.distill import DistillStage, require_teacher, teacher_hub
from sampler.prompt import Prompt
from verifiers.counted import counted
from verifiers.errors import near_name

if TYPE_CHECKING:
    from rl.engines.engines import Engines

PROMPTS, SAMPLES = 32, 4  # what the self-test samples
ROUNDING = {"float32": 1e-5, "bfloat16": 1e-2}  # of a log-probability that is computed twice


def check_teachers(
    recipe: Recipe,
    policy: Path | None,
    prompts: Sequence[Prompt] | None,
    plan: Sequence[PlannedStage],
    run: RunDirectory,
) -> Iterator[Check]:
    """Checks that need no engine, of the teachers that the recipe names, where a stage asks them. ``policy``: what they
    are to teach, on ``prompts``; None: not there yet."""
    if recipe.distillation.teachers:
        asked = _named_teachers(recipe, plan)
        yield Check("teachers", partial(_are_there, recipe, policy, plan, run) if asked else _not_asked)
        if asked and prompts is not None:
            yield Check("what teachers teach", partial(_have_prompts, recipe, prompts))


def check_teaching(
    recipe: Recipe,
    engines: Engines,
    prompts: Sequence[Prompt],
    plan: Sequence[PlannedStage],
    run: RunDirectory,
) -> Iterator[Check]:
    """The self-test, with sampler and trainer, where a stage of the program distils."""
    named = set(_named_teachers(recipe, plan).values())
    if named or _first_distillation(plan) < len(plan):
        there = sorted(named - {stage.name for stage in plan if not stage.is_done})
        hubs = [teacher_hub(name, run) for name in there]
        yield Check("a teacher teaches", partial(_teaches, recipe, engines, prompts, hubs))


def _first_distillation(plan: Sequence[PlannedStage]) -> int:
    """Its index in the plan; the plan's length where there is none."""
    return next((index for index, stage in enumerate(plan) if _distils(stage)), len(plan))


def _distils(stage: PlannedStage) -> bool:
    return stage.name.split("-")[1] == DistillStage.stream


def _named_teachers(recipe: Recipe, plan: Sequence[PlannedStage]) -> Mapping[str, str]:
    """The recipe's by question type; none where the program hands every stage of distillation its own."""
    handed = [bool(stage.inputs.get("teachers")) for stage in plan if _distils(stage)]
    return {} if handed and all(handed) else recipe.distillation.teachers


def _not_asked() -> Finding:
    return Finding(
        "warning",
        "distillation.teachers is not asked: the program hands each stage of distillation its own; leave it out",
    )


def _are_there(
    recipe: Recipe, policy: Path | None, plan: Sequence[PlannedStage], run: RunDirectory
) -> Finding:
    teachers, gib, found = recipe.distillation.teachers, 0.0, dict[str, str]()
    coming = {stage.name for stage in plan[: _first_distillation(plan)] if not stage.is_done}
    for name in dict.fromkeys(teachers.values()):
        if name in coming:
            found[name] = f"{name}, still to come"
            continue
        hub = teacher_hub(name, run)
        require_whole(hub)
        if policy is not None:
            require_teacher(hub, policy)
        size = sum(file.stat().st_size for file in hub.glob("*.safetensors")) / 2**30
        gib, found[name] = gib + size, name
    who = ", ".join(f"{key}: {found[name]}" for key, name in teachers.items())
    ranks = counted(recipe.trainer.num_ranks, "rank")
    where = f"parted among {ranks}" if recipe.trainer.zero_stage == 3 else f"whole on each of {ranks}"
    return Finding("ok", f"{who}; {gib:.2g} GiB of weights that are there, {where}")


def _have_prompts(recipe: Recipe, prompts: Sequence[Prompt]) -> Finding:
    """Fails where a stage of distillation would: on prompts that nobody teaches."""
    config = recipe.distillation
    if not config.reward_coef:
        Distillation(recipe.rl, config, config.teachers).check(prompts)
    known = {prompt.kind for prompt in prompts} | {tag for prompt in prompts for tag in prompt.tags[:1]}
    for key in config.teachers:
        if key not in (*known, ALL):
            return Finding(
                "warning",
                f"no training prompt is of the type or kind {key!r}{near_name(key, [*known, ALL])}: its teacher is "
                "asked nothing",
            )
    num_taught = sum(bool(of_prompt(prompt, config.teachers)) for prompt in prompts)
    return Finding("ok", f"{num_taught:,} of {counted(len(prompts), 'training prompt')}")


def _teaches(
    recipe: Recipe, engines: Engines, prompts: Sequence[Prompt], teachers: Sequence[Path]
) -> Finding:
    """On the policy's own rollouts. The policy as its own teacher: no token has an advantage, so mean and spread are 0.
    The same at twice the temperature, and every teacher: the advantages spread, and their mean, -KL, is not above 0
    by more than chance. A spread of 0 there would mean that the policy was asked about itself."""
    temperature, own = recipe.rl.temperature, str(engines.base.hub)
    plan = engines.plan(
        stage="preflight",
        step=3,
        num_samples=SAMPLES,
        max_response_tokens=min(64, recipe.rl.max_response_tokens),
        temperature=temperature,
    )
    batch = Batch.of(
        [
            rollout_sequence(rollout, group.prompt)
            for group in engines.sampler.sample(prompts[:PROMPTS], plan)
            for rollout in group.rollouts
        ]
    )
    trainer = engines.trainer
    trainer.load_frozen([own, *map(str, teachers)])
    old, _ = trainer.logprobs(batch, temperature=temperature)

    def advantages(hub: str, at: float) -> np.ndarray:
        return teacher_advantages(old, trainer.logprobs(batch, temperature=at, of=[hub] * len(batch))[0])

    largest = float(np.abs(advantages(own, temperature)).max())
    if not largest <= ROUNDING[recipe.model.dtype]:
        return Finding(
            "failed", f"the policy as its own teacher finds advantages up to {largest:.1g}: they must be 0"
        )
    asked = {"at twice the temperature": (own, 2 * temperature)}
    asked |= {f"of teacher {hub}": (str(hub), temperature) for hub in teachers}
    found = {name: advantages(*one) for name, one in asked.items()}
    trainer.load_frozen([])
    for name, values in found.items():
        mean, spread = float(values.mean()), float(values.std())
        if not spread > ROUNDING[recipe.model.dtype]:
            return Finding(
                "failed", f"advantages {name} are all {mean:.1g}: it is the policy, and teaches nothing"
            )
        if mean > 4 * spread / np.sqrt(values.size):
            return Finding("failed", f"advantages {name} are {mean:.2g} in the mean, and must not be above 0")
    kls = ", ".join(f"{-values.mean():.2g} {name}" for name, values in found.items())
    return Finding("ok", f"KL a token over {counted(old.size, 'token')}: 0 of the policy itself, {kls}")
