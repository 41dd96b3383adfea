"""Whether a picture's encoded bytes decode, and its size."""

from __future__ import annotations

import io
import warnings

from PIL import Image, UnidentifiedImageError

from verifiers.errors import BadInput

MAX_PIXELS = 64_000_000  # 8000 x 8000; a small file that claims more is a decompression bomb
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")  # and never those that start another program (EPS)
_ENDS = {"PNG": b"IEND\xaeB`\x82", "JPEG": b"\xff\xd9", "GIF": b";"}


def check_image(encoded: bytes, *, max_pixels: int = MAX_PIXELS, decode: bool = True) -> tuple[int, int]:
    """Width and height of a picture that decodes as `Prompt.pil_images` will decode it. Raises `BadInput` with the
    reason, never anything else.

    `decode=False` reads the header, and decodes only where the file does not end as its format does: most broken
    pictures are cut short, and a whole one takes a hundred times as long to decode.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(encoded), formats=FORMATS) as image:
                width, height = image.size
                if width * height > max_pixels:
                    raise BadInput(f"the picture claims {width} x {height} pixels, more than {max_pixels:,}")
                if decode or not encoded.endswith(_ENDS.get(str(image.format), b"never")):
                    image.convert("RGB")
                return width, height
    except BadInput:
        raise
    except UnidentifiedImageError:
        raise BadInput(f"the picture is not {', '.join(FORMATS[:-1])} or {FORMATS[-1]}") from None
    except Exception as why:  # noqa: BLE001 - untrusted bytes: Pillow's plugins raise many types, all mean the same
        raise BadInput(f"the picture does not decode: {_one_line(why)}") from None


def _one_line(why: Exception) -> str:
    text = " ".join(str(why).split()) or type(why).__name__
    return text[:160]
