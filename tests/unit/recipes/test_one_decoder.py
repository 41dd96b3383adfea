"""Sampler, trainer, judges, report and viewer look at the same pixels, whatever way a picture was stored."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

from recipes.report.drawing.picture import Picture
from recipes.report.shown_prompt import ShownPrompt
from reward_models.answer_comparison import AnswerComparison
from reward_models.judges.endpoint_judge import _question
from rl.engines.probe_pictures import odd_pictures
from rl.trainer.collator import VisionCache
from sampler.prompt import Prompt
from sampler.vllm_pool.rollout_engine import RolloutEngine
from verifiers.answer import FinalAnswer

PIXELS = np.random.default_rng(3).integers(0, 256, (20, 31, 3), dtype=np.uint8)
RGB = Image.fromarray(PIXELS)
DEEP = Image.fromarray(PIXELS[..., 0].astype(np.uint16) * 250)


def saved(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def sideways(form: str) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    return saved(RGB, form, exif=exif)


def clear() -> Image.Image:
    drawing = RGB.copy()
    drawing.putalpha(Image.fromarray(PIXELS[..., 1]))
    return drawing


PICTURES = {
    "plain": saved(RGB),
    "jpeg": saved(RGB, "JPEG"),
    "turned jpeg": sideways("JPEG"),
    "turned png": sideways("PNG"),
    "clear": saved(clear()),
    "clear palette": saved(clear().convert("P"), transparency=3),
    "clear grey": saved(clear().convert("LA")),
    "16 bits": saved(DEEP),
    "floats": saved(Image.fromarray(PIXELS[..., 2] / np.float32(300)), "TIFF"),
    "cmyk": saved(RGB.convert("CMYK"), "JPEG"),
    "animated": saved(RGB, "GIF", save_all=True, append_images=[RGB.rotate(180)]),
}


def prompt_of(encoded: bytes) -> Prompt:
    content = [{"type": "image"}, {"type": "text", "text": "What?"}]
    return Prompt.build(
        messages=[{"role": "user", "content": content}], images=[encoded], reference="1", kind="general"
    )


def as_a_server_would(image: Image.Image) -> Image.Image:
    """What vLLM does with a picture that it is handed."""
    turned = ImageOps.exif_transpose(image)
    if turned.mode == "RGB":
        return turned
    if turned.has_transparency_data:
        shown = turned.convert("RGBA")
        ground = Image.new("RGB", shown.size, "white")
        ground.paste(shown, mask=shown.split()[3])
        return ground
    return turned.convert("RGB")


def opened(url: str | None) -> Image.Image:
    assert url is not None
    encoded = base64.b64decode(url.partition(";base64,")[2])
    return as_a_server_would(Image.open(io.BytesIO(encoded)))


def by_sampler(prompt: Prompt) -> Image.Image:
    (image,) = RolloutEngine._decoded(object.__new__(RolloutEngine), prompt)["image"]
    return as_a_server_would(image)


def by_trainer(prompt: Prompt) -> Image.Image:
    seen: list[Image.Image] = []

    class Family:
        def images(self, _: Any, images: list[Image.Image]) -> list[Any]:
            seen.extend(images)
            return images

    cache: Any = VisionCache(None, Family(), 0)  # type: ignore[arg-type]
    cache._pictures(prompt.vision_inputs)
    return seen[0]


def by_endpoint_judge(prompt: Prompt) -> Image.Image:
    parts = _question(AnswerComparison("", prompt, FinalAnswer("1"), FinalAnswer("2")))
    (part,) = [part for part in parts if part["type"] == "image_url"]
    return opened(part["image_url"]["url"])


def by_pairwise_reward_model(prompt: Prompt) -> Image.Image:
    return by_sampler(AnswerComparison("", prompt, FinalAnswer("1"), FinalAnswer("2")).to_prompt())


def by_report(prompt: Prompt) -> Image.Image:
    return opened(Picture.of(prompt.images[0].read()).uri)


def by_viewer(prompt: Prompt) -> Image.Image:
    row = {"prompt_id": "", "messages": [], "images": [{"bytes": prompt.images[0].read()}]}
    return opened(ShownPrompt.of(row).pictures[0].uri)


CONSUMERS: list[Callable[[Prompt], Image.Image]] = [
    by_sampler,
    by_trainer,
    by_endpoint_judge,
    by_pairwise_reward_model,
    by_report,
    by_viewer,
]


@pytest.mark.parametrize("name", PICTURES)
def test_all_see_the_same_pixels(name: str) -> None:
    prompt = prompt_of(PICTURES[name])
    seen = {}
    for consumer in CONSUMERS:
        image = consumer(prompt)
        assert (image.mode, image.size) == ("RGB", prompt.images[0].image_size())
        seen[consumer.__name__] = hashlib.sha256(image.tobytes()).hexdigest()
    assert len(set(seen.values())) == 1, seen
    assert image.size == ((20, 31) if name.startswith("turned") else (31, 20))


def test_the_proof_s_odd_pictures_decode_to_the_prompt_s_own() -> None:
    """Turned exactly, the other two in grey: and a decoder that knows no better sees something else."""
    prompt = prompt_of(PICTURES["plain"])
    turned, clear_one, deep = odd_pictures([Prompt.build(messages=[]), prompt])
    gray = np.repeat(np.asarray(RGB.convert("L"))[..., None], 3, axis=2)
    for odd, wanted in ((turned, PIXELS), (clear_one, gray), (deep, gray)):
        np.testing.assert_array_equal(np.asarray(odd.pil_images()[0]), wanted)
        careless = Image.open(io.BytesIO(odd.images[0].read())).convert("RGB")
        assert careless.size != RGB.size or not np.array_equal(np.asarray(careless), wanted)
    assert len({prompt.prompt_id, *(odd.prompt_id for odd in (turned, clear_one, deep))}) == 4
    assert odd_pictures([Prompt.build(messages=[])]) == []
