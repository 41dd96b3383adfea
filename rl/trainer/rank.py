"""One trainer rank as a worker of verl's single controller: it is told what to compute, never why."""

from __future__ import annotations

import gc
from typing import Any

from verl.single_controller.base import Worker
from verl.single_controller.base.decorator import Dispatch, register

from rl.algorithm.losses import LossSpec
from rl.data.token_sequence import Floats
from rl.run.output import send_output_to
from rl.trainer.rank_work import RankWork, TrainerSetup


class TrainerRank(Worker):
    """Holds a ``TrainerEngine``, imported in the rank's own process so that the controller stays light.

    Every method runs on all ranks at once; a list as long as there are ranks is handed out one element a rank.
    """

    @register(dispatch_mode=Dispatch.ONE_TO_ALL)
    def build(self, setup: TrainerSetup) -> dict[str, Any]:
        """Start the engine. Returns facts of the model."""
        send_output_to(f"{setup.log_dir}/trainer-rank-{self.rank}.log")
        gc.disable()  # it would take a fifth of the time of these imports
        from rl.trainer.rank_models import RankModels

        self.engine = RankModels(setup)
        gc.enable()
        return self.engine.model_sizes

    @register(dispatch_mode=Dispatch.ONE_TO_ALL)
    def reset_optimizer(self) -> None:
        self.engine.reset_optimizer()

    @register(dispatch_mode=Dispatch.ALL_TO_ALL)
    def logprobs(
        self, work: RankWork, temperature: float, of_reference: bool
    ) -> tuple[list[Floats], list[Floats]]:
        return self.engine.logprobs(work, temperature, of_reference)

    @register(dispatch_mode=Dispatch.ONE_TO_ALL)
    def load_critic(self, hub_directory: str) -> dict[str, int]:
        return self.engine.load_critic(hub_directory)

    @register(dispatch_mode=Dispatch.ALL_TO_ALL)
    def values(self, work: RankWork) -> list[Floats]:
        return self.engine.values(work)

    @register(dispatch_mode=Dispatch.ONE_TO_ALL)
    def export_critic(self, directory: str) -> None:
        self.engine.export_critic(directory)

    @register(dispatch_mode=Dispatch.ALL_TO_ALL)
    def update(self, work: RankWork, loss: LossSpec) -> list[dict[str, float]]:
        return self.engine.update(work, loss)

    @register(dispatch_mode=Dispatch.ONE_TO_ALL)
    def load_weights(self, hub_directory: str) -> None:
        self.engine.load_weights(hub_directory)

    @register(dispatch_mode=Dispatch.ONE_TO_ALL)
    def load_reference(self, hub_directory: str) -> None:
        self.engine.load_reference(hub_directory)

    @register(dispatch_mode=Dispatch.ONE_TO_ALL)
    def save_checkpoint(self, directory: str) -> None:
        self.engine.save_checkpoint(directory)

    @register(dispatch_mode=Dispatch.ONE_TO_ALL)
    def load_checkpoint(self, directory: str) -> None:
        self.engine.load_checkpoint(directory)

    @register(dispatch_mode=Dispatch.ONE_TO_ALL)
    def export(self, directory: str) -> None:
        self.engine.export(directory)

    @register(dispatch_mode=Dispatch.ONE_TO_ALL)
    def send_weights(self, backend: str, client: Any, num_inference_ranks: int) -> float:
        return self.engine.send_weights(backend, client, num_inference_ranks)

    @register(dispatch_mode=Dispatch.ONE_TO_ALL)
    def weight_checksums(self) -> dict[str, int]:
        return self.engine.weight_checksums()

    @register(dispatch_mode=Dispatch.ONE_TO_ALL)
    def close(self) -> None:
        """Let go of what outlives the process: the weights in shared memory."""
        if hasattr(self, "engine"):
            self.engine.close()
