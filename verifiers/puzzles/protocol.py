"""What a puzzle gives to the `puzzle` verifier."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from verifiers.errors import BadReference
from verifiers.verifier import shown


class Puzzle(ABC):
    """One instance. `check` says what is wrong with a solution, or None when it is valid."""

    name: ClassVar[str]

    @abstractmethod
    def __init__(self, spec: Mapping[str, Any]) -> None:
        """Raises `BadReference` for an instance that is malformed."""

    @abstractmethod
    def check(self, text: str) -> str | None:
        """`text` is the stated answer. Never raises on model text."""

    def solution(self) -> str | None:
        """A valid solution where the instance names one (key `solution`), else None."""
        return None


def need(spec: Mapping[str, Any], keys: str, optional: str = "") -> list[Any]:
    """Values of the wanted keys; unknown or missing keys raise `BadReference`."""
    wanted, extra = keys.split(), set(optional.split()) | {"type", "solution"}
    missing = [key for key in wanted if key not in spec]
    unknown = sorted(set(spec) - set(wanted) - extra)
    if missing or unknown:
        problem = f"lacks {', '.join(missing)}" if missing else f"has unknown keys {', '.join(unknown)}"
        raise BadReference(f"a {spec.get('type', '?')!r} puzzle {problem}")
    return [spec[key] for key in wanted]


def refuse(spec: Mapping[str, Any], problem: str) -> BadReference:
    """The error to raise for an instance that is malformed; it shows the instance."""
    return BadReference(f"a {spec.get('type', '?')!r} puzzle: {problem}, in {shown(repr(dict(spec)), 80)}")


def integers(text: str, limit: int = 10_000) -> list[int] | None:
    """The whole numbers of a list such as `[3, 1, 2]` or `3 1 2`; None when anything else stands in it."""
    if len(text) > 20 * limit or not re.fullmatch(r"[\s\[\](){},;|0-9+-]*", text):
        return None
    words = re.findall(r"[-+]?\d+", text)
    if len(words) > limit or any(len(word) > 30 for word in words):
        return None
    return [int(word) for word in words]
