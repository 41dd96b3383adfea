"""Chat messages as they lie in data sets, turned into the one shape a `Prompt` holds."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sampler.vision_input import VISION_KINDS, VisionKind
from verifiers.counted import counted
from verifiers.errors import BadInput

ROLES = ("system", "developer", "user", "assistant", "tool")
SHAREGPT_ROLES = {"human": "user", "gpt": "assistant", "system": "system", "observation": "tool"}
TURN_KEYS = ("tool_calls", "tool_call_id", "function_call")  # which say something that the content does not

_MARK = re.compile("|".join(f"<({kind})>" for kind in VISION_KINDS))
# <Image>, <image_1>, <img>, [image], <|image|>: to a reader the same as <image>, here words
_NEAR_MARK = re.compile(
    r"(?!<(?-i:image|video)>)<\s?\|?\s?/?\s?(?:image|img|picture|video)s?[ _-]?(?:\d{1,3}|here|token)?\s?/?\|?\s?>"
    r"|\[\s?(?:image|img|video)[ _-]?\d{0,3}\s?\]",
    re.IGNORECASE,
)
CONTROL_TOKEN = re.compile(r"<\|\w{1,40}\|>")
_PLACEHOLDER_TOKEN = re.compile(r"<\|(?:image|video|vision)_\w{1,20}\|>")
_HELD = (*VISION_KINDS, *(f"{kind}_url" for kind in VISION_KINDS), "url", "path", "bytes", "data", "source")


class Conversation(NamedTuple):
    """`answer` is what the assistant's last turn says, which is no part of a prompt; `remarks` are what is odd."""

    messages: tuple[dict[str, Any], ...]
    answer: str | None
    remarks: tuple[str, ...]


def read_messages(value: Any, num_images: int, num_videos: int = 0) -> Conversation:
    """Messages whose content is a list of parts: texts, one image or video part for each there is. Raises `BadInput`.

    Content may be a plain string, in which each `<image>` stands for a picture and each `<video>` for a video (verl's
    way), or a list of parts, or a plain string for the whole conversation (one user message); a list may also be JSON
    text. In the texts of parts `<image>` stands for a picture where there are as many as pictures, and else is words.
    Where no message marks a picture, all of them stand before the first user message's text; videos likewise, after
    these pictures.
    """
    value = _decoded(value, ("role", "from"))
    if isinstance(value, str):
        value = [{"role": "user", "content": value}]
    if not isinstance(value, list) or not value:
        raise BadInput(f"expected a list of messages with role and content, got {_kind(value)}")
    messages = [_message(message) for message in value]
    answer = None
    if messages[-1]["role"] == "assistant":
        answer = "".join(part.get("text", "") for part in messages.pop()["content"])
    users = [message for message in messages if message["role"] == "user"]
    if not users:
        raise BadInput("there is no user message")
    remarks = []
    before: list[dict[str, Any]] = []
    for kind, count in zip(VISION_KINDS, (num_images, num_videos), strict=True):
        num_parts, num_marks = _place(messages, kind, count)
        if not count or not (num_parts or num_marks):
            before += [{"type": kind} for _ in range(count)]
            if num_marks:
                remarks.append(f"<{kind}> is kept as words: the row has no {kind}")
    users[0]["content"][:0] = before
    return Conversation(tuple(messages), answer, (*remarks, *_oddities(messages)))


def held_media(value: Any, kind: VisionKind) -> list[Any]:
    """What the parts of messages hold themselves, in order: `{type: image_url, image_url: {url: ...}}` as OpenAI has
    it, `{type: image, image: ...}` as Qwen does. Of what is no list of messages, nothing."""
    messages, found = _decoded(value, ("role", "from")), []
    for message in messages if isinstance(messages, list) else []:
        content = message.get("content") if isinstance(message, (dict, Mapping)) else None
        content = _decoded(content, ("type",))
        for part in content if isinstance(content, list) else []:
            if isinstance(part, (dict, Mapping)) and part.get("type") in (kind, f"{kind}_url"):
                held = next((part[key] for key in _HELD if part.get(key)), None)
                found.append(held["url"] if isinstance(held, Mapping) and held.get("url") else held)
    return [held for held in found if held is not None]


def spoken(value: Any) -> Any:
    """What the last message says, of a list of messages that stands where one answer is wanted; else the value."""
    last = value[-1] if isinstance(value, list) and value else None
    if isinstance(last, Mapping) and (last.get("role") or last.get("from")):
        content = last.get("content", last.get("value"))
        if isinstance(content, list):
            return "".join(str(part.get("text") or "") for part in content if isinstance(part, Mapping))
        return content
    return value


def _place(messages: Sequence[dict[str, Any]], kind: VisionKind, count: int) -> tuple[int, int]:
    """Put parts where marks stand in the texts of parts. How many parts and marks there were."""
    types = [part["type"] for message in messages for part in message["content"]]
    num_parts = types.count(kind)
    num_marks = sum([part["text"].count(f"<{kind}>") for part in _texts(messages)])
    if num_marks and num_parts + num_marks == count:
        for message in messages:
            message["content"] = [
                piece
                for part in message["content"]
                for piece in (_parts_of_text(part["text"], kind) if part["type"] == "text" else [part])
            ]
    elif num_parts != count and (num_parts or (num_marks and count)):
        marks = counted(num_parts + num_marks, f"{kind} mark")
        raise BadInput(
            f"{marks} in the messages, but {count} in column '{kind}s'; to keep <{kind}> as words, give the content as "
            f"parts: {{type: text, text: ...}}, and {{type: {kind}}} for each {kind}"
        )
    return num_parts, num_marks


def _texts(messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [part for message in messages for part in message["content"] if part["type"] == "text"]


def _oddities(messages: Sequence[dict[str, Any]]) -> list[str]:
    """What a model will read otherwise than a person. Raises `BadInput` where that would be a picture."""
    found: dict[str, None] = {}
    for part in _texts(messages):
        if "<" not in part["text"] and "[" not in part["text"]:
            continue  # with which all of these begin
        checked_words(part["text"])
        for mark in _NEAR_MARK.findall(part["text"]):
            found[f"{mark!r} is read as words: the mark of a picture is <image>, of a video <video>"] = None
        for token in CONTROL_TOKEN.findall(part["text"]):
            found[f"the control token {token} is escaped for the policy: {token[0]} {token[1:]}"] = None
    return list(found)


def _message(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadInput(f"a message is a mapping with role and content, got {_kind(value)}")
    role = value.get("role") or SHAREGPT_ROLES.get(str(value.get("from")), value.get("from"))
    content = value.get("value") if value.get("content") is None else value["content"]
    if role not in ROLES:
        raise BadInput(f"a message's role is one of {', '.join(ROLES)}, got {str(role)[:40]!r}")
    turns = [key for key in TURN_KEYS if value.get(key)]
    if turns:
        raise BadInput(f"a message has role and content only, got also {', '.join(turns)}")
    content = _decoded(content, ("type",))
    parts = _parts_of_text(content) if isinstance(content, str) else _parts(content)
    if not parts:
        raise BadInput(f"the {role} message is empty")
    return {"role": role, "content": parts}


def _decoded(value: Any, keys: Sequence[str]) -> Any:
    """A list of mappings with one of these keys that is written as JSON text; anything else as it is. Raises
    `BadInput` for what looks like one and is none."""
    if not isinstance(value, str) or not (text := value.strip()).startswith("["):
        return value
    key = f"[\"'](?:{'|'.join(keys)})[\"']"
    if not (re.match(r"\[\s*\{", text) and text.endswith("]") and re.search(rf"[{{,]\s*{key}\s*:", text)):
        return value
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as why:
        raise BadInput(f"the text looks like a JSON list, but is not valid JSON: {why}") from None


def _parts_of_text(text: str, only: VisionKind | None = None) -> list[dict[str, Any]]:
    """The text cut at the marks (of one kind), each of which becomes a part."""
    parts: list[dict[str, Any]] = []
    end = 0
    for mark in _MARK.finditer(text):
        if only is None or mark[0] == f"<{only}>":
            parts += [*_text_parts(text[end : mark.start()]), {"type": mark[0][1:-1]}]
            end = mark.end()
    return parts + _text_parts(text[end:])


def _text_parts(text: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": checked_text(text)}] if text else []


def _parts(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list):
        raise BadInput(f"a message's content is text or a list of parts, got {_kind(value)}")
    return [_part(part) for part in value]


def _part(value: Any) -> dict[str, Any]:
    if not isinstance(value, (dict, Mapping)):  # the first asks nothing of an abstract class
        raise BadInput(f"a content part is a mapping with a type, got {_kind(value)}")
    kind = value.get("type")
    if kind == "text" and isinstance(value.get("text"), str):
        return {"type": "text", "text": checked_text(value["text"])}
    for known in VISION_KINDS:
        if kind in (known, f"{known}_url"):
            return {"type": known}
    allowed = "{type: text, text: ...}, {type: image} or {type: video}"
    raise BadInput(f"a content part is {allowed}, got type {str(kind)[:40]!r}")


def checked_text(text: str) -> str:
    """The text, which UTF-8 and so Parquet can hold. Raises `BadInput`."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadInput("the text holds half a surrogate pair, which is not valid Unicode") from None
    return text


def checked_words(text: str) -> str:
    """The text, which holds no token that a model takes for a picture. Raises `BadInput`."""
    if found := _PLACEHOLDER_TOKEN.search(text):
        token = found[0]
        raise BadInput(
            f"the text holds {token}, which a model takes for a picture: write <image> where one stands, or "
            f"'{token[0]} {token[1:]}' to keep it as words"
        )
    return text


def _kind(value: Any) -> str:
    return "nothing" if value is None else "an empty list" if value == [] else type(value).__name__
