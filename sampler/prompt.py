"""One question put to the policy: chat messages, pictures and videos, and how the final answer is to be judged."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from sampler.vision_input import VISION_KINDS, VisionInput, VisionKind

if TYPE_CHECKING:
    from PIL.Image import Image

PromptKind = Literal["verifiable", "general"]
Reference = str | list[Any] | dict[str, Any]
PROMPT_KINDS: tuple[PromptKind, ...] = ("verifiable", "general")


@dataclass(frozen=True, repr=False)
class Prompt:
    """A prompt as every floor sees it. Make one with `Prompt.build`, which fills in `prompt_id`.

    >>> text = {"type": "text", "text": "What is the sum of the digits?"}
    >>> prompt = Prompt.build(
    ...     messages=[{"role": "user", "content": [{"type": "image"}, text]}],
    ...     images=[png], verifier="math", reference="9", tags=("sum", "3"),
    ... )

    `messages` go to a chat template as they are; the n-th `{"type": "image"}` part stands for `images[n]`, the n-th
    `{"type": "video"}` part for `videos[n]`. A prompt names them by hash; they are read when an engine needs them. The
    first tag is the question type. `verifier`, `verifier_options` and `reference` say how a final answer is judged (of
    a prompt without a verifier the option `rubric` may); the policy never sees them. A reference is text, or where a
    verifier asks for more a list or a mapping of plain JSON.
    """

    prompt_id: str
    messages: tuple[dict[str, Any], ...]
    images: tuple[VisionInput, ...] = ()
    videos: tuple[VisionInput, ...] = ()
    kind: PromptKind = "verifiable"
    verifier: str | None = None
    verifier_options: dict[str, Any] = field(default_factory=dict)
    reference: Reference = ""
    source: str = ""
    tags: tuple[str, ...] = ()

    @classmethod
    def build(
        cls,
        *,
        messages: Sequence[Mapping[str, Any]],
        images: Sequence[VisionInput | bytes] = (),
        videos: Sequence[VisionInput | bytes] = (),
        kind: PromptKind = "verifiable",
        verifier: str | None = None,
        verifier_options: Mapping[str, Any] | None = None,
        reference: Reference = "",
        source: str = "",
        tags: Sequence[str] = (),
        prompt_id: str | None = None,
    ) -> Prompt:
        """A prompt whose id is `content_id` of its content, unless the caller has an id of its own; bytes of an encoded
        file stay in memory."""
        plain_messages = tuple(dict(message) for message in messages)
        shown = _vision_inputs("image", images), _vision_inputs("video", videos)
        return cls(
            prompt_id=prompt_id or content_id(plain_messages, *shown, verifier, reference),
            messages=plain_messages,
            images=shown[0],
            videos=shown[1],
            kind=kind,
            verifier=verifier,
            verifier_options=dict(verifier_options or {}),
            reference=reference,
            source=source,
            tags=tuple(tags),
        )

    @property
    def reference_text(self) -> str:
        """The reference in one text: a list or a mapping as JSON. For people, logs and reward models."""
        return self.reference if isinstance(self.reference, str) else _as_json(self.reference)

    @property
    def question_type(self) -> str:
        """The first tag, by which evaluation and curation group prompts; the kind where there are no tags."""
        return self.tags[0] if self.tags else self.kind

    @property
    def question_id(self) -> str:
        """`content_id` of what is asked and shown alone: prompts that differ in how they are judged have the same."""
        return content_id(self.messages, self.images, self.videos, None, "")

    @property
    def revision(self) -> str:
        """`revision_of` how it is judged: a corrected prompt keeps its id and history, and has another revision."""
        return revision_of(self.verifier, self.verifier_options, self.reference)

    @property
    def text(self) -> str:
        """What the messages say, without roles and pictures: for logs, tables and the report."""
        parts = (part for message in self.messages for part in message["content"])
        return "\n".join(part["text"] for part in parts if part["type"] == "text")

    @property
    def vision_inputs(self) -> tuple[VisionInput, ...]:
        """Pictures and videos as the messages show them, first to last."""
        held = {"image": iter(self.images), "video": iter(self.videos)}
        parts = (part for message in self.messages for part in message["content"])
        return tuple(next(held[kind]) for part in parts for kind in VISION_KINDS if part["type"] == kind)

    def pil_images(self) -> list[Image]:
        """The pictures decoded to RGB, in the order of the messages' image parts."""
        return [image.pil_image() for image in self.images]

    def __hash__(self) -> int:
        return hash(self.prompt_id)

    def __repr__(self) -> str:
        """Pictures and videos counted, for a log."""
        return (
            f"Prompt({self.prompt_id}, {self.text!r}, {len(self.images)} images, {len(self.videos)} videos, "
            f"kind={self.kind}, verifier={self.verifier}, reference={self.reference!r}, tags={self.tags})"
        )


_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode
_as_json = json.JSONEncoder(ensure_ascii=False).encode


def _vision_inputs(kind: VisionKind, files: Sequence[VisionInput | bytes]) -> tuple[VisionInput, ...]:
    return tuple(file if isinstance(file, VisionInput) else VisionInput.of(kind, file) for file in files)


def content_id(
    messages: Sequence[Mapping[str, Any]],
    images: Sequence[VisionInput],
    videos: Sequence[VisionInput],
    verifier: str | None,
    reference: Reference,
) -> str:
    """16 hex digits of SHA-256 over what is asked, shown and expected: the same on every machine and day.

    Source, tags and verifier options are left out: a prompt tagged anew keeps its history in the prompt store. So does
    one whose reference or verifier a curator corrects (`sampler.store.decisions`): the id it was read with stays.
    """
    content = {
        "messages": list(messages),
        "images": [image.content_hash for image in images],
        "videos": [video.content_hash for video in videos],
        "verifier": verifier,
        "reference": reference,
    }
    return hashlib.sha256(_canonical(content).encode()).hexdigest()[:16]


def revision_of(verifier: str | None, options: Mapping[str, Any], reference: Reference) -> str:
    """8 hex digits of SHA-256 over what an answer is judged by. Verdicts of one revision can be counted together."""
    judged_by = {"verifier": verifier, "options": options, "reference": reference}
    return hashlib.sha256(_canonical(judged_by).encode()).hexdigest()[:8]
