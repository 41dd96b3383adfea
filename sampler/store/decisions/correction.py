"""What a person is warned of in a correction that is allowed: the same for a command, a key and a form."""

from __future__ import annotations

from sampler.data.reference import read_reference, reference_of_json
from sampler.prompt import Prompt, Reference
from verifiers.errors import BadInput, BadReference

NO_NUMBER = "no number any more: only answers in these words are right now"


def with_text(before: Reference, text: str) -> Reference:
    """A text in place of the reference; of a mapping that has an `answer`, such as options with the right one, in place
    of that alone.

    >>> with_text("3", "4"), with_text({"answer": "A", "options": ["red", "blue"]}, "B")
    ('4', {'answer': 'B', 'options': ['red', 'blue']})

    Raises: BadInput where the reference is another list or mapping, which a text cannot replace.
    """
    if isinstance(before, str):
        return text
    if isinstance(before, dict) and isinstance(before.get("answer"), str):
        return {**before, "answer": text}
    if isinstance(before, list):
        raise BadInput('the reference was a list: write a JSON list, such as ["0.5"]')
    raise BadInput("the reference was a mapping: write the new one as JSON")


def reference_typed(before: Reference, text: str) -> Reference | None:
    """What somebody wrote in place of the reference, where nothing else says whether it is JSON: of a list or a mapping
    another one as JSON, or what ``with_text`` takes, in a text's JSON quotes or without.

    >>> reference_typed("3", "[4]"), reference_typed(["1/3"], '["1/3", "0.33"]')
    ('[4]', ['1/3', '0.33'])
    >>> reference_typed({"answer": "3"}, "5"), reference_typed({"answer": "3"}, '"5"')
    ({'answer': '5'}, {'answer': '5'})

    None where there is none. Raises: BadInput where it is neither.
    """
    if isinstance(before, str):
        return read_reference(text)
    try:
        found = reference_of_json(text)
    except BadInput:
        return with_text(before, text)
    if not isinstance(found, str):
        return found
    # A number stays as it was typed: 2.50 may be meant so.
    return with_text(before, found if text.lstrip().startswith('"') else text)


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
