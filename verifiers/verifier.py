"""The verifier protocol: prepare a reference once, extract from a final answer, compare."""

from __future__ import annotations

import contextlib
import logging
import math
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import CoroutineType
from typing import Any, ClassVar, Generic, TypeVar, cast

from verifiers.answer import FinalAnswer
from verifiers.errors import BadReference
from verifiers.options import build_config
from verifiers.plain_value import number_text
from verifiers.verdict import Verdict

PreparedT = TypeVar("PreparedT")
ExtractedT = TypeVar("ExtractedT")

MAX_SHOWN = 200
_LOG = logging.getLogger(__name__)
_logged: set[tuple[str, str, str]] = set()

BROKEN_FORMAT = {
    "truncated": "the response was cut off at its length limit",
    "no_thought": "the response has no thought: no <think> tags were found where one was expected",
    "malformed": "the response's thought is malformed: a tag is missing, repeated or out of place",
    "empty": "the response has nothing after its thought",
}


@dataclass(frozen=True)
class NoOptions:
    """The configuration of a verifier without options."""


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """What `extract` returns when a final answer holds nothing to compare.

    With `limit=True` the answer was refused for its size: the verdict is `scored` 0 with code `limit`.
    """

    code: str
    reason: str
    limit: bool = False

    @classmethod
    def too_long(cls, text: str) -> NoAnswer:
        """Refused for its length, in characters."""
        return cls("limit", f"the answer has {len(text)} characters", limit=True)

    @classmethod
    def empty(cls) -> NoAnswer:
        """The answer states nothing."""
        return cls("no_answer", "the stated answer is empty")


@dataclass(frozen=True, slots=True)
class Example:
    """One worked case, shown by `hone verifiers list` and checked by the conformance kit."""

    reference: Any
    answer: str
    score: float = 1.0
    options: Mapping[str, Any] = field(default_factory=dict)


class LimitExceeded(Exception):
    """Raised inside a verifier when model text exceeds a budget; `judge` turns it into score 0, code `limit`."""


class Verifier(ABC, Generic[PreparedT, ExtractedT]):
    """A rule that judges a final answer.

    A subclass names its `kind`, its frozen `Config` dataclass and one `example`, and writes three methods.
    Nothing a model writes may raise: `extract` returns `NoAnswer` where it can read nothing. A verifier that
    is given to a service must be reconstructible from its kind and options, so it keeps no other state.
    """

    kind: ClassVar[str]
    summary: ClassVar[str] = ""
    Config: ClassVar[type] = NoOptions
    example: ClassVar[Example]
    # A longer answer scores 0 with code `limit`, and `extract` does not see it; None for no such limit.
    max_answer_chars: ClassVar[int | None] = None
    # For the conformance kit: which changes of a right answer must cost score (none for a rule without one right
    # answer), whether a hostile text may score, and which side effects judging has by design.
    mutations: ClassVar[tuple[str, ...]] = ("off_by_one", "sign", "swap", "hedge")
    hostile_may_score: ClassVar[bool] = False
    side_effects: ClassVar[tuple[str, ...]] = ()
    # The longest that a verdict may take by the verifier's own options; 0 for a rule that does not wait for anything.
    # A service's limit must be longer: what it ends has no score.
    max_seconds: float = 0.0
    # Modules imported on first use: a service imports them before the clock of a case runs.
    imports: tuple[str, ...] = ()

    def __init__(self, config: Any = None, **options: Any) -> None:
        """Either a ready `Config`, or options by name (`BadOption` names a typo's near option)."""
        if config is not None and not isinstance(config, Mapping):
            self.config: Any = config
        else:
            self.config = build_config(self.Config, {**(config or {}), **options}, owner=self.kind)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles by specification: the class, by its import path, and options; never state."""
        options = {f.name: getattr(self.config, f.name) for f in fields(self.config)}
        return (type(self), (options,))

    @abstractmethod
    def prepare(self, reference: Any) -> PreparedT:
        """Parse and check a reference once, at load. Raises `BadReference`."""

    @abstractmethod
    def extract(self, answer: FinalAnswer) -> ExtractedT | NoAnswer:
        """Read the answer out of the final text. Never raises on model text."""

    @abstractmethod
    def compare(self, prepared: PreparedT, extracted: ExtractedT) -> Verdict:
        """Score what was extracted against the prepared reference."""

    def reference_answers(self, reference: Any) -> list[str]:
        """Final answers that must score 1 against `reference`: one for each accepted way of writing it.

        The dataset check and the conformance kit judge every reference against these.
        """
        return [str(reference)]

    def judge(self, reference: Any, answer: FinalAnswer | str) -> Verdict:
        """`prepare`, then `judge_prepared`. Raises `BadReference` and nothing else."""
        return self.judge_prepared(self.prepare(reference), answer)

    def judge_prepared(self, prepared: PreparedT, answer: FinalAnswer | str) -> Verdict:
        """Judge one final answer: never raises.

        An answer whose status is not `ok` scores 0 under that status's name. An answer that exceeds a budget (memory
        and recursion included) is the model's doing and scores 0 with code `limit`; where the verifier's own example
        exceeds them too, and for any other exception, it is the verifier's: status `error`, which is no score.
        """
        if isinstance(answer, str):
            answer = FinalAnswer(answer)
        started = time.perf_counter()
        if not answer.ok:
            verdict = Verdict.scored(0.0, answer.status, BROKEN_FORMAT[answer.status])
        else:
            verdict = self._judge_text(prepared, answer)
        return verdict.timed(time.perf_counter() - started)

    def _judge_text(self, prepared: PreparedT, answer: FinalAnswer) -> Verdict:
        method = "extract"
        try:
            require_result(prepared, self.kind, "prepare")
            extracted = self._extract_within_limit(answer)
            if isinstance(extracted, NoAnswer):
                if extracted.limit:
                    return Verdict.scored(0.0, "limit", extracted.reason)
                return Verdict.unparseable(extracted.code, extracted.reason)
            method = "compare"
            return require_verdict(self.compare(prepared, extracted), self.kind, "compare")
        except LimitExceeded as why:
            return Verdict.scored(0.0, "limit", f"the answer exceeds a limit: {why}")
        except (MemoryError, RecursionError) as why:
            exceeded = type(why).__name__
        except NoVerdict as why:
            return Verdict.failed("no_verdict", str(why))
        except (Exception, SystemExit) as why:  # noqa: BLE001 - the one boundary where plug-in code may fail
            return raised(self.kind, method, why)
        # The exception is gone by here, and with its frames the memory that they held.
        if self._example_exceeds(prepared):
            reason = (
                f"verifier {self.kind!r} has too little memory or stack for its own example too ({exceeded})"
            )
            return Verdict.failed("out_of_memory", reason)
        return Verdict.scored(0.0, "limit", f"the answer exceeds a limit ({exceeded})")

    def _extract_within_limit(self, answer: FinalAnswer) -> ExtractedT | NoAnswer:
        if self.max_answer_chars is not None and len(answer.text) > self.max_answer_chars:
            return NoAnswer.too_long(answer.text)
        return require_result(self.extract(answer), self.kind, "extract")

    def _example_exceeds(self, prepared: PreparedT) -> bool:
        """Whether a limit is met even by the class's example, judged for this reference or for its own."""
        example = getattr(type(self), "example", None)
        if example is None:
            return False
        answer = FinalAnswer(example.answer)

        def for_this_reference() -> None:
            self.compare(prepared, cast(ExtractedT, self.extract(answer)))

        def for_its_own() -> None:
            other = type(self)(dict(example.options))
            other.compare(other.prepare(example.reference), cast(ExtractedT, other.extract(answer)))

        for judge in (for_this_reference, for_its_own):
            # The example need not fit this reference or these options: only a limit counts here.
            with contextlib.suppress(Exception):
                try:
                    judge()
                except (MemoryError, RecursionError):
                    return True
        return False


class NoVerdict(TypeError):
    """A method of a verifier returned what it must not; the message names both."""


def require_result(value: ExtractedT, kind: str, method: str) -> ExtractedT:
    """``value`` as ``method`` returned it. Raises `NoVerdict` for a coroutine: the method is `async`."""
    if isinstance(value, CoroutineType):
        value.close()
        raise NoVerdict(f"verifier {kind!r}: {method} is `async def`; write it as a plain `def`")
    return value


def require_verdict(value: Any, kind: str, method: str) -> Verdict:
    """``value`` as ``method`` returned it. Raises `NoVerdict` where it is no `Verdict`."""
    if isinstance(require_result(value, kind, method), Verdict):
        return value
    given = "None" if value is None else f"a {type(value).__name__} ({shown(repr(value), 40)})"
    raise NoVerdict(f"verifier {kind!r}: {method} returned {given}, not a Verdict; use Verdict.scored(...)")


def raised(kind: str, method: str, why: BaseException) -> Verdict:
    """The verdict where a plug-in's method raised; its traceback goes to the log, once for each line that raises."""
    frames = traceback.extract_tb(why.__traceback__)
    line = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    what = f"verifier {kind!r}: {method} raised {type(why).__name__}"
    if (kind, what, line) not in _logged:
        _logged.add((kind, what, line))
        _LOG.warning("%s%s", what, line, exc_info=why)
    return Verdict.failed("verifier_raised", f"{what}: {shown(str(why))}{line}")


def shown(text: str, limit: int = MAX_SHOWN) -> str:
    """Text cut to a length a person reads, with control characters replaced."""
    clean = text[: limit + 1]
    if not clean.isprintable():
        clean = "".join(c if c.isprintable() else " " for c in clean)
    return clean[:limit] + "…" if len(text) > limit else clean


def reference_text(reference: Any, kind: str) -> str:
    """A reference that must be one non-empty text or number, as text. Raises `BadReference`."""
    finite = not isinstance(reference, float) or math.isfinite(reference)
    if isinstance(reference, bool) or not isinstance(reference, (str, int, float)) or not finite:
        several = (
            f"; for a list of accepted answers use 'any_of' with the option verifier: {kind}"
            if isinstance(reference, list)
            else ""
        )
        raise BadReference(
            f"a reference of {kind!r} is text or a number, got {shown(repr(reference), 80)}{several}"
        )
    text = (reference if isinstance(reference, str) else number_text(reference)).strip("\x00 \n\t\r")
    if not text:
        raise BadReference(f"a reference of {kind!r} is empty")
    return text
