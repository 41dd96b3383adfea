"""A tiny random Qwen3-VL-MoE: its sizes, configuration and processor, and a tokenizer of the texts it will see."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from verifiers.errors import BadInput

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast, Qwen3VLMoeConfig

TINY_SIZES: dict[str, int] = {
    "vocab_size": 352,
    "hidden_size": 128,
    "num_layers": 2,
    "num_heads": 4,
    "num_kv_heads": 2,
    "head_dim": 32,
    "num_experts": 4,
    "num_experts_per_token": 2,
    "expert_size": 96,
    "max_positions": 32768,
    "vision_hidden_size": 64,
    "vision_layers": 2,
    "vision_heads": 2,
    "vision_inner_size": 128,
    "patch_size": 8,
    "vision_grid_side": 8,
}


SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
MARKUP_TOKENS = ("<think>", "</think>", "<bbox>", "</bbox>", "<point>", "</point>", "\\boxed{")

# The published Qwen3-VL turns, without tools: text parts as they are, an image part as one placeholder in its frame.
CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{- '<|im_start|>' + message.role + '\n' -}}"
    "{%- if message.content is string -%}{{- message.content -}}"
    "{%- else -%}{%- for part in message.content -%}"
    "{%- if part.type == 'image' -%}<|vision_start|><|image_pad|><|vision_end|>"
    "{%- elif part.type == 'video' -%}<|vision_start|><|video_pad|><|vision_end|>"
    "{%- else -%}{{- part.text -}}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}"
    "{{- '<|im_end|>\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}"
)


def tiny_sizes(sizes: Mapping[str, Any]) -> dict[str, int]:
    """All sizes, those given instead of the defaults. Raises: BadInput for an unknown or impossible one."""
    unknown = sorted(set(sizes) - set(TINY_SIZES))
    if unknown:
        raise BadInput(f"model.tiny has no size {unknown[0]!r}; it has {', '.join(TINY_SIZES)}")
    size = {**TINY_SIZES, **sizes}
    for key in ("hidden_size", "expert_size"):
        if size[key] % 32:
            raise BadInput(f"model.tiny.{key}={size[key]}: vLLM's CPU experts need a multiple of 32")
    if size["hidden_size"] in (size["expert_size"], 2 * size["expert_size"]):
        raise BadInput(
            "model.tiny.expert_size makes an expert matrix square, so its layout could not be told: "
            f"choose another than {size['expert_size']} for hidden_size {size['hidden_size']}"
        )
    return size


def tiny_config(size: Mapping[str, int], tokenizer: Any) -> Qwen3VLMoeConfig:
    """The vocabulary is padded to a multiple of 32."""
    from transformers import Qwen3VLMoeConfig

    half = size["head_dim"] // 2
    mrope_section = [half - 2 * (half // 4), half // 4, half // 4]
    token_id = tokenizer.convert_tokens_to_ids
    padded_vocab = -(-len(tokenizer) // 32) * 32
    return Qwen3VLMoeConfig(
        text_config={
            "vocab_size": padded_vocab,
            "hidden_size": size["hidden_size"],
            "intermediate_size": 2 * size["hidden_size"],
            "num_hidden_layers": size["num_layers"],
            "num_attention_heads": size["num_heads"],
            "num_key_value_heads": size["num_kv_heads"],
            "head_dim": size["head_dim"],
            "num_experts": size["num_experts"],
            "norm_topk_prob": True,
            "num_experts_per_tok": size["num_experts_per_token"],
            "moe_intermediate_size": size["expert_size"],
            "max_position_embeddings": size["max_positions"],
            "tie_word_embeddings": False,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "mrope_section": mrope_section,
                "mrope_interleaved": True,
            },
            "eos_token_id": token_id("<|im_end|>"),
            "pad_token_id": token_id("<|endoftext|>"),
        },
        vision_config={
            "depth": size["vision_layers"],
            "hidden_size": size["vision_hidden_size"],
            "num_heads": size["vision_heads"],
            "intermediate_size": size["vision_inner_size"],
            "patch_size": size["patch_size"],
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "out_hidden_size": size["hidden_size"],
            "num_position_embeddings": size["vision_grid_side"] ** 2,
            "deepstack_visual_indexes": [0],
        },
        image_token_id=token_id("<|image_pad|>"),
        video_token_id=token_id("<|video_pad|>"),
        vision_start_token_id=token_id("<|vision_start|>"),
        vision_end_token_id=token_id("<|vision_end|>"),
        tie_word_embeddings=False,
        architectures=["Qwen3VLMoeForConditionalGeneration"],
        dtype="float32",
    )


def tiny_processor(size: Mapping[str, int], tokenizer: Any) -> Any:
    """Shrinks a picture, or a video in all, to ``vision_grid_side`` squared merged patches."""
    from transformers import Qwen2VLImageProcessor, Qwen3VLProcessor, Qwen3VLVideoProcessor

    unit = 2 * size["patch_size"]
    pixels = {"shortest_edge": unit * unit, "longest_edge": (unit * size["vision_grid_side"]) ** 2}
    shape = {
        "patch_size": size["patch_size"],
        "merge_size": 2,
        "temporal_patch_size": 2,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }
    return Qwen3VLProcessor(
        image_processor=Qwen2VLImageProcessor(size=pixels, **shape),
        tokenizer=tokenizer,
        video_processor=Qwen3VLVideoProcessor(size=pixels, **shape),
        chat_template=tokenizer.chat_template,
    )


def train_tiny_tokenizer(corpus: Sequence[str], *, vocab_size: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer, trained. Digits are single tokens, as in Qwen's, so that numbers are read and written
    digit by digit.

    ``vocab_size`` counts everything; 256 bytes and the markup are always there, merges fill the rest.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import Qwen2Tokenizer

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\d| ?\p{L}+| ?[^\s\p{L}\d]+|\s+"), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    reserved = len(SPECIAL_TOKENS) + len(MARKUP_TOKENS)
    trainer = trainers.BpeTrainer(
        vocab_size=max(256, vocab_size - reserved),
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(_without_markup(corpus), trainer)
    tokenizer.add_special_tokens(
        [AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS]
    )
    tokenizer.add_tokens([AddedToken(token, special=False, normalized=False) for token in MARKUP_TOKENS])
    wrapped = Qwen2Tokenizer(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        unk_token="<|endoftext|>",
        additional_special_tokens=list(SPECIAL_TOKENS[3:]),
    )
    wrapped.chat_template = CHAT_TEMPLATE
    return wrapped


def _without_markup(corpus: Sequence[str]) -> list[str]:
    markup = re.compile("|".join(map(re.escape, (*SPECIAL_TOKENS, *MARKUP_TOKENS))))
    return [markup.sub(" ", text) for text in corpus]
