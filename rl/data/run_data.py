"""The data of a run, and stage 00, which makes or reads it: prompts, supervised rows, the base policy."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from reward_models.preference import PreferenceList
from rl.algorithm.algorithm import require_known_algorithms
from rl.data.loaded_set import NOUNS, LoadedSet, read_set
from rl.data.preference_pairs import better_first, preference_paths, training_of, trains_reward_model
from rl.data.sft_rows import PromptEncoder
from rl.data.token_room import longest_prompt, require_positions
from rl.families.family import load_family
from rl.recipe.recipe import Recipe
from rl.run.policy_state import PolicyState
from rl.run.progress import ProgressDisplay
from rl.run.run_directory import RunDirectory
from rl.run.stopwatch import Stopwatch
from sampler.data.data_builder import build_data as call_builder
from sampler.data.sft_row import SftRow
from sampler.prompt import Prompt
from verifiers.counted import counted
from verifiers.errors import BadInput

STAGE = "00-prepare"
CORPUS_PAIRS = 4000  # comparisons from which a tiny tokenizer learns their words


@dataclass(frozen=True)
class RunData:
    """Prompts to train on, prompts never trained on, the cold-start rows, and where the run trains a reward model the
    preferences it learns from (`train`) and is reported on with (`heldout`).

    ``places`` says by set and prompt id where a prompt stands, as far as that is known."""

    train: Sequence[Prompt]
    heldout: Sequence[Prompt]
    cold_start: Sequence[SftRow]
    preferences: Mapping[str, Sequence[PreferenceList]] = field(default_factory=dict)
    places: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, sets: Mapping[str, LoadedSet]) -> RunData:
        """Of sets by name; one that is not there is empty."""
        rows = {name: one.rows for name, one in sets.items()}
        preferences = {
            name.removeprefix("preferences_"): rows[name] for name in rows if name.startswith("preferences_")
        }
        return cls(
            rows.get("train", ()),
            rows.get("heldout", ()),
            rows.get("cold_start", ()),
            preferences,
            {name: one.places for name, one in sets.items()},
        )

    def place_of(self, prompt_id: str, *names: str) -> str:
        """Where to find a prompt: its file and line in one of these sets (or in any), else its id."""
        for name in names or self.places:
            if prompt_id in self.places.get(name, ()):
                return self.places[name][prompt_id]
        return f"prompt {prompt_id}"


def prepare(recipe: Recipe, run: RunDirectory, display: ProgressDisplay) -> tuple[RunData, PolicyState]:
    """Build the data and the tiny policy once, then load them. Raises: BadInput naming file, row and column."""
    from rl.engines.engines import forbidden_token_ids

    stage = run.stage(STAGE)
    if stage.is_complete:
        display.done_before("prepare data")
        result = stage.manifest()["result"]
        data = without(load(result["paths"], run.path), result["too_long"]["prompt_ids"])
        return data, PolicyState.from_result(result["policy"], run.path)
    started_at, watch = time.time(), Stopwatch()
    with display.stage("prepare data") as progress:
        stage.begin()
        if recipe.model.path is not None:
            forbidden_token_ids(Path(recipe.model.path), load_family(recipe.model.family))
        with watch("build"):
            paths = build_data(recipe, stage.path)
        with watch("load"):
            data = load(paths, run.path)
            refuse_leaks(data)
        require_known_algorithms(recipe.rl)
        with watch("model"):
            policy = base_policy(recipe, stage.path, data)
        with watch("measure"):
            limit = longest_prompt(recipe)
            too_long = long_prompts(
                [*data.train, *data.heldout],
                PromptEncoder(policy.hub, recipe.sampler.chat_template_kwargs),
                limit,
            )
            data = without(data, too_long)
        result = {
            "paths": {name: _inside(path, run.path) for name, path in paths.items()},
            "policy": policy.to_result(run.path),
            "num_train_prompts": len(data.train),
            "num_heldout_prompts": len(data.heldout),
            "num_cold_start_rows": len(data.cold_start),
            "too_long": {"limit_tokens": limit, "prompt_ids": too_long},
        }
        stage.complete(
            kind="prepare",
            title="prepare data",
            round_index=0,
            started_at=started_at,
            watch=watch,
            inputs={"data": recipe.data.model_dump(mode="json")},
            result=result,
        )
        dropped = f", {counted(len(too_long), 'prompt')} over {limit} tokens dropped" if too_long else ""
        progress.finish(
            f"{counted(len(data.train), 'prompt')}, {len(data.heldout):,} held out, "
            f"{counted(len(data.cold_start), 'row')}{dropped}"
        )
    return data, policy


def build_data(recipe: Recipe, directory: Path) -> dict[str, str]:
    """Paths or hub ids by name (train, heldout, cold_start): the recipe's own over the builder's."""
    config, own = recipe.data, own_sets(recipe)
    paths: dict[str, str] = {}
    if config.builder is not None and not {"train", "heldout", "cold_start"} <= own.keys():
        built = call_builder(
            config.builder, directory / "data", seed=recipe.seed, options=config.builder_options
        )
        paths.update({name: str(path) for name, path in built.items()})
    if trains_reward_model(recipe):
        preferences = preference_paths(training_of(recipe), directory / "preferences", seed=recipe.seed)
        paths |= {f"preferences_{name}": path for name, path in preferences.items()}
    for name, path in own.items():  # a local one is found again from any directory
        paths[name] = str(Path(path).absolute()) if Path(path).exists() else path
    for name in ("train", "heldout"):
        if name not in paths:
            raise BadInput(f"data.builder={config.builder!r} makes no {name!r} set: give data.{name}_prompts")
    return paths


def own_sets(recipe: Recipe) -> dict[str, str]:
    """Paths or hub ids of the sets that the recipe names itself, as it names them."""
    data = recipe.data
    given = {"train": data.train_prompts, "heldout": data.heldout_prompts, "cold_start": data.cold_start}
    if trains_reward_model(recipe):
        preferences = training_of(recipe).data
        given |= {"preferences_train": preferences.train, "preferences_heldout": preferences.heldout}
    return {name: path for name, path in given.items() if path is not None}


def load(paths: dict[str, Any], run_path: Path) -> RunData:
    """Read everything; relative paths made by the run are taken from its directory."""

    def place(name: str) -> str:
        inside = run_path / paths[name]
        return str(inside) if inside.exists() else str(paths[name])

    return RunData.of({name: read_set(name, place(name)) for name in NOUNS if name in paths})


def leaks(data: RunData) -> dict[str, str]:
    """By id the held-out prompts whose question is also trained on, however it is judged there, with the words for
    where."""
    trained = {one.prompt.asked_id: "in a preference list" for one in data.preferences.get("train", ())}
    trained |= {row.prompt.asked_id: "a cold-start row" for row in data.cold_start}
    places = data.places.get("train", {})
    trained |= {one.asked_id: places.get(one.prompt_id, "a train prompt") for one in data.train}
    asked = {one.prompt_id: one.asked_id for one in data.heldout}
    return {prompt_id: trained[asked_id] for prompt_id, asked_id in asked.items() if asked_id in trained}


def refuse_leaks(data: RunData) -> None:
    """Raises: BadInput when a held-out prompt is also trained on."""
    leaked = leaks(data)
    if leaked:
        first = next(iter(leaked))
        raise BadInput(
            f"{counted(len(leaked), 'held-out prompt')} also trained on, first {data.place_of(first, 'heldout')}, "
            f"which is {leaked[first]}: take them out of one set"
        )


def long_prompts(prompts: Sequence[Prompt], encoder: PromptEncoder, limit: int) -> list[str]:
    """Ids of the prompts with more tokens than ``limit``."""
    return [prompt.prompt_id for prompt in prompts if len(encoder(prompt)) > limit]


def without(data: RunData, prompt_ids: Sequence[str]) -> RunData:
    """The data less some prompts. Raises: BadInput when a set has none left."""
    dropped = set(prompt_ids)
    train = [prompt for prompt in data.train if prompt.prompt_id not in dropped]
    heldout = [prompt for prompt in data.heldout if prompt.prompt_id not in dropped]
    for name, kept, before in (("train", train, data.train), ("held-out", heldout, data.heldout)):
        if not kept:
            raise BadInput(
                f"all {counted(len(before), f'{name} prompt')} too long: raise data.max_prompt_tokens, or "
                "sampler.max_model_len over rl.max_response_tokens"
            )
    return replace(data, train=train, heldout=heldout)


def base_policy(recipe: Recipe, directory: Path, data: RunData) -> PolicyState:
    """The checkpoint at ``model.path``, or a tiny random instance whose tokenizer knows the data's texts."""
    if recipe.model.path is not None:
        hub = Path(recipe.model.path).absolute()
        require_positions(recipe, hub)
        return PolicyState(0, hub, STAGE)
    corpus = [prompt.text for prompt in data.train] + [row.prompt.text for row in data.cold_start]
    corpus += [row.response for row in data.cold_start]
    if data.preferences:
        pairs = better_first(data.preferences["train"], training_of(recipe), seed=recipe.seed)
        corpus += [pair.to_prompt().text for pair in pairs[:CORPUS_PAIRS]]
    hub = directory / "policy"
    load_family(recipe.model.family).build_tiny(hub, seed=recipe.seed, corpus=corpus, sizes=recipe.model.tiny)
    require_positions(recipe, hub)
    return PolicyState(0, hub, STAGE)


def _inside(path: str, run_path: Path) -> str:
    full = Path(path).absolute()
    return str(full.relative_to(run_path)) if full.is_relative_to(run_path) else path
