"""Films as a policy's processor hands them on."""

from __future__ import annotations

import base64
import io
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from recipes.view.pages.seen_film import PAGE_SIZE, SeenFilm, seen_film
from rl.data.prompt_encoder import PromptEncoder
from sampler.frame_schedule import FrameSchedule
from sampler.prompt import Prompt
from sampler.vision_input import VisionInput
from verifiers.errors import BadInput

Encode = Callable[..., bytes]
Frames = Callable[..., np.ndarray]
ASKED = {"role": "user", "content": [{"type": "video"}, {"type": "text", "text": "When?"}]}


@pytest.fixture(scope="module")
def encoder(hub: Path) -> PromptEncoder:
    return PromptEncoder(hub)


def pixels_of(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB"))


@pytest.mark.parametrize(
    "schedule", [None, FrameSchedule(fps=1.0, tiers=(6,)), FrameSchedule(fps=2.0, tiers=(1,))]
)
def test_a_film_is_seen_as_the_prompt_has_it(
    encoder: PromptEncoder, frames: Frames, video_file: Encode, schedule: FrameSchedule | None
) -> None:
    filmed = frames(3, 13, 32, 48)
    encoded = video_file(filmed)  # four frames a second
    film = seen_film(encoder.processor, encoded, schedule)
    video = replace(VisionInput.of("video", encoded), schedule=schedule)
    ids = encoder(Prompt.build(messages=[ASKED], videos=[video])).tolist()
    assert ids.count(encoder.tokenizer.convert_tokens_to_ids("<|video_pad|>")) == film.num_tokens
    text = encoder.tokenizer.decode(ids)
    assert text.count(" seconds>") == film.num_pictures == len(film.pictures)
    assert [text.count(picture.words) for picture in film.pictures] == [1] * film.num_pictures
    assert (film.num_frames, film.fps, film.filmed_size) == (13, 4.0, (48, 32))
    for picture in film.pictures:
        times_s = [one.time_s for one in picture.filmed]
        assert picture.words == f"<{(times_s[0] + times_s[-1]) / 2:.1f} seconds>"
        assert times_s == [one.index / 4 for one in picture.filmed]
        for one, seen in zip(picture.filmed, picture.seen, strict=False):  # a last frame is repeated
            assert (pixels_of(one.uri) == filmed[one.index]).all()
            assert pixels_of(seen).shape == (film.height, film.width, 3)
            if (film.width, film.height) == film.filmed_size:  # nothing was resized: the pixels are the same
                assert (pixels_of(seen) == filmed[one.index]).all()
    assert ("data.video (2 pictures" in film.rule) == (schedule is not None and schedule.fps == 2.0)
    assert (schedule is None or schedule.tiers != (1,)) == ((film.width, film.height) == film.filmed_size)


def test_a_picture_that_lacks_a_frame_repeats_it(
    encoder: PromptEncoder, frames: Frames, video_file: Encode
) -> None:
    film = seen_film(encoder.processor, video_file(frames(1, 1)), None)
    (picture,) = film.pictures
    assert len(picture.filmed) == 1 and picture.seen[0] == picture.seen[1]


def test_a_long_film_comes_in_parts(encoder: PromptEncoder, frames: Frames, video_file: Encode) -> None:
    encoded = video_file(frames(2, 50, 16, 16), fps=2.0)

    def part(page: int) -> SeenFilm:
        return seen_film(encoder.processor, encoded, FrameSchedule(fps=1.0, tiers=(1,)), page)

    parts = [part(page) for page in range(1, part(1).num_pages + 1)]
    pictures = [picture for one in parts for picture in one.pictures]
    assert [picture.number for picture in pictures] == list(range(25)) and len(parts) == -(-25 // PAGE_SIZE)
    assert pictures[-1].words == "<24.2 seconds>" and pictures[-1].filmed[0].time_s == 24.0
    assert part(99).page == len(parts)


def test_what_cannot_be_seen_says_why(encoder: PromptEncoder, tiny: Any) -> None:
    with pytest.raises(BadInput, match="is none of MP4"):
        seen_film(encoder.processor, b"no film", None)
    with pytest.raises(BadInput, match="takes no videos"):
        seen_film(tiny.processor.tokenizer, b"", None)


def test_the_page_goes_by_the_recipe_of_the_run(
    run_maker: Any, browse: Any, write_prompts: Any, hub: Path, frames: Frames, video_file: Encode
) -> None:
    asked = Prompt("film", (ASKED,), verifier="string", reference="left", tags=("motion",))
    data = run_maker.run / "stages" / "00-prepare" / "data"
    write_prompts(data / "train.parquet", [asked], videos=[video_file(frames(5, 8))])
    write_prompts(data / "broken.parquet", [replace(asked, prompt_id="broken")], videos=[b"no film"])
    shutil.copytree(hub, run_maker.run / "policy", ignore=shutil.ignore_patterns("*.safetensors"))
    recipe = run_maker.run / "recipe.yaml"
    plain = recipe.read_text()
    with browse(run_maker.run) as browser:
        page = browser.show("/seen", run="digits", id="film")
        assert "A film of 2.0 s" in page and "the processor&#39;s own rule, make 2 pictures" in page
    recipe.write_text(plain + "data:\n  video: {fps: 1.0, tiers: [8], fps_by_type: {motion: 2.0}}\n")
    with browse(run_maker.run) as browser:
        page = browser.show("/seen", run="digits", id="film")
        assert "data.video (2 pictures a second), make 4 pictures" in page and page.count("seconds&gt;") == 4
        assert "2 × 2 = 4 tokens each, 16 in all" in page
        assert "not seen: the video is none of" in browser.show("/seen", run="digits", id="broken")
        assert "/seen?run=digits" in browser.show("/prompt", of="digits", id="film")
    recipe.write_text(plain + "data:\n  video: {fps: -1}\n")
    with browse(run_maker.run) as browser:
        assert "data.video cannot be read" in browser.show("/seen", run="digits", id="film")
