"""Chat messages as they lie in data sets, turned into the one shape a `Prompt` holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from verifiers.errors import BadInput

ROLES = ("system", "developer", "user", "assistant", "tool")
IMAGE_MARK = "<image>"

_IMAGE_PART = {"type": "image"}


def read_messages(value: Any, num_images: int) -> tuple[dict[str, Any], ...]:
    """Messages whose content is a list of text and image parts, with one image part per image. Raises `BadInput`.

    Content may be a plain string, in which each `<image>` stands for a picture (verl's way), or a list of
    parts, or a plain string for the whole conversation (one user message). Where no message marks a picture,
    all of them stand before the first user message's text.
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
    num_marks = sum(part["type"] == "image" for message in messages for part in message["content"])
    if num_marks == 0:
        users[0]["content"][:0] = [dict(_IMAGE_PART) for _ in range(num_images)]
    elif num_marks != num_images:
        raise BadInput(f"{num_marks} image marks in the messages, but {num_images} in column 'images'")
    return messages


def _message(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
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
    for number, piece in enumerate(text.split(IMAGE_MARK)):
        if number:
            parts.append(dict(_IMAGE_PART))
        if piece:
            parts.append({"type": "text", "text": checked_text(piece)})
    return parts


def _parts(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list):
        raise BadInput(f"a message's content is text or a list of parts, got {_kind(value)}")
    return [_part(part) for part in value]


def _part(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise BadInput(f"a content part is a mapping with a type, got {_kind(value)}")
    # Arrow fills absent keys with null.
    given = {key: item for key, item in value.items() if item is not None}
    if given == _IMAGE_PART:
        return dict(_IMAGE_PART)
    if given.keys() == {"type", "text"} and given["type"] == "text" and isinstance(given["text"], str):
        return {"type": "text", "text": checked_text(given["text"])}
    if given.get("type") == "image":
        raise BadInput("an image part holds no picture itself: put pictures into column 'images'")
    shown = str(given.get("type"))[:40]
    raise BadInput(f"a content part is {{type: text, text: ...}} or {{type: image}}, got type {shown!r}")


def checked_text(text: str) -> str:
    """The text, which UTF-8 and so Parquet can hold. Raises `BadInput`."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadInput("the text holds half a surrogate pair, which is not valid Unicode") from None
    return text


def _kind(value: Any) -> str:
    return "nothing" if value is None else "an empty list" if value == [] else type(value).__name__
