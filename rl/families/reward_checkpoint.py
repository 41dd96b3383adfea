"""What a reward model's checkpoint must be, so that a wrong path is told for what it is."""

from __future__ import annotations

from pathlib import Path

from reward_models.value_head import VALUE_HEAD_FILE, has_value_head
from rl.run.run_directory import MANIFEST
from verifiers.errors import BadInput, near_name


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
