"""A picture's encoded bytes as the RGB pixels that all see: sampler, trainer, judges, report and viewer."""

from __future__ import annotations

import io
import re
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from sampler.frame_schedule import FilmSampling
from verifiers.errors import BadInput

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")  # and never those that start another program (EPS)
_OTHERS = (
    (re.compile(rb"version https://git-lfs"), "a Git LFS pointer: fetch the file itself (git lfs pull)"),
    (re.compile(rb"(?i)\s*<(!doctype )?html"), "a web page"),
    (re.compile(rb"(?s)\s*(<\?xml.*)?<svg"), "SVG"),
    (re.compile(rb"%PDF"), "PDF"),
    (re.compile(rb"(?s)....ftyp(hei|hev|mif|msf)"), "HEIC"),
    (re.compile(rb"(?s)....ftypavi"), "AVIF"),
    (re.compile(rb"data:image/"), "a data URI in bytes: give it as text"),
    (
        re.compile(rb"(iVBORw0KGgo|/9j/|R0lGOD|UklGR)[\w+/]*"),
        "base64 text: decode it, or put it into a data URI",
    ),
)
_PNG, _JPEG = (
    (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"IEND\xaeB`\x82"),
    (b"\xff\xd8\xff", b"\xff\xd9"),
)  # start, end
_EXIF = b"Exif\0\0"
_JPEG_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # markers of a frame's header
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # by EXIF orientation
_SIDEWAYS = (5, 6, 7, 8)

warnings.filterwarnings("ignore", module=r"PIL\.")  # of untrusted bytes: what matters is raised


@dataclass(frozen=True)
class ImageLimits:
    """What a model's processor takes, of a picture and of a video's frames; and where it is not to choose these itself,
    who does."""

    max_pixels: int = 64_000_000  # 8000 x 8000; a small file that claims more is a decompression bomb
    max_aspect: float = 200.0  # the longer side by the shorter
    films: FilmSampling | None = None

    def check_aspect(self, width: float, height: float) -> None:
        """Raises `BadInput` for what is thinner."""
        if max(width, height) > self.max_aspect * min(width, height):
            raise BadInput(
                f"{width:.0f} x {height:.0f} pixels: one side is more than {self.max_aspect:g} times the other, which "
                "the model's processor refuses; crop or pad it"
            )


ANY_MODEL = ImageLimits()


def decode_image(encoded: bytes, limits: ImageLimits = ANY_MODEL) -> Image.Image:
    """RGB as people see the picture: turned as its EXIF tag says, its first frame, what is clear on white, 16 bits and
    floats scaled to 8. Raises `BadInput` with the reason, never anything else.

    Floats count from 0 to 1 where all are in there; like 32-bit integers else from 0 to 255, to 65,535, or from their
    least to their largest.
    """
    with _opened(encoded, limits) as image:
        return _turned(_rgb(image), _orientation(image))


def reduced_image(encoded: bytes, side: int, limits: ImageLimits = ANY_MODEL) -> Image.Image:
    """What ``decode_image`` gives, but of a JPEG perhaps smaller, down to ``side`` pixels and more: in a fraction of
    the time, to compare pictures by. Raises `BadInput`."""
    with _opened(encoded, limits) as image:
        image.draft("RGB", (side, side))
        return _turned(_rgb(image), _orientation(image))


def image_size(encoded: bytes, limits: ImageLimits = ANY_MODEL) -> tuple[int, int]:
    """Width and height as `decode_image` gives them, by the header of a PNG or JPEG that ends as its format does, in a
    hundredth of the time: most broken pictures are cut short. All else is decoded. Raises `BadInput`."""
    size = _size_of_whole(encoded)
    if size is None or size[0] * size[1] > limits.max_pixels:
        return decode_image(encoded, limits).size
    return size


def portable_image(encoded: bytes) -> bytes:
    """The file itself where every browser and server decodes it to the same pixels, else a PNG of them. Raises
    `BadInput`."""
    with _opened(encoded, ANY_MODEL) as image:
        image.load()
        still = image.format == "MPO" or not getattr(image, "is_animated", False)
        plain = image.mode in ("L", "RGB") and not image.has_transparency_data and _orientation(image) == 1
        if image.format in ("PNG", "JPEG", "MPO", "WEBP") and still and plain:
            return encoded
    buffer = io.BytesIO()
    decode_image(encoded).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


@contextmanager
def _opened(encoded: bytes, limits: ImageLimits) -> Iterator[Image.Image]:
    try:
        with Image.open(io.BytesIO(encoded), formats=FORMATS) as image:
            width, height = image.size
            if width * height > limits.max_pixels:
                raise BadInput(
                    f"the picture claims {width} x {height} pixels, more than {limits.max_pixels:,}"
                )
            yield image
    except BadInput:
        raise
    except UnidentifiedImageError:
        named = next((f", but {name}" for magic, name in _OTHERS if magic.match(encoded[:1000])), "")
        raise BadInput(f"the picture is not {', '.join(FORMATS[:-1])} or {FORMATS[-1]}{named}") from None
    except Exception as why:  # noqa: BLE001 - untrusted bytes: Pillow's plugins raise many types, all mean the same
        raise BadInput(f"the picture does not decode: {_one_line(why)}") from None


def _rgb(image: Image.Image) -> Image.Image:
    image.load()
    if image.mode.startswith(("I", "F")):
        return _eight_bits(image).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.float32)
    low, top = 0.0, 65_535.0
    if not image.mode.startswith("I;16"):
        values = np.where(np.isfinite(values), values, 0)
        low, high = float(values.min()), float(values.max())
        tops = (1.0, 255.0, 65_535.0) if image.mode == "F" else (255.0, 65_535.0)
        fitting = [one for one in tops if high <= one] if low >= 0 else []
        low, top = (0.0, fitting[0]) if fitting else (low, high)
    scaled = np.rint((values - low) * (255.0 / ((top - low) or 1.0))).astype(np.uint8)
    clear = image.info.get("transparency")
    if isinstance(clear, int):
        scaled[values == clear] = 255
    return Image.fromarray(scaled)


def _orientation(image: Image.Image) -> int:
    """By EXIF, of a picture that is loaded; 1 where the tag is missing or broken. TIFF has been turned by Pillow."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001 - untrusted bytes, as above
        return 1


def _turned(image: Image.Image, orientation: int) -> Image.Image:
    image.info.clear()  # nobody turns it again
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image


def _size_of_whole(encoded: bytes) -> tuple[int, int] | None:
    """Width and height of a PNG or JPEG that ends as it should and whose header tells all, else None."""
    if encoded.startswith(_PNG[0]) and encoded.endswith(_PNG[1]):
        if b"eXIf" in encoded or b"XML:com.adobe.xmp" in encoded or b"Raw profile type" in encoded:
            return None
        width, height = struct.unpack_from(">II", encoded, 16)
    elif encoded.startswith(_JPEG[0]) and encoded.endswith(_JPEG[1]):
        at = 2
        info: dict[str, bytes] = {}
        while at + 9 < len(encoded) and encoded[at] == 0xFF and encoded[at + 1] not in _JPEG_FRAMES:
            end = at + 2 + int.from_bytes(encoded[at + 2 : at + 4], "big")
            segment = encoded[at + 4 : end] if encoded[at + 1] == 0xE1 else b""
            if segment.startswith(_EXIF):
                info["exif"] = info.get("exif", _EXIF) + segment[len(_EXIF) :]
            elif segment.startswith(b"http://ns.adobe.com/xap/1.0/\0"):
                info["xmp"] = segment
            at = end
        if at + 9 >= len(encoded) or encoded[at] != 0xFF:
            return None
        height, width = struct.unpack_from(">HH", encoded, at + 5)
        if info:
            header = Image.Image()
            header.info.update(info)
            if _orientation(header) in _SIDEWAYS:
                width, height = height, width
    else:
        return None
    return (width, height) if width and height else None


def _one_line(why: Exception) -> str:
    text = " ".join(str(why).split()) or type(why).__name__
    return text[:160]
