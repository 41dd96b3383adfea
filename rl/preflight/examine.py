"""Preflight: everything that would fail in an hour, found in a minute. Silent faults of a VLM first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from rl.algorithm.algorithm import algorithm_of
from rl.data.run_data import CURATION, NOUNS, LoadedSet, RunData, build_data, own_sets
from rl.engines.engines import Engines
from rl.experience.prompt_source import check_source, prompt_source_of
from rl.experience.scorer import reward_model_path
from rl.families.family import forbidden_token_ids, load_family
from rl.preflight.check import Check, Finding, not_asked
from rl.preflight.data import check_reading, check_sets, unread_words
from rl.preflight.engines import check_engines
from rl.preflight.environment import check_environment, disk_space
from rl.preflight.judging import check_trained, reward_model_is_there
from rl.preflight.teachers import check_teachers, check_teaching
from rl.preflight.thought import check_thoughts
from rl.preflight.tokens import check_tokens
from rl.recipe.recipe import Recipe
from rl.run.results.stage_result import PolicyState
from rl.run.run_directory import RunDirectory
from rl.runner import PlannedStage
from rl.stages.prepare import base_policy
from sampler.store.decisions.event_log import EventLog


@dataclass
class Examined:
    """What the checks have found so far, for those that come after them."""

    paths: dict[str, str] = field(default_factory=dict)  # by set, see NOUNS
    sets: dict[str, LoadedSet] = field(default_factory=dict)  # those that can be read
    stages: Sequence[PlannedStage] = ()
    policy: PolicyState | None = None

    @property
    def unread(self) -> list[str]:
        """The sets that are there and cannot be read."""
        return [name for name in NOUNS if name in self.paths and name not in self.sets]


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
    found, run = Examined(), RunDirectory(Path(recipe.run_dir))
    yield from check_environment(recipe)
    yield Check("disk", partial(disk_space, recipe))
    yield Check("data", partial(_data_is_there, recipe, scratch, found))
    if not found.paths:
        yield not_asked("all other checks", "there is no data")
        return
    yield from _data(recipe, found)
    yield from _what_is_asked(recipe, found, run, plan)
    if found.unread:
        yield not_asked("policy, its tokenizer and engines", unread_words(found.unread))
        return
    data = RunData.of(found.sets)
    yield Check("policy to start from", partial(_policy_is_there, recipe, scratch, data, found))
    if found.policy is None:
        yield not_asked("its tokenizer and engines", "there is no policy to start from")
        return
    yield from check_teachers(recipe, found.policy.hub, data.train, found.stages, run)
    yield from check_thoughts(recipe, found.sets, found.policy.hub)
    yield from check_tokens(recipe, data, found.policy, run.path)
    if not quick:
        yield from _with_engines(recipe, log_dir, data, found.policy, found.stages, run)


def _data(recipe: Recipe, found: Examined) -> Iterator[Check]:
    """Each set by itself, which fills ``found.sets``, and all of them together."""
    own = own_sets(recipe)
    paths = {name: own.get(name, path) for name, path in found.paths.items()}
    curated = EventLog(Path(found.paths[CURATION])).curated() if CURATION in found.paths else {}
    yield from check_reading(recipe, paths, found.sets, own=own, curated=curated)
    yield from check_sets(recipe, found.sets, found.unread)


def _what_is_asked(
    recipe: Recipe, found: Examined, run: RunDirectory, plan: Callable[[], Sequence[PlannedStage]]
) -> Iterator[Check]:
    """What the recipe asks for is there: a reward model, an algorithm, a source of prompts; then its stages are
    planned."""
    judge = recipe.judging.reward_model
    if judge is not None and judge.path is not None:
        yield Check(
            "reward model", partial(reward_model_is_there, Path(judge.path), judge.rubric is not None)
        )
    asked = [Check("algorithm", partial(_algorithm_is_there, recipe, found.sets))]
    if recipe.rl.prompt_source is not None or recipe.rl.prompt_source_options:
        asked.append(Check("prompt source", partial(_prompt_source_is_there, recipe, found.sets)))
    yield from asked
    if all(check.passed for check in asked):
        yield from check_trained(recipe, run)
        found.stages = plan()


def _with_engines(
    recipe: Recipe,
    log_dir: Path,
    data: RunData,
    policy: PolicyState,
    stages: Sequence[PlannedStage],
    run: RunDirectory,
) -> Iterator[Check]:
    judge_path = reward_model_path(recipe.judging, run.path)
    with Engines(recipe, policy, log_dir, probe=data.heldout, reward_model=judge_path) as engines:
        yield from check_engines(recipe, engines, data)
        yield from check_teaching(recipe, engines, data.heldout, stages, run)


def _data_is_there(recipe: Recipe, scratch: Path, found: Examined) -> Finding:
    found.paths = build_data(recipe, scratch)
    own = own_sets(recipe)
    made = ", ".join(f"{noun}s" for name, noun in NOUNS.items() if name in found.paths and name not in own)
    return Finding("ok", f"made by a builder: {made}" if made else "all in files of one's own")


def _algorithm_is_there(recipe: Recipe, sets: Mapping[str, LoadedSet]) -> Finding:
    algorithm = algorithm_of(recipe.rl)
    algorithm.check(sets["train"].rows if "train" in sets else ())
    return Finding("ok", str(algorithm))


def _prompt_source_is_there(recipe: Recipe, sets: Mapping[str, LoadedSet]) -> Finding:
    check_source(recipe.rl)
    if "train" not in sets:
        return Finding("ok", str(recipe.rl.prompt_source))
    source = prompt_source_of(sets["train"].rows, recipe.rl, seed="doctor")
    has_words = type(source).__str__ is not object.__str__
    return Finding("ok", type(source).__name__ + (f": {source}" if has_words else ""))


def _policy_is_there(recipe: Recipe, scratch: Path, data: RunData, found: Examined) -> Finding:
    base = base_policy(recipe, scratch, data)
    forbidden_token_ids(base.hub, load_family(recipe.model.family))
    found.policy = base
    return Finding("ok", recipe.model.path or "a tiny random one, whose tokenizer knows the data's texts")
