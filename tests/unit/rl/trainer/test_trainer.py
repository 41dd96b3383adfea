"""The controller's side of the trainer, over ranks that compute nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from verl.single_controller.ray import RayWorkerGroup

from rl.algorithm.loss.losses import SFT_LOSS, VALUE_LOSS, LossSpec
from rl.data.batch import Batch
from rl.data.failed_batch import BATCH_FILE, load_batch
from rl.data.token_sequence import TokenSequence
from rl.recipe.trainer_config import TrainerConfig
from rl.run.ray_session import PORTS
from rl.trainer.trainer import RankGroup, Trainer
from verifiers.errors import HoneError


def trainer_of(log_dir: Path, *losses: float) -> Trainer:
    """One rank, whose optimizer steps have these losses."""

    class Ranks:
        def update(self, work: Any, loss: Any) -> Any:
            return [[{"loss": each, "grad_norm": 1.0, "seconds": 0.1} for each in losses]]

    trainer = Trainer.__new__(Trainer)
    trainer.config, trainer.log_dir = TrainerConfig(), log_dir
    trainer._ranks = Ranks()
    return trainer


def batches(num: int) -> list[Batch]:
    made = [
        Batch.of([TokenSequence.of_response(f"s{i}", f"p{i}", [0, 1], np.arange(2 + i))]) for i in range(num)
    ]
    return [batch.with_columns(advantages=np.ones(batch.counts.num_loss_tokens)) for batch in made]


@pytest.mark.parametrize("loss", [SFT_LOSS, VALUE_LOSS, "vanilla", "a user's own"])
def test_a_loss_that_is_no_number_stops_every_kind_of_training(tmp_path: Path, loss: str) -> None:
    steps = batches(3)
    (fine, *_) = trainer_of(tmp_path, 0.5, 0.25, 0.125).update(steps, [1e-3] * 3, LossSpec(loss))
    assert fine["loss"] == 0.5
    with pytest.raises(HoneError, match=f"{loss} loss, mini-batch 1: loss is nan.*{BATCH_FILE}"):
        trainer_of(tmp_path, 0.5, float("nan"), 0.125).update(steps, [1e-3] * 3, LossSpec(loss))
    assert load_batch(tmp_path / BATCH_FILE).sequence_ids == ("s1",)


def test_ranks_on_several_machines_are_told_a_port_that_no_connection_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []
    monkeypatch.setattr("ray.nodes", lambda: [{}] * 2)
    monkeypatch.setattr(
        RayWorkerGroup, "_get_master_addr_port", lambda self, pg, index, ports: asked.append(ports)
    )
    group = RankGroup.__new__(RankGroup)
    group._get_master_addr_port(None, 0, None)
    ((first, end),) = asked
    assert first in PORTS and end == PORTS.stop
