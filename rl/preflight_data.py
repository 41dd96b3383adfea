"""Preflight of the data by itself, without tokenizer, weights or engine: for `hone doctor` and `hone run --dry-run`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from functools import partial

from rl.finding import Check, Finding
from rl.loaded_set import NOUNS, LoadedSet, read_set
from rl.preflight_judging import check_judges
from rl.recipe import Recipe
from rl.run_data import RunData, leaks
from sampler.unread_column import UnreadColumn
from verifiers.counted import counted

MOST_LEAKS = 10


def check_reading(
    paths: Mapping[str, str],
    sets: dict[str, LoadedSet],
    *,
    own: Collection[str],
    decode_images: bool = True,
) -> Iterator[Check]:
    """A check a set; what can be read is put into ``sets``. Rows are named by file and line in the sets that are the
    user's ``own``: nobody opens what a builder made."""
    for name, path in paths.items():
        yield Check(f"{NOUNS[name]}s", partial(_readable, name, path, sets, name in own, decode_images))


def check_sets(recipe: Recipe, data: RunData) -> Iterator[Check]:
    """Checks across sets, those that are there: of a set that is still to be made nothing is asked."""
    if data.heldout:
        yield Check("held-out prompts are not trained on", partial(_no_leaks, data))
    if data.train or data.heldout:
        yield from check_judges(recipe, data)
    if data.train:
        yield Check("prompts fill a step", partial(_full_steps, recipe, data))


def _readable(name: str, path: str, sets: dict[str, LoadedSet], is_own: bool, decode_images: bool) -> Finding:
    loaded = read_set(name, path, decode_images=decode_images)
    sets[name] = loaded if is_own else replace(loaded, places={})
    words = f"{len(loaded.rows):,} of {path}" if is_own else f"{len(loaded.rows):,} made by a builder"
    slips = [_slip(column) for column in loaded.unread_columns if column.meant is not None]
    if slips:
        return Finding("warning", f"{words}; {'; '.join(slips)}")
    extra = ", ".join(column.name for column in loaded.unread_columns)
    return Finding("ok", f"{words}; not read: {extra}" if extra else words)


def _slip(column: UnreadColumn) -> str:
    return f"column {column.name!r} ({column.place}) is not read, did you mean {column.meant!r}?"


def _no_leaks(data: RunData) -> Finding:
    leaked = leaks(data)
    if leaked:
        named = [f"{data.place_of(one, 'heldout')} is {where}" for one, where in leaked.items()][:MOST_LEAKS]
        words = f"{counted(len(leaked), 'held-out prompt')} also trained on: take them out of one set"
        more = len(leaked) - len(named)
        return Finding("failed", words, [*named, *([f"and {more} more"] if more else [])])
    num_trained = len(data.train) + len(data.cold_start) + len(data.preferences.get("train", ()))
    return Finding(
        "ok", f"{counted(len(data.heldout), 'prompt')} beside {counted(num_trained, 'row')} to train on"
    )


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
