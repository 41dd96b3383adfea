"""Pictures that look alike are found, however they are stored; others that share their layout are not."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pytest
from PIL import Image, ImageDraw

from sampler.duplicates.look_alikes import LookAlikes
from sampler.duplicates.picture_print import (
    MAX_DISTANCE,
    SURE_DISTANCE,
    PicturePrints,
    near_hashes,
    near_pictures,
)
from sampler.duplicates.prompt_prints import PromptPrints
from sampler.prompt import Prompt
from sampler.vision_input import VisionInput

ASKED = [{"role": "user", "content": [{"type": "image"}]}]


def photo(seed: int, size: tuple[int, int] = (160, 120)) -> Image.Image:
    """Smooth colours with some noise."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 255, (6, 8, 3), dtype=np.uint8)).resize(
        size, Image.Resampling.BICUBIC
    )
    noisy = np.asarray(coarse).astype(int) + rng.integers(-8, 9, (size[1], size[0], 3))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def digit(text: str, side: int = 28) -> Image.Image:
    image = Image.new("RGB", (side, side), "black")
    ImageDraw.Draw(image).text((8, 2), text, fill="white", font_size=22)
    return image


def chart(heights: list[int]) -> Image.Image:
    image = Image.new("RGB", (200, 140), "white")
    draw = ImageDraw.Draw(image)
    for at, height in enumerate(heights):
        draw.rectangle((20 + 40 * at, 120 - height, 45 + 40 * at, 120), fill=(40, 90, 200))
    return image


def labelled(text: str) -> Image.Image:
    image = Image.new("RGB", (224, 224), "white")
    draw = ImageDraw.Draw(image)
    draw.ellipse((60, 60, 164, 164), outline="black", width=3)
    draw.text((105, 100), text, fill="black", font_size=28)
    return image


def stored(image: Image.Image, form: str = "PNG", **options: int) -> VisionInput:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return VisionInput.of("image", buffer.getvalue())


def changed(
    image: Image.Image, at: tuple[int, int] = (5, 7), to: tuple[int, int, int] = (255, 0, 255)
) -> Image.Image:
    other = image.copy()
    other.putpixel(at, to)
    return other


def are_alike(one: VisionInput, other: VisionInput) -> bool:
    """By print and by pixels."""
    prints = [PromptPrints.of([Prompt.build(messages=ASKED, images=[picture])]) for picture in (one, other)]
    return LookAlikes(*prints).bits([one.content_hash], [other.content_hash]) is not None


@pytest.mark.parametrize(
    "image", [photo(1), digit("7"), chart([30, 80, 50, 100])], ids=["photo", "digit", "chart"]
)
@pytest.mark.parametrize(
    "hide",
    [
        lambda image: stored(changed(image)),
        lambda image: stored(image, "JPEG", quality=40),
        lambda image: stored(image, "WEBP", quality=60),
    ],
    ids=["pixel", "JPEG", "WebP"],
)
def test_a_copy_is_found(image: Image.Image, hide: object) -> None:
    assert are_alike(stored(image), hide(image))  # type: ignore[operator]


def test_a_copy_of_another_size_is_found() -> None:
    half = photo(1).resize((80, 60), Image.Resampling.LANCZOS)
    assert are_alike(stored(photo(1)), stored(half, "JPEG", quality=80))


def test_others_are_not_taken_for_copies() -> None:
    others = [
        *(photo(seed) for seed in range(1, 6)),
        *(digit(str(number)) for number in range(10)),
        *(labelled(str(number)) for number in range(10, 30)),
        *(chart(list(heights)) for heights in itertools.permutations([30, 80, 50])),
        Image.new("RGB", (64, 64), "red"),
        Image.new("RGB", (64, 64), "blue"),
    ]
    pictures = [stored(image) for image in others]
    assert not any(are_alike(one, other) for one, other in itertools.combinations(pictures, 2))


@pytest.mark.parametrize("radius", [3, 4, 6])
@pytest.mark.parametrize("at", [(100, 100), (102, 102)])
def test_another_colour_of_the_same_brightness_is_another_picture(radius: int, at: tuple[int, int]) -> None:
    def dot(colour: str) -> Image.Image:
        image = Image.new("RGB", (224, 224), "white")
        ImageDraw.Draw(image).circle(at, radius, fill=colour)
        return image

    red, lime = stored(dot("red")), stored(dot("lime"))
    assert not are_alike(red, lime) and are_alike(red, stored(dot("red"), "JPEG", quality=80))


def squares(seed: int) -> Image.Image:
    """Black squares on a grid: most of a hash's bits hang on nothing."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (64, 64), "white")
    for place in rng.permutation(16)[: rng.integers(1, 9)]:
        x, y = 16 * (place % 4) + 4, 16 * (place // 4) + 4
        ImageDraw.Draw(image).rectangle((x, y, x + 7, y + 7), fill="black")
    return image


def test_copies_of_flat_drawings_are_found_among_many() -> None:
    """One corner pixel a little darker."""
    drawn = list({image.tobytes(): image for image in map(squares, range(200))}.values())
    edited = [changed(image, (0, 0), (250, 250, 250)) for image in drawn]
    prints = PicturePrints.of(map(stored, drawn)), PicturePrints.of(map(stored, edited))
    bits = np.bitwise_count(prints[0].hashes ^ prints[1].hashes)
    assert (bits > MAX_DISTANCE).sum() > 5  # these no hash would find
    found = {(at, to) for at, to, _ in near_pictures(*prints)}
    assert {(at, at) for at in range(len(drawn))} <= found


def test_all_near_hashes_are_found() -> None:
    """Against each with each."""
    rng = np.random.default_rng(1)
    base = rng.integers(0, 2**64, 60, dtype=np.uint64)
    flips = [
        sum(1 << int(bit) for bit in rng.choice(64, size, replace=False)) for size in range(12) for _ in base
    ]
    hashes = np.concatenate([base, *np.split(np.tile(base, 12) ^ np.array(flips, np.uint64), 12)])
    bits = np.bitwise_count(hashes[:, None] ^ hashes[None, :])
    sure, most = (
        set(zip(*np.nonzero(bits <= limit), strict=True)) for limit in (SURE_DISTANCE, MAX_DISTANCE)
    )
    found = set(zip(*near_hashes(hashes, hashes), strict=True))
    assert sure <= found <= most


def test_an_equal_hash_is_found_among_many_that_share_its_bands() -> None:
    rng = np.random.default_rng(3)
    few = np.uint64(0x0101010101010101)  # of each band three different values
    crowd = few * rng.integers(1, 4, 20_000).astype(np.uint64)
    hashes = np.concatenate(
        [crowd ^ rng.integers(0, 4, 20_000).astype(np.uint64), [np.uint64(0x0202020202020203)]]
    )
    found = near_hashes(hashes[-1:], np.concatenate([hashes[:-1], hashes[-1:]]))
    assert len(found[0]) and 0 in np.bitwise_count(hashes[-1] ^ hashes[found[1]])


def test_films_and_broken_pictures_have_no_print() -> None:
    broken, film = VisionInput.of("image", b"no picture"), VisionInput.of("video", b"film")
    assert not PicturePrints.of([broken, film]).index
