"""The hybrid digits task whose general prompts show a film instead of a picture: the digits fade in."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from recipes.digits.builder import save_sets
from recipes.digits.hybrid import build_description_preferences, build_hybrid
from reward_models.preferences.preference import load_preferences, save_preferences
from sampler.data.prompt_dataset import load_prompts
from sampler.data.sft_row import load_sft_rows
from sampler.prompt import Prompt

NUM_FRAMES, FPS = 4, 4.0


def build_films(out_dir: str, **options: Any) -> dict[str, Path]:
    paths = build_hybrid(out_dir, **options)
    train, heldout = ([filmed(one) for one in load_prompts(paths[name])] for name in ("train", "heldout"))
    rows = [dataclasses.replace(row, prompt=filmed(row.prompt)) for row in load_sft_rows(paths["cold_start"])]
    return save_sets(out_dir, train, heldout, rows)


def build_film_preferences(out_dir: str, **options: Any) -> dict[str, Path]:
    paths = build_description_preferences(out_dir, **options)
    return {
        name: save_preferences(
            path, [dataclasses.replace(one, prompt=filmed(one.prompt)) for one in load_preferences(path)]
        )
        for name, path in paths.items()
    }


def filmed(prompt: Prompt) -> Prompt:
    """The prompt with a film of its picture, or the prompt itself where a rule verifies it."""
    if prompt.verifier is not None:
        return prompt
    messages = [
        {**message, "content": [{"type": "video"} if part["type"] == "image" else part for part in message["content"]]}
        for message in prompt.messages
    ]  # fmt: skip
    (picture,) = prompt.pil_images()
    return Prompt.build(
        messages=messages,
        videos=[film(np.asarray(picture))],
        kind="general",
        reference=prompt.reference,
        source=prompt.source,
        tags=prompt.tags,
    )


def film(pixels: np.ndarray) -> bytes:
    """MP4 of `NUM_FRAMES` frames, from dark to the picture itself."""
    height, width, _ = pixels.shape
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), FPS, (width, height))
        for number in range(1, NUM_FRAMES + 1):
            writer.write((pixels[..., ::-1] * (number / NUM_FRAMES)).astype(np.uint8))
        writer.release()
        return path.read_bytes()
