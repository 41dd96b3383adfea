"""Fuzzing of one verifier: answers bent out of its own cases, judged in a worker that can be killed.

What must hold for every text a model may write: the verifier reaches a decision (never `error`, never a crash or a
hang), within `LIMIT_S` of its own time. What breaks that is a finding, to be mended and kept as a case.
"""

from __future__ import annotations

import random
import re
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verifiers.answer import FinalAnswer
from verifiers.case import Case
from verifiers.kit.case_table import GoldenCase, default_cases, read_cases
from verifiers.kit.hostile_pack import hostile_answers
from verifiers.registry import verifier_class
from verifiers.service.service import VerifierService
from verifiers.verdict import UNJUDGED, Verdict

LIMIT_S = 2.0
KILL_AFTER_S = 20.0
MAX_FINDINGS = 50
MAX_CHARS = 100_000
IN_FLIGHT = 64

_TOKEN = re.compile(r"\\?\w+|\s+|[^\w\s]", re.UNICODE)
_SNIPPETS = (
    *(r"\boxed{", "}", "{", "(", ")", "[", "]", "\\", "$", r"\frac", r"\sqrt", "^", "_", "!", "%", "i", "e"),
    *(
        "<answer>",
        "</answer>",
        "<bbox>",
        "</bbox>",
        "<think>",
        "```",
        " or ",
        " and ",
        "答案是",
        "\n",
        "\t",
        "\r\n",
    ),
    *(
        "±",
        "∞",
        "·",
        "…",
        "½",
        "²",
        "−",
        "٣",
        "３",
        "é",
        "e\u0301",
        "\u202e",
        "\u200b",
        "\x00",
        "\ufffd",
        '"',
        "'",
    ),
    *("nan", "inf", "-", "+", "=", "<", ",", ";", ":", "0", "1", "9" * 21, "1e9999", "0.0000000001"),
)


@dataclass(frozen=True, slots=True)
class FuzzFinding:
    """An answer that broke the rule, with what it broke."""

    reference: Any
    options: dict[str, Any]
    answer: str
    problem: str


@dataclass(frozen=True, slots=True)
class FuzzReport:
    """What a run tried and found; `slowest_s` is the slowest decision."""

    num_answers: int
    seconds: float
    slowest_s: float
    num_scored_1: int
    findings: tuple[FuzzFinding, ...]


def fuzz(
    name: str,
    *,
    seconds: float,
    seed: int = 0,
    cases: Path | None = None,
    progress: Callable[[int, int], None] = lambda tried, found: None,
) -> FuzzReport:
    """Judge bent answers for ``seconds``. Raises `BadInput` for an unknown verifier or an unreadable case table."""
    known = [GoldenCase.of_example(verifier_class(name))]
    path = cases or default_cases(name)
    known += read_cases(path) if path is not None else []
    answers = bent_answers(known, random.Random(seed))
    waiting: deque[tuple[GoldenCase, str, Future[Verdict]]] = deque()
    findings: list[FuzzFinding] = []
    tried = num_scored_1 = 0
    slowest = 0.0
    started = time.monotonic()
    with VerifierService(num_workers=1, timeout_s=KILL_AFTER_S, crash_retries=0) as service:
        while len(findings) < MAX_FINDINGS:
            going_on = time.monotonic() - started < seconds
            if going_on and len(waiting) < IN_FLIGHT:
                case, answer = next(answers)
                waiting.append((case, answer, service.submit(_job(name, case, answer))))
                tried += 1
                continue
            if not waiting:
                break
            case, answer, future = waiting.popleft()
            verdict = future.result()
            slowest = max(slowest, verdict.seconds)
            num_scored_1 += verdict.score == 1.0
            problem = what_is_wrong(verdict)
            if problem:  # once more, by itself: a busy machine may have been what was slow
                problem = what_is_wrong(service.submit(_job(name, case, answer)).result())
            if problem:
                findings.append(FuzzFinding(case.reference, dict(case.options), answer, problem))
            if tried % 1000 == 0:
                progress(tried, len(findings))
    return FuzzReport(tried, time.monotonic() - started, slowest, num_scored_1, tuple(findings))


def _job(name: str, case: GoldenCase, answer: str) -> Case:
    return Case("fuzz", name, dict(case.options), case.reference, FinalAnswer(answer))


def what_is_wrong(verdict: Verdict) -> str | None:
    """Why a verdict on model text is a finding; None when it is in order. A bad reference is nobody's finding."""
    if verdict.status in UNJUDGED and verdict.code != "bad_reference":
        return f"{verdict.status}: {verdict.reason}"
    if verdict.seconds > LIMIT_S:
        return f"took {verdict.seconds:.1f} s"
    return None


def bent_answers(cases: Sequence[GoldenCase], rng: random.Random) -> Iterator[tuple[GoldenCase, str]]:
    """Without end: a case and an answer made from its own by one to six changes; the seed alone decides."""
    hostile = list(hostile_answers().values())
    words = sorted({token for case in cases for token in _TOKEN.findall(case.answer[:2000])})
    while True:
        case = rng.choice(cases)
        text = case.answer if rng.random() < 0.95 else rng.choice(hostile)
        for _ in range(rng.randint(1, 6)):
            text = _bend(text, rng, words, cases)[:MAX_CHARS]
        yield case, text


def _bend(text: str, rng: random.Random, words: Sequence[str], cases: Sequence[GoldenCase]) -> str:
    start, end = sorted((rng.randint(0, len(text)), rng.randint(0, len(text))))
    piece = text[start:end]
    match rng.randrange(9):
        case 0:
            return text[:start] + rng.choice(_SNIPPETS) + text[start:]
        case 1:
            return text[:start] + rng.choice(words) + text[start:]
        case 2:
            return text[:start] + text[end:]
        case 3:
            return text[:start] + piece * rng.choice((2, 3, 50, 1000)) + text[end:]
        case 4:
            return text[:start] + piece[::-1] + text[end:]
        case 5:
            return text[:start] + rng.choice(_SNIPPETS) * rng.choice((2, 10, 300)) + text[end:]
        case 6:
            other = rng.choice(cases).answer
            return text[:start] + other[rng.randint(0, len(other)) :]
        case 7:
            return (
                text[:start]
                + "".join(chr(rng.randrange(0x20, 0x3000)) for _ in range(rng.randint(1, 8)))
                + text[end:]
            )
        case _:
            tokens = _TOKEN.findall(text[:2000])
            rng.shuffle(tokens)
            return "".join(tokens) + text[2000:]
