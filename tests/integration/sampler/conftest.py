"""A tiny random Qwen3-VL-MoE and one pool of two real vLLM workers, shared by the tests of this folder."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from rl.families.family import load_family
from sampler.prompt import Prompt
from sampler.rollout import SamplingPlan
from sampler.vllm_pool.pool import SamplerPool
from sampler.vllm_pool.sampler_config import SamplerConfig

QUESTIONS = ("What is the sum of the digits?", "Which digit is the largest?", "How many digits are even?")


@pytest.fixture(scope="session")
def family():
    return load_family("qwen3_vl_moe")


@pytest.fixture(scope="session")
def tiny_model(family, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tiny")
    family.build_tiny(path, seed=0, corpus=[*QUESTIONS, "<think>3+5+1</think>\\boxed{9}"], sizes={})
    return path


@pytest.fixture(scope="session")
def forbidden(family, tiny_model: Path) -> tuple[int, ...]:
    from transformers import AutoConfig, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    return family.forbidden_token_ids(tokenizer, AutoConfig.from_pretrained(tiny_model))


@pytest.fixture(scope="session")
def prompts(video_file: Callable[..., bytes]) -> list[Prompt]:
    """48 prompts: pictures of three sizes, some with two pictures, some with none; a video of four frames a second in
    some of either."""
    rng = np.random.default_rng(7)
    made = []
    for number in range(48):
        num_images = (1, 1, 2, 0)[number % 4]
        content: list[dict[str, str]] = [{"type": "image"} for _ in range(num_images)]
        content.append({"type": "text", "text": f"{QUESTIONS[number % 3]} ({number})"})
        images = [_picture(rng, side=(32, 48, 64)[number % 3]) for _ in range(num_images)]
        videos = []
        if number % 8 in (2, 3):
            film = rng.integers(0, 255, (5 + number % 4, 32, 48, 3), dtype=np.uint8)
            videos.append(video_file(film, fps=4.0))
            content.insert(1, {"type": "video"})
        made.append(
            Prompt.build(
                messages=[{"role": "user", "content": content}],
                images=images,
                videos=videos,
                verifier="math",
                reference="9",
            )
        )
    return made


@pytest.fixture
def plan(forbidden: tuple[int, ...]) -> SamplingPlan:
    return SamplingPlan(
        num_samples=4, max_response_tokens=24, run_seed=3, step=1, forbidden_token_ids=forbidden
    )


@pytest.fixture(scope="session")
def pool(
    ray_session: None, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SamplerPool]:
    """Two workers. Small KV blocks, so that the prefix cache is really used by short prompts."""
    config = SamplerConfig(
        num_workers=2,
        threads=1,
        max_model_len=256,
        max_num_seqs=32,
        kv_cache_gib=0.25,
        block_size=32,
        return_routed_experts=True,
        max_restarts=20,
    )
    with SamplerPool(tiny_model, config, tmp_path_factory.mktemp("logs")) as running:
        yield running


@pytest.fixture(scope="session")
def in_float64() -> Callable[[Path, Prompt, str], tuple[Any, dict[str, Any]]]:
    """Transformers' model, and its inputs for a prompt and a text after it: one sequence alone, in float64. Of a video
    it is given all frames."""
    from transformers import AutoProcessor, Qwen3VLMoeForConditionalGeneration

    from sampler.data.media.video import decode_video

    def load(hub: Path, prompt: Prompt, answer: str = "") -> tuple[Any, dict[str, Any]]:
        processor = AutoProcessor.from_pretrained(hub)
        model: Any = Qwen3VLMoeForConditionalGeneration.from_pretrained(
            hub, dtype=torch.float64, attn_implementation="eager", experts_implementation="eager"
        )
        text = processor.apply_chat_template(list(prompt.messages), add_generation_prompt=True) + answer
        given: dict[str, Any] = {"images": prompt.pil_images()}
        clips = [
            decode_video(video.read(), lambda num_frames, fps: range(num_frames)) for video in prompt.videos
        ]
        given["videos"] = [clip.frames for clip in clips]
        given["video_metadata"] = [{"total_num_frames": clip.num_frames, "fps": clip.fps} for clip in clips]
        filled = {name: value for name, value in given.items() if value}
        inputs = dict(processor(text=[text], **filled, return_tensors="pt"))
        inputs.pop("video_metadata", None)
        pixels = {name: value.double() for name, value in inputs.items() if name.startswith("pixel_values")}
        return model, inputs | pixels

    return load


def _picture(rng: np.random.Generator, side: int) -> bytes:
    encoded = io.BytesIO()
    Image.fromarray(rng.integers(0, 255, (side, side, 3), dtype=np.uint8)).save(encoded, "PNG")
    return encoded.getvalue()
