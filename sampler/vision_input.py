"""What a prompt shows: a picture or a video, by its hash, and where to read it when an engine needs it."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from verifiers.errors import BadInput

if TYPE_CHECKING:
    from PIL.Image import Image

    from sampler.frame_schedule import FrameSchedule

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


class MediaSource(Protocol):
    """Where a picture's or a video's file content lies; its text names that for an error."""

    def read(self, kind: VisionKind) -> bytes:
        """The encoded bytes as they are now. Raises `BadInput`."""
        ...


@dataclass(frozen=True, slots=True)
class VisionInput:
    """A picture or a video of a prompt: equal where the content is, wherever it lies.

    `content_hash` is the SHA-256 of the encoded file (PNG, JPEG, ...; MP4, WebM, ...) in hexadecimal. `source` is where
    any process of the run can read the file again, or its bytes where it lies in memory only. `size` is the width and
    height of a picture in pixels, as it is shown, where it has been looked at. `schedule` chooses a video's frames;
    without one the model's own processor does.

    >>> VisionInput.of("image", b"...").read()
    b'...'
    """

    kind: VisionKind
    content_hash: str
    source: MediaSource | bytes = field(compare=False, repr=False)
    size: tuple[int, int] | None = field(default=None, compare=False, repr=False)
    schedule: FrameSchedule | None = None

    @classmethod
    def of(
        cls,
        kind: VisionKind,
        encoded: bytes,
        source: MediaSource | None = None,
        size: tuple[int, int] | None = None,
    ) -> VisionInput:
        """Of a file's content, which is let go of where there is a `source` to read it from again."""
        return cls(kind, hashlib.sha256(encoded).hexdigest(), source or bytes(encoded), size)

    def __reduce__(self) -> tuple[Any, ...]:
        """A third of the time that a dataclass with slots takes: sets are packed and sent by the million."""
        return VisionInput, (self.kind, self.content_hash, self.source, self.size, self.schedule)

    @property
    def shown_hash(self) -> str:
        """Of what a model is shown: the content, and of a video the frames that are chosen."""
        return self.content_hash if self.schedule is None else f"{self.content_hash} {self.schedule}"

    def read(self) -> bytes:
        """The encoded file. Raises `BadInput`, naming the source, where it is gone or no longer what it was."""
        if isinstance(self.source, bytes):
            return self.source
        encoded = self.source.read(self.kind)
        if hashlib.sha256(encoded).hexdigest() != self.content_hash:
            raise BadInput(f"{self.source}: the {self.kind} has changed since the data was read")
        return encoded

    def pil_image(self) -> Image:
        """A picture as everyone sees it, by `decode_image`. Raises `BadInput`, naming the source."""
        from sampler.image import decode_image

        try:
            return decode_image(self.read())
        except BadInput as why:
            raise BadInput(str(why) if isinstance(self.source, bytes) else f"{self.source}: {why}") from None

    def portable(self) -> bytes:
        """The file for a server or browser, which will decode it to what `pil_image` gives; a video as it is."""
        from sampler.image import portable_image

        return portable_image(self.read()) if self.kind == "image" else self.read()

    def image_size(self) -> tuple[int, int]:
        """Width and height of a picture in pixels, decoded only where its header does not tell."""
        from sampler.image import image_size

        return self.size or image_size(self.read())


def data_url(encoded: bytes) -> str:
    """A file's content as a `data:` URL, which a JSON file and a chat endpoint can hold."""
    named = media_type(encoded) or "application/octet-stream"
    return f"data:{named};base64,{base64.b64encode(encoded).decode()}"


def media_type(encoded: bytes) -> str | None:
    """The media type that a file's first bytes give away (MOV counts as MP4, Matroska as WebM), or None."""
    return next((name for magic, name in _MEDIA_TYPES if magic.match(encoded[:16])), None)
