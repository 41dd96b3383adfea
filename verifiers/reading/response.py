"""A response cut in two: its thought and the final answer that judges see."""

from __future__ import annotations

from typing import NamedTuple

from verifiers.answer import AnswerStatus, FinalAnswer


class SplitResponse(NamedTuple):
    """A response cut in two: the thought (for people and filters, never for judges) and the final answer."""

    thought: str
    answer: FinalAnswer


def split_response(
    response_text: str,
    *,
    finish_reason: str | None = None,
    prefilled_think: bool = False,
    expects_thought: bool = True,
    open_tag: str = "<think>",
    close_tag: str = "</think>",
) -> SplitResponse:
    """Cut a response at the end of its thought. The one place in Hone where this is done.

    `prefilled_think`: the prompt already ended with `open_tag`, so a right response holds only `close_tag`.
    `expects_thought`: False for prompts answered without thinking; a well-formed thought is still cut away.
    `finish_reason == "length"` makes every response `truncated`, whatever its tags say.
    An empty thought (`<think></think>x`) is legal.

    >>> split_response("<think>3+5</think>\\\\boxed{8}")
    SplitResponse(thought='3+5', answer=FinalAnswer(text='\\\\boxed{8}', status='ok'))
    """
    thought, solution, status = _cut(response_text, prefilled_think, expects_thought, open_tag, close_tag)
    if finish_reason == "length":
        status = "truncated"
    elif status == "ok" and not solution.strip():
        status = "empty"
    return SplitResponse(thought.strip(), FinalAnswer(solution.strip(), status))


def _cut(
    text: str, prefilled: bool, expects_thought: bool, open_tag: str, close_tag: str
) -> tuple[str, str, AnswerStatus]:
    """(thought, solution, status) from the tags alone."""
    num_open, num_close = text.count(open_tag), text.count(close_tag)
    if num_open == num_close == 0 and not prefilled:
        return "", text, "no_thought" if expects_thought else "ok"
    before, found, after = text.rpartition(close_tag)
    # Whatever goes wrong below, nothing before the last close tag may reach a judge as a final answer.
    if not found:
        return text.replace(open_tag, ""), "", "malformed"
    thought = before.replace(open_tag, "")
    opens_at_start = before.lstrip().startswith(open_tag)
    expected_opens = 0 if prefilled else 1
    well_formed = num_close == 1 and num_open == expected_opens and (prefilled or opens_at_start)
    return thought, after, "ok" if well_formed else "malformed"
