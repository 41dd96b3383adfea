"""A prompt's pictures and films for a browser: sized, and by an address of their own, so that a page loads at once."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from recipes.report.drawing.picture import Picture, contact_sheet
from recipes.view.place import Place
from sampler.image import decode_image, image_size, portable_image
from sampler.vision_input import media_type
from verifiers.errors import BadInput

SHOWN_PX, MAX_PX = 1024, 4096
MAX_SENT_BYTES = 4 * 2**20
MAX_SHOWN = 24


@dataclass(frozen=True)
class Film:
    """How long a film is, in seconds, and when the frames of its contact sheet are."""

    seconds: float
    times: tuple[float, ...]


def shown_pictures(run: str, row: Mapping[str, Any]) -> tuple[Picture, ...]:
    """Of a prompt's row; each by an address, and with the size that places in it are drawn at."""
    pictures = []
    for kind, name in (("image", "images"), ("video", "videos")):
        for number, one in enumerate((row.get(name) or [])[:MAX_SHOWN]):
            address = {"run": run, "id": row["prompt_id"], "kind": kind, "n": number, "side": SHOWN_PX}
            pictures.append(_shown("/picture?" + urlencode(address), kind, (one or {}).get("bytes") or b""))
    return tuple(pictures)


def _shown(uri: str, kind: str, encoded: bytes) -> Picture:
    if kind == "video":
        return Picture(uri if media_type(encoded) else None, film=True)
    try:
        return Picture(uri, *image_size(encoded))
    except BadInput:
        return Picture(None)


def films(row: Mapping[str, Any]) -> list[Film]:
    """Of those videos that decode."""
    found = (_film((one or {}).get("bytes") or b"") for one in (row.get("videos") or [])[:MAX_SHOWN])
    return [film for film in found if film is not None]


def _film(encoded: bytes) -> Film | None:
    from recipes.report.drawing.picture import evenly
    from sampler.data.media.video import decode_video

    try:
        clip = decode_video(encoded, evenly)
    except BadInput:
        return None
    return Film(clip.num_frames / clip.fps, tuple(index / clip.fps for index in clip.indices))


def encoded_file(place: Place, prompt_id: str, kind: str, number: int) -> bytes:
    """The file of a prompt's picture or video. Raises: BadInput where there is none."""
    row = _row(place, prompt_id)
    files = (row or {}).get({"image": "images", "video": "videos"}.get(kind, "")) or []
    if not 0 <= number < len(files):
        raise BadInput("the prompt has no such picture")
    encoded: bytes = (files[number] or {}).get("bytes") or b""
    return encoded


@lru_cache(maxsize=24)
def _row(place: Place, prompt_id: str) -> Mapping[str, Any] | None:
    return place.prompts.rows([prompt_id]).get(prompt_id)


def for_browser(encoded: bytes, kind: str, side: int) -> tuple[bytes, str]:
    """A picture of at most ``side`` pixels, or a film's contact sheet, with its media type. Raises: BadInput for what
    does not decode."""
    if kind == "video":
        return contact_sheet(encoded), "image/png"
    side = min(max(side, 16), MAX_PX)
    width, height = image_size(encoded)
    if max(width, height) <= side:
        shown = portable_image(encoded)
        if len(shown) <= MAX_SENT_BYTES:
            return shown, media_type(shown) or "image/png"
    image = decode_image(encoded)
    image.thumbnail((side, side))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=88)
    return buffer.getvalue(), "image/jpeg"
