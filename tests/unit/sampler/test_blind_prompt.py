"""A prompt without what it shows: the same by its id, and by how it is judged."""

from __future__ import annotations

from collections.abc import Callable

from sampler.blind_prompt import asked_to_describe, without_vision
from sampler.prompt import Prompt


def shown(picture: Callable[..., bytes]) -> Prompt:
    first = [{"type": "text", "text": "Look: "}, {"type": "image"}, {"type": "text", "text": "How many?"}]
    return Prompt.build(
        messages=[
            {"role": "system", "content": [{"type": "text", "text": "Think."}]},
            {"role": "user", "content": first},
            {"role": "assistant", "content": [{"type": "text", "text": "Five."}]},
            {"role": "user", "content": [{"type": "image"}]},
        ],
        images=[picture(1), picture(2)], verifier="math", reference="5", tags=("count",),
    )  # fmt: skip


def test_blind(picture: Callable[..., bytes]) -> None:
    prompt = shown(picture)
    blind = without_vision(prompt)
    assert not blind.vision_inputs and blind.text == "Think.\nLook: \nHow many?\nFive.\n"
    assert (blind.prompt_id, blind.revision, blind.tags) == (prompt.prompt_id, prompt.revision, prompt.tags)
    assert [message["role"] for message in blind.messages] == ["system", "user", "assistant", "user"]
    assert prompt.vision_inputs  # it is as it was


def test_one_caption_stands_where_the_first_picture_stood(picture: Callable[..., bytes]) -> None:
    told = without_vision(shown(picture), "two cats")
    parts = [part["text"] for part in told.messages[1]["content"]]
    assert parts == ["Look: ", "[What is shown here: two cats]\n", "How many?"]
    assert told.messages[3]["content"] == [{"type": "text", "text": ""}]


def test_a_description_is_asked_of_all_pictures(picture: Callable[..., bytes]) -> None:
    prompt = shown(picture)
    asked = asked_to_describe(prompt, "Describe it.")
    assert asked.vision_inputs == prompt.vision_inputs and asked.text == "Describe it."
    assert asked.prompt_id == prompt.prompt_id
