"""The figures of `hone bench scoring`, by hand."""

import pytest

from recipes.benchmarks.hybrid_run import HybridRun
from recipes.benchmarks.scoring import OneStep, Scoring
from rl.run.run_directory import RunDirectory
from verifiers.errors import BadInput


def test_what_is_hidden() -> None:
    """Generation 2.0 s and scoring 1.0 s, medians; at once 2.2 + 0.3 s: half of the scoring is hidden."""
    apart = [OneStep(1.9, 1.1, 60, 60), OneStep(2.0, 1.0, 61, 61), OneStep(2.5, 0.9, 62, 62)]
    together = [OneStep(2.2, 0.3, 4, 60), OneStep(9.0, 0.1, 3, 61), OneStep(2.0, 0.2, 9, 62)]
    found = Scoring(apart, together, 0.05)
    assert found.step_s == pytest.approx(2.5)
    assert found.hidden_frac == pytest.approx(0.5)
    assert "hidden: 50% of the scoring" in str(found)
    assert "waiting  0.200 s for 4 judgements" in str(found)


def test_a_run_without_a_reward_model_is_refused(tmp_path) -> None:
    run = RunDirectory(tmp_path / "plain")
    run.open("name: plain\n")
    run.close()
    with pytest.raises(BadInput, match="plain is no hybrid run"):
        HybridRun.of(tmp_path / "plain", [])
