"""A picture that is only measured is not decoded."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile

from rl.data.prompt_encoder import PromptEncoder
from sampler.prompt import Prompt
from verifiers.errors import BadInput


def test_no_picture_is_decoded_to_be_measured(tiny: Any, hub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even one whose header says that it is to be turned: the processor is given it turned."""
    pixels = np.random.default_rng(0).integers(0, 255, (96, 32, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: a quarter turn
    turned, plain = io.BytesIO(), io.BytesIO()
    Image.fromarray(pixels).save(turned, "JPEG", exif=exif)
    Image.fromarray(pixels[:, :16]).save(plain, "PNG")
    content = [{"type": "image"}, {"type": "image"}, {"type": "text", "text": "the sum?"}]
    prompt = Prompt.build(
        messages=[{"role": "user", "content": content}], images=[turned.getvalue(), plain.getvalue()]
    )
    text = tiny.processor.apply_chat_template(list(prompt.messages), add_generation_prompt=True)
    wanted = tiny.processor(text=[text], images=prompt.pil_images(), return_tensors="np")["input_ids"][0]
    encoder = PromptEncoder(hub)

    def load(self: Any) -> None:
        raise AssertionError("a picture was decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    with pytest.raises(BadInput, match="a picture was decoded"):
        prompt.pil_images()
    np.testing.assert_array_equal(encoder(prompt), wanted)
