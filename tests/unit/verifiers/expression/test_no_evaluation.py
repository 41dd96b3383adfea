"""No model text is ever evaluated, and the floor stays light."""

import subprocess
import sys
import time

GUARD = """
import builtins, json, sys
from pathlib import Path
from verifiers.kit.case_table import read_cases
from verifiers.registry import load_verifier
real_compile = builtins.compile
def refuse(*args, **kwargs):
    raise AssertionError("model text was evaluated")
verifiers, cases = {}, read_cases(Path("tests/golden/verifiers/math.jsonl"))
load_verifier("math").judge(r"\\sqrt{2}", "1.41421356")    # imports what is imported lazily
builtins.eval = builtins.exec = builtins.compile = refuse
for case in cases:
    verdict = load_verifier("math", case.options).judge(case.reference, case.answer)
    assert verdict.status != "error", (case, verdict)
heavy = [name for name in ("sympy", "torch", "ray", "numpy") if name in sys.modules]
print(len(cases), heavy)
"""


def run(script):
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120
    )


def test_the_whole_table_with_eval_forbidden():
    done = run(GUARD)
    assert done.returncode == 0, done.stderr[-2000:]
    count, _, heavy = done.stdout.strip().partition(" ")
    assert int(count) > 1000
    assert heavy == "[]"


def test_import_is_fast_and_light():
    script = "import time; t = time.process_time(); import verifiers; print(time.process_time() - t)"
    best = min(float(run(script).stdout) for _ in range(3))
    assert best < 0.2
    loaded = run("import verifiers.registry, verifiers.service.service, sys; print([m for m in "
                 "('torch', 'ray', 'sympy', 'mpmath', 'numpy', 'pint', 'scipy') if m in sys.modules])")  # fmt: skip
    assert loaded.stdout.strip() == "[]"


def test_hostile_mathematics_is_quick():
    from verifiers.kit.hostile_pack import hostile_answers
    from verifiers.registry import load_verifier

    verifier = load_verifier("math")
    prepared = verifier.prepare(r"\frac{1}{2}")
    for name, text in hostile_answers().items():
        started = time.process_time()
        verdict = verifier.judge_prepared(prepared, text)
        assert time.process_time() - started < 2.0, name
        assert verdict.score == 0.0, (name, verdict)
