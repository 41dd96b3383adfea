"""Which rank works on which part."""

from __future__ import annotations

from rl.recipe.trainer_config import TrainerConfig
from rl.trainer.layout import ParallelLayout


def test_today_every_rank_is_a_replica() -> None:
    layout = ParallelLayout.of(TrainerConfig(num_nodes=2, ranks_per_node=4))
    assert (layout.data, layout.sequence, layout.expert, layout.num_ranks) == (8, 1, 1, 8)
    parts = list(range(8))
    assert layout.of_ranks(parts) == layout.of_replicas(parts) == parts


def test_ranks_that_share_sequences_work_on_one_part_and_answer_once() -> None:
    layout = ParallelLayout(data=3, sequence=2, expert=2)
    assert layout.of_ranks(["a", "b", "c"]) == ["a", "a", "b", "b", "c", "c"]
    assert layout.of_replicas(layout.of_ranks(["a", "b", "c"])) == ["a", "b", "c"]
