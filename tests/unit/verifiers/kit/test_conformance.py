"""The conformance kit passes what conforms and says what to change about what does not."""

import sys

import pytest

from verifiers.case import Case
from verifiers.kit.case_table import GoldenCase
from verifiers.kit.conformance import check_conformance
from verifiers.kit.place_checks import elsewhere
from verifiers.kit.verifier_under_test import CheckFailed, VerifierUnderTest
from verifiers.verdict import Verdict
from verifiers.verifier import Example, Verifier

pytest_plugins: list[str] = []


@pytest.mark.parametrize("kind", ["math", "number", "choice", "bbox_iou"])
def test_built_in_verifiers_conform(kind):
    failed = [result for result in check_conformance(kind) if result.status == "failed"]
    assert failed == []


BROKEN = """
from verifiers.verdict import Verdict
from verifiers.verifier import Example, Verifier

class BrokenVerifier(Verifier):
    kind = "broken"
    example = Example("7", "7")
    seen = 0
    def prepare(self, reference):
        return str(reference)
    def extract(self, answer):
        return answer.text
    def compare(self, prepared, extracted):
        BrokenVerifier.seen += 1
        open("broken.log", "a").close()
        score = float(prepared in extracted and BrokenVerifier.seen % 7 != 0)
        return Verdict.scored(score, "contains", "contains the reference")
"""


def test_a_broken_verifier_fails_where_it_is_broken(tmp_path, monkeypatch):
    (tmp_path / "broken_module.py").write_text(BROKEN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    try:
        results = {result.name: result for result in check_conformance("broken_module:BrokenVerifier")}
    finally:
        sys.modules.pop("broken_module", None)
    failed = {name for name, result in results.items() if result.status == "failed"}
    assert {
        "case table",
        "near misses are refused",
        "bad references are refused",
        "no side effects",
    } <= failed
    assert "broken_cases.jsonl" in results["case table"].detail
    assert all(result.detail for result in results.values() if result.status == "failed")


def test_a_verifier_that_never_ends_is_ended_and_named(tmp_path, monkeypatch):
    endless = BROKEN.replace('open("broken.log", "a").close()', "while True: pass")
    (tmp_path / "endless_module.py").write_text(endless)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("verifiers.kit.place_checks.END_LIMIT_S", 0.5)
    (result,) = check_conformance("endless_module:BrokenVerifier")
    assert result.status == "failed" and "the example is not judged within 0.5 s" in result.detail


def test_a_case_holds_a_final_answer():
    with pytest.raises(TypeError, match="a FinalAnswer, got str"):
        Case("a", "number", {}, "1", "1")


def test_what_answers_no_verdict_or_imports_on_a_case_s_time_is_named(tmp_path, monkeypatch):
    late = BROKEN.replace('open("broken.log", "a").close()', "import slow_table").replace("Broken", "Late")
    (tmp_path / "late_module.py").write_text(late)
    (tmp_path / "slow_table.py").write_text("import time\nwhile time.process_time() < 2.5: pass\n")
    (tmp_path / "none_module.py").write_text(BROKEN.replace("return Verdict.scored", "Verdict.scored"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    late = {result.name: result.detail for result in check_conformance("late_module:LateVerifier")}
    assert "the first case imports slow_table" in late["no side effects"]
    assert "`imports`" in late["no side effects"]
    none = {result.name: result.detail for result in check_conformance("none_module:BrokenVerifier")}
    assert "compare returned None, not a Verdict" in none["golden cases"]


def test_a_verdict_that_depends_on_the_past_is_found():
    from verifiers.kit import conformance

    class Moody(Verifier):
        kind = "moody"
        example = Example("7", "7")
        count = 0

        def prepare(self, reference):
            return reference

        def extract(self, answer):
            return answer.text

        def compare(self, prepared, extracted):
            Moody.count += 1
            return Verdict.scored(float(Moody.count % 2), "moody", "moody")

    kit = conformance._Kit.__new__(conformance._Kit)
    kit.cases, kit._verifiers = [], {"{}": Moody()}
    kit.example = GoldenCase("7", "7", 1.0, {}, "right")
    with pytest.raises(conformance.CheckFailed, match="depends on"):
        kit.repeatable()


def test_a_place_that_fails_is_skipped_and_a_verifier_that_fails_there_is_not():
    kit = VerifierUnderTest("number", None)

    def no_ray(case):
        raise RuntimeError("Ray did not start within 30 s")

    skipped = elsewhere(kit, no_ray)
    assert skipped.startswith("skipped: ") and "Ray did not start within 30 s" in skipped
    assert elsewhere(kit, lambda case: Verdict.scored(1.0, "ok", "equal")) == "same score"
    with pytest.raises(CheckFailed, match=r"scores None there, not 1\.0: no such module"):
        elsewhere(kit, lambda case: Verdict.failed("verifier_raised", "no such module"))
