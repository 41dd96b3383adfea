"""One decoder: what a picture looks like to everyone, whatever way it was stored."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps, PngImagePlugin

from sampler.image import ImageLimits, decode_image, image_size, portable_image
from sampler.vision_input import VisionInput
from verifiers.errors import BadInput

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
GRAY = np.arange(54, dtype=np.uint8).reshape(6, 9) * 4


def saved(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def with_orientation(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return exif


def decoded(encoded: bytes) -> np.ndarray:
    image = decode_image(encoded)
    assert (image.mode, image.info) == ("RGB", {})
    assert not image.getexif()
    return np.asarray(image)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_as_its_tag_says_and_measured_turned(form: str, orientation: int) -> None:
    """As Pillow's own `exif_transpose` would, which servers and browsers follow."""
    encoded = saved(Image.fromarray(PIXELS), form, exif=with_orientation(orientation))
    wanted = ImageOps.exif_transpose(Image.open(io.BytesIO(encoded)))
    np.testing.assert_array_equal(decoded(encoded), np.asarray(wanted.convert("RGB")))
    assert image_size(encoded) == VisionInput.of("image", encoded).image_size() == wanted.size
    assert wanted.size == ((6, 9) if orientation >= 5 else (9, 6))


def test_a_tag_in_xmp_turns_too_and_a_broken_one_does_not() -> None:
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", xmp.decode())
    image = Image.fromarray(PIXELS)
    for encoded in (saved(image, "JPEG", xmp=xmp), saved(image, pnginfo=text)):
        assert decode_image(encoded).size == image_size(encoded) == (6, 9)
    for exif in (b"Exif\0\0junk", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0"):
        broken = saved(image, "JPEG", exif=exif)
        assert decode_image(broken).size == image_size(broken) == (9, 6)
    unknown = saved(image, "JPEG", xmp=xmp).replace(b"http://ns.adobe.com/xap", b"http://ns.adobe.c\x01m/xap")
    assert decode_image(unknown).size == image_size(unknown) == (9, 6)  # found by fuzzing


def test_what_is_clear_lies_on_white() -> None:
    """However the file says it: an alpha channel, a clear colour of a palette, of grey or of RGB."""
    white, black = (255, 255, 255), (0, 0, 0)
    half = np.zeros((4, 4), np.uint8)
    half[:, 2:] = 255
    rgba = Image.merge("RGBA", [Image.new("L", (4, 4))] * 3 + [Image.fromarray(half)])
    la = Image.merge("LA", [Image.new("L", (4, 4)), Image.fromarray(half)])
    palette = Image.fromarray(half // 255, "P")
    palette.putpalette([9, 9, 9, 0, 0, 0])
    gray = Image.fromarray(np.where(half, 0, 7).astype(np.uint8))
    rgb = Image.merge("RGB", [gray] * 3)
    deep = Image.fromarray(np.where(half, 0, 7).astype(np.uint16))
    for encoded in (
        saved(rgba),
        saved(rgba, "WEBP", lossless=True, exact=True),
        saved(rgba, "TIFF"),
        saved(la),
        saved(palette, transparency=0),
        saved(palette, transparency=bytes([0, 255])),
        saved(palette, "GIF", transparency=0),
        saved(gray, transparency=7),
        saved(rgb, transparency=(7, 7, 7)),
        saved(deep, transparency=7),
    ):
        pixels = decoded(encoded)
        assert (tuple(pixels[1, 0]), tuple(pixels[1, 3])) == (white, black), encoded[:60]
    mixed = saved(Image.new("RGBA", (2, 2), (0, 0, 0, 51)))
    assert decoded(mixed)[0, 0].tolist() == [204] * 3


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_sixteen_bits_are_scaled(form: str, order: str) -> None:
    deep = Image.fromarray(GRAY.astype(np.uint16) * 257 + 100)
    if order == ">u2" and form == "TIFF":
        deep = deep.convert("I").convert("I;16B")
    np.testing.assert_array_equal(decoded(saved(deep, form)), np.repeat(GRAY[..., None], 3, 2))


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        (GRAY / np.float32(255), 255),
        (GRAY.astype(np.float32), 1),
        (GRAY.astype(np.float32) * 257, 1 / 257),
        (GRAY.astype(np.int32), 1),
        (GRAY.astype(np.int32) * 257, 1 / 257),
    ],
)
def test_floats_and_long_integers_are_scaled_by_the_range_they_fit(values: Any, scale: float) -> None:
    encoded = saved(Image.fromarray(values), "TIFF")
    np.testing.assert_array_equal(decoded(encoded)[..., 0], np.rint(values * scale))


def test_other_ranges_go_from_the_least_to_the_largest_and_what_is_no_number_counts_as_0() -> None:
    values = np.array([[-1.0, 0.0, 1.0, np.nan, np.inf]], np.float32)
    assert decoded(saved(Image.fromarray(values), "TIFF"))[0, :, 0].tolist() == [0, 128, 255, 128, 128]
    assert decoded(saved(Image.new("F", (2, 2), -5.0), "TIFF")).max() == 0


def test_a_moving_picture_shows_its_first_frame() -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    for form in ("GIF", "PNG", "WEBP"):
        options = {"lossless": True} if form == "WEBP" else {}
        encoded = saved(frames[0], form, save_all=True, append_images=frames[1:], **options)
        assert decoded(encoded)[0, 0].tolist() == [255, 0, 0]
        assert np.array_equal(decoded(portable_image(encoded)), decoded(encoded))
        assert not getattr(Image.open(io.BytesIO(portable_image(encoded))), "is_animated", False)


def test_a_file_that_everyone_decodes_alike_is_handed_on_as_it_is() -> None:
    image = Image.fromarray(PIXELS)
    for plain in (saved(image), saved(image, "JPEG"), saved(image, "WEBP"), saved(Image.fromarray(GRAY))):
        assert portable_image(plain) is plain
    for odd in (
        saved(image, "JPEG", exif=with_orientation(6)),
        saved(image.convert("CMYK"), "JPEG"),
        saved(image, "BMP"),
        saved(Image.fromarray(GRAY.astype(np.uint16) * 200)),
        saved(Image.new("RGBA", (3, 3), (0, 0, 0, 9))),
    ):
        anyone = Image.open(io.BytesIO(portable_image(odd)))
        assert (anyone.format, anyone.mode) == ("PNG", "RGB")
        assert np.array_equal(np.asarray(anyone), decoded(odd))


@pytest.mark.parametrize(
    ("encoded", "named"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "git lfs pull"),
        (b"<!DOCTYPE html><html>404", "a web page"),
        (b'<?xml version="1.0"?>\n<svg xmlns="x"/>', "SVG"),
        (b"%PDF-1.7", "PDF"),
        (b"\0\0\0\x1cftypheic\0\0\0\0", "HEIC"),
        (b"\0\0\0\x1cftypavif\0\0\0\0", "AVIF"),
        (b"iVBORw0KGgoAAAANSUhEUgAAADAAAAAgCAIAAADbtmxL", "base64"),
        (b"data:image/png;base64,iVBORw0KGgo", "data URI in bytes"),
    ],
)
def test_what_is_no_picture_is_named(encoded: bytes, named: str) -> None:
    with pytest.raises(BadInput, match=f"is not PNG, JPEG, WEBP, GIF, BMP or TIFF, but .*{named}"):
        decode_image(encoded)


def test_limits_of_a_model() -> None:
    red = saved(Image.new("RGB", (8, 8)))
    for read in (decode_image, image_size):
        with pytest.raises(BadInput, match="claims 8 x 8 pixels, more than 63"):
            read(red, ImageLimits(max_pixels=63))
        read(red, ImageLimits(max_pixels=64))
    ImageLimits(max_aspect=200).check_aspect(1, 200)
    for size in ((1, 201), (402, 2)):
        with pytest.raises(BadInput, match=f"{size[0]} x {size[1]} pixels: one side is more than 200 times"):
            ImageLimits(max_aspect=200).check_aspect(*size)
