"""The recipe's sampler section and what it becomes for vLLM."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from sampler.vllm_pool.sampler_config import SamplerConfig, engine_arguments, engine_environment


def test_unknown_keys_and_impossible_values_are_refused() -> None:
    with pytest.raises(ValidationError, match="num_worker"):
        SamplerConfig(num_worker=2)
    with pytest.raises(ValidationError, match="num_workers"):
        SamplerConfig(num_workers=0)


def test_in_flight_limit_keeps_the_engine_busy_unless_set() -> None:
    assert SamplerConfig(max_num_seqs=16).in_flight_limit == 32
    assert SamplerConfig(max_num_seqs=16, max_in_flight_rollouts=5).in_flight_limit == 5


def test_cpu_settings_stay_on_cpu() -> None:
    cpu, cuda = (engine_environment(SamplerConfig(device=device)) for device in ("cpu", "cuda"))
    assert cpu["VLLM_CPU_OMP_THREADS_BIND"] == "nobind" and "VLLM_CPU_OMP_THREADS_BIND" not in cuda
    assert cpu["VLLM_ENABLE_V1_MULTIPROCESSING"] == cuda["VLLM_ENABLE_V1_MULTIPROCESSING"] == "0"
    assert engine_environment(SamplerConfig(threads=3))["OMP_NUM_THREADS"] == "3"


def test_engine_arguments() -> None:
    arguments = engine_arguments("model", SamplerConfig(kv_cache_gib=0.5, vllm_arguments={"block_size": 16}))
    assert arguments["kv_cache_memory_bytes"] == 2**29
    assert arguments["logprobs_mode"] == "processed_logprobs"
    assert arguments["block_size"] == 16
    assert arguments["enable_chunked_prefill"] is False  # a CPU generator cannot take back random numbers
    assert arguments["max_num_batched_tokens"] == 4096
    assert engine_arguments("model", SamplerConfig(max_model_len=9000))["max_num_batched_tokens"] == 9000
    assert "max_num_batched_tokens" not in engine_arguments("model", SamplerConfig(device="cuda"))
    assert "kv_cache_memory_bytes" not in engine_arguments("model", SamplerConfig(kv_cache_gib=None))
    assert "hf_overrides" not in arguments
    in_float32 = engine_arguments("model", SamplerConfig(float32_head=True))
    assert in_float32["hf_overrides"] == {"head_dtype": "float32"}


def test_gpus_are_counted_by_one_key() -> None:
    """Reservations and the ranks of a weight transfer are: what vLLM would add they do not know."""
    with pytest.raises(ValidationError, match="pipeline_parallel_size cannot be set here"):
        SamplerConfig(vllm_arguments={"pipeline_parallel_size": 2})
    assert SamplerConfig(vllm_arguments={"seed": 2}).vllm_arguments == {"seed": 2}


def test_weights_go_where_the_backend_can_bring_them() -> None:
    with pytest.raises(ValidationError, match="nccl is between GPUs"):
        SamplerConfig(weight_transfer_backend="nccl")
    with pytest.raises(ValidationError, match="num_gpus_per_worker=0"):
        SamplerConfig(weight_transfer_backend="ipc", device="cuda")
    shared = SamplerConfig(weight_transfer_backend="ipc", device="cuda", num_gpus_per_worker=0)
    assert shared.reserved_gpus == 0
    with pytest.raises(ValidationError, match="shared_memory"):
        SamplerConfig(weight_transfer_backend="gloo")
