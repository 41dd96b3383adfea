"""The recipe: every knob of a run, typed, with its default, its range and its unit. YAML is merged elsewhere."""

from __future__ import annotations

import re

from pydantic import Field, model_validator

from rl.recipe.data_config import DataConfig
from rl.recipe.distillation_config import DistillationConfig
from rl.recipe.judging_config import JudgingConfig, RewardModelConfig, RewardTrainingConfig, RubricConfig
from rl.recipe.profile_config import ProfileConfig
from rl.recipe.rl_config import CriticConfig, RlConfig
from rl.recipe.run_config import EvaluationConfig, MetricsConfig, ProgramConfig, RayConfig, SyncConfig
from rl.recipe.section import Section
from rl.recipe.sft_config import HarvestConfig, SftConfig
from rl.recipe.trainer_config import ModelConfig, TrainerConfig
from sampler.vllm_pool.sampler_config import SamplerConfig

PROFILE_PROGRAM = "recipes.programs.profile_prompts:program"
PROFILED_NAME = re.compile(r"[^A-Za-z0-9._-]+")


class NamedRun(Section):
    """What says which run it is."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9._-]+$", coerce_numbers_to_str=True, description="letters, digits and . _ -"
    )
    seed: int = Field(1, ge=0, description="of data, weights, shuffles and samples")
    run_dir: str = Field("runs/${name}", description="where everything goes; the same again resumes")


class Recipe(NamedRun):
    """One run. ``hone run RECIPE`` reads it; the resolved form is kept in the run directory."""

    model: ModelConfig = ModelConfig()
    data: DataConfig
    sampler: SamplerConfig = SamplerConfig()
    judging: JudgingConfig = JudgingConfig()
    trainer: TrainerConfig = TrainerConfig()
    sft: SftConfig = SftConfig()
    rl: RlConfig = RlConfig()
    critic: CriticConfig = CriticConfig()
    distillation: DistillationConfig = DistillationConfig()
    harvest: HarvestConfig = HarvestConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    sync: SyncConfig = SyncConfig()
    metrics: MetricsConfig = MetricsConfig()
    program: ProgramConfig = ProgramConfig()
    ray: RayConfig = RayConfig()

    @model_validator(mode="after")
    def _sizes_fit(self) -> Recipe:
        for name, rl in {"rl": self.rl, "distillation": self.distillation.applied_to(self.rl)}.items():
            if rl.min_prompts_per_step < rl.num_mini_batches:
                given = f"prompts_per_step={rl.prompts_per_step}"
                if rl.rollouts_per_step:
                    given = f"rollouts_per_step={rl.rollouts_per_step} may be {rl.min_prompts_per_step} prompts, which"
                raise ValueError(
                    f"{name}.{given} is less than {name}.num_mini_batches={rl.num_mini_batches}: the samples of a "
                    "prompt stay in one mini-batch"
                )
        if max(self.evaluation.pass_at, default=1) > self.evaluation.samples_per_prompt:
            raise ValueError("evaluation.pass_at asks for more than evaluation.samples_per_prompt")
        return self


class RewardRecipe(NamedRun, RewardTrainingConfig):
    """`hone reward-model train RECIPE` reads it; the resolved form is kept in the run directory."""

    model: ModelConfig = ModelConfig()
    trainer: TrainerConfig = TrainerConfig()
    sampler: SamplerConfig = Field(SamplerConfig(), description="the workers that serve it for the report")
    rubric: RubricConfig | None = Field(None, description="the criteria of kind rubric")
    metrics: MetricsConfig = MetricsConfig()
    ray: RayConfig = RayConfig()

    def as_recipe(self) -> Recipe:
        """The same as a run's recipe, of a program that only trains a reward model: there are no prompts."""
        fields = RewardTrainingConfig.model_fields
        training = RewardTrainingConfig(**{name: getattr(self, name) for name in fields})
        judge = RewardModelConfig(training=training, sampler=self.sampler, rubric=self.rubric)
        shared = ("name", "seed", "run_dir", "model", "trainer", "sampler", "metrics", "ray")
        return Recipe.model_construct(
            data=DataConfig.model_construct(),
            judging=JudgingConfig(reward_model=judge),
            **{name: getattr(self, name) for name in shared},
        )


class ProfileRecipe(Recipe):
    """What `hone prompts profile` works by: a recipe's engines and judges on one prompt set; kept with the run."""

    profile: ProfileConfig = ProfileConfig()

    @classmethod
    def of(
        cls,
        recipe: Recipe,
        profile: ProfileConfig,
        *,
        prompts: str,
        policy: str,
        run_dir: str,
        reward_model: str | None,
    ) -> ProfileRecipe:
        """``prompts`` is the set that is profiled and ``policy`` the checkpoint that answers; ``reward_model`` is what
        judges where the recipe trains one in its run."""
        fields = {name: getattr(recipe, name) for name in Recipe.model_fields}
        data = recipe.data.model_dump() | {"builder": None, "builder_options": {}, "train_prompts": prompts}
        sampled = {name: getattr(recipe.rl, name) for name in ("max_response_tokens", "temperature", "top_p")}
        judging, judge = recipe.judging, recipe.judging.reward_model
        if judge is not None and judge.training is not None:
            trained = (
                None
                if reward_model is None
                else judge.model_copy(update={"path": reward_model, "training": None})
            )
            judging = judging.model_copy(update={"reward_model": trained})
        own = {
            "name": PROFILED_NAME.sub("-", run_dir.rstrip("/").rpartition("/")[2]) or "profile",
            "run_dir": run_dir,
            "model": recipe.model.model_copy(update={"path": policy}),
            "data": DataConfig.model_construct(**{**data, "heldout_prompts": None, "cold_start": None}),
            "judging": judging,
            "rl": RlConfig(
                **sampled, samples_per_general_prompt=2
            ),  # nothing is learnt, but PrepareStage asks
            "program": ProgramConfig(function=PROFILE_PROGRAM),
        }
        return cls.model_construct(**{**fields, **own, "profile": profile})
