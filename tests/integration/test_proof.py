"""The proof of a weight sync in bfloat16, whose rounding hides a wrong tensor from every limit of log-probabilities."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray
from safetensors.torch import load_file, save_file

from rl.engines.engines import Engines
from rl.engines.weight_sync import SyncError
from rl.families.family import load_family
from rl.recipe.recipe import Recipe
from rl.run.results.stage_result import PolicyState
from sampler.prompt import Prompt

NORM = "model.language_model.layers.1.input_layernorm.weight"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights six times their usual size: predictions are peaked, as a trained model's are."""
    path = tmp_path_factory.mktemp("proof") / "hub"
    load_family("qwen3_vl_moe").build_tiny(path, seed=4, corpus=["How many digits are even?"], sizes={})
    weights = load_file(path / "model.safetensors")
    larger = {name: tensor * (6 if tensor.ndim > 1 else 1) for name, tensor in weights.items()}
    save_file(larger, path / "model.safetensors", metadata={"format": "pt"})
    return path


@pytest.fixture(scope="module")
def engines(ray_session: None, hub: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    recipe = Recipe.model_validate(
        {
            "name": "proof",
            "data": {"builder": "x:y"},
            "model": {"dtype": "bfloat16", "float32_head": True},
            "sampler": {
                "dtype": "bfloat16",
                "float32_head": True,
                "max_model_len": 96,
                "kv_cache_gib": 0.0625,
                "threads": 1,
            },
            "trainer": {"threads_per_rank": 1},
        }
    )
    rng = np.random.default_rng(5)
    probe = [
        Prompt.build(
            messages=[
                {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": f"even? {i}"}]}
            ],
            images=[_picture(rng)],
            verifier="math",
            reference="9",
        )
        for i in range(8)
    ]
    base = PolicyState(0, hub, "base")
    with Engines(recipe, base, tmp_path_factory.mktemp("logs"), probe=probe) as started:
        yield started


def _picture(rng: np.random.Generator) -> bytes:
    import io

    from PIL import Image

    encoded = io.BytesIO()
    Image.fromarray(rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(encoded, "PNG")
    return encoded.getvalue()


@pytest.fixture
def another(hub: Path, tmp_path: Path) -> Path:
    """The checkpoint with one gain that is larger by the least that bfloat16 can tell."""
    path = tmp_path / "another"
    shutil.copytree(hub, path)
    weights = load_file(path / "model.safetensors")
    weights[NORM][7] *= 1 + 2**-7
    save_file(weights, path / "model.safetensors", metadata={"format": "pt"})
    return path


def test_weights_that_never_came(engines: Engines, another: Path) -> None:
    """The proof passes at the start, though log-probabilities are further apart than float32's limit; it names the one
    tensor that the trainer has changed since; and passes again after the next sync."""
    engines.start({"sampler", "trainer"})
    proof = engines.weight_sync.prove()
    assert proof.max_difference > 1e-4
    engines.trainer.load_weights(another)
    with pytest.raises(SyncError, match=f"1 of 64 tensors are not the trainer's in the sampler, {NORM}"):
        engines.weight_sync.prove()
    engines.weight_sync.sync(1)
    engines.weight_sync.prove()


def test_a_tensor_that_changed_on_its_way(engines: Engines) -> None:
    def sabotage(worker: Any) -> None:
        """After the segment's own checksums were checked."""
        import contextlib

        module = sys.modules["sampler.vllm_pool.transfer.shared_memory_transfer"]
        module.kept = module.open_segment

        @contextlib.contextmanager
        def bent(manifest: Any) -> Iterator[Any]:
            with module.kept(manifest) as tensors:
                yield [(name, tensor * 2 if "lm_head" in name else tensor) for name, tensor in tensors]

        module.open_segment = bent

    def repair(worker: Any) -> None:
        module = sys.modules["sampler.vllm_pool.transfer.shared_memory_transfer"]
        module.open_segment = module.kept

    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    actor = engines.sampler._slots[0].actor
    ray.get(actor.__ray_call__.remote(sabotage))
    engines.weight_sync.sync(2)
    ray.get(actor.__ray_call__.remote(repair))
    with pytest.raises(SyncError, match=r"1 of 64 tensors .*lm_head\.weight"):
        engines.weight_sync.prove()
    engines.weight_sync.sync(3)
    engines.weight_sync.prove()


def test_weights_that_are_held_and_not_used(engines: Engines) -> None:
    """vLLM's CPU kernels want experts packed again after a reload: the weights are there, and give something else."""

    def sabotage(worker: Any) -> None:
        module = sys.modules["sampler.vllm_pool.transfer.shared_memory_transfer"]
        module.kept, module.prepack_cpu_experts = module.prepack_cpu_experts, lambda model: 0

    def repair(worker: Any) -> None:
        module = sys.modules["sampler.vllm_pool.transfer.shared_memory_transfer"]
        module.prepack_cpu_experts = module.kept

    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    actor = engines.sampler._slots[0].actor
    ray.get(actor.__ray_call__.remote(sabotage))
    engines.weight_sync.sync(4)
    ray.get(actor.__ray_call__.remote(repair))
    with pytest.raises(SyncError, match="do not compute the same of the same weights"):
        engines.weight_sync.prove()
    engines.weight_sync.sync(5)
    engines.weight_sync.prove()


def test_the_sampler_multiplies_by_the_head_in_float32(engines: Engines) -> None:
    """As the recipe asks: the layer of vLLM that does it says so."""

    def head_dtypes(worker: Any) -> list[str]:
        model = worker._engine._engine.engine_core.engine_core.model_executor.driver_worker.worker.get_model()
        layers = [one for one in model.modules() if type(one).__name__ == "LogitsProcessor"]
        return [str(one.head_dtype) for one in layers]

    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    (found,) = ray.get([engines.sampler._slots[0].actor.__ray_call__.remote(head_dtypes)])
    assert found == ["torch.float32"]
