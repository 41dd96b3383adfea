"""vLLM weight transfer through shared memory: the backend for CPU, and for one machine in general.

Importing this module registers the backend "shared_memory" with both of vLLM's factories. Each of vLLM's worker
processes imports it with `vllm_extension`.

    trainer rank 0   writes every tensor into a new segment (all ranks iterate the source: a ZeRO-3 gather is
                     a collective), then sends the manifest to the workers
    vLLM worker      checks names, shapes and checksums before it touches the model, loads, packs the expert weights
                     again for the CPU kernels, and answers
    trainer rank 0   removes the previous segment; the new one stays for workers that restart before the next sync
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from safetensors import safe_open
from vllm.distributed.weight_transfer import WeightTransferEngineFactory, WeightTransferTrainerFactory
from vllm.distributed.weight_transfer.base import (
    TrainerInitInfo,
    TrainerWeightTransferEngine,
    VLLMWeightSyncClient,
    WeightSource,
    WeightTransferEngine,
    WeightTransferInitInfo,
    WeightTransferUpdateInfo,
)

from sampler.vllm_pool.process_file import remove_dead
from sampler.vllm_pool.transfer.weight_segment import (
    KIND,
    SegmentManifest,
    SegmentWriter,
    WeightTransferError,
    open_segment,
    segment_directories,
)

if TYPE_CHECKING:
    from vllm.config import VllmConfig
    from vllm.config.weight_transfer import WeightTransferConfig

BACKEND = "shared_memory"


@dataclass
class SharedMemoryInitInfo(WeightTransferInitInfo):
    """Nothing to agree on: the manifest of each update says everything."""


@dataclass
class SharedMemoryUpdateInfo(WeightTransferUpdateInfo):
    """`SegmentManifest.to_dict()`, field by field."""

    path: str
    entries: list[dict[str, Any]] = field(default_factory=list)


class SharedMemoryWeightTransferEngine(WeightTransferEngine[SharedMemoryInitInfo, SharedMemoryUpdateInfo]):
    """The receiving side, one in each vLLM worker process. An update is one manifest, taken whole or not at all."""

    init_info_cls = SharedMemoryInitInfo
    update_info_cls = SharedMemoryUpdateInfo

    def __init__(
        self,
        config: WeightTransferConfig,
        vllm_config: VllmConfig,
        device: torch.device,
        model: torch.nn.Module,
    ) -> None:
        super().__init__(config, vllm_config, device, model)
        self._layout = checkpoint_layout(Path(self.model_config.model))
        self._num_received = 0

    def init_transfer_engine(self, init_info: SharedMemoryInitInfo) -> None:
        pass

    def start_weight_update(self) -> None:
        self._num_received = 0

    def update_weights(self, update_info: dict[str, Any]) -> None:
        """vLLM's entry: the manifest as plain data; returns when the device is done. Raises as `receive_weights`."""
        self.receive_weights(self.parse_update_info(update_info))
        if self.device.type != "cpu":
            torch.accelerator.synchronize()

    def receive_weights(self, update_info: SharedMemoryUpdateInfo) -> None:
        """Load a segment into the model, and pack the expert weights again.

        Raises WeightTransferError before the model is touched for names or shapes that are not the checkpoint's, a
        tensor sent twice, a segment that is gone or damaged; and afterwards for a module that no tensor filled.
        """
        # Here, because a trainer rank sends and has no use for vLLM's models: they take 5 s to import.
        from vllm.model_executor.model_loader.reload import (
            finalize_layerwise_reload,
            initialize_layerwise_reload,
        )

        manifest = SegmentManifest.from_dict({"path": update_info.path, "entries": update_info.entries})
        check_layout({entry.name: entry.shape for entry in manifest.entries}, self._layout)
        names = [entry.name for entry in manifest.entries]
        if len(set(names)) != len(names):
            raise WeightTransferError(
                f"sent twice: {_some({name for name in names if names.count(name) > 1})}"
            )
        with open_segment(manifest) as tensors:
            initialize_layerwise_reload(self.model)
            try:
                self.model.load_weights(iter(tensors))
                unfilled = unfilled_modules(self.model)
            finally:
                # While the mapping is open: loaders may have kept references. Also after an error, so that
                # the next update starts afresh.
                finalize_layerwise_reload(self.model, self.model_config)
        if unfilled:
            raise WeightTransferError(f"no sent tensor filled vLLM's {_some(unfilled)}")
        prepack_cpu_experts(self.model)
        self._num_received += 1

    def finish_weight_update(self) -> None:
        """Raises WeightTransferError unless exactly one manifest came since the start."""
        if self._num_received != 1:
            raise WeightTransferError(f"a weight update is one manifest, got {self._num_received}")

    def shutdown(self) -> None:
        pass


def unfilled_modules(model: torch.nn.Module) -> set[str]:
    """Modules none of whose parameters a reload has loaded, asked before it is finalised: vLLM only warns of them.

    Modules with buffers alone (rotary tables) are not loaded, and attention layers are filled at the end.
    """
    from vllm.model_executor.layers.attention import is_deferred_attention_layer
    from vllm.model_executor.model_loader.reload.layerwise import get_layerwise_info

    unfilled = set()
    for name, module in model.named_modules():
        info = get_layerwise_info(module)
        has_parameters = next(module.parameters(recurse=False), None) is not None
        if (
            info.can_load()
            and has_parameters
            and not info.load_numel
            and not is_deferred_attention_layer(module)
        ):
            unfilled.add(name)
    return unfilled


def prepack_cpu_experts(model: torch.nn.Module) -> int:
    """Pack reloaded expert weights for vLLM's CPU kernels again; return the number of modules.

    vLLM packs them when it builds the kernel and not when weights are reloaded, without a warning: log-probs
    are then off by 0.15 with identical weights. On other devices there is nothing to pack and this does nothing.
    """
    num_packed = 0
    for module in model.modules():
        method: Any = getattr(module, "quant_method", None)
        if getattr(getattr(method, "unquantized_backend", None), "name", None) == "CPU":
            method.moe_kernel.fused_experts.process_weights_after_loading(module)
            num_packed += 1
    return num_packed


def checkpoint_layout(model_path: Path) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor in the checkpoint the engine was started from: what a full update must bring."""
    layout: dict[str, tuple[int, ...]] = {}
    for path in sorted(model_path.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            layout |= {name: tuple(file.get_slice(name).get_shape()) for name in list(file.keys())}
    if not layout:
        raise WeightTransferError(f"{model_path} holds no .safetensors file to compare weight updates with")
    return layout


def check_layout(sent: dict[str, tuple[int, ...]], expected: dict[str, tuple[int, ...]]) -> None:
    """Raise WeightTransferError unless `sent` has exactly the expected names and shapes."""
    if missing := expected.keys() - sent.keys():
        raise WeightTransferError(f"{len(missing)} tensors of the checkpoint were not sent: {_some(missing)}")
    if unknown := sent.keys() - expected.keys():
        raise WeightTransferError(f"{len(unknown)} tensors are not in the checkpoint: {_some(unknown)}")
    for name, shape in sent.items():
        if shape != expected[name]:
            raise WeightTransferError(
                f"{name} was sent with shape {shape}, the checkpoint has {expected[name]}"
            )


def _some(names: set[str] | Any) -> str:
    listed = sorted(names)
    return ", ".join(listed[:3]) + (f" and {len(listed) - 3} more" if len(listed) > 3 else "")


@dataclass
class SharedMemoryTrainerInitInfo(TrainerInitInfo):
    """What vLLM's factory needs to choose this backend; ``is_sender`` on rank 0."""

    backend: ClassVar[str] = BACKEND


class SharedMemoryTrainerEngine(TrainerWeightTransferEngine[SharedMemoryTrainerInitInfo]):
    """The sending side, one on every trainer rank. `client` may be replaced between two `send_weights`."""

    init_info_cls = SharedMemoryTrainerInitInfo

    def __init__(self, *, client: VLLMWeightSyncClient, source: WeightSource, is_sender: bool) -> None:
        super().__init__(client=client, source=source, is_sender=is_sender)
        self._num_sent = 0
        self._live_segment: Path | None = None

    @classmethod
    def trainer_init(
        cls,
        init_info: SharedMemoryTrainerInitInfo,
        *,
        client: VLLMWeightSyncClient,
        source: WeightSource | None = None,
    ) -> Self:
        """An engine on this rank; the sender sweeps segments of dead writers. Raises ValueError without a source."""
        if source is None:
            raise ValueError("the shared_memory backend needs a WeightSource")
        engine = cls(client=client, source=source, is_sender=init_info.is_sender)
        if engine.is_sender:
            for directory in segment_directories():
                remove_dead(directory, KIND)
            client.init_weight_transfer_engine({})
        return engine

    def send_weights(self) -> None:
        """Write a new segment, have every worker load it, drop the previous one. Raises what a worker raises."""
        if not self.is_sender:
            for _ in self._source():
                pass
            return
        manifest = self._write_segment()
        try:
            self.client.start_weight_update()
            self.client.update_weights(manifest.to_dict())
            self.client.finish_weight_update()
        except BaseException:
            Path(manifest.path).unlink(missing_ok=True)
            raise
        self._remove_live_segment()
        self._live_segment = Path(manifest.path)

    def shutdown(self) -> None:
        """Remove the segment that was kept for workers that restart."""
        self._remove_live_segment()

    def _write_segment(self) -> SegmentManifest:
        """Raises what writing raises, after the source is drained: other ranks take part in its collectives."""
        declared, weights = self._source().metadata(), iter(self._source())
        try:
            sizes = [torch.Size(meta.shape).numel() * meta.dtype.itemsize for meta in declared]
            with SegmentWriter(sizes, sequence=self._num_sent) as writer:
                self._num_sent += 1
                for expected in declared:
                    name, tensor = next(weights, ("nothing more", torch.empty(0)))
                    yielded = (name, tensor.dtype, tuple(tensor.shape))
                    if yielded != (expected.name, expected.dtype, tuple(expected.shape)):
                        raise WeightTransferError(
                            f"weight source yielded {yielded} where its metadata says {expected}"
                        )
                    writer.add(name, tensor)
                if (more := next(weights, None)) is not None:
                    raise WeightTransferError(f"weight source yielded {more[0]}, which its metadata lacks")
                return writer.finish()
        finally:
            for _ in weights:
                pass

    def _source(self) -> WeightSource:
        assert self.source is not None
        return self.source

    def _remove_live_segment(self) -> None:
        if self._live_segment is not None:
            self._live_segment.unlink(missing_ok=True)
            self._live_segment = None


def register() -> None:
    """Make the backend known to vLLM in this process; harmless when it is already."""
    if BACKEND not in WeightTransferEngineFactory._registry:
        WeightTransferEngineFactory.register_engine(BACKEND, SharedMemoryWeightTransferEngine)
        WeightTransferTrainerFactory.register_engine(BACKEND, SharedMemoryTrainerEngine)


register()
