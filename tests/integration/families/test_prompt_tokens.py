"""A prompt reads the same when it is learnt as when it is sampled: Hone's token ids against vLLM's own processor."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rl.data.prompt_encoder import PromptEncoder
from sampler.data.media.video import clip_of
from sampler.frame_schedule import FrameSchedule
from sampler.prompt import Prompt
from sampler.vision_input import VisionInput


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


def test_videos_between_words(tiny: Path, vllm_processor: Any, video_file: Callable[..., bytes]) -> None:
    """Two videos and a picture: which frames, the words around each and the number of placeholders."""
    rng = np.random.default_rng(2)
    films = [rng.integers(0, 255, (n, 32, 48, 3), dtype=np.uint8) for n in (13, 4)]
    red = Image.new("RGB", (32, 32), (200, 20, 20))
    buffer = io.BytesIO()
    red.save(buffer, "PNG")
    parts = [{"type": "video"}, {"type": "text", "text": "Look:"}, {"type": "image"}, {"type": "video"}]
    prompt = Prompt.build(
        messages=[{"role": "user", "content": parts}],
        images=[buffer.getvalue()],
        videos=[video_file(film, fps=4.0) for film in films],
    )
    encoder = PromptEncoder(tiny)
    text = encoder.tokenizer.apply_chat_template(
        list(prompt.messages), tokenize=False, add_generation_prompt=True
    )
    described = [
        {"total_num_frames": len(film), "fps": 4.0, "do_sample_frames": True, "frames_indices": list(range(len(film))),
         "duration": len(film) / 4, "video_backend": "opencv"}
        for film in films
    ]  # fmt: skip
    given = {"image": [red], "video": list(zip(films, described, strict=True))}
    wanted = vllm_processor(text, vllm_processor.info.parse_mm_data(given))["prompt_token_ids"]
    np.testing.assert_array_equal(encoder(prompt), wanted)


def test_a_scheduled_film(tiny: Path, vllm_processor: Any, video_file: Callable[..., bytes]) -> None:
    """As the engine hands it over: the frames that the schedule chose, which vLLM must not choose among again."""
    film = np.random.default_rng(2).integers(0, 255, (24, 32, 48, 3), dtype=np.uint8)
    video = VisionInput.of("video", video_file(film, fps=4.0))
    prompts = [
        Prompt.build(
            messages=[
                {"role": "user", "content": [{"type": "video"}, {"type": "text", "text": "Which way?"}]}
            ],
            videos=[replace(video, schedule=schedule)],
        )
        for schedule in (None, *(FrameSchedule(fps, tiers=(1,)) for fps in (0.5, 1.0, 2.0)))
    ]
    encoder = PromptEncoder(tiny)
    lengths = []
    for prompt in prompts:
        text = encoder.tokenizer.apply_chat_template(
            list(prompt.messages), tokenize=False, add_generation_prompt=True
        )
        clip = clip_of(prompt.videos[0], encoder.processor.video_processor)
        given = {"video": [(clip.frames, clip.metadata() | {"do_sample_frames": False})]}
        wanted = vllm_processor(text, vllm_processor.info.parse_mm_data(given))["prompt_token_ids"]
        np.testing.assert_array_equal(encoder(prompt), wanted)
        lengths.append(len(wanted))
    assert lengths[1] < lengths[2] < lengths[3]  # three, six and eight pictures: the tiny model takes no more
    assert len({prompt.videos[0].shown_hash for prompt in prompts}) == 4
    assert len({prompt.prompt_id for prompt in prompts}) == 1
