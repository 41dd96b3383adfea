"""A picture as it lies in a data set, turned into encoded bytes that are known to decode."""

from __future__ import annotations

import base64
import binascii
import difflib
import io
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from verifiers.errors import BadInput

MAX_PIXELS = 64_000_000  # 8000 x 8000; a small file that claims more is a decompression bomb
MAX_BYTES = 256 * 2**20
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")  # and never those that start another program (EPS)

_DATA_URI = re.compile(r"data:[\w.+-]*/?[\w.+-]*(;[\w.=+-]*)*,", re.ASCII)


def read_picture(
    value: Any, folder: Path | None = None, *, max_pixels: int = MAX_PIXELS, decode: bool = True
) -> bytes:
    """The encoded bytes of a picture. Raises `BadInput` with the reason, never anything else.

    `value` is bytes, `{"bytes": ..., "path": ...}` (how `datasets` stores its `Image` feature), a base64 data URI,
    or a path, relative to `folder`. `decode=False` reads the header only, for sets too large to decode twice.
    """
    encoded = _encoded(value, folder)
    if len(encoded) > MAX_BYTES:
        raise BadInput(f"the picture has {len(encoded) / 2**20:.0f} MiB, more than {MAX_BYTES // 2**20}")
    _check(encoded, max_pixels, decode)
    return encoded


def _encoded(value: Any, folder: Path | None) -> bytes:
    if isinstance(value, Mapping):
        if value.get("bytes") is not None:
            value = value["bytes"]
        elif value.get("path") is not None:
            value = value["path"]
        else:
            raise BadInput(
                f"a picture has neither bytes nor path (keys: {', '.join(map(str, value)) or 'none'})"
            )
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if not isinstance(value, str):
        raise BadInput(f"a picture is bytes, a path or a base64 data URI, got {type(value).__name__}")
    if value.startswith("data:"):
        return _from_data_uri(value)
    if re.match(r"\w+://", value):
        raise BadInput(f"pictures are not fetched over the network: download {value[:80]!r} first")
    return _from_file(value, folder)


def _from_data_uri(uri: str) -> bytes:
    head = _DATA_URI.match(uri[:200])
    if head is None or not head.group().endswith(";base64,"):
        raise BadInput("a data URI must read data:image/...;base64,...")
    try:
        return base64.b64decode(uri[head.end() :], validate=True)
    except (binascii.Error, ValueError) as why:
        raise BadInput(f"the base64 of a data URI is broken: {why}") from None


def _from_file(name: str, folder: Path | None) -> bytes:
    path = Path(name) if folder is None else folder / name
    shown = name if len(name) <= 120 else name[:120] + "…"
    try:
        if not path.is_file():  # a directory, a device and a pipe are no pictures either
            hint = _near_file(path)
            raise BadInput(f"no such picture file: {shown!r}{hint}")
        if path.stat().st_size > MAX_BYTES:
            raise BadInput(f"the picture file {shown!r} is larger than {MAX_BYTES // 2**20} MiB")
        return path.read_bytes()
    except (OSError, ValueError) as why:
        if isinstance(why, BadInput):
            raise
        reason = why.strerror if isinstance(why, OSError) else why
        raise BadInput(f"the picture file {shown!r} cannot be read: {reason}") from None


def _near_file(path: Path) -> str:
    if not path.parent.is_dir():
        return ""
    names = [entry.name for entry in path.parent.iterdir()]
    close = difflib.get_close_matches(path.name, names, n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def _check(encoded: bytes, max_pixels: int, decode: bool) -> None:
    """Decode as `Prompt.pil_images` will. Pillow's plugins raise many types on hostile bytes: all mean the same."""
    if not encoded:
        raise BadInput("the picture is empty (0 bytes)")
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
