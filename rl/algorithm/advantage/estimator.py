"""Advantage estimators by name: verl's, and functions of a user's own; what each needs to be called."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from verifiers.errors import BadInput, near_name
from verifiers.plug_in import load_object, plug_in_path

if TYPE_CHECKING:
    import torch

    Function = Callable[..., tuple[torch.Tensor, torch.Tensor]]

PLUG_INS = "hone.algorithms"

DECOUPLED_GAE = "decoupled_gae"  # rl.algorithm.advantage.gae
_OF_A_CRITIC = frozenset({"gae", DECOUPLED_GAE})
_OF_GROUPS = frozenset(
    "grpo grpo_vectorized grpo_passk rloo rloo_vectorized opo gpg reinforce_plus_plus_baseline".split()
)


@dataclass(frozen=True)
class Estimator:
    """A function (rewards of tokens, mask, ...) -> (advantages, returns), [responses, longest response] each.

    It is called with what its parameters name of ``OFFERED``: ``index`` is each response's prompt, ``values`` are a
    critic's, ``config`` is verl's. One of a user's own that has a parameter ``values`` needs a critic; one with an
    attribute ``needs_groups`` that is true compares the responses of one prompt.
    """

    name: str
    needs_groups: bool
    needs_critic: bool
    own: Function | None = None

    @classmethod
    def named(cls, name: str) -> Estimator:
        """verl's of that name, which is looked up when it is called; an entry point's, or `package.module:function`.

        Raises: BadInput for a path that leads to no function.
        """
        known = name in _OF_GROUPS or name in _OF_A_CRITIC
        path = None if known else plug_in_path(PLUG_INS, name)
        if path is None:
            return cls(name, name in _OF_GROUPS, name in _OF_A_CRITIC)
        own = load_object(path, f"rl.advantage={name!r}")
        if not inspect.isfunction(own):
            raise BadInput(f"rl.advantage={name!r} is no function: a class is named by rl.algorithm")
        needs_critic = "values" in inspect.signature(own).parameters
        return cls(name, bool(getattr(own, "needs_groups", False)), needs_critic, own)

    @property
    def function(self) -> Function:
        """Raises: BadInput for a name that verl does not have."""
        if self.own is not None:
            return self.own
        registry = _registry()
        if self.name not in registry:
            known = sorted(name for name, function in registry.items() if not _lacking(function, OFFERED))
            raise BadInput(
                f"rl.advantage={self.name!r} is unknown{near_name(self.name, known)} (known: {', '.join(known)}; or "
                "package.module:function)"
            )
        return registry[self.name]

    def __call__(self, offered: Mapping[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
        """Call it with what it takes of what is offered."""
        named = inspect.signature(self.function).parameters
        return self.function(**{name: value for name, value in offered.items() if name in named})

    def check(self) -> None:
        """Raises: BadInput for an unknown name, and for a function that Hone cannot feed."""
        if self.name in _OF_GROUPS | _OF_A_CRITIC:
            return  # nothing to ask verl, which takes 8 s to import
        if lacking := _lacking(self.function, OFFERED):
            raise BadInput(
                f"rl.advantage={self.name!r} needs {', '.join(lacking)}, which this program does not make"
            )


OFFERED = frozenset(
    "token_level_rewards response_mask index values config norm_adv_by_std_in_grpo gamma lam lambda_actor "
    "lambda_critic length_adaptive_alpha whiten".split()
)


def _registry() -> dict[str, Function]:
    from verl.trainer.ppo.core_algos import ADV_ESTIMATOR_REGISTRY

    import rl.algorithm.advantage.gae  # noqa: F401  it registers itself

    registry: dict[str, Function] = ADV_ESTIMATOR_REGISTRY
    return registry


def _lacking(function: Function, offered: frozenset[str]) -> list[str]:
    """Arguments without a default that nobody fills in, such as a greedy baseline."""
    return [
        one.name
        for one in inspect.signature(function).parameters.values()
        if one.default is one.empty
        and one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL)
        and one.name not in offered
    ]
