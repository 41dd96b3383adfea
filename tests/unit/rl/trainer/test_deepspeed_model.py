"""What a rank does without a process group."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from rl.trainer.models.deepspeed_model import DeepSpeedModel


def test_a_rank_that_writes_nothing_holds_no_weights(tmp_path: Path) -> None:
    """It takes part in the gathering of all of them."""
    gathered = []

    def weights() -> Iterator[tuple[str, None]]:
        for name in ("a", "b"):
            gathered.append(name)
            yield name, None  # which cannot be copied

    rank: Any = SimpleNamespace(rank=1, hub_weights=weights())
    DeepSpeedModel.export(rank, str(tmp_path / "policy"))
    assert gathered == ["a", "b"] and not list(tmp_path.iterdir())
