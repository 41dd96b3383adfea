"""One trainer rank as a worker of verl's single controller: it is told what to compute, never why."""

from __future__ import annotations

import gc
from typing import Any

from verl.single_controller.base import Worker
from verl.single_controller.base.decorator import Dispatch, register

from rl.run.boundary.output import send_output_to
from rl.trainer.rank_work import TrainerSetup


def passed_on(method: str, dispatch: Dispatch = Dispatch.ONE_TO_ALL) -> Any:
    """A method that the rank's models answer."""

    def answered(self: TrainerRank, *arguments: Any) -> Any:
        return getattr(self.models, method)(*arguments)

    answered.__name__ = method
    return register(dispatch_mode=dispatch)(answered)


class TrainerRank(Worker):
    """Holds a ``RankModels``, imported in the rank's own process so that the controller stays light, and says which of
    its methods the controller may call. Each runs on all ranks at once, with the same arguments; those that work on a
    batch are handed lists as long as there are ranks, one element a rank.
    """

    @register(dispatch_mode=Dispatch.ONE_TO_ALL)
    def build(self, setup: TrainerSetup) -> dict[str, Any]:
        """Start the engine. Returns facts of the model."""
        send_output_to(f"{setup.log_dir}/trainer-rank-{self.rank}.log")
        gc.disable()  # it would take a fifth of the time of these imports
        from rl.trainer.rank_models import RankModels

        self.models = RankModels(setup)
        gc.enable()
        return self.models.model_sizes

    logprobs = passed_on("logprobs", Dispatch.ALL_TO_ALL)
    values = passed_on("values", Dispatch.ALL_TO_ALL)
    update = passed_on("update", Dispatch.ALL_TO_ALL)
    reset_optimizer = passed_on("reset_optimizer")
    load_weights = passed_on("load_weights")
    load_frozen = passed_on("load_frozen")
    load_critic = passed_on("load_critic")
    drop_critic = passed_on("drop_critic")
    save_checkpoint = passed_on("save_checkpoint")
    load_checkpoint = passed_on("load_checkpoint")
    export = passed_on("export")
    export_critic = passed_on("export_critic")
    send_weights = passed_on("send_weights")
    weight_checksums = passed_on("weight_checksums")

    @register(dispatch_mode=Dispatch.ONE_TO_ALL)
    def close(self) -> None:
        """Let go of what outlives the process: the weights in shared memory."""
        if hasattr(self, "models"):
            self.models.close()
