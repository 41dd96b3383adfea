"""Held-out prompts whose copy is hidden in what is trained on: by case, a blank, a changed pixel, a compression."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from rl.data.run_data import RunData
from sampler.duplicates.leak_pairs import leak_pairs
from sampler.duplicates.prompt_prints import PromptPrints
from sampler.duplicates.question_text import content_of, grams_of, normal_text, words_of
from sampler.prompt import Prompt
from verifiers.counted import counted

MOST_PICTURES = (
    20_000  # of train prompts that ask what a held-out one asks: a millisecond each, for a photo four
)


@dataclass(frozen=True)
class NearLeaks:
    """By id the held-out prompts that are nearly trained on, with the words for where; and how many train prompts were
    not compared, since there are too many pictures."""

    found: dict[str, str]
    num_not_compared: int = 0

    @property
    def words(self) -> str:
        """In a line what to do about it."""
        more = f"; {self.num_not_compared:,} train prompts were not compared" if self.num_not_compared else ""
        return (
            f"{counted(len(self.found), 'held-out prompt')} nearly trained on (case, blanks, pixels or compression "
            f"differ): look at them with `hone prompts duplicates TRAIN --against HELDOUT --report pairs.html`{more}"
        )

    def named(self, data: RunData) -> list[str]:
        """A line for each."""
        return [f"{data.location_of(one, 'heldout')} is {where}" for one, where in self.found.items()]


def near_leaks(data: RunData) -> NearLeaks:
    """Of held-out prompts; those that are trained on to the letter are for ``leaks`` to find."""
    heldout = data.heldout
    if not heldout:
        return NearLeaks({})
    candidates, num_not_compared = _candidates(data, heldout)
    if not candidates:
        return NearLeaks({}, num_not_compared)
    pairs = leak_pairs(PromptPrints.of(heldout), PromptPrints.of([prompt for prompt, _ in candidates]))
    return NearLeaks(
        {
            heldout[pair.first].prompt_id: f"nearly {candidates[pair.second][1]}"
            for pair in reversed(pairs)
            if pair.kind != "picture"
        },
        num_not_compared,
    )


def _trained(data: RunData) -> Iterator[tuple[Prompt, str]]:
    """What is learnt from, with the words for where."""
    locations = data.locations.get("train", {})
    yield from ((one, locations.get(one.prompt_id, f"train prompt {one.prompt_id}")) for one in data.train)
    yield from ((row.prompt, "a cold-start row") for row in data.cold_start)


def _candidates(data: RunData, heldout: Iterable[Prompt]) -> tuple[list[tuple[Prompt, str]], int]:
    """What asks nearly the same as a held-out prompt, or has twelve words in a row of one; how many more there are."""
    texts = {normal_text(one.text) for one in heldout}
    contents = set(map(content_of, texts))
    grams = set(chain.from_iterable(grams_of(words_of(text)) for text in texts))
    found: list[tuple[Prompt, str]] = []
    pictures: set[str] = set()
    num_left_out = 0
    for prompt, where in _trained(data):
        text = normal_text(prompt.text)
        if content_of(text) not in contents and grams.isdisjoint(grams_of(words_of(text))):
            continue
        shown = {one.content_hash for one in prompt.images}
        if len(pictures) >= MOST_PICTURES and shown - pictures:
            num_left_out += 1
            continue
        pictures |= shown
        found.append((prompt, where))
    return found, num_left_out
