"""A reward model from a package outside, by entry point and by path, in a recipe."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reward_models.registry import load_reward_model
from rl.engines.engines import Engines
from rl.preflight.environment import check_environment
from rl.recipe.recipe import Recipe
from rl.run.results.stage_result import PolicyState
from sampler.rollout import RolloutGroup
from verifiers.errors import BadInput

MODULE = '''
from reward_models.score import Score


class Longer:
    """The longer answer wins with ``certainty``; remembers whether it was closed."""

    closed = 0

    def __init__(self, certainty=1.0):
        if not 0.5 <= certainty <= 1:
            raise ValueError(f"certainty must be in [0.5, 1], got {certainty}")
        self.certainty = certainty

    def __enter__(self):
        return self

    def __exit__(self, *_):
        Longer.closed += 1

    def compare(self, comparisons):
        return {
            one.comparison_id: Score.scored(
                self.certainty if len(one.first.text) > len(one.second.text) else 1 - self.certainty
            )
            for one in comparisons
        }


def length(): ...
'''


@pytest.fixture(autouse=True)
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Installed as pip would leave it: a module and its metadata in a folder on the path."""
    (tmp_path / "outside_judges.py").write_text(MODULE)
    metadata = tmp_path / "outside_judges-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: outside-judges\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[hone.reward_models]\nlonger = outside_judges:Longer\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("outside_judges", None)


def recipe(**reward_model: Any) -> Recipe:
    return Recipe.model_validate(
        {"name": "x", "data": {"builder": "x:y"}, "judging": {"reward_model": reward_model}}
    )


@pytest.mark.parametrize("name", ["longer", "outside_judges:Longer"])
def test_it_judges_general_prompts(
    prompt: Callable[..., Any], rollout: Callable[..., Any], tmp_path: Path, name: str
) -> None:
    given = recipe(name=name, options={"certainty": 0.75})
    asked = prompt("g", kind="general", verifier=None, reference="four")
    groups = [
        RolloutGroup(
            asked,
            tuple(
                rollout(asked, i, f"<think>.</think>{answer}") for i, answer in enumerate(("longer", "no"))
            ),
        )
    ]
    with Engines(given, PolicyState(0, tmp_path, ""), tmp_path) as engines:
        judge = engines.judge
        judge.check([asked])
        assert [one.reward.value for one in judge.judge(groups).rollouts] == [0.75, 0.25]
        closed = sys.modules["outside_judges"].Longer.closed
    assert sys.modules["outside_judges"].Longer.closed == closed + 1
    (check,) = check_environment(given)
    assert check.run().outcome == "ok"


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "loner",
            {},
            "unknown reward model 'loner'; did you mean 'longer'? (known: endpoint, rubric, longer; or",
        ),
        ("outside_judges:Longest", {}, "cannot be imported from 'outside_judges:Longest'"),
        ("longer", {"certain": 1}, "unexpected keyword argument 'certain'"),
        ("longer", {"certainty": 2}, "reward model 'longer': certainty must be in [0.5, 1], got 2"),
        ("outside_judges:length", {}, "has no method compare"),
    ],
)
def test_is_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput) as found:
        load_reward_model(name, options)
    assert message in str(found.value)
    (check,) = check_environment(recipe(name=name, options=options))
    assert check.run().outcome == "failed"
