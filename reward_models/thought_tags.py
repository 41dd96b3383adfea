"""Whether a text still holds a thought: what must not reach a judge is told by its tags."""

from __future__ import annotations

import re

_THOUGHT_TAG = re.compile(r"[<◁]\s{0,8}/?\s{0,8}think(?:ing)?\s{0,8}[>▷]", re.IGNORECASE)


def holds_thought(text: str) -> bool:
    """Whether a thought's tag stands in the text: such a text must not reach a judge."""
    return _THOUGHT_TAG.search(text) is not None
