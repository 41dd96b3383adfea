"""What a prompt shows: a picture or a video, encoded as it came."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import Literal

VisionKind = Literal["image", "video"]
VISION_KINDS: tuple[VisionKind, ...] = ("image", "video")

_MEDIA_TYPES = (
    (re.compile(rb"\x89PNG"), "image/png"),
    (re.compile(rb"\xff\xd8"), "image/jpeg"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"BM"), "image/bmp"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "image/webp"),
    (re.compile(rb"II\*\0|MM\0\*"), "image/tiff"),
    (re.compile(rb"....(ftyp|moov|mdat|wide|free|skip)", re.DOTALL), "video/mp4"),
    (re.compile(rb"\x1a\x45\xdf\xa3"), "video/webm"),
    (re.compile(rb"RIFF....AVI ", re.DOTALL), "video/x-msvideo"),
)


@dataclass(frozen=True)
class VisionInput:
    """`encoded` is a file's content: PNG, JPEG, ... of an image, MP4, WebM, ... of a video."""

    kind: VisionKind
    encoded: bytes

    def __repr__(self) -> str:
        """Without the bytes, which would fill a log."""
        return f"Visual({self.kind}, {len(self.encoded)} bytes)"

    @property
    def data_url(self) -> str:
        """As a `data:` URL, which a JSON file and a chat endpoint can hold."""
        named = media_type(self.encoded) or "application/octet-stream"
        return f"data:{named};base64,{base64.b64encode(self.encoded).decode()}"


def media_type(encoded: bytes) -> str | None:
    """The media type that a file's first bytes give away (MOV counts as MP4, Matroska as WebM), or None."""
    return next((name for magic, name in _MEDIA_TYPES if magic.match(encoded[:16])), None)
