"""What is refused before an engine starts, and what is not."""

from __future__ import annotations

from typing import Any

import pytest

from rl.algorithm.advantage.estimator import _OF_A_CRITIC, _OF_GROUPS, OFFERED, Estimator, _lacking
from rl.algorithm.algorithm import Algorithm
from rl.recipe.rl_config import LossConfig, RlConfig
from verifiers.errors import BadInput


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"advantage": "gae"},
        {"advantage": "gae", "lambda_actor": 0.95, "lambda_critic": 0.95, "samples_per_prompt": 1},
        {"advantage": "decoupled_gae", "lambda_actor": "length_adaptive", "whiten_advantages": False},
        {"advantage": "reinforce_plus_plus", "samples_per_prompt": 1},
        {"loss": LossConfig(policy_loss="gspo", importance="mask")},
        {
            "loss": LossConfig(
                policy_loss="geo_mean", importance="truncate", aggregation="seq-mean-token-mean"
            )
        },
        {"loss": LossConfig(policy_loss="clip_cov", options={"clip_cov_ratio": 0.001, "clip_cov_ub": 8.0})},
        {"loss": LossConfig(options={"clip_ratio_c": 10.0})},
        {"reward_weights": {"math": 0.5, "general": 2.0, "own.package:Verifier": 1.0}},
    ],
)
def test_is_taken(settings: dict[str, Any]) -> None:
    Algorithm(RlConfig(**settings)).check([])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"advantage": "decoupled_gea"}, "did you mean 'decoupled_gae'"),
        ({"advantage": "remax"}, "'remax' needs reward_baselines, which this program does not make"),
        ({"advantage": "gae", "lambda_actor": 0.95}, "has one lambda and always whitens"),
        ({"advantage": "gae", "lambda_actor": "length_adaptive"}, "name 'decoupled_gae'"),
        ({"advantage": "gae", "whiten_advantages": False}, "name 'decoupled_gae'"),
        (
            {
                "loss": LossConfig(
                    policy_loss="geo_mean", importance="mask", aggregation="seq-mean-token-mean"
                )
            },
            "rl.loss.importance='mask' has no",
        ),
        (
            {"loss": LossConfig(policy_loss="sapo")},
            "averages sequences whatever rl.loss.aggregation=token-mean says",
        ),
        (
            {"loss": LossConfig(options={"clip_ratio": 4.0})},
            "'clip_ratio' is none of rl.loss.policy_loss='vanilla'; did",
        ),
        ({"loss": LossConfig(policy_loss="gspo", options={"clip_ratio_c": 4.0})}, "(it has no options)"),
        (
            {"loss": LossConfig(options={"clip_ratio_c": 1.0})},
            "rl.loss.options.clip_ratio_c=1 must be above 1",
        ),
        ({"loss": LossConfig(policy_loss="dro")}, "needs rl.loss.options.dro_beta"),
        ({"loss": LossConfig(policy_loss="bypass_mode", importance="truncate")}, "use another loss"),
        (
            {"reward_weights": {"maths": 0.5}},
            "'maths' is no kind of prompt and no verifier; did you mean 'math'",
        ),
    ],
)
def test_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput) as found:
        Algorithm(RlConfig(**settings)).check([])
    assert message in str(found.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lambda_actor": 1.5}, "1.5 is neither a number from 0 to 1 nor length_adaptive"),
        ({"lambda_actor": "adaptive"}, "'adaptive' is neither a number"),
        ({"gamma": 0.0}, "greater than 0"),
        ({"length_adaptive_alpha": 0.0}, "greater than 0"),
        ({"overlong_cache_tokens": 9, "max_response_tokens": 8}, "is more than rl.max_response_tokens=8"),
        ({"unparseable_penalty": -1.0}, "greater than or equal to 0"),
    ],
)
def test_is_out_of_range(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RlConfig(**settings)


def test_what_an_estimator_needs_is_what_verls_function_takes() -> None:
    """The names are listed, so that a dry run need not import verl; here they are held against its signatures."""
    import inspect

    from verl.trainer.ppo.core_algos import ADV_ESTIMATOR_REGISTRY

    import rl.algorithm.advantage.gae  # noqa: F401  it registers itself

    listed = _OF_GROUPS | _OF_A_CRITIC
    assert listed <= set(ADV_ESTIMATOR_REGISTRY)
    assert not [name for name in listed if _lacking(ADV_ESTIMATOR_REGISTRY[name], OFFERED)]
    for name, function in ADV_ESTIMATOR_REGISTRY.items():
        parameters = inspect.signature(function).parameters
        assert Estimator.named(name).needs_critic == (name in ("gae", "decoupled_gae"))
        assert not Estimator.named(name).needs_critic or "values" in parameters
        assert not Estimator.named(name).needs_groups or "index" in parameters


def test_the_reference_is_needed_where_a_coefficient_meets_a_prompt() -> None:
    general_only = Algorithm(RlConfig(loss=LossConfig(kl_coef_general=1e-5, kl_coef_verifiable=0.0)))
    assert general_only.needs_reference({"general", "verifiable"})
    assert not general_only.needs_reference({"verifiable"}) and not general_only.needs_reference(set())
    neither = Algorithm(RlConfig(loss=LossConfig(kl_coef_general=0.0)))
    assert not neither.needs_reference({"general", "verifiable"})
