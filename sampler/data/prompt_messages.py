"""Chat messages as they lie in data sets, turned into the one shape a `Prompt` holds."""

from __future__ import annotations

import re
from typing import Any

from sampler.vision_input import VISION_KINDS
from verifiers.errors import BadInput

ROLES = ("system", "developer", "user", "assistant", "tool")

_MARK = re.compile("|".join(f"<({kind})>" for kind in VISION_KINDS))
_VISUAL_PARTS = [{"type": kind} for kind in VISION_KINDS]


def read_messages(value: Any, num_images: int, num_videos: int = 0) -> tuple[dict[str, Any], ...]:
    """Messages whose content is a list of parts: texts, one image or video part for each there is. Raises `BadInput`.

    Content may be a plain string, in which each `<image>` stands for a picture and each `<video>` for a video (verl's
    way), or a list of parts, or a plain string for the whole conversation (one user message). Where no message marks a
    picture, all of them stand before the first user message's text; videos likewise, after these pictures.
    """
    if isinstance(value, str):
        value = [{"role": "user", "content": value}]
    if not isinstance(value, list) or not value:
        raise BadInput(f"expected a list of messages with role and content, got {_kind(value)}")
    messages = tuple(_message(message) for message in value)
    users = [message for message in messages if message["role"] == "user"]
    if not users:
        raise BadInput("there is no user message")
    if messages[-1]["role"] == "assistant":
        raise BadInput("the last message is the assistant's: a prompt ends before the response")
    before: list[dict[str, Any]] = []
    for kind, count in zip(VISION_KINDS, (num_images, num_videos), strict=True):
        num_marks = sum(part["type"] == kind for message in messages for part in message["content"])
        if num_marks == 0:
            before += [{"type": kind} for _ in range(count)]
        elif num_marks != count:
            raise BadInput(f"{num_marks} {kind} marks in the messages, but {count} in column '{kind}s'")
    users[0]["content"][:0] = before
    return messages


def _message(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadInput(f"a message is a mapping with role and content, got {_kind(value)}")
    role, content = value.get("role"), value.get("content")
    if role not in ROLES:
        raise BadInput(f"a message's role is one of {', '.join(ROLES)}, got {str(role)[:40]!r}")
    extra = [str(key) for key in value if key not in ("role", "content") and value[key] is not None]
    if extra:
        raise BadInput(f"a message has role and content only, got also {', '.join(extra)[:80]}")
    parts = _parts_of_text(content) if isinstance(content, str) else _parts(content)
    if not parts:
        raise BadInput(f"the {role} message is empty")
    return {"role": role, "content": parts}


def _parts_of_text(text: str) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    end = 0
    for mark in _MARK.finditer(text):
        parts += _text_parts(text[end : mark.start()])
        parts.append({"type": mark[0][1:-1]})
        end = mark.end()
    return parts + _text_parts(text[end:])


def _text_parts(text: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": checked_text(text)}] if text else []


def _parts(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list):
        raise BadInput(f"a message's content is text or a list of parts, got {_kind(value)}")
    return [_part(part) for part in value]


def _part(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadInput(f"a content part is a mapping with a type, got {_kind(value)}")
    # Arrow fills absent keys with null.
    given = {key: item for key, item in value.items() if item is not None}
    if given in _VISUAL_PARTS:
        return given
    if given.keys() == {"type", "text"} and given["type"] == "text" and isinstance(given["text"], str):
        return {"type": "text", "text": checked_text(given["text"])}
    kind = str(given.get("type"))[:40]
    if kind in VISION_KINDS:
        held = "an image part holds no picture" if kind == "image" else "a video part holds no video"
        raise BadInput(f"{held} itself: put it into column '{kind}s'")
    allowed = "{type: text, text: ...}, {type: image} or {type: video}"
    raise BadInput(f"a content part is {allowed}, got type {kind!r}")


def checked_text(text: str) -> str:
    """The text, which UTF-8 and so Parquet can hold. Raises `BadInput`."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadInput("the text holds half a surrogate pair, which is not valid Unicode") from None
    return text


def _kind(value: Any) -> str:
    return "nothing" if value is None else "an empty list" if value == [] else type(value).__name__
