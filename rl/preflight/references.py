"""Preflight of references: right by their own verifier, regions and lists as such, answers as in the held-out set."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property, partial

import numpy as np

from rl.data.run_data import RunData
from rl.preflight.check import MOST_NAMED, Check, Finding, some_of
from rl.recipe.recipe import Recipe
from sampler.imports.pixel_boxes import SPAN, Region, pixel_evidence, regions_of
from sampler.prompt import Prompt
from verifiers.counted import counted
from verifiers.files.dataset_check import ReferenceCheck

REGION_VERIFIERS = ("bbox_iou", "point_in_box", "point_distance")
MIN_MOVED = 0.05  # of the answers of a type: a difference that hardly any run would notice is not told
NUM_DRAWS = 200  # of train and held-out prompts from both together, to see what chance does
_SEED = 1
_LIST_IN_TEXT = re.compile(
    r"\s*\[\s*(?:'[^']*'|\"[^\"]*\")\s*(?:,\s*(?:'[^']*'|\"[^\"]*\")\s*)*\]\s*", re.DOTALL
)


def check_references(data: RunData, named: Collection[str]) -> Iterator[tuple[Check, tuple[str, ...]]]:
    """Each check with the sets that it looks at."""
    scan = ReferenceScan(data)
    yield Check("regions are in 0 to 999", partial(_regions, scan)), ("train", "heldout")
    yield Check("lists of references are lists", partial(_lists, scan)), ("train", "heldout")
    if {"train", "heldout"} <= set(named):
        yield Check("answers are as in the held-out set", partial(_alike, scan)), ("train", "heldout")


class ReferenceScan:
    """What one pass over the prompts of both sets shows."""

    def __init__(self, data: RunData) -> None:
        self._data = data
        self.regions: list[tuple[str, list[Region], tuple[int, int] | None]] = []  # place, regions, picture
        self.list_texts: list[str] = []  # places of texts that look like lists
        self.num_lists = 0
        self.answers: dict[str, dict[str, Counter[str]]] = defaultdict(
            lambda: defaultdict(Counter)
        )  # type, set

    @cached_property
    def done(self) -> ReferenceScan:
        """The scan, made when it is first asked for."""
        for name, prompts in (("train", self._data.train), ("heldout", self._data.heldout)):
            for prompt in prompts:
                if prompt.verifier is not None:
                    self._see(name, prompt)
        return self

    def _see(self, name: str, prompt: Prompt) -> None:
        self.answers[prompt.question_type][name][prompt.reference_text.strip()] += 1
        if not isinstance(prompt.reference, str):
            self.num_lists += 1
        elif prompt.reference.startswith("[") and _LIST_IN_TEXT.fullmatch(prompt.reference[:2000]):
            self.list_texts.append(self._place(name, prompt))
        if (
            prompt.verifier in REGION_VERIFIERS
            and prompt.verifier_options.get("answer_space", "same") == "same"
        ):
            if regions := regions_of(prompt.reference, prompt.verifier):
                size = prompt.images[0].size if len(prompt.images) == 1 else None
                self.regions.append((self._place(name, prompt), regions, size))

    def _place(self, name: str, prompt: Prompt) -> str:
        return self._data.location_of(prompt.prompt_id, name)


def _regions(scan: ReferenceScan) -> Finding:
    found = scan.done.regions
    if not found:
        return Finding("ok", "no reference is a box or a point")
    outside = [
        f"{place}: {' '.join(f'{value:g}' for value in region)}"
        for place, regions, _ in found
        for region in regions[:1]
        if not all(0 <= value <= SPAN for one in regions for value in one)
    ]
    if outside:
        return Finding(
            "failed",
            f"{counted(len(outside), 'reference')} outside 0 to 999, the space of answers: scale pixels by 999/width "
            "and 999/height (`hone prompts import --boxes pixel` does), or name another space in the reference",
            outside[:MOST_NAMED],
        )
    sized = [(regions, size) for _, regions, size in found if size is not None]
    evidence = pixel_evidence(sized)
    if evidence.are_pixels:
        return Finding(
            "warning",
            f"boxes and points: {evidence.words}, which in 0 to 999 would hardly happen: if they are pixels, "
            "`hone prompts import --boxes pixel` turns them",
        )
    if all(value <= 1 for _, regions, _ in found for one in regions for value in one):
        return Finding("warning", "all are from 0 to 1, and answers are in 0 to 999: multiply them by 999")
    return Finding("ok", f"{counted(len(found), 'reference')} with boxes or points")


def _lists(scan: ReferenceScan) -> Finding:
    texts = scan.done.list_texts
    if texts:
        return Finding(
            "warning",
            f"{counted(len(texts), 'reference')} the text of a list and so one answer: give lists, or JSON in "
            f"'reference_json': {some_of(texts)}",
        )
    return Finding("ok", f"{counted(scan.num_lists, 'list')} or mappings reach their verifiers as such")


def _alike(scan: ReferenceScan) -> Finding:
    """Total variation of the answers of a question type, train against held out, beyond what chance makes of it."""
    told = []
    for question_type, sets in sorted(scan.done.answers.items()):
        train, heldout = sets["train"], sets["heldout"]
        if not heldout:
            continue
        if not train:
            told.append(
                f"{question_type}: {counted(sum(heldout.values()), 'prompt')} held out, and none to train on"
            )
            continue
        moved, by_chance = total_variation(train, heldout), chance_variation(train, heldout)
        if moved > by_chance and moved - by_chance >= MIN_MOVED:
            missing = [one for one, count in heldout.most_common() if one not in train and count >= 3]
            lost = f"; never in train: {', '.join(repr(one[:40]) for one in missing[:5])}" if missing else ""
            told.append(
                f"{question_type}: {moved:.0%} of the answers are others than in the held-out set, by chance at most "
                f"{by_chance:.0%}{lost}"
            )
    if told:
        return Finding(
            "warning",
            f"{counted(len(told), 'question type')} asked with other answers in train than held out: what is never "
            "right is unlearnt",
            told[: 2 * MOST_NAMED],
        )
    return Finding("ok", f"in {counted(len(scan.answers), 'question type')}, but for chance")


def references_judged(recipe: Recipe, data: RunData) -> Finding:
    """Every reference, written as its verifier would accept it, must score 1 against itself."""
    prompts = [*data.train, *data.heldout]
    check, failing, seen = ReferenceCheck(recipe.judging.timeout_s), dict[str, str](), set()
    for prompt in prompts:
        key = (prompt.verifier, repr(sorted(prompt.verifier_options.items())), repr(prompt.reference))
        if prompt.verifier is None or key in seen:
            continue
        seen.add(key)
        if problem := check.problem(prompt.verifier, prompt.verifier_options, prompt.reference):
            failing[data.location_of(prompt.prompt_id)] = problem
    if failing:
        summary = (
            f"{counted(len(failing), 'reference')} not right by their own verifier: {some_of([*failing])}"
        )
        return Finding("failed", summary, [f"{where}: {why}" for where, why in failing.items()][:MOST_NAMED])
    return Finding("ok", f"{counted(len(seen), 'different reference')} of {counted(len(prompts), 'prompt')}")


def total_variation(one: Mapping[str, int], other: Mapping[str, int]) -> float:
    """Half the sum of the differences of shares, in 0..1: the share of one that would have to change."""
    num_one, num_other = (max(1, sum(counts.values())) for counts in (one, other))
    names = {*one, *other}
    return sum(abs(one.get(name, 0) / num_one - other.get(name, 0) / num_other) for name in names) / 2


def chance_variation(one: Mapping[str, int], other: Mapping[str, int]) -> float:
    """The largest total variation of ``NUM_DRAWS`` splits by chance of both together into sets of their sizes (a
    permutation test, multivariate hypergeometric)."""
    names = sorted({*one, *other})
    pooled = np.array([one.get(name, 0) + other.get(name, 0) for name in names])
    num_one, num_other = sum(one.values()), sum(other.values())
    drawn = np.random.default_rng(_SEED).multivariate_hypergeometric(
        pooled, num_other, size=NUM_DRAWS, method="marginals"
    )
    differences = np.abs((pooled - drawn) / num_one - drawn / num_other)
    return float(differences.sum(axis=1).max() / 2)
