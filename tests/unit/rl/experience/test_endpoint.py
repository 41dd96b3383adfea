"""The judge that a recipe names by `judging.reward_model.endpoint`, against a chat server in this process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rl.engines.engines import Engines
from rl.preflight.environment import check_environment
from rl.recipe.recipe import Recipe
from rl.run.stage_result import PolicyState
from sampler.rollout import RolloutGroup
from verifiers.errors import BadInput, HoneError

KEY_ENV = "HONE_TEST_ENDPOINT_KEY"


def recipe(url: str, **endpoint: Any) -> Recipe:
    given = {"url": url, "model": "judge-vl", "api_key_env": KEY_ENV, "max_retries": 0, **endpoint}
    judging = {"reward_model": {"endpoint": given}}
    return Recipe.model_validate({"name": "x", "data": {"builder": "a:b"}, "judging": judging})


def says(text: str) -> Callable[..., Any]:
    return lambda body, number: (200, {"choices": [{"message": {"content": text}}]})


def general(prompt: Callable[..., Any], name: str) -> Any:
    return replace(prompt(name), kind="general", verifier=None, reference="It is nine.")


def judged(made: Recipe, prompt: Callable[..., Any], rollout: Callable[..., Any], log_dir: Path) -> Any:
    asked = general(prompt, "g")
    with Engines(made, PolicyState(0, log_dir, ""), log_dir) as engines:
        judge = engines.judge
        assert judge.can_judge(asked)
        judge.check([asked])
        groups = [RolloutGroup(asked, (rollout(asked, 0, "<think>a secret</think>nine"),))]
        (one,) = judge.judge(groups).rollouts
        try:
            judge.require_judged([one])
        except HoneError as why:
            return one.reward, str(why)
    return one.reward, ""


def test_a_recipe_s_endpoint_judges_general_prompts(
    chat_server: Callable[..., Any],
    prompt: Callable[..., Any],
    rollout: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv(KEY_ENV, "sk-1")
    server = chat_server(says("1"))  # whoever stands first wins: parity
    reward, why = judged(recipe(server.url), prompt, rollout, tmp_path)
    assert (reward.value, why) == (0.5, "")
    assert (reward.score.parts["as_first"], reward.score.parts["as_second"]) == (1.0, 0.0)
    assert [body["model"] for body in server.bodies] == ["judge-vl"] * 2
    assert {headers["Authorization"] for headers in server.headers} == {"Bearer sk-1"}
    assert "secret" not in repr(server.bodies)


@pytest.mark.parametrize("reply", [lambda body, number: (500, b"down"), says("both are fine")])
def test_its_failure_is_no_reward(
    chat_server: Callable[..., Any],
    prompt: Callable[..., Any],
    rollout: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    reply: Any,
) -> None:
    monkeypatch.setenv(KEY_ENV, "sk-1")
    reward, why = judged(recipe(chat_server(reply).url), prompt, rollout, tmp_path)
    assert reward.value is None
    assert "1 of 1 rollouts could not be judged" in why


def test_a_missing_key_or_a_wrong_url_is_said_before_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_ENV, raising=False)
    (check,) = check_environment(recipe("http://localhost:1/v1"))
    assert (check.name, check.run().outcome) == ("judge's endpoint", "failed")
    assert KEY_ENV in check.run().summary
    monkeypatch.setenv(KEY_ENV, "sk-1")
    assert check.run().outcome == "ok"
    assert "sk-1" not in check.run().summary
    (wrong,) = check_environment(recipe("localhost/v1"))
    assert wrong.run().outcome == "failed"


def test_one_origin_of_the_reward_model() -> None:
    with pytest.raises(ValueError, match=r"reward_model.endpoint or reward_model.name, one of them"):
        Recipe.model_validate(
            {
                "name": "x",
                "data": {"builder": "a:b"},
                "judging": {"reward_model": {"path": "rm", "endpoint": {"url": "http://h/v1", "model": "m"}}},
            }
        )


def test_without_a_key_in_the_environment_no_judge_is_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(KEY_ENV, raising=False)
    with (
        pytest.raises(BadInput, match=KEY_ENV),
        Engines(recipe("http://localhost:1/v1"), PolicyState(0, tmp_path, ""), tmp_path) as engines,
    ):
        raise AssertionError(f"a judge without a key: {engines.judge}")
