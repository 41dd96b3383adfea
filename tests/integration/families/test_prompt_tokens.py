"""A prompt reads the same when it is learnt as when it is sampled: Hone's token ids against vLLM's own processor."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rl.families.family import load_family
from rl.sft_rows import PromptEncoder
from sampler.prompt import Prompt


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tiny")
    load_family("qwen3_vl_moe").build_tiny(path, seed=0, corpus=["How many digits are even?"], sizes={})
    return path


@pytest.fixture(scope="module")
def vllm_processor(tiny: Path) -> Any:
    from vllm.config import ModelConfig
    from vllm.multimodal import MULTIMODAL_REGISTRY

    return MULTIMODAL_REGISTRY.create_processor(
        ModelConfig(model=str(tiny), dtype="float32", max_model_len=1024)
    )


@pytest.mark.parametrize(
    "sizes", [((32, 32),), ((16, 64), (50, 70), (33, 31)), ((300, 200),), ((8, 8), (8, 90))]
)
def test_pictures_of_any_size(tiny: Path, vllm_processor: Any, sizes: tuple[tuple[int, int], ...]) -> None:
    """Also where vLLM resizes a picture to its grid, and with text before, between and after."""
    content: list[dict[str, str]] = [{"type": "text", "text": "Look:"}]
    for _ in sizes:
        content += [{"type": "image"}, {"type": "text", "text": "How many digits are even?\n"}]
    images = [Image.new("RGB", (width, height), (200, 20, 20)) for height, width in sizes]
    encoded = []
    for image in images:
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        encoded.append(buffer.getvalue())
    prompt = Prompt.build(messages=[{"role": "user", "content": content}], images=encoded)
    encoder = PromptEncoder(tiny)
    text = encoder.tokenizer.apply_chat_template(
        list(prompt.messages), tokenize=False, add_generation_prompt=True
    )
    wanted = vllm_processor(text, vllm_processor.info.parse_mm_data({"image": images}))["prompt_token_ids"]
    np.testing.assert_array_equal(encoder(prompt), wanted)
