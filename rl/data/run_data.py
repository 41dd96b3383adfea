"""The data of a run: every set as it was read, where its rows stand, and which columns nothing reads."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

from reward_models.preferences.preference import PreferenceList, load_preferences
from rl.data.curated_prompts import chosen_events, curated_prompts
from rl.data.preference_pairs import preference_paths, training_of, trains_reward_model
from rl.data.prompt_encoder import PromptEncoder
from rl.families.family import load_family
from rl.recipe.recipe import Recipe
from sampler.data.data_builder import build_data as call_builder
from sampler.data.packed_rows import PackedRows, in_processes
from sampler.data.prompt_dataset import load_prompt_dataset
from sampler.data.set_reading import DescribedSet, SetReading
from sampler.data.sft_row import LINEAGE_COLUMNS, SftRow, load_sft_dataset
from sampler.image import ANY_MODEL, ImageLimits
from sampler.prompt import Prompt
from sampler.rows.dataset_rows import DESCRIBED
from sampler.rows.unread_column import UnreadColumn
from sampler.store.decisions.curation import Curation
from sampler.store.decisions.event_log import EventLog, write_events
from verifiers.counted import counted
from verifiers.errors import BadInput

# By name what a set's rows are called; a run has the first two, and the others where its recipe asks for them.
NOUNS = {
    "train": "train prompt",
    "heldout": "held-out prompt",
    "cold_start": "cold-start row",
    "preferences_train": "preference list",
    "preferences_heldout": "held-out preference list",
}
CURATION = "curation"  # beside the sets, by name: the events that the run obeys


# Pictures and videos of a set that are decoded in full when it is read (4 ms for a photo); of the others the header is
# read, and whether a picture is cut short.
MAX_DECODED = 2_000
PART_SIZE = 4096  # prompts that a process looks at in one go


@dataclass(frozen=True)
class LoadedSet:
    """``locations`` names file and line of a prompt by its id, ``row_locations`` of the rows of a cold start in their
    order. ``num_not_decoded`` of the pictures and videos were looked at by their header only; ``remarks`` are what is
    odd about rows, in a line each; ``curation`` says what people's decisions came to, where there are some."""

    rows: Sequence[Any]
    locations: Mapping[str, str] = field(default_factory=dict)
    unread_columns: Sequence[UnreadColumn] = ()
    num_not_decoded: int = 0
    row_locations: Sequence[str] = ()
    remarks: Sequence[str] = ()
    curation: str = ""


def read_set(
    name: str,
    path: str,
    limits: ImageLimits = ANY_MODEL,
    curated: Mapping[str, Curation] | None = None,
    reading: SetReading | None = None,
) -> LoadedSet:
    """The set of that name (a key of ``NOUNS``); of prompts, as ``curated`` leaves them. Raises: BadInput naming file,
    row and column."""
    options = asdict(reading or SetReading())
    if name in ("train", "heldout"):
        prompts = load_prompt_dataset(path, **options, limits=limits, max_decoded=MAX_DECODED)
        left = curated_prompts(prompts.prompts, prompts.locations, curated or {})
        return LoadedSet(
            left.prompts,
            left.locations,
            prompts.unread_columns,
            prompts.num_not_decoded,
            (),
            prompts.remarks,
            str(left),
        )
    if name == "cold_start":
        named = {key: options[key] for key in ("split", "columns")}
        rows = load_sft_dataset(path, **named, limits=limits, max_decoded=MAX_DECODED)
        return LoadedSet(
            rows.rows, {}, rows.unread_columns, rows.num_not_decoded, rows.locations, rows.remarks
        )
    return LoadedSet(load_preferences(path, limits=limits, max_decoded=MAX_DECODED))


def image_limits(recipe: Recipe) -> ImageLimits:
    """Of the recipe's model, with the recipe's choice of a film's frames."""
    video = recipe.data.video
    return replace(
        load_family(recipe.model.family).image_limits, films=None if video is None else video.sampling
    )


@dataclass(frozen=True)
class RunData:
    """Prompts to train on, prompts never trained on, the cold-start rows, and where the run trains a reward model the
    preferences it learns from (`train`) and is reported on with (`heldout`).

    ``locations`` says by set and prompt id where a prompt stands, as far as that is known; ``remarks`` are what is odd
    about rows of any set."""

    train: Sequence[Prompt]
    heldout: Sequence[Prompt]
    cold_start: Sequence[SftRow]
    preferences: Mapping[str, Sequence[PreferenceList]] = field(default_factory=dict)
    locations: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    remarks: Sequence[str] = ()

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
            {name: one.locations for name, one in sets.items()},
            [
                *(remark for one in sets.values() for remark in one.remarks),
                *(f"{NOUNS[name]}s: {one.curation}" for name, one in sets.items() if one.curation),
            ],
        )

    @property
    def prompts_hash(self) -> str:
        """SHA-256 of the prompts' ids in order: of what is asked, shown and expected, where ids are not one's own."""
        ids = chain.from_iterable(self.locations.get(name, ()) for name in ("train", "heldout"))
        return hashlib.sha256("\n".join(ids).encode()).hexdigest()

    def location_of(self, prompt_id: str, *names: str) -> str:
        """Where to find a prompt: its file and line in one of these sets (or in any), else its id."""
        for name in names or self.locations:
            if prompt_id in self.locations.get(name, ()):
                return self.locations[name][prompt_id]
        return f"prompt {prompt_id}"


def build_data(recipe: Recipe, directory: Path) -> dict[str, str]:
    """Paths or hub ids by name (train, heldout, cold_start): the recipe's own over the builder's. The events that the
    run obeys are copied: what is decided later counts from the next run on."""
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
        reading = reading_of(recipe, name)
        if not reading.is_plain:  # whoever opens the run's set later reads it as the run did
            described = DescribedSet(paths[name], reading)
            paths[name] = str(described.write((directory / "data" / f"{name}{DESCRIBED}").absolute()))
    for name in ("train", "heldout"):
        if name not in paths and config.builder is not None:  # without one, a recipe of a reward model alone
            raise BadInput(f"data.builder={config.builder!r} makes no {name!r} set: give data.{name}_prompts")
    if events := chosen_events(config, paths):
        paths[CURATION] = str(write_events(directory / "curation.jsonl", events))
    return paths


def own_sets(recipe: Recipe) -> dict[str, str]:
    """Paths or hub ids of the sets that the recipe names itself, as it names them."""
    data = recipe.data
    given = {"train": data.train_prompts, "heldout": data.heldout_prompts, "cold_start": data.cold_start}
    if trains_reward_model(recipe):
        preferences = training_of(recipe).data
        given |= {"preferences_train": preferences.train, "preferences_heldout": preferences.heldout}
    return {name: path for name, path in given.items() if path is not None}


def reading_of(recipe: Recipe, name: str) -> SetReading:
    """How the recipe has a set read that it names itself. A split is of a folder or the hub; a file has none."""
    data = recipe.data
    if name not in ("train", "heldout", "cold_start"):
        return SetReading()
    split = None if Path(own_sets(recipe)[name]).is_file() else data.split_of(name)
    if name == "cold_start":
        return SetReading(split, data.columns)
    columns = {ours: theirs for ours, theirs in data.columns.items() if ours not in LINEAGE_COLUMNS}
    return SetReading(split, columns, data.default_verifier, data.default_verifier_options)


def path_in(run_path: Path, path: str) -> str:
    """A path of the run's data, which is relative where the run made it."""
    inside = run_path / path
    return str(inside) if inside.exists() else path


def load(paths: dict[str, Any], run_path: Path, limits: ImageLimits = ANY_MODEL) -> RunData:
    """Read everything; relative paths made by the run are taken from its directory."""
    curated = EventLog(Path(path_in(run_path, paths[CURATION]))).curated() if CURATION in paths else {}
    sets = {
        name: read_set(name, path_in(run_path, paths[name]), limits, curated)
        for name in NOUNS
        if name in paths
    }
    data = RunData.of(sets)
    if curated and not any(one.curation for one in sets.values()):
        idle = f"{counted(len(curated), 'prompt')} with curation events, and none changes one of these sets"
        return replace(data, remarks=[*data.remarks, idle])
    return data


def leaks(data: RunData) -> dict[str, str]:
    """By id the held-out prompts whose question is also trained on, however it is judged there, with the words for
    where."""
    asked = {one.prompt_id: one.question_id for one in data.heldout}
    wanted = set(asked.values())
    trained: dict[str, str] = {}
    locations = data.locations.get("train", {})
    for prompt, where in chain(
        ((one.prompt, "in a preference list") for one in data.preferences.get("train", ())),
        ((row.prompt, "a cold-start row") for row in data.cold_start),
    ):
        if (question_id := prompt.question_id) in wanted:
            trained[question_id] = where

    def asked_in(prompts: Sequence[Prompt]) -> list[tuple[str, str]]:
        questions = [(one.question_id, one.prompt_id) for one in prompts]
        return [found for found in questions if found[0] in wanted]

    for found in in_processes(asked_in, _parts(data.train) if wanted else []):
        trained |= {question: locations.get(prompt_id, "a train prompt") for question, prompt_id in found}
    return {prompt_id: trained[asked[prompt_id]] for prompt_id in asked if asked[prompt_id] in trained}


def refuse_leaks(data: RunData) -> None:
    """Raises: BadInput when a held-out prompt is also trained on."""
    leaked = leaks(data)
    if leaked:
        first = next(iter(leaked))
        raise BadInput(
            f"{counted(len(leaked), 'held-out prompt')} also trained on, first {data.location_of(first, 'heldout')}, "
            f"which is {leaked[first]}: take them out of one set"
        )


def long_prompts(prompts: Sequence[Prompt], encoder: PromptEncoder, limit: int) -> list[str]:
    """Ids of the prompts with more tokens than ``limit``."""

    def long_in(part: Sequence[Prompt]) -> list[str]:
        return [prompt.prompt_id for prompt in part if encoder.is_longer(prompt, limit)]

    return list(chain.from_iterable(in_processes(long_in, _parts(prompts))))


def _parts(prompts: Sequence[Prompt]) -> list[Sequence[Prompt]]:
    return [prompts[start : start + PART_SIZE] for start in range(0, len(prompts), PART_SIZE)]


def without(data: RunData, prompt_ids: Sequence[str]) -> RunData:
    """The data less some prompts. Raises: BadInput when a set has none left."""
    dropped = set(prompt_ids)
    if not dropped:
        return data
    train = PackedRows(prompt for prompt in data.train if prompt.prompt_id not in dropped)
    heldout = PackedRows(prompt for prompt in data.heldout if prompt.prompt_id not in dropped)
    for name, kept, before in (("train", train, data.train), ("held-out", heldout, data.heldout)):
        if before and not kept:
            raise BadInput(
                f"all {counted(len(before), f'{name} prompt')} too long: raise data.max_prompt_tokens, or "
                "sampler.max_model_len over rl.max_response_tokens"
            )
    return replace(data, train=train, heldout=heldout)
