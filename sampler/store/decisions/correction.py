"""What a person is warned of in a correction that is allowed: the same for a command, a key and a form."""

from __future__ import annotations

from sampler.prompt import Prompt
from verifiers.errors import BadReference

NO_NUMBER = "no number any more: only answers in these words are right now"


def correction_warning(before: Prompt, after: Prompt) -> str:
    """Where `math` read a reference as mathematics before, and reads mere words now, which match as text alone; else
    empty. Raises: BadInput where ``after`` is judged by `math` and cannot be."""
    return NO_NUMBER if "math" == before.verifier == after.verifier and _became_words(before, after) else ""


def _became_words(before: Prompt, after: Prompt) -> bool:
    is_words = _is_words(after)
    try:
        return is_words and not _is_words(before)
    except BadReference:  # nothing was right then
        return False


def _is_words(prompt: Prompt) -> bool:
    from verifiers.expression.tree.node import Words, contains
    from verifiers.kinds.math_answer import MathVerifier

    answers = MathVerifier(**prompt.verifier_options).prepare(prompt.reference)
    return all(contains(node, Words) for answer in answers for node in answer.readings)
