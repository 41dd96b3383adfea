"""On-policy distillation: the policy's own rollouts, judged token by token by a teacher."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rl.algorithm.algorithm import Algorithm
from rl.algorithm.distillation import ALL, Distillation
from rl.families.family import require_same_tokens
from rl.recipe.recipe import Recipe
from rl.run.results.manifest import results_of
from rl.run.results.stage_result import PolicyState
from rl.run.run_directory import RunDirectory
from rl.stages.rl import RlStage
from rl.stages.stage import StageContext
from verifiers.errors import BadInput


class DistillStage(RlStage):
    """An RL stage whose signal is a teacher's: a policy, or several by question type, kind or ``all``; by default those
    of ``distillation.teachers``. What it leaves is what an RL stage leaves."""

    label = "distillation"
    stream = "distill"

    def __init__(
        self,
        round_index: int = 0,
        teachers: PolicyState | Mapping[str, PolicyState] | None = None,
        critic: Path | None = None,
    ) -> None:
        super().__init__(round_index, critic)
        self.teachers = {ALL: teachers} if isinstance(teachers, PolicyState) else teachers

    def directory_name(self, number: int) -> str:
        return f"{number:02d}-distill-r{self.round_index}"

    def inputs(self) -> Mapping[str, Any]:
        return {"teachers": {key: one.stage for key, one in (self.teachers or {}).items()}}

    def algorithm(self, recipe: Recipe) -> Algorithm:
        """Raises: BadInput without a teacher."""
        named = recipe.distillation.teachers
        if self.teachers is not None:
            named = {key: one.stage for key, one in self.teachers.items()}
        return Distillation(recipe.rl, recipe.distillation, named)

    def algorithm_in(self, context: StageContext) -> Algorithm:
        """Raises: BadInput for a teacher that is not there or does not speak the policy's tokens, and for prompts that
        nobody teaches on."""
        recipe, hubs = context.recipe, dict[str, str]()
        for key, name in recipe.distillation.teachers.items() if self.teachers is None else ():
            hubs[key] = str(teacher_hub(name, context.run))
        for key, policy in (self.teachers or {}).items():
            hubs[key] = str(policy.hub)
        for hub in set(hubs.values()):
            require_teacher(Path(hub), context.policy.hub)
        algorithm = Distillation(recipe.rl, recipe.distillation, hubs)
        algorithm.check(context.data.train)
        return algorithm


def teacher_hub(name: str, run: RunDirectory) -> Path:
    """The policy of a stage of this run, or a checkpoint directory. Raises: BadInput where it is neither."""
    policies = [getattr(result, "policy", None) for result in results_of(run.path)]
    hubs = {policy.stage: policy.hub for policy in policies if policy is not None}
    hub = hubs.get(name, Path(name))
    if not hub.is_dir():
        raise BadInput(
            f"distillation.teachers: {name} is neither a stage of this run that left a policy "
            f"({', '.join(hubs) or 'none has yet'}) nor a checkpoint directory"
        )
    return hub


def require_teacher(teacher: Path, policy: Path) -> None:
    """Raises: BadInput where a teacher does not read what the policy writes."""
    try:
        require_same_tokens(teacher, policy)
    except (OSError, ValueError) as why:
        raise BadInput(f"teacher {teacher}: {' '.join(str(why).split())}") from why
