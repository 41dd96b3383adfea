"""The trainer's parameters, laid out for the hub, are exactly what vLLM's own model loads: names, shapes, nothing over.

All on the meta device: vLLM's `Qwen3VLMoeForConditionalGeneration` is built without memory and its `load_weights`, the
one that reads checkpoints and synced weights, is fed with empty tensors of our names and shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import pytest
import torch

from rl.families.family import HubTensor, load_family

CONFIGS = Path(__file__).parents[3] / "rl" / "families" / "configs"
SIZES = ("tiny", "qwen3_vl_30b_a3b", "qwen3_vl_235b_a22b")
# Tensors, parameters. The published models are called 31B and 236B.
COUNTS = {"qwen3_vl_30b_a3b": (882, 31_070_754_032), "qwen3_vl_235b_a22b": (1388, 235_670_022_896)}


@pytest.fixture(scope="module")
def place(tiny: Path) -> Callable[[str], Path]:
    return lambda size: tiny if size == "tiny" else CONFIGS / size


def hub_layout(path: Path, family_name: str = "qwen3_vl_moe") -> list[HubTensor]:
    family = load_family(family_name)
    with torch.device("meta"):
        parameters = family.new_model(path, dtype=torch.float32, attention="sdpa").named_parameters()
    return [hub for name, each in parameters for hub in family.hub_tensors(name, tuple(each.shape))]


@pytest.fixture(scope="module")
def vllm_model(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Path], Any]]:
    """Builds vLLM's model of a configuration on the meta device, in a process group of one."""
    from vllm.config import DeviceConfig, ModelConfig, VllmConfig, set_current_vllm_config
    from vllm.distributed import (
        destroy_distributed_environment,
        destroy_model_parallel,
        init_distributed_environment,
        initialize_model_parallel,
    )
    from vllm.model_executor.models.qwen3_vl_moe import Qwen3VLMoeForConditionalGeneration

    store = tmp_path_factory.mktemp("store") / "file"

    @contextmanager
    def settings(path: Path) -> Iterator[Any]:
        model = ModelConfig(
            model=str(path), tokenizer=str(tiny), dtype="float32", max_model_len=512, enforce_eager=True
        )
        config = VllmConfig(model_config=model, device_config=DeviceConfig("cpu"))
        with set_current_vllm_config(config):
            yield config

    with settings(tiny):
        init_distributed_environment(1, 0, f"file://{store}", 0, "gloo")
        initialize_model_parallel(1)

    def build(path: Path) -> Any:
        with settings(path) as config, torch.device("meta"):
            return Qwen3VLMoeForConditionalGeneration(vllm_config=config)

    yield build
    destroy_model_parallel()
    destroy_distributed_environment()


def unfilled(model: Any, layout: list[HubTensor]) -> list[str]:
    """What is amiss once vLLM has loaded the layout. Its loader raises for a name or a shape that it cannot place."""
    own = dict(model.named_parameters())
    filled = model.load_weights((each.name, torch.empty(each.shape, device="meta")) for each in layout)
    # Fused experts are reported by the name of the layer that holds them, one module above their own.
    filled = {name.replace(".experts.w", ".experts.routed_experts.w") for name in filled}
    amiss = sorted(filled ^ set(own))
    # vLLM calls q, k, v filled when one part came, and takes experts narrower than its own: so count numbers too.
    if sum(prod(each.shape) for each in layout) != sum(each.numel() for each in own.values()):
        amiss.append("the number of parameters")
    return amiss


@pytest.mark.parametrize("size", SIZES)
def test_vllm_loads_all_and_nothing_else(
    vllm_model: Callable[[Path], Any], place: Callable[[str], Path], size: str
) -> None:
    layout = hub_layout(place(size))
    assert unfilled(vllm_model(place(size)), layout) == []
    if size in COUNTS:
        assert (len(layout), sum(prod(each.shape) for each in layout)) == COUNTS[size]


def test_vllm_loads_experts_one_by_one(vllm_model: Callable[[Path], Any], tiny: Path) -> None:
    assert unfilled(vllm_model(tiny), hub_layout(tiny, "qwen3_vl_moe_per_expert")) == []


@pytest.mark.parametrize("size", SIZES)
def test_layout_is_the_published_one(place: Callable[[str], Path], size: str) -> None:
    """Written out from the configuration alone: every tensor of the checkpoint by name and shape."""
    import json

    config = json.loads((place(size) / "config.json").read_text())
    assert {each.name: each.shape for each in hub_layout(place(size))} == published_layout(config)


@pytest.mark.parametrize(
    "fault", ["not transposed", "gate_up cut", "missing", "key missing", "unknown name", "wrong norm"]
)
def test_a_wrong_layout_is_refused(vllm_model: Callable[[Path], Any], tiny: Path, fault: str) -> None:
    """The check above can fail: experts as transformers holds them, a tensor too few, too many or of another size."""
    model, layout = vllm_model(tiny), hub_layout(tiny)
    experts = next(i for i, each in enumerate(layout) if each.name.endswith("experts.down_proj"))
    gate_up = next(i for i, each in enumerate(layout) if each.name.endswith("experts.gate_up_proj"))
    norm = next(i for i, each in enumerate(layout) if each.name.endswith("input_layernorm.weight"))
    if fault == "not transposed":
        E, a, b = layout[experts].shape
        layout[experts] = HubTensor(layout[experts].name, (E, b, a))
    elif fault == "gate_up cut":
        E, a, b = layout[gate_up].shape
        layout[gate_up] = HubTensor(layout[gate_up].name, (E, a, b // 2))
    elif fault == "missing":
        del layout[norm]
    elif fault == "key missing":  # beside its query and value
        layout = [
            each for each in layout if each.name != "model.language_model.layers.1.self_attn.k_proj.weight"
        ]
    elif fault == "unknown name":
        layout.append(HubTensor("model.visual.merger.linear_fc3.weight", (4, 4)))
    else:
        layout[norm] = HubTensor(layout[norm].name, (layout[norm].shape[0] + 1,))
    try:
        amiss = unfilled(model, layout)
    except (RuntimeError, ValueError, AssertionError, KeyError) as error:
        amiss = [str(error)]
    print(amiss)
    assert amiss


def published_layout(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    text, vision = config["text_config"], config["vision_config"]
    h, d, inner = text["hidden_size"], text["head_dim"], text["moe_intermediate_size"]
    q, kv, E = (
        text["num_attention_heads"] * d,
        text["num_key_value_heads"] * d,
        text.get("num_experts") or text["num_local_experts"],
    )
    found: dict[str, tuple[int, ...]] = {
        "lm_head.weight": (text["vocab_size"], h),
        "model.language_model.embed_tokens.weight": (text["vocab_size"], h),
        "model.language_model.norm.weight": (h,),
    }
    for i in range(text["num_hidden_layers"]):
        layer = f"model.language_model.layers.{i}."
        found |= {
            layer + "input_layernorm.weight": (h,),
            layer + "post_attention_layernorm.weight": (h,),
            layer + "self_attn.q_proj.weight": (q, h),
            layer + "self_attn.k_proj.weight": (kv, h),
            layer + "self_attn.v_proj.weight": (kv, h),
            layer + "self_attn.o_proj.weight": (h, q),
            layer + "self_attn.q_norm.weight": (d,),
            layer + "self_attn.k_norm.weight": (d,),
            layer + "mlp.gate.weight": (E, h),
            layer + "mlp.experts.gate_up_proj": (E, h, 2 * inner),
            layer + "mlp.experts.down_proj": (E, inner, h),
        }
    v, mlp, out = vision["hidden_size"], vision["intermediate_size"], vision["out_hidden_size"]
    merged, patch = v * vision["spatial_merge_size"] ** 2, vision["patch_size"]
    found |= {
        "model.visual.patch_embed.proj.weight": (v, 3, vision["temporal_patch_size"], patch, patch),
        "model.visual.patch_embed.proj.bias": (v,),
        "model.visual.pos_embed.weight": (vision["num_position_embeddings"], v),
    }
    for i in range(vision["depth"]):
        block = f"model.visual.blocks.{i}."
        for name, rows, columns in (
            ("attn.qkv", 3 * v, v),
            ("attn.proj", v, v),
            ("mlp.linear_fc1", mlp, v),
            ("mlp.linear_fc2", v, mlp),
        ):
            found |= {f"{block}{name}.weight": (rows, columns), f"{block}{name}.bias": (rows,)}
        for norm in ("norm1", "norm2"):
            found |= {f"{block}{norm}.weight": (v,), f"{block}{norm}.bias": (v,)}
    mergers = [("merger", v)] + [
        (f"deepstack_merger_list.{i}", merged) for i in range(len(vision["deepstack_visual_indexes"]))
    ]
    for name, normed in mergers:  # the deepstack mergers normalise after merging
        prefix = f"model.visual.{name}."
        found |= {
            prefix + "norm.weight": (normed,),
            prefix + "norm.bias": (normed,),
            prefix + "linear_fc1.weight": (merged, merged),
            prefix + "linear_fc1.bias": (merged,),
            prefix + "linear_fc2.weight": (out, merged),
            prefix + "linear_fc2.bias": (out,),
        }
    return found
