"""The reward model that a run asks: where its checkpoint is, and how it is served or reached."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from reward_models.registry import load_reward_model
from reward_models.reward_model import RewardModel
from reward_models.scoring_service import ScoringService
from reward_models.serving import served
from reward_models.value_head import VALUE_HEAD_FILE, has_value_head
from rl.recipe.judging_config import JudgingConfig, RewardModelConfig
from rl.run.stage_directory import MANIFEST
from verifiers.errors import BadInput, near_name

REWARD_MODEL_LINK = "reward-model"  # in a run directory: the one that the run trained


def reward_model_path(config: JudgingConfig, run_path: Path) -> Path | None:
    """The recipe's reward model, or the one that the run has trained; None where there is no checkpoint (yet)."""
    if config.reward_model is None:
        return None
    if config.reward_model.path is not None:
        return Path(config.reward_model.path)
    trained = run_path / REWARD_MODEL_LINK
    return trained.resolve() if trained.exists() else None


@contextmanager
def scoring(path: Path, config: RewardModelConfig, log_dir: Path) -> Iterator[ScoringService]:
    """The reward model at ``path``, asked in the background."""
    rubric = None if config.rubric is None else config.rubric.rubric
    with (
        served(path, config.sampler, log_dir / "reward-model", rubric) as model,
        ScoringService(model.compare) as service,
    ):
        yield service


@contextmanager
def asking(config: RewardModelConfig) -> Iterator[ScoringService]:
    """A reward model without a checkpoint, asked in the background. Raises: BadInput as ``asked_model``."""
    model = asked_model(config)
    with ExitStack() as stack:
        if isinstance(model, AbstractContextManager):
            stack.enter_context(model)
        yield stack.enter_context(ScoringService(model.compare))


def asked_model(config: RewardModelConfig) -> RewardModel:
    """The recipe's endpoint, or the reward model that it names; nothing is asked yet.

    Raises: BadInput for a name or a URL or options that cannot be used.
    """
    if config.endpoint is None:
        assert config.name is not None, "the others have a checkpoint"
        return load_reward_model(config.name, config.options)
    options = {"base_url": config.endpoint.url, **config.endpoint.model_dump(exclude={"url"})}
    if config.rubric is None:
        return load_reward_model("endpoint", options)
    return load_reward_model("rubric", {**options, "criteria": config.rubric.criteria})


def require_reward_model(path: Path, named: str) -> None:
    """``named`` is what named the path: an option or a key. Raises: BadInput saying what is there instead.

    A pairwise reward model is a policy's checkpoint trained on, so only one that a run keeps as a policy is told apart.
    """
    given = f"{named} {path}"
    if not path.exists():
        around = [one.name for one in path.parent.iterdir()] if path.parent.is_dir() else []
        raise BadInput(f"{given}: no such directory{near_name(path.name, around)}")
    if not path.is_dir():
        raise BadInput(f"{given} is a file: give the checkpoint's directory")
    if not (path / "config.json").is_file():
        inside = [name for name in ("model", "reward-model") if (path / name / "config.json").is_file()]
        hint = f"did you mean {str(path / inside[0])!r}?" if inside else "give a checkpoint in the hub layout"
        raise BadInput(f"{given} has no config.json: {hint}")
    if not any(file.name != VALUE_HEAD_FILE for file in path.glob("*.safetensors")):
        raise BadInput(f"{given} has no .safetensors file: its weights are missing")
    real = path.resolve()
    if real.name == "policy" and (real.parent / MANIFEST).is_file() and not has_value_head(path):
        raise BadInput(
            f"{given} is no reward model but the policy of stage {real.parent.name}, without {VALUE_HEAD_FILE} and not "
            "trained on preferences: give RUN/model of `hone reward-model train`, or RUN/reward-model of a hybrid run"
        )
