"""How a set is read that does not call things as Hone does, kept beside its name so that all read it alike."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from sampler.atomic_file import write_atomically
from sampler.rows.dataset_rows import DESCRIBED
from verifiers.errors import BadInput


@dataclass(frozen=True)
class SetReading:
    """Which split is read, which of the set's columns stand for Hone's, and what judges where a row names no verifier.

    ``columns`` are the set's names by Hone's: ``{"reference": "reward_model.ground_truth"}``, dots go inside.
    """

    split: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    default_verifier: str | None = None
    default_verifier_options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_plain(self) -> bool:
        """Whether the set is read as it stands."""
        return self == SetReading()


class DescribedSet(NamedTuple):
    """A set by its path or hub id, and how it is read."""

    path_or_hub_id: str
    reading: SetReading

    @classmethod
    def of(cls, path_or_hub_id: str | os.PathLike[str], reading: SetReading) -> DescribedSet:
        """The set that a file ``*.set.json`` describes, or the one named, which is read as ``reading`` says. Raises:
        BadInput for a description that is none, and for one that is to be read otherwise than it says."""
        name = os.fspath(path_or_hub_id)
        if not name.endswith(DESCRIBED) or not Path(name).is_file():
            return cls(name, reading)
        if not reading.is_plain:
            raise BadInput(
                f"{name}: the description of a set says how it is read: leave out columns and split"
            )
        try:
            described = json.loads(Path(name).read_text(encoding="utf-8"))
            return cls(described.pop("set"), SetReading(**described))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as why:
            raise BadInput(f"{name}: no description of a set: {type(why).__name__}: {why}") from None

    def write(self, file: Path) -> Path:
        """Describe the set in ``file``, which is then read in its place. Returns the file's path."""
        write_atomically(
            file, json.dumps({"set": self.path_or_hub_id, **asdict(self.reading)}, indent=2) + "\n"
        )
        return file
