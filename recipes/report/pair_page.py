"""Pairs of prompts side by side in one page of HTML that needs no network."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from recipes.report.attempt import without_control
from recipes.report.drawing.template import template
from recipes.report.shown_prompt import ShownPrompt
from sampler.duplicates.prompt_pair import SAYS, PairKind, PromptPair
from sampler.prompt import Prompt

MOST_SHOWN = 100  # pairs of one kind


@dataclass(frozen=True)
class PairSide:
    """A prompt of a pair, where it stands, and whether ``--out`` leaves it out."""

    prompt: ShownPrompt
    location: str
    is_left_out: bool


@dataclass(frozen=True)
class ShownPair:
    """A pair, and in words how alike its prompts are."""

    sides: tuple[PairSide, PairSide]
    words: str


@dataclass(frozen=True)
class PairGroup:
    """Pairs of one kind, the first of them to be shown."""

    title: str
    says: str
    num_pairs: int
    pairs: list[ShownPair]


@dataclass(frozen=True)
class ComparedSet:
    """A set that pairs point into, and where each of its prompts stands."""

    prompts: Sequence[Prompt]
    locations: dict[str, str]

    def side(self, at: int, left_out: Collection[int]) -> PairSide:
        prompt = self.prompts[at]
        location = self.locations.get(prompt.prompt_id, prompt.prompt_id)
        return PairSide(ShownPrompt.of_prompt(prompt), location, at in left_out)


def pair_groups(
    name: str,
    pairs: Sequence[PromptPair],
    first: ComparedSet,
    second: ComparedSet,
    left_out: Collection[int],
) -> list[PairGroup]:
    """One group for each kind; ``first`` of a pair stands in the first set, ``second`` in the second. ``left_out`` are
    places in the second, which is the set itself."""
    gone_of_first = left_out if first is second else ()
    by_kind: dict[PairKind, list[PromptPair]] = {}
    for pair in pairs:
        by_kind.setdefault(pair.kind, []).append(pair)
    return [
        PairGroup(
            f"{name}, {kind}",
            SAYS[kind],
            len(found),
            [
                ShownPair(
                    (first.side(one.first, gone_of_first), second.side(one.second, left_out)), _words(one)
                )
                for one in found[:MOST_SHOWN]
            ],
        )
        for kind, found in by_kind.items()
    ]


def pair_page(title: str, subtitle: str, groups: Sequence[PairGroup]) -> str:
    """The page. Everything that data said is escaped."""
    page: str = template("pairs.html.j2").render(title=title, subtitle=subtitle, groups=groups)
    return without_control(page)


def _words(pair: PromptPair) -> str:
    return f"questions alike {pair.text_similarity:.0%}; pictures differ in {pair.picture_bits} of 64 bits"
