"""The recipe's `sampler` section, how many vLLM workers there are and how each engine is built, in vLLM's terms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

if TYPE_CHECKING:
    from sampler.rollout import SamplingPlan

CPU_BATCHED_TOKENS = 4096  # tokens of one forward pass, where the recipe does not say


class SamplerConfig(BaseModel):
    """Settings of a `SamplerPool`. They decide how fast and where, not what is sampled, but for two.

    `chat_template_kwargs` shape the prompt, and `dtype` its arithmetic: with float32 on CPU the sampler's
    log-probabilities equal the trainer's to 1e-6.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    num_workers: int = Field(default=1, ge=1, description="vLLM engines")
    device: Literal["cpu", "cuda"] = Field(default="cpu", description="where they run")
    weight_transfer_backend: Literal["shared_memory", "nccl", "ipc"] = Field(
        default="shared_memory",
        description="shared_memory (one machine, CPU or CUDA), or on CUDA nccl (split) and ipc (colocated)",
    )

    dtype: str = Field(default="float32", description="of weights and arithmetic, by torch's name")
    float32_head: bool = Field(
        default=False,
        description="multiply by the head in float32 whatever the dtype: log-probabilities come closer to a trainer's "
        "that does the same (model.float32_head)",
    )
    max_model_len: int = Field(
        default=1024, ge=2, description="tokens of the longest prompt with its response"
    )
    max_num_seqs: int = Field(default=128, ge=1, description="rollouts that one engine runs at once")
    max_num_batched_tokens: int | None = Field(
        default=None,
        ge=1,
        description="tokens of one forward pass; None: vLLM's default, on CPU 4096 or more",
    )
    kv_cache_gib: float | None = Field(
        default=1.0, gt=0, description="None: vLLM decides by gpu_memory_utilization"
    )
    gpu_memory_utilization: float = Field(
        default=0.9, gt=0, le=1, description="of a GPU's memory, as a fraction"
    )
    block_size: int | None = Field(
        default=None, ge=1, description="tokens a KV block holds; None: vLLM's default"
    )
    enable_prefix_caching: bool = Field(default=True, description="samples of one prompt share its KV blocks")
    enforce_eager: bool = Field(default=True, description="no CUDA graphs: slower, and starts sooner")
    tensor_parallel_size: int = Field(default=1, ge=1, description="GPUs of one engine")
    return_routed_experts: bool = Field(default=False, description="rollouts carry the experts of each token")
    chat_template_kwargs: dict[str, Any] = Field(
        default_factory=dict, description="further arguments of the chat template"
    )
    vllm_arguments: dict[str, Any] = Field(
        default_factory=dict, description="further arguments of vllm.LLM, passed on as they are"
    )

    threads: int = Field(default=2, ge=1, description="OpenMP threads of each worker")
    num_cpus_per_worker: float = Field(
        default=0.0, ge=0, description="what Ray reserves; 0 never waits for a core"
    )
    num_gpus_per_worker: float | None = Field(
        default=None, ge=0, description="what Ray reserves; None: tensor_parallel_size on cuda, else 0"
    )

    max_in_flight_rollouts: int | None = Field(
        default=None, ge=1, description="sent to one worker and not yet back; None: twice max_num_seqs"
    )
    max_restarts: int = Field(
        default=3, ge=0, description="workers replaced in the pool's lifetime before it gives up"
    )
    start_timeout_s: float = Field(default=600.0, gt=0, description="for one engine to start")

    @model_validator(mode="after")
    def _can_transfer(self) -> SamplerConfig:
        backend = self.weight_transfer_backend
        if backend != "shared_memory" and self.device == "cpu":
            raise ValueError(
                f"weight_transfer_backend={backend} is between GPUs: set device=cuda, or leave it out"
            )
        if backend == "ipc" and self.reserved_gpus:
            raise ValueError(
                "weight_transfer_backend=ipc is for GPUs that the trainer holds, and Ray would give the sampler "
                "others: set num_gpus_per_worker=0, or take nccl"
            )
        return self

    @field_validator("vllm_arguments")
    @classmethod
    def _counted(cls, arguments: dict[str, Any]) -> dict[str, Any]:
        """GPUs that are reserved and ranks that weights are sent to are counted by ``tensor_parallel_size`` alone."""
        if names := [name for name in arguments if name.endswith("_parallel_size")]:
            raise ValueError(
                f"{names[0]} cannot be set here: an engine runs on tensor_parallel_size GPUs, and num_workers says how "
                "many engines there are"
            )
        return arguments

    @property
    def reserved_gpus(self) -> float:
        """GPUs that Ray reserves for one worker: without a reservation workers would share the first."""
        if self.num_gpus_per_worker is not None:
            return self.num_gpus_per_worker
        return self.tensor_parallel_size if self.device == "cuda" else 0

    @property
    def in_flight_limit(self) -> int:
        """Twice what the engine runs at once: its queue never empties while finished groups travel."""
        return self.max_in_flight_rollouts or 2 * self.max_num_seqs


def engine_environment(config: SamplerConfig) -> dict[str, str]:
    """Environment variables that must be set before vLLM is imported, by name."""
    threads = str(config.threads)
    environment = {
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # the engine lives in the worker's own process
        "VLLM_LOGGING_LEVEL": "WARNING",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_CONFIGURE_LOGGING": "1",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "OMP_NUM_THREADS": threads,
    }
    if config.device == "cpu":
        environment |= {
            # Bound threads would put every worker of one machine on the same cores.
            "VLLM_CPU_OMP_THREADS_BIND": "nobind",
            # A waiting process must not spin on the cores of a working one.
            "OMP_WAIT_POLICY": "PASSIVE",
            "KMP_BLOCKTIME": "0",
        }
        if config.enforce_eager:
            # Else vLLM compiles one function, which counts ranks that nobody reads: 10 s, and a C++ compiler.
            environment["TORCHDYNAMO_DISABLE"] = "1"
    return environment


def engine_arguments(model_path: str, config: SamplerConfig) -> dict[str, Any]:
    """The arguments of `vllm.LLM` for one worker."""
    arguments: dict[str, Any] = {
        "model": model_path,
        "dtype": config.dtype,
        "max_model_len": config.max_model_len,
        "max_num_seqs": config.max_num_seqs,
        "enable_prefix_caching": config.enable_prefix_caching,
        "enforce_eager": config.enforce_eager,
        "tensor_parallel_size": config.tensor_parallel_size,
        "gpu_memory_utilization": config.gpu_memory_utilization,
        "enable_return_routed_experts": config.return_routed_experts,
        "logprobs_mode": "processed_logprobs",  # what the token was drawn with, not the raw distribution
        # An image is processed once per prompt by this floor; a second cache would only have to be kept in step.
        "mm_processor_cache_gb": 0,
        "weight_transfer_config": {"backend": config.weight_transfer_backend},
        "worker_extension_cls": "sampler.vllm_pool.vllm_extension.VllmExtension",
    }
    if config.float32_head:
        arguments["hf_overrides"] = {"head_dtype": "float32"}
    if config.kv_cache_gib is not None:
        arguments["kv_cache_memory_bytes"] = int(config.kv_cache_gib * 2**30)
    if config.device == "cpu":
        # vLLM takes back the random numbers of a half-read prompt, which a CPU generator cannot do: it raises. So a
        # prompt is read whole.
        arguments["enable_chunked_prefill"] = False
        arguments["max_num_batched_tokens"] = max(CPU_BATCHED_TOKENS, config.max_model_len)
    for name in ("max_num_batched_tokens", "block_size"):
        if getattr(config, name) is not None:
            arguments[name] = getattr(config, name)
    return arguments | config.vllm_arguments


def sampling_params(plan: SamplingPlan, seed: int) -> Any:
    """vLLM's parameters for one rollout: final output only, text left to the caller."""
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    return SamplingParams(
        n=1,
        seed=seed,
        temperature=plan.temperature,
        top_p=plan.top_p,
        max_tokens=plan.max_response_tokens,
        stop_token_ids=list(plan.stop_token_ids),
        logit_bias={token: float("-inf") for token in plan.forbidden_token_ids} or None,
        allowed_token_ids=list(plan.allowed_token_ids) or None,
        logprobs=0,
        flat_logprobs=True,
        detokenize=False,
        skip_clone=True,
        output_kind=RequestOutputKind.FINAL_ONLY,
    )
