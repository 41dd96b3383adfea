"""Rules that judge a final answer. Pure Python: neither torch nor Ray is ever imported here.

    from verifiers import load_verifier
    load_verifier("math").judge(reference="1/2", answer="\\boxed{0.5}").score    # 1.0

Names are resolved on first use, so that `import verifiers` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from verifiers.answer import FinalAnswer
    from verifiers.case import Case
    from verifiers.errors import BadInput, BadOption, BadReference, HoneError, UnknownVerifier
    from verifiers.reading.response import SplitResponse, split_response
    from verifiers.registry import load_verifier, verifier_names
    from verifiers.service.service import VerifierService
    from verifiers.verdict import Verdict
    from verifiers.verifier import Example, NoAnswer, Verifier

_HOME = {
    "FinalAnswer": "answer", "SplitResponse": "reading.response", "split_response": "reading.response",
    "HoneError": "errors", "BadInput": "errors", "BadOption": "errors", "BadReference": "errors",
    "UnknownVerifier": "errors",
    "load_verifier": "registry", "verifier_names": "registry",
    "Case": "case", "VerifierService": "service.service",
    "Verdict": "verdict",
    "Example": "verifier", "NoAnswer": "verifier", "Verifier": "verifier",
}  # fmt: skip

__all__ = [
    "BadInput", "BadOption", "BadReference", "Case", "Example", "FinalAnswer", "HoneError", "NoAnswer",
    "SplitResponse", "UnknownVerifier", "Verdict", "Verifier", "VerifierService", "load_verifier",
    "split_response", "verifier_names",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"verifiers.{_HOME[name]}"), name)
    raise AttributeError(f"module 'verifiers' has no attribute {name!r}")
