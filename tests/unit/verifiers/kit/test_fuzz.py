"""The fuzzer finds what raises, hangs its worker or crashes it, and finds nothing in a sound verifier."""

import random

import pytest

from verifiers.kit import fuzz as fuzzer
from verifiers.kit.case_table import GoldenCase
from verifiers.kit.fuzz import bent_answers, fuzz

BROKEN = """
import os
from verifiers.errors import BadReference
from verifiers.verdict import Verdict
from verifiers.verifier import Example, NoAnswer, Verifier

class Broken(Verifier):
    kind = "broken"
    summary = "raises on some answers, dies on others"
    example = Example("12", "12")

    def prepare(self, reference):
        return reference

    def extract(self, answer):
        if "{" in answer.text:
            os._exit(1)
        if len(answer.text) > 5:
            raise IndexError("too long for me")
        return answer.text

    def compare(self, prepared, extracted):
        return Verdict.scored(float(prepared == extracted), "compared", "")
"""


@pytest.mark.parametrize("kind", ["math", "number", "bbox_iou", "choice"])
def test_nothing_is_found_in_a_sound_verifier(kind):
    report = fuzz(kind, seconds=1.0)
    assert report.num_answers > 50
    assert report.findings == ()


def test_what_raises_and_what_dies_is_found(tmp_path, monkeypatch):
    (tmp_path / "broken_verifier.py").write_text(BROKEN)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(fuzzer, "MAX_FINDINGS", 100)
    problems = " ".join(finding.problem for finding in fuzz("broken_verifier:Broken", seconds=20).findings)
    assert "IndexError: too long for me" in problems
    assert "the worker process died" in problems


def test_the_seed_alone_decides_what_is_tried():
    cases = [GoldenCase("1", r"\boxed{1}", 1.0, {}, "right"), GoldenCase("2", "two 2", 0.0, {}, "wrong")]

    def first(seed):
        answers = bent_answers(cases, random.Random(seed))
        return [next(answers) for _ in range(200)]

    assert first(1) == first(1)
    assert first(1) != first(2)
    assert all(len(answer) <= fuzzer.MAX_CHARS for _, answer in first(3))
