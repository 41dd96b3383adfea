"""`code`: a program judged by unit tests, run in a sandbox."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from verifiers.answer import FinalAnswer
from verifiers.code_sandbox.call_harness import WHOLE, plain
from verifiers.code_sandbox.program_run import Finished, SandboxFailed, run_program
from verifiers.errors import BadReference
from verifiers.reading.code_block import code_blocks
from verifiers.verdict import Verdict
from verifiers.verifier import Example, NoAnswer, Verifier, shown

_PYTHON = ("python", "py", "python3")
MAX_CODE_CHARS = 100_000
MAX_TESTS = 500


@dataclass(frozen=True)
class CodeOptions:
    """score         `all`: 1 when every test passes; `fraction`: the share that passes
    timeout_s     wall clock for all tests of one program; what has no time left has failed. Keep it a second below
                  the service's own limit, which takes a program that it ends for one that it could not judge
    memory_mib    address space of the program
    rel_tol       accepted relative error of floats in results
    """

    score: Literal["all", "fraction"] = "all"
    timeout_s: float = 4.0
    memory_mib: int = 512
    rel_tol: float = 1e-9

    def __post_init__(self) -> None:
        if not (0 < self.timeout_s <= 600 and 32 <= self.memory_mib <= 65_536 and 0 <= self.rel_tol < 1):
            raise ValueError("timeout_s is in (0, 600], memory_mib in [32, 65536], rel_tol in [0, 1)")


@dataclass(frozen=True)
class CallTests:
    """`entry` called with `args` and `kwargs` of each call; what it must return, in the same order."""

    entry: str
    calls: tuple[dict[str, Any], ...]
    expected: tuple[Any, ...]

    def defined_in(self, code: str) -> bool:
        """Whether a program has a line that gives the entry its name."""
        name = re.escape(self.entry.partition(".")[0])
        return (
            re.search(rf"(?m)^(?:(?:async[ \t]+)?def|class)[ \t]+{name}\b|^{name}[ \t]*=(?!=)", code)
            is not None
        )


@dataclass(frozen=True)
class StreamTests:
    """Standard input of each run, and what it must print."""

    inputs: tuple[str, ...]
    expected: tuple[str, ...]


class CodeVerifier(Verifier[CallTests | StreamTests, tuple[str, ...]]):
    """Reference: `{"entry": "solve", "tests": [{"args": [...], "expected": ...}, ...]}` (unit tests by call;
    `entry` may be
    `Class.method`), or `{"tests": [{"stdin": "...", "stdout": "..."}]}`; `solution` may hold a right program.

    The program is the last ```python block of the answer (of a tested function: the last that defines it), else the
    last one without a language, else the whole answer. It runs apart (one process, no network, no writes, limits on
    time, memory and output; with Landlock in the kernel no reading but of Python's own files); expected values never
    enter that process, and its exit status proves nothing: each result must come out. Results are compared by value and
    kind (1 is not True, a list is not a tuple unless the reference, which is JSON, cannot tell them apart).
    """

    kind = "code"
    side_effects = ("subprocess.Popen",)
    mutations = ()
    summary = "Python programs by unit tests (calls or stdin/stdout) in a sandbox"
    Config = CodeOptions
    max_answer_chars = MAX_CODE_CHARS
    example = Example(
        {"entry": "double", "tests": [{"args": [2], "expected": 4}, {"args": [-1], "expected": -2}]},
        "```python\ndef double(x):\n    return 2 * x\n```",
        options={"timeout_s": 0.6},
    )

    def __init__(self, config: Any = None, **options: Any) -> None:
        super().__init__(config, **options)
        self.max_seconds = self.config.timeout_s

    def prepare(self, reference: Any) -> CallTests | StreamTests:
        """Calls of a function, or input and output of a program. Raises: BadReference for what is neither."""
        if isinstance(reference, str):
            try:
                reference = json.loads(reference)
            except (ValueError, RecursionError):
                raise BadReference(
                    "a reference of 'code' is a mapping with tests, got text that is not JSON"
                ) from None
        if not isinstance(reference, Mapping) or set(reference) - {"entry", "tests", "solution"}:
            raise BadReference(
                f"a reference of 'code' has keys entry, tests, solution; got {shown(repr(reference), 80)}"
            )
        tests = reference.get("tests")
        if not isinstance(tests, (list, tuple)) or not 0 < len(tests) <= MAX_TESTS:
            raise BadReference(f"tests of a 'code' reference is a list of 1 to {MAX_TESTS} tests")
        if not all(isinstance(test, Mapping) for test in tests):
            raise BadReference("a test of a 'code' reference is a mapping")
        if "entry" in reference:
            return _call_tests(reference["entry"], tests)
        for test in tests:
            if set(test) != {"stdin", "stdout"} or not all(isinstance(v, str) for v in test.values()):
                raise BadReference(
                    "without 'entry', a test of a 'code' reference has the texts stdin and stdout"
                )
        return StreamTests(tuple(t["stdin"] for t in tests), tuple(t["stdout"] for t in tests))

    def extract(self, answer: FinalAnswer) -> tuple[str, ...] | NoAnswer:
        """What may be the program: blocks without another language in their order, and last what it is otherwise."""
        blocks = [block for block in code_blocks(answer.text) if block[0] in ("", *_PYTHON)]
        python = [code for language, code in blocks if language]
        codes = [code for _, code in blocks]
        programs = (*codes, (python or codes or [answer.text])[-1])
        if not programs[-1].strip():
            return NoAnswer("no_answer", "the program is empty")
        try:
            "".join(programs).encode()
        except UnicodeEncodeError:
            return NoAnswer("not_text", "the program is not valid Unicode")
        return programs

    def compare(self, prepared: CallTests | StreamTests, extracted: tuple[str, ...]) -> Verdict:
        """The share of tests that pass, or 1 where all do; without a sandbox there is no verdict."""
        program = extracted[-1]
        try:
            if isinstance(prepared, CallTests):
                program = next((one for one in reversed(extracted[:-1]) if prepared.defined_in(one)), program)
                passed, reason = self._calls(prepared, program)
                total = len(prepared.calls)
            else:
                passed, reason = self._streams(prepared, program)
                total = len(prepared.inputs)
        except SandboxFailed as why:
            return Verdict.failed("no_sandbox", str(why))
        score = passed / total if self.config.score == "fraction" else float(passed == total)
        return Verdict.scored(
            score,
            "passed" if passed == total else "failed",
            shown(f"{passed} of {total} tests pass" + (f"; {reason}" if reason else "")),
            extracted=shown(program),
            parts={"passed": float(passed), "tests": float(total)},
            tier="execution",
        )

    def _run(self, task: dict[str, Any], timeout_s: float) -> Finished:
        return run_program(task, timeout_s=timeout_s, memory_bytes=self.config.memory_mib << 20)

    def _calls(self, tests: CallTests, code: str) -> tuple[int, str]:
        done = self._run(
            {"code": code, "entry": tests.entry, "calls": list(tests.calls)}, self.config.timeout_s
        )
        passed, reason = 0, ""
        for position, expected in enumerate(tests.expected):
            result = done.results.get(position)
            if result is not None and "value" in result and self._gave(result["value"], expected):
                passed += 1
            elif not reason:
                reason = f"test {position + 1}: {_what(result, done)}"
        return passed, reason

    def _streams(self, tests: StreamTests, code: str) -> tuple[int, str]:
        """One deadline for all runs; where the starts of sandboxes took most of the time, a program has half of it."""
        passed, reason = 0, ""
        started, run_s, limit_s = time.monotonic(), 0.0, self.config.timeout_s
        for position, (given, expected) in enumerate(zip(tests.inputs, tests.expected, strict=True)):
            left_s = max(limit_s - (time.monotonic() - started), limit_s / 2 - run_s)
            if left_s <= 0:
                reason = reason or f"test {position + 1}: out of time"
                break
            done = self._run({"code": code, "stdin": given}, left_s)
            run_s += done.run_s
            printed = done.stdout.decode("utf-8", "replace")
            if not done.timed_out and not done.overflowed and _lines(printed) == _lines(expected):
                passed += 1
                continue
            why = "out of time" if done.timed_out else f"printed {shown(printed, 60)!r}{_raised(done)}"
            reason = reason or f"test {position + 1}: {why}"
            if self.config.score == "all":
                break
        return passed, reason

    def _gave(self, found: Any, expected: Any) -> bool:
        """Whether a test passed; a program can write lines of its own, and what is no result of the harness is none."""
        try:
            return self._same(expected, found)
        except (TypeError, ValueError, OverflowError, RecursionError):
            return False

    def _same(self, expected: Any, found: Any) -> bool:
        """Expected JSON value against a marked result of the harness."""
        if isinstance(found, dict) and len(found) == 1:
            ((mark, content),) = found.items()
            if mark == "int":
                return type(expected) is int and str(expected) == content
            if mark == "float":
                return self._same_number(expected, float(content))
            if mark in ("list", "tuple"):
                is_list = isinstance(expected, (list, tuple)) and len(expected) == len(content)
                return is_list and all(map(self._same, expected, content))
            if mark == "set":
                is_list = isinstance(expected, (list, tuple)) and len(expected) == len(content)
                return is_list and sorted((plain(item) for item in expected), key=repr) == content
            if mark == "dict":
                keys = {str(key) if not isinstance(key, dict) else None: value for key, value in content}
                same_keys = isinstance(expected, Mapping) and set(map(str, expected)) == set(keys)
                return (
                    same_keys
                    and len(keys) == len(content)
                    and all(self._same(v, keys[str(k)]) for k, v in expected.items())
                )
            return False
        if isinstance(found, bool) or isinstance(expected, bool):
            return found is expected
        if isinstance(found, int) and isinstance(expected, (int, float)):
            return self._same_number(expected, found)
        return type(found) is type(expected) and bool(found == expected)

    def _same_number(self, expected: Any, found: float) -> bool:
        if isinstance(expected, bool) or not isinstance(expected, (int, float)):
            return False
        if isinstance(expected, int) and isinstance(found, int):
            return expected == found
        return math.isclose(expected, found, rel_tol=self.config.rel_tol, abs_tol=1e-12) and math.isfinite(
            found
        )

    def reference_answers(self, reference: Any) -> list[str]:
        self.prepare(reference)
        if isinstance(reference, str):
            reference = json.loads(reference)
        solution = reference.get("solution")
        return [solution, f"```python\n{solution}\n```"] if isinstance(solution, str) else []


def _call_tests(entry: Any, tests: Any) -> CallTests:
    if (
        not isinstance(entry, str)
        or not all(part.isidentifier() for part in entry.split("."))
        or entry.count(".") > 1
    ):
        raise BadReference(f"entry of a 'code' reference is a function's name or Class.method, got {entry!r}")
    calls, expected = [], []
    for test in tests:
        if set(test) - {"args", "kwargs", "expected"} or "expected" not in test:
            raise BadReference("a test by call has keys args, kwargs, expected")
        if not isinstance(test.get("args", []), (list, tuple)) or not isinstance(
            test.get("kwargs", {}), Mapping
        ):
            raise BadReference("args of a test is a list, kwargs a mapping")
        calls.append({"args": list(test.get("args", [])), "kwargs": dict(test.get("kwargs", {}))})
        expected.append(test["expected"])
    return CallTests(entry, tuple(calls), tuple(expected))


def _lines(text: str) -> list[str]:
    """Lines without trailing blanks, and without blank lines at the end."""
    return [line.rstrip() for line in text.rstrip().split("\n")]


def _what(result: dict[str, Any] | None, done: Finished) -> str:
    if result is None:
        return "out of time" if done.timed_out else f"no result came out{_raised(done)}"
    return (
        f"raised {result['raised']}"
        if "raised" in result
        else f"gave {shown(json.dumps(result.get('value')), 60)}"
    )


def _raised(done: Finished) -> str:
    """What the program says it ended by: it is told to people and decides nothing."""
    whole = done.results.get(WHOLE, {})
    return f", it raised {whole['raised']}" if "raised" in whole else ""
