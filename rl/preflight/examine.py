"""Preflight: everything that would fail in an hour, found in a minute. Silent faults of a VLM first."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from rl.algorithm.algorithm import Algorithm, algorithm_of
from rl.data.run_data import CURATION, NOUNS, LoadedSet, RunData, build_data, own_sets
from rl.engines.engines import Engines
from rl.experience.prompt_source import check_source, prompt_source_of
from rl.experience.scorer import reward_model_path
from rl.families.family import forbidden_token_ids, load_family
from rl.preflight.check import Check, Finding, not_asked
from rl.preflight.data import check_reading, check_sets, unread_words
from rl.preflight.engines import check_engines
from rl.preflight.environment import check_environment
from rl.preflight.judging import check_trained, reward_model_is_there
from rl.preflight.teachers import check_teachers, check_teaching
from rl.preflight.thought import check_thoughts
from rl.preflight.tokens import check_tokens
from rl.recipe.recipe import Recipe
from rl.run.run_directory import RunDirectory
from rl.run.stage_result import PolicyState
from rl.runner import PlannedStage
from rl.stages.prepare import base_policy
from sampler.store.decisions.curation_events import EventLog


def examine(
    recipe: Recipe,
    scratch: Path,
    log_dir: Path,
    *,
    quick: bool,
    plan: Callable[[], Sequence[PlannedStage]] = tuple,
) -> Iterator[Check]:
    """Every check of a recipe in order, each to be run before the next is asked for; ``quick`` starts no engine.
    ``plan`` makes the stages of its program, which needs an algorithm that is there.

    Where data or the policy to start from cannot be read, the checks that need them are not asked.
    """
    paths: dict[str, str] = {}
    yield from check_environment(recipe)
    yield Check("data", partial(_data_is_there, recipe, scratch, paths))
    if not paths:
        yield not_asked("all other checks", "there is no data")
        return
    sets: dict[str, LoadedSet] = {}
    own = own_sets(recipe)
    curated = EventLog(Path(paths[CURATION])).curated() if CURATION in paths else {}
    yield from check_reading(
        recipe, {name: own.get(name, path) for name, path in paths.items()}, sets, own=own, curated=curated
    )
    unread = [name for name in NOUNS if name in paths and name not in sets]
    yield from check_sets(recipe, sets, unread)
    judge = recipe.judging.reward_model
    if judge is not None and judge.path is not None:
        yield Check(
            "reward model", partial(reward_model_is_there, Path(judge.path), judge.rubric is not None)
        )
    algorithms: list[Algorithm] = []
    yield Check("algorithm", partial(_algorithm_is_there, recipe, sets, algorithms))
    sources: list[str] = []
    if recipe.rl.prompt_source is not None or recipe.rl.prompt_source_options:
        yield Check("prompt source", partial(_prompt_source_is_there, recipe, sets, sources))
    else:
        sources.append("epochs")
    run = RunDirectory(Path(recipe.run_dir))
    stages: Sequence[PlannedStage] = ()
    if algorithms and sources:
        yield from check_trained(recipe, run)
        stages = plan()
    if unread:
        yield not_asked("policy, its tokenizer and engines", unread_words(unread))
        return
    data = RunData.of(sets)
    policies: list[PolicyState] = []
    yield Check("policy to start from", partial(_policy_is_there, recipe, scratch, data, policies))
    if not policies:
        yield not_asked("its tokenizer and engines", "there is no policy to start from")
        return
    yield from check_teachers(recipe, policies[0].hub, stages, run)
    yield from check_thoughts(recipe, sets, policies[0].hub)
    yield from check_tokens(recipe, data, policies[0], run.path)
    yield Check("disk", partial(_disk, recipe))
    if not quick:
        judge_path = reward_model_path(recipe.judging, run.path)
        with Engines(recipe, policies[0], log_dir, probe=data.heldout, reward_model=judge_path) as engines:
            yield from check_engines(recipe, engines, data)
            yield from check_teaching(recipe, engines, data.heldout, stages, run)


def _data_is_there(recipe: Recipe, scratch: Path, paths: dict[str, str]) -> Finding:
    paths.update(build_data(recipe, scratch))
    own = own_sets(recipe)
    made = ", ".join(f"{noun}s" for name, noun in NOUNS.items() if name in paths and name not in own)
    return Finding("ok", f"made by a builder: {made}" if made else "all in files of one's own")


def _prompt_source_is_there(recipe: Recipe, sets: Mapping[str, LoadedSet], sources: list[str]) -> Finding:
    check_source(recipe.rl)
    told = str(recipe.rl.prompt_source)
    if "train" in sets:
        source = prompt_source_of(sets["train"].rows, recipe.rl, seed="doctor")
        told = type(source).__name__ + (f": {source}" if type(source).__str__ is not object.__str__ else "")
    sources.append(told)
    return Finding("ok", told)


def _algorithm_is_there(
    recipe: Recipe, sets: Mapping[str, LoadedSet], algorithms: list[Algorithm]
) -> Finding:
    algorithm = algorithm_of(recipe.rl)
    algorithm.check(sets["train"].rows if "train" in sets else ())
    algorithms.append(algorithm)
    return Finding("ok", str(algorithm))


def _policy_is_there(recipe: Recipe, scratch: Path, data: RunData, policies: list[PolicyState]) -> Finding:
    base = base_policy(recipe, scratch, data)
    forbidden_token_ids(base.hub, load_family(recipe.model.family))
    policies.append(base)
    return Finding("ok", recipe.model.path or "a tiny random one, whose tokenizer knows the data's texts")


def _disk(recipe: Recipe) -> Finding:
    path = Path(recipe.run_dir).absolute()
    while not path.exists():
        path = path.parent
    free_gib = shutil.disk_usage(path).free / 2**30
    return Finding("ok" if free_gib > 5 else "warning", f"{free_gib:.0f} GiB free for {recipe.run_dir}")
