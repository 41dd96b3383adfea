"""How far the answers of chosen prompts are from those of the whole: a set that lost one teaches never to give it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from sampler.prompt import Prompt
from verifiers.counted import counted
from verifiers.verifier import shown

# Of a type's prompts: a reference that this many have is named where its share falls to under a quarter.
WARNED_SHARE, WARNED_FALL = 0.05, 0.25


def references_of(prompts: Iterable[Prompt]) -> dict[str, Counter[str]]:
    """By question type how often each reference stands in a set."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for prompt in prompts:
        found[prompt.question_type][prompt.reference_text] += 1
    return found


def reference_shift(
    whole: Mapping[str, Counter[str]], chosen: Mapping[str, Counter[str]]
) -> tuple[dict[str, float], tuple[str, ...]]:
    """How far the shares of references moved, by question type, and the references that were lost on the way."""
    moved, warnings = {}, []
    for question_type, before in sorted(whole.items()):
        total, after = before.total(), chosen.get(question_type)
        if after is None:
            warnings.append(f"{question_type}: no prompt is left, of {counted(total, 'prompt')}")
            continue
        moved[question_type] = (
            sum(abs(after[ref] / after.total() - count / total) for ref, count in before.items()) / 2
        )
        for ref, share in ((ref, count / total) for ref, count in before.items()):
            left = after[ref] / after.total()
            if share >= WARNED_SHARE and left < WARNED_FALL * share:
                named = f"the reference {shown(ref, 40)!r}"
                warnings.append(
                    f"{question_type}: {left:.1%} have {named}, where {share:.0%} had it"
                    if left
                    else f"{question_type}: no prompt with {named} is left, which {share:.0%} have"
                )
    return moved, tuple(warnings)
