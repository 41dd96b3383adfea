"""What all decisions about one prompt come to, and the prompt as they leave it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sampler.prompt import Prompt, Reference


@dataclass(frozen=True)
class JudgedBy:
    """A verifier by its name, with its options."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Curation:
    """``accepted`` is none where nobody decided. ``reference`` and ``verifier`` are none where they stay what the set
    says. ``revision`` is 0 for these, else which of the prompt's corrections is in force, from 1."""

    accepted: bool | None = None
    tags_added: tuple[str, ...] = ()
    tags_removed: tuple[str, ...] = ()
    reference: Reference | None = None
    verifier: JudgedBy | None = None
    revision: int = 0

    def applied(self, prompt: Prompt) -> Prompt:
        """The same prompt, by its id and its history, with other tags, reference and verifier."""
        corrected: dict[str, Any] = {} if self.reference is None else {"reference": self.reference}
        if self.verifier is not None:
            corrected |= {"verifier": self.verifier.name, "verifier_options": dict(self.verifier.options)}
        return replace(prompt, tags=self.left_tags(prompt.tags), **corrected)

    def left_tags(self, tags: Sequence[str]) -> tuple[str, ...]:
        """What is left of a prompt's tags. New ones come last: the first is the question type."""
        kept = tuple(tag for tag in tags if tag not in self.tags_removed)
        return (*kept, *(tag for tag in self.tags_added if tag not in kept))

    @property
    def decision(self) -> str:
        """In a word; empty where nobody decided."""
        return {None: "", True: "accepted", False: "rejected"}[self.accepted]
