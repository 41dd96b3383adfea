"""The first stage: the data is made or read, and the base policy that everything starts from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rl.algorithm.algorithm import algorithm_of
from rl.data.curated_prompts import later_events
from rl.data.near_leaks import near_leaks
from rl.data.preference_pairs import better_first, comparison_rows, training_of
from rl.data.prompt_encoder import PromptEncoder
from rl.data.run_data import (
    CURATION,
    PART_SIZE,
    RunData,
    build_data,
    image_limits,
    load,
    long_prompts,
    own_sets,
    path_in,
    reading_of,
    refuse_leaks,
    without,
)
from rl.data.token_limits import longest_prompt, require_positions
from rl.families.family import forbidden_token_ids, load_family, require_whole
from rl.recipe.recipe import Recipe
from rl.run.provenance import FileState, content_hash
from rl.run.results.stage_result import PolicyState, PrepareResult
from rl.run.stage_directory import StageDirectory
from rl.stages.stage import Stage, StageContext
from sampler.image import ANY_MODEL, ImageLimits
from sampler.rows.dataset_rows import dataset_files
from sampler.store.decisions.event_log import EventLog
from verifiers.counted import counted
from verifiers.errors import BadInput

MOST_LEAKS = 3  # held-out prompts named that are nearly trained on
CORPUS_PAIRS = 4000  # comparisons from which a tiny tokenizer learns their words


class PrepareStage(Stage[PrepareResult]):
    """Builds the data and the tiny policy once, and drops prompts that are too long. It keeps ``data`` as read."""

    leaves = PrepareResult
    label = "prepare data"

    def __init__(self) -> None:
        super().__init__()
        self.data: RunData | None = None
        self._sources: dict[str, Any] = {}

    @property
    def title(self) -> str:
        return self.label

    def directory_name(self, number: int) -> str:
        return f"{number:02d}-{self.kind}"

    def work(self, recipe: Recipe) -> str:
        return "the data sets"

    def expected(
        self, recipe: Recipe, directory: StageDirectory, policy: PolicyState | None
    ) -> PrepareResult:
        return PrepareResult(
            policy=PolicyState(0, _base_path(recipe, directory.path), directory.name),
            num_cold_start_rows=int(recipe.data.has_cold_start),
        )

    def inputs(self) -> Mapping[str, Any]:
        return {"data": self._sources}

    def run(self, context: StageContext) -> PrepareResult:
        """Raises: BadInput naming file, row and column."""
        recipe, directory, run_path = context.recipe, context.directory, context.run.path
        directory.begin()
        self._sources = recipe.data.model_dump(mode="json")
        family = load_family(recipe.model.family)
        if recipe.model.path is not None:
            require_whole(Path(recipe.model.path))
            forbidden_token_ids(Path(recipe.model.path), family)
        with context.watch("build"):
            paths = build_data(recipe, directory.path)
        with context.watch("load"):
            data = load(paths, run_path, image_limits(recipe))
            refuse_leaks(data)
            near = near_leaks(data)
        for remark in data.remarks:
            context.progress.note(f"! {remark}")
        if data.train:
            algorithm_of(recipe.rl).check(data.train)
        # More are measured by forks of this process, in which Ray must not run.
        if len(data.train) <= PART_SIZE:
            context.engines.warm_up(context.needs)
        with context.watch("model"):
            policy = base_policy(recipe, directory.path, data)
        with context.watch("measure"):
            limit = longest_prompt(recipe) if data.train or data.heldout else 0
            encoder = PromptEncoder(policy.hub, recipe.sampler.chat_template_kwargs)
            too_long = [
                *long_prompts(data.train, encoder, limit),
                *long_prompts(data.heldout, encoder, limit),
            ]
            self.data = without(data, too_long)
        return PrepareResult(
            paths={name: _inside(path, run_path) for name, path in paths.items()},
            policy=policy,
            num_train_prompts=len(self.data.train),
            num_heldout_prompts=len(self.data.heldout),
            num_cold_start_rows=len(self.data.cold_start),
            too_long={"limit_tokens": limit, "prompt_ids": too_long},
            files={
                str(file.absolute()): FileState.of(file)
                for name, path in own_sets(recipe).items()
                if Path(path).exists()
                for file in dataset_files(Path(path), reading_of(recipe, name).split)
            },
            prompts_hash=data.prompts_hash,
            curation_hash=content_hash(Path(paths[CURATION])) if CURATION in paths else "",
            warnings=(f"{near.words}: {'; '.join(near.named(data)[:MOST_LEAKS])}",) if near.found else (),
        )

    def summary(self, result: PrepareResult) -> str:
        num_dropped = len(result.too_long.get("prompt_ids", ()))
        limit = result.too_long.get("limit_tokens")
        dropped = f", {counted(num_dropped, 'prompt')} over {limit} tokens dropped" if num_dropped else ""
        return (
            f"{counted(result.num_train_prompts, 'prompt')}, {result.num_heldout_prompts:,} held out, "
            f"{counted(result.num_cold_start_rows, 'row')}{dropped}"
        )


def prepared_data(result: PrepareResult, run_path: Path, limits: ImageLimits = ANY_MODEL) -> RunData:
    """Read again what an earlier process prepared. Raises: BadInput where it is no longer what it was."""
    for name, state in result.files.items():
        if not state.is_of(Path(name)):
            raise _changed(name, run_path)
    if CURATION in result.paths and content_hash(run_path / result.paths[CURATION]) != result.curation_hash:
        raise _changed(result.paths[CURATION], run_path)
    data = load(result.paths, run_path, limits)
    if result.prompts_hash not in ("", data.prompts_hash):
        raise _changed("a prompt set (a picture, a video or a file in its folder)", run_path)
    return without(data, result.too_long.get("prompt_ids", ()))


def decided_since(recipe: Recipe, result: PrepareResult, run_path: Path) -> list[str]:
    """What people decided after the run began, in lines to be told: the run goes on as it began."""
    began_with = EventLog(run_path / result.paths[CURATION]) if CURATION in result.paths else None
    paths = {name: path_in(run_path, path) for name, path in result.paths.items()}
    try:
        later = later_events(recipe.data, paths, began_with)
    except BadInput as why:
        return [f"! {why}; this run goes on with the events that it began with"]
    if not later:
        return []
    return [f"! {counted(len(later), 'curation event')} since this run began, which the next run will obey"]


def _changed(what: str, run_path: Path) -> BadInput:
    return BadInput(
        f"{what} has changed since run {run_path.name} began: take back what it was, or give the run another name="
    )


def base_policy(recipe: Recipe, directory: Path, data: RunData) -> PolicyState:
    """The checkpoint at ``model.path``, or a tiny random instance whose tokenizer knows the data's texts."""
    hub = _base_path(recipe, directory)
    if recipe.model.path is None:
        family, corpus = load_family(recipe.model.family), _corpus(recipe, data)
        family.build_tiny(hub, seed=recipe.seed, corpus=corpus, sizes=recipe.model.tiny)
    else:
        require_whole(hub)
    require_positions(recipe, hub)
    return PolicyState(0, hub, directory.name)


def _base_path(recipe: Recipe, directory: Path) -> Path:
    return directory / "policy" if recipe.model.path is None else Path(recipe.model.path).absolute()


def _corpus(recipe: Recipe, data: RunData) -> list[str]:
    corpus = [prompt.text for prompt in data.train] + [row.prompt.text for row in data.cold_start]
    corpus += [row.response for row in data.cold_start]
    if data.preferences:
        pairs = better_first(data.preferences["train"], training_of(recipe), seed=recipe.seed)
        if not corpus:  # a reward model alone
            return [row.prompt.text for row in comparison_rows(pairs)]
        corpus += [pair.to_prompt().text for pair in pairs[:CORPUS_PAIRS]]
    return corpus


def _inside(path: str, run_path: Path) -> str:
    full = Path(path).absolute()
    return str(full.relative_to(run_path)) if full.is_relative_to(run_path) else path
