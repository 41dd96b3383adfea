"""A picture as it lies in a data set, turned into encoded bytes that are known to decode."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from sampler.data.media_bytes import encoded_bytes
from verifiers.errors import BadInput

MAX_PIXELS = 64_000_000  # 8000 x 8000; a small file that claims more is a decompression bomb
MAX_BYTES = 256 * 2**20
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")  # and never those that start another program (EPS)


def read_image(
    value: Any, folder: Path | None = None, *, max_pixels: int = MAX_PIXELS, decode: bool = True
) -> bytes:
    """The encoded bytes of a picture. Raises `BadInput` with the reason, never anything else.

    `value` is anything `encoded_bytes` takes. `decode=False` reads the header only, for sets too large to decode twice.
    """
    encoded = encoded_bytes(value, folder, "image", max_bytes=MAX_BYTES)
    _check(encoded, max_pixels, decode)
    return encoded


def _check(encoded: bytes, max_pixels: int, decode: bool) -> None:
    """Decode as `Prompt.pil_images` will. Pillow's plugins raise many types on hostile bytes: all mean the same."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(encoded), formats=FORMATS) as image:
                width, height = image.size
                if width * height > max_pixels:
                    raise BadInput(f"the picture claims {width} x {height} pixels, more than {max_pixels:,}")
                if decode:
                    image.convert("RGB")
    except BadInput:
        raise
    except UnidentifiedImageError:
        raise BadInput(f"the picture is not {', '.join(FORMATS[:-1])} or {FORMATS[-1]}") from None
    except Exception as why:  # noqa: BLE001 - untrusted bytes in a third-party decoder
        raise BadInput(f"the picture does not decode: {_one_line(why)}") from None


def _one_line(why: Exception) -> str:
    text = " ".join(str(why).split()) or type(why).__name__
    return text[:160]
