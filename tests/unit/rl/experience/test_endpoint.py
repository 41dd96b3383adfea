"""The judge that a recipe names by `judging.reward_model.endpoint`, against a chat server in this process."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rl.engines.engines import Engines
from rl.experience.judge import Judge
from rl.experience.step_metrics import criterion_metrics
from rl.preflight.environment import check_environment
from rl.recipe.judging_config import RubricConfig
from rl.recipe.recipe import Recipe
from rl.run.results.stage_result import PolicyState
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


def test_a_recipe_s_rubric_is_asked_of_its_endpoint_and_its_parts_reach_the_figures(
    chat_server: Callable[..., Any],
    prompt: Callable[..., Any],
    rollout: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv(KEY_ENV, "sk-1")
    server = chat_server(
        lambda body, number: (200, {"choices": [{"message": {"content": str(int("nine." in repr(body)))}}]})
    )
    made = recipe(server.url)
    criteria = {
        "general": [{"name": "nine", "text": "It says nine."}, {"name": "ten", "text": "Ten?", "weight": 3}]
    }
    assert made.judging.reward_model is not None
    asked = made.judging.reward_model.model_copy(update={"rubric": RubricConfig(criteria=criteria)})
    made = made.model_copy(update={"judging": made.judging.model_copy(update={"reward_model": asked})})
    reward, why = judged(made, prompt, rollout, tmp_path)
    assert (reward.value, why) == (0.25, "")
    assert reward.parts == {"format": 1.0, "rubric/nine": 1.0, "rubric/ten": 0.0}
    assert len(server.bodies) == 2 and "secret" not in repr(server.bodies)
    assert criterion_metrics([SimpleNamespace(reward=reward)] * 2) == {  # type: ignore[list-item]
        "rubric/nine_met_mean": 1.0,
        "rubric/ten_met_mean": 0.0,
    }


def test_a_prompt_without_criteria_is_said_before_the_run(prompt: Callable[..., Any]) -> None:
    made = recipe("http://h/v1", api_key_env=None)
    assert made.judging.reward_model is not None
    config = made.judging.model_copy(
        update={"reward_model": made.judging.reward_model.model_copy(update={"rubric": RubricConfig()})}
    )
    with Judge(config, scorer=SimpleNamespace()) as judge:  # type: ignore[arg-type]
        with pytest.raises(BadInput, match="neither its row nor the recipe has criteria"):
            judge.check([general(prompt, "g")])
        own = {"rubric": [{"name": "nine", "text": "It says nine."}]}
        judge.check([replace(general(prompt, "g"), reference="", verifier_options=own)])


@pytest.mark.parametrize(
    ("reward_model", "message"),
    [
        ({"name": "a:b", "rubric": {}}, "one of your own has .options"),
        ({"path": "x", "rubric": {"criteria": {"general": []}}}, "a rubric is a list of criteria"),
        ({"training": {"data": {"builder": "a:b"}}, "rubric": {}}, "belong together"),
        ({"training": {"data": {"builder": "a:b"}, "kind": "rubric"}}, "belong together"),
    ],
)
def test_rubrics_that_do_not_fit_are_refused(reward_model: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Recipe.model_validate(
            {"name": "x", "data": {"builder": "a:b"}, "judging": {"reward_model": reward_model}}
        )


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
    assert check.run().outcome == "warning" and "nothing listens there" in check.run().summary
    assert "sk-1" not in check.run().summary
    with socket.create_server(("localhost", 0)) as server:
        (listened,) = check_environment(recipe(f"http://localhost:{server.getsockname()[1]}/v1"))
        assert listened.run().outcome == "ok"
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
