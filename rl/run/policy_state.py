"""Which policy the engines hold: its version, its weights on disk, and what it was made from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class PolicyState:
    """A policy at the end of a stage. ``hub`` is its checkpoint directory in the hub layout."""

    version: int
    hub: Path
    stage: str

    def to_result(self, run_path: Path) -> dict[str, Any]:
        """As it stands in a manifest; a path inside the run is kept relative, so that a run can be moved."""
        inside = self.hub.is_relative_to(run_path)
        return {
            "version": self.version,
            "stage": self.stage,
            "hub": str(self.hub.relative_to(run_path) if inside else self.hub),
        }

    @classmethod
    def from_result(cls, result: dict[str, Any], run_path: Path) -> PolicyState:
        return cls(int(result["version"]), run_path / result["hub"], str(result["stage"]))
