"""Which policy the engines hold: its version, its weights on disk, and what it was made from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, PlainSerializer, SerializationInfo, TypeAdapter, ValidationInfo


def _absolute(path: Path, info: ValidationInfo) -> Path:
    return path if info.context is None else Path(info.context) / path


def _inside(path: Path, info: SerializationInfo) -> str:
    run_path = info.context
    return str(path.relative_to(run_path) if run_path and path.is_relative_to(run_path) else path)


# Kept relative in the files of a run (the context is its directory) where it lies inside, so that a run can be moved.
RunPath = Annotated[Path, AfterValidator(_absolute), PlainSerializer(_inside)]


@dataclass(frozen=True)
class PolicyState:
    """A policy at the end of a stage. ``hub`` is its checkpoint directory in the hub layout."""

    version: int
    hub: RunPath
    stage: str

    def to_json(self, run_path: Path) -> dict[str, Any]:
        """As it stands in a manifest."""
        found: dict[str, Any] = TypeAdapter(PolicyState).dump_python(self, mode="json", context=run_path)
        return found
