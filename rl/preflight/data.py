"""Preflight of the data by itself, without tokenizer, weights or engine: for `hone doctor` and `hone run --dry-run`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial

from rl.data.near_leaks import near_leaks
from rl.data.preference_pairs import trains_reward_model
from rl.data.run_data import NOUNS, LoadedSet, RunData, image_limits, leaks, read_set, reading_of
from rl.data.validation_slice import validation_prompts
from rl.preflight.check import Check, Finding, not_asked
from rl.preflight.judging import check_judges, same_source
from rl.preflight.references import check_references
from rl.recipe.recipe import Recipe
from sampler.data.set_reading import SetReading
from sampler.rows.unread_column import UnreadColumn
from sampler.store.decisions.curation import Curation
from verifiers.counted import counted

MOST_LEAKS = 10


def check_reading(
    recipe: Recipe,
    paths: Mapping[str, str],
    sets: dict[str, LoadedSet],
    *,
    own: Collection[str],
    curated: Mapping[str, Curation],
) -> Iterator[Check]:
    """A check a set; what can be read is put into ``sets``. Rows are named by file and line in the sets that are the
    user's ``own``: nobody opens what a builder made. Prompts are as ``curated`` leaves them."""
    limits = image_limits(recipe)
    for name in (name for name in NOUNS if name in paths):
        reading = reading_of(recipe, name) if name in own else SetReading()
        read = partial(read_set, name, paths[name], limits, curated, reading)
        yield Check(f"{NOUNS[name]}s", partial(_readable, name, paths[name], sets, name in own, read))


def check_sets(recipe: Recipe, sets: Mapping[str, LoadedSet], unread: Collection[str]) -> Iterator[Check]:
    """Checks across sets. One that needs a set that is ``unread`` is not asked; of a set that is still to be made
    nothing is."""
    data, named = RunData.of(sets), {*sets, *unread}
    if trains_reward_model(recipe):
        yield Check("preferences are of the prompts", partial(same_source, recipe))
    if "heldout" in named:
        leak_free = Check("held-out prompts are not trained on", partial(_no_leaks, data))
        yield _unless_unread(leak_free, unread, ("train", "heldout", "cold_start", "preferences_train"))
    if not named.isdisjoint(("train", "heldout")):
        for check in check_judges(recipe, data):
            yield _unless_unread(check, unread, ("train", "heldout"))
        for check, needs in check_references(data, named):
            yield _unless_unread(check, unread, needs)
    if "train" in named:
        full = Check("prompts fill a step", partial(_full_steps, recipe, data))
        yield _unless_unread(full, unread, ("train",))
        if recipe.sft.later_validation_prompts is not None:
            slice_there = Check("prompts to validate SFT on", partial(_validation, recipe, data))
            yield _unless_unread(slice_there, unread, ("train",))


def _unless_unread(check: Check, unread: Collection[str], needs: Iterable[str]) -> Check:
    """The check itself, or a "not asked" in its place where a set that it needs cannot be read."""
    missing = [name for name in needs if name in unread]
    return not_asked(check.name, unread_words(missing)) if missing else check


def unread_words(names: Iterable[str]) -> str:
    return f"{' and '.join(f'{NOUNS[name]}s' for name in names)} cannot be read"


def _readable(
    name: str, path: str, sets: dict[str, LoadedSet], is_own: bool, read: Callable[[], LoadedSet]
) -> Finding:
    loaded = read()
    sets[name] = loaded if is_own else replace(loaded, locations={}, row_locations=())
    summary = f"{len(loaded.rows):,} of {path}" if is_own else f"{len(loaded.rows):,} made by a builder"
    if loaded.curation:
        summary += f"; {loaded.curation}"
    if loaded.num_not_decoded:
        summary += f"; {loaded.num_not_decoded:,} of their pictures and videos by the header only"
    slips = [_slip(column) for column in loaded.unread_columns if column.meant is not None]
    if slips or loaded.remarks:
        return Finding("warning", "; ".join([summary, *slips]), loaded.remarks)
    extra = ", ".join(column.name for column in loaded.unread_columns)
    return Finding("ok", f"{summary}; not read: {extra}" if extra else summary)


def _slip(column: UnreadColumn) -> str:
    return f"column {column.name!r} ({column.location}) is not read, did you mean {column.meant!r}?"


def _no_leaks(data: RunData) -> Finding:
    leaked = leaks(data)
    if leaked:
        named = [f"{data.location_of(one, 'heldout')} is {where}" for one, where in leaked.items()][
            :MOST_LEAKS
        ]
        summary = f"{counted(len(leaked), 'held-out prompt')} also trained on: take them out of one set"
        num_more = len(leaked) - len(named)
        return Finding("failed", summary, [*named, *([f"and {num_more} more"] if num_more else [])])
    near = near_leaks(data)
    if near.found:
        return Finding("warning", near.words, near.named(data)[:MOST_LEAKS])
    num_trained = len(data.train) + len(data.cold_start) + len(data.preferences.get("train", ()))
    more = f"; {near.num_not_compared:,} compared to the letter only" if near.num_not_compared else ""
    return Finding(
        "ok", f"{counted(len(data.heldout), 'prompt')} beside {counted(num_trained, 'row')} to train on{more}"
    )


def _validation(recipe: Recipe, data: RunData) -> Finding:
    num = len(validation_prompts(data.train, recipe))
    return Finding("ok", f"{counted(num, 'prompt')} of {len(data.train):,} to train on")


def _full_steps(recipe: Recipe, data: RunData) -> Finding:
    """A step that asks for more than there is takes all of it: a smaller step than the recipe says."""
    rl = recipe.rl
    if rl.rollouts_per_step is None:
        key, wanted, noun, have = "rl.prompts_per_step", rl.prompts_per_step, "prompt", len(data.train)
    else:
        key, wanted, noun = "rl.rollouts_per_step", rl.rollouts_per_step, "rollout"
        have = sum(rl.num_samples_of(prompt.kind) for prompt in data.train)
    if have < wanted:
        return Finding(
            "warning",
            f"{key}={wanted}, and the train prompts make {counted(have, noun)}: every step is so small; lower {key} "
            "or give more prompts",
        )
    return Finding("ok", f"{counted(wanted, noun)} a step of {have:,}")
