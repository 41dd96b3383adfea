"""The conformance kit: what every verifier must do, run on one verifier, as a table a person can act on."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from verifiers.answer import FinalAnswer
from verifiers.case import Case
from verifiers.errors import BadInput, BadOption, BadReference
from verifiers.kit import place_checks
from verifiers.kit.case_table import GoldenCase, default_cases
from verifiers.kit.hostile_pack import hostile_answers
from verifiers.kit.mutation_pack import near_misses
from verifiers.kit.verifier_under_test import CheckFailed, VerifierUnderTest
from verifiers.registry import load_verifier, verifier_class
from verifiers.verdict import UNJUDGED, Verdict
from verifiers.verifier import shown

MIN_CASES = 20
HOSTILE_LIMIT_S = 2.0
TAGS = ("right", "wrong", "malformed", "hostile")
_CORRUPTED: tuple[Any, ...] = (None, "", "   ", [], {}, float("nan"), {"no_such_key": None}, [None], "\x00")


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line of the table; `detail` says what to change when it failed."""

    name: str
    status: Literal["ok", "failed", "skipped"]
    seconds: float
    detail: str = ""


def check_conformance(
    name: str, cases: Path | None = None, places: Mapping[str, Callable[[Case], Verdict]] | None = None
) -> list[CheckResult]:
    """Every check on one verifier. Raises `BadInput` for an unknown name or an unreadable table.

    ``places`` names further ways to have a case judged, as in a Ray actor
    (`rl.experience.verifier_actor.judge_in_actor`), of which this floor knows nothing: the example must score the
    same there.
    """
    found = verifier_class(name)
    if not hasattr(found, "example"):
        raise BadInput(f"class {found.__name__} has no `example`: add one, a reference with its options")
    kit = _Kit(name, cases or default_cases(name))
    checks: list[tuple[str, Callable[[], str]]] = [
        ("case table", kit.table),
        ("golden cases", kit.golden),
        ("references match themselves", kit.references),
        ("near misses are refused", kit.near_misses),
        ("hostile answers", kit.hostile),
        ("answers that are no answer", kit.not_ok),
        ("alike three times, in any order", kit.repeatable),
        ("from a thread", partial(place_checks.from_thread, kit)),
        ("from asyncio", partial(place_checks.from_asyncio, kit)),
        *((place, partial(place_checks.elsewhere, kit, judge)) for place, judge in (places or {}).items()),
        ("bad references are refused", kit.bad_references),
        ("a misspelt option is refused", kit.options),
        ("pickles by specification", partial(place_checks.pickled, kit)),
        ("a killed worker costs nothing", partial(place_checks.after_a_kill, kit)),
        ("no side effects", partial(place_checks.side_effects, kit)),
    ]
    ends = _run("every answer is judged in time", partial(place_checks.in_time, kit))
    return [ends] if ends.status == "failed" else [ends, *(_run(name, check) for name, check in checks)]


def _run(name: str, check: Callable[[], str]) -> CheckResult:
    started = time.perf_counter()
    try:
        detail = check()
        status: Literal["ok", "failed", "skipped"] = "skipped" if detail.startswith("skipped") else "ok"
    except CheckFailed as why:
        status, detail = "failed", str(why)
    except Exception as why:  # noqa: BLE001 - whatever the verifier raises is the finding
        status, detail = "failed", shown(f"raised {type(why).__name__}: {why}")
    return CheckResult(name, status, time.perf_counter() - started, detail)


class _Kit(VerifierUnderTest):
    """Checks made where the kit runs. A check returns what it found in a few words (`skipped: ...` for nothing), or
    raises `CheckFailed`."""

    def table(self) -> str:
        if self.path is None:
            raise CheckFailed(
                f"no case table: write {self.found.kind}_cases.jsonl beside the class, or pass --cases"
            )
        missing = [tag for tag in TAGS if not any(case.tag == tag for case in self.cases)]
        if len(self.cases) < MIN_CASES or missing:
            lacking = f", none tagged {', '.join(missing)}" if missing else ""
            raise CheckFailed(f"{len(self.cases)} cases, at least {MIN_CASES} are needed{lacking}")
        return f"{len(self.cases)} cases"

    def golden(self) -> str:
        wrong = []
        for case in [self.example, *self.cases]:
            verdict = self.judge(case)
            if verdict.score is None or abs(verdict.score - case.score) > 1e-6:
                answer, reference = shown(repr(case.answer), 40), shown(repr(case.reference), 40)
                why = f" ({verdict.reason})" if verdict.status in UNJUDGED else ""
                wrong.append(f"{answer} for {reference} scores {verdict.score}, not {case.score}{why}")
        if wrong:
            raise CheckFailed(f"{len(wrong)} of {len(self.cases) + 1} differ: " + "; ".join(wrong[:3]))
        return f"{len(self.cases) + 1} agree"

    def _distinct(self) -> list[GoldenCase]:
        seen: dict[str, GoldenCase] = {}
        for case in [self.example, *self.cases]:
            seen.setdefault(json.dumps([case.reference, case.options], sort_keys=True, default=str), case)
        return list(seen.values())

    def references(self) -> str:
        tried = 0
        for case in self._distinct():
            verifier = self.verifier(case.options)
            for text in verifier.reference_answers(case.reference):
                tried += 1
                verdict = verifier.judge(case.reference, text)
                if verdict.score != 1.0:
                    reference = shown(repr(case.reference), 60)
                    problem = f"written as {shown(text, 60)!r} scores {verdict.score}: {verdict.reason}"
                    raise CheckFailed(f"reference {reference} {problem}")
        return f"{tried} written references score 1" if tried else "skipped: no references to write"

    def near_misses(self) -> str:
        """Right answers bent by the class's `mutations` score below 1."""
        tried = 0
        for case in self._distinct():
            if case.options != self.example.options:
                continue  # an option may widen what is accepted
            verifier = self.verifier(case.options)
            written = verifier.reference_answers(case.reference)
            for text in written:
                for name, changed in near_misses(text, self.found.mutations).items():
                    if changed in written:
                        continue
                    tried += 1
                    if verifier.judge(case.reference, changed).score == 1.0:
                        raise CheckFailed(
                            f"{name}: {shown(changed, 80)!r} scores 1 for {shown(repr(case.reference), 60)}; where "
                            f"the rule means it (a tolerance), leave {name!r} out of the class's `mutations`"
                        )
        return f"{tried} refused" if tried else "skipped: no single right answer to change"

    def hostile(self) -> str:
        """Answers of the hostile pack: each must be judged in time, and none score 1 unless the class says it may.
        Returns how many there were and the slowest. Raises: CheckFailed."""
        verifier = self.verifier(self.example.options)
        prepared = verifier.prepare(self.example.reference)
        slowest = ("", 0.0)
        clock = time.perf_counter if self.found.side_effects else time.process_time
        pack = hostile_answers()
        for name, text in pack.items():
            # The verifier's own time: what other programs of a busy machine take is not counted against it.
            started = clock()
            verdict = verifier.judge_prepared(prepared, text)
            seconds = clock() - started
            slowest = max(slowest, (name, seconds), key=lambda item: item[1])
            if verdict.status in UNJUDGED:
                raise CheckFailed(f"{name}: status {verdict.status}, {verdict.reason}")
            if seconds > HOSTILE_LIMIT_S:
                raise CheckFailed(f"{name} took {seconds:.1f} s, the limit is {HOSTILE_LIMIT_S:g} s")
            if verdict.score == 1.0 and not self.found.hostile_may_score:
                raise CheckFailed(f"{name} scores 1")
        self.require_example(self.judge(self.example), "after the hostile answers")
        return f"{len(pack)} answers, slowest {slowest[0]} {slowest[1]:.2f} s"

    def not_ok(self) -> str:
        verifier = self.verifier(self.example.options)
        prepared = verifier.prepare(self.example.reference)
        for status in ("truncated", "no_thought", "malformed", "empty"):
            verdict = verifier.judge_prepared(prepared, FinalAnswer(self.example.answer, status))
            if verdict.score != 0.0 or verdict.code != status:
                raise CheckFailed(f"an answer of status {status} scores {verdict.score}, code {verdict.code}")
        return "score 0 under their own names"

    def repeatable(self) -> str:
        sample = [self.example, *self.cases[:200]]
        orders = [sample, list(reversed(sample)), random.Random(0).sample(sample, len(sample))]
        results = []
        for order in orders:
            verdicts = [(id(case), self.judge(case)) for case in order]
            results.append({key: (v.status, v.score, v.code, v.extracted) for key, v in verdicts})
        if not results[0] == results[1] == results[2]:
            raise CheckFailed("a verdict depends on the cases judged before it")
        return f"{len(sample)} cases"

    def bad_references(self) -> str:
        verifier = self.verifier(self.example.options)
        for reference in _CORRUPTED:
            try:
                verifier.prepare(reference)
            except BadReference:
                continue
            except Exception as why:  # noqa: BLE001 - the wrong exception is the finding
                found = f"raises {type(why).__name__}, not BadReference"
            else:
                found = "is accepted"
            raise CheckFailed(f"prepare({reference!r}) {found}")
        return f"{len(_CORRUPTED)} refused"

    def options(self) -> str:
        try:
            load_verifier(self.name, {**self.example.options, "no_such_option": 1})
        except BadOption:
            return "BadOption"
        raise CheckFailed("an unknown option is accepted")
