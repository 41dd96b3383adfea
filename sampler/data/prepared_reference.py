"""Verifiers that are named in a set, loaded once; each reference is shown to its own, which may refuse it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from sampler.prompt import Reference
from verifiers.errors import BadInput
from verifiers.registry import load_verifier
from verifiers.verifier import Verifier


class PreparedReferences:
    """Of one set."""

    def __init__(self) -> None:
        self._verifiers: dict[tuple[str, str], Verifier[Any, Any]] = {}
        self._prepared: set[tuple[str, str, str]] = set()

    def load(self, name: str, options: Mapping[str, Any]) -> Verifier[Any, Any]:
        """Raises: BadInput for a verifier that is not there, or not with these options."""
        key = (name, options_text(options))
        if key not in self._verifiers:
            try:
                self._verifiers[key] = load_verifier(name, options)
            except BadInput:
                raise
            except Exception as why:
                raise BadInput(f"verifier {name!r} failed to load: {type(why).__name__}: {why}") from why
        return self._verifiers[key]

    def prepare(self, name: str, options: Mapping[str, Any], reference: Reference) -> None:
        """Let the verifier refuse the reference now rather than an hour into the run. Raises: BadInput."""
        key = (name, options_text(options), repr(reference))
        if key in self._prepared:
            return
        try:
            self.load(name, options).prepare(reference)
        except BadInput:
            raise
        except Exception as why:
            raise BadInput(
                f"verifier {name!r} failed on this reference: {type(why).__name__}: {why}"
            ) from why
        self._prepared.add(key)

    def takes_list_for_text(self, name: str, options: Mapping[str, Any], reference: Reference) -> bool:
        """Whether the reference is the text of a list, and the verifier would judge otherwise by the list."""
        if not (isinstance(reference, str) and reference.lstrip().startswith('["')):
            return False
        with suppress(BadInput, ValueError):
            answers = self.load(name, options).reference_answers
            return answers(reference) != answers(json.loads(reference))
        return False


def options_text(options: Mapping[str, Any]) -> str:
    """As one line of JSON. Raises `BadInput` for what JSON cannot say."""
    try:
        return json.dumps(options, ensure_ascii=False, sort_keys=True) if options else "{}"
    except (TypeError, ValueError, RecursionError) as why:
        raise BadInput(f"verifier options must be JSON: {why}") from None
