"""What every section of a recipe is: typed, checked, and never changed."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of a recipe. Unknown keys are errors; a validated recipe never changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)
