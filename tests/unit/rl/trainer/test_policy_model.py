"""Log-probabilities and entropies of the policy against transformers' logits, worked out in float64."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from rl.data.batch import Batch
from rl.data.token_sequence import TokenSequence
from rl.trainer.collator import Collator, VisionCache
from rl.trainer.models.policy_model import PolicyModel
from sampler.vision_input import VisionInput

TEMPERATURE = 0.7


def collator(tiny: Any, *, packed: bool = False, always_picture: bool = False) -> Collator:
    return Collator(
        tiny.family,
        tiny.processor,
        placeholder_ids=tiny.family.placeholder_ids(tiny.model.config),
        pad_token_id=tiny.processor.tokenizer.pad_token_id,
        packed=packed,
        always_picture=always_picture,
        cache_bytes=2**20,
        device=torch.device("cpu"),
    )


@pytest.fixture(scope="module")
def policy(tiny: Any) -> PolicyModel:
    return PolicyModel(tiny.family, tiny.model, tiny.forbidden)


@pytest.fixture(scope="module")
def sequences(
    tiny: Any,
    picture: Callable[..., bytes],
    frames: Callable[..., np.ndarray],
    video_file: Callable[..., bytes],
) -> tuple[list[TokenSequence], list[dict[str, Any]]]:
    """Hone's sequences, and for each the inputs that transformers' own processor makes of the same prompt: pictures
    (height, width), and videos (frames, height, width), of which the processor chooses the frames itself."""
    rng = np.random.default_rng(4)
    allowed = [i for i in range(len(tiny.processor.tokenizer)) if i not in tiny.forbidden]
    made, inputs = [], []
    shown: list[list[tuple[int, ...]]] = [[(32, 32)], [], [(16, 48), (64, 32), (32, 32)], [(48, 48)]]
    shown += [[(6, 32, 48)], [(32, 32), (8, 32, 32), (16, 32)]]
    for group, sizes in enumerate(shown):
        given: dict[str, list[Any]] = {"images": [], "videos": [], "video_metadata": []}
        vision_inputs, content = [], []
        for i, size in enumerate(sizes):
            if len(size) == 2:
                encoded = picture(10 * group + i, *size)
                vision_inputs.append(VisionInput.of("image", encoded))
                given["images"].append(Image.open(io.BytesIO(encoded)))
            else:
                film = frames(10 * group + i, *size)
                vision_inputs.append(VisionInput.of("video", video_file(film, fps=4.0)))
                given["videos"].append(film)
                given["video_metadata"].append({"total_num_frames": len(film), "fps": 4.0})
            content.append({"type": vision_inputs[-1].kind})
        content.insert(len(sizes) // 2, {"type": "text", "text": "the sum of the digits? " * (1 + group)})
        text = tiny.processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True
        )
        filled = {name: value for name, value in given.items() if value}
        own = dict(tiny.processor(text=[text], **filled, return_tensors="pt"))
        own.pop("video_metadata", None)
        for index in range(2):
            prompt = own["input_ids"][0].numpy()
            response = rng.choice(allowed, size=2 + 3 * group + 2 * index)
            made.append(
                TokenSequence.of_response(
                    f"r{group}-{index}",
                    f"p{group}",
                    prompt,
                    response,
                    vision_inputs=tuple(vision_inputs),
                )
            )
            inputs.append({**own, "input_ids": torch.tensor(np.concatenate([prompt, response]))[None]})
    return made, inputs


def tables(
    tiny: Any, sequences: list[TokenSequence], inputs: list[dict[str, Any]], temperature: float
) -> list[np.ndarray]:
    """[response tokens, vocabulary] log-probabilities in float64 from transformers' float32 logits, one at a time."""
    found = []
    for sequence, given in zip(sequences, inputs, strict=True):
        own = {**given, "attention_mask": torch.ones_like(given["input_ids"])}
        types = own.pop("mm_token_type_ids", None)
        if types is not None:
            own["mm_token_type_ids"] = torch.nn.functional.pad(types, (0, int(sequence.loss_mask.sum())))
        with torch.no_grad():
            predictors = np.flatnonzero(sequence.loss_mask) - 1
            logits = tiny.model(**own).logits[0, predictors].double().numpy()
        logits[:, list(tiny.forbidden)] = -np.inf
        logits = logits / temperature
        top = logits.max(axis=1, keepdims=True)
        found.append(logits - top - np.log(np.exp(logits - top).sum(axis=1, keepdims=True)))
    return found


def picked(sequences: list[TokenSequence], found: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(
        [
            table[np.arange(len(table)), sequence.token_ids[sequence.loss_mask > 0]]
            for sequence, table in zip(sequences, found, strict=True)
        ]
    )


def entropies(found: list[np.ndarray]) -> np.ndarray:
    table = np.concatenate(found)
    return -np.where(np.isinf(table), 0.0, np.exp(table) * np.where(np.isinf(table), 0.0, table)).sum(axis=1)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("always_picture", [False, True])
def test_against_transformers(
    tiny: Any, policy: PolicyModel, sequences: Any, packed: bool, always_picture: bool
) -> None:
    """Pictures, text alone and several pictures in one micro-batch, padded or packed: each as if it were alone."""
    made, inputs = sequences
    wanted = tables(tiny, made, inputs, TEMPERATURE)
    with torch.no_grad():
        batch = collator(tiny, packed=packed, always_picture=always_picture)(Batch.of(made))
        logprobs, entropy, _ = policy(batch, TEMPERATURE, True)
    np.testing.assert_allclose(logprobs.numpy(), picked(made, wanted), atol=2e-5)
    np.testing.assert_allclose(entropy.numpy(), entropies(wanted), atol=2e-5)
    assert np.abs(picked(made, wanted) - picked(made, tables(tiny, made, inputs, 1.0))).max() > 0.1


def test_order_in_the_batch_does_not_matter(tiny: Any, policy: PolicyModel, sequences: Any) -> None:
    """Groups torn apart and mixed: an image is found for each of its prompt's sequences."""
    made, inputs = sequences
    order = [5, 2, 0, 7, 3, 1, 6, 4]
    mixed = [made[i] for i in order]
    wanted = picked(mixed, tables(tiny, mixed, [inputs[i] for i in order], 1.0))
    for packed in (False, True):
        with torch.no_grad():
            got = policy(collator(tiny, packed=packed)(Batch.of(mixed))).logprobs
        np.testing.assert_allclose(got.numpy(), wanted, atol=2e-5)


def test_text_alone_with_a_blank_picture(tiny: Any, policy: PolicyModel, sequences: Any) -> None:
    """The blank picture changes no bit of the result, and puts the vision tower into the graph with gradients of 0."""
    made = sequences[0][2:4]
    plain = collator(tiny)(Batch.of(made))
    blank = collator(tiny, always_picture=True)(Batch.of(made))
    assert plain.vision is None
    assert blank.vision is not None
    assert blank.vision_rows is None
    tiny.model.zero_grad()
    without = policy(plain).logprobs
    with_blank = policy(blank).logprobs
    assert torch.equal(without, with_blank)
    with_blank.sum().backward()
    for name, parameter in tiny.model.model.visual.named_parameters():
        assert parameter.grad is not None, name
        assert not parameter.grad.any(), name
    tiny.model.zero_grad()


def test_a_visual_is_processed_once_a_prompt(
    tiny: Any, sequences: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twelve sequences of six prompts, of which two show a video among 7 pictures: each goes in once and stays in the
    cache. A video of 6 frames at 4 a second gives 4 frames, one of 8 likewise: two runs of placeholders each."""
    made, _ = sequences
    calls: list[Any] = []
    collate = collator(tiny)
    pictures, video = collate.vision_inputs._pictures, collate.vision_inputs._video
    monkeypatch.setattr(
        collate.vision_inputs, "_pictures", lambda given: calls.append(len(given)) or pictures(given)
    )
    monkeypatch.setattr(
        collate.vision_inputs, "_video", lambda given: calls.append(given.kind) or video(given)
    )
    batch = collate(Batch.of(made))
    assert calls == [9, "video", "video"]
    assert batch.vision.num_runs == 5 + 2 + 4
    assert batch.vision.pixel_values.shape[0] == int(batch.vision.grid_thw.prod(-1).sum())
    runs = [[0], [1, 2, 3], [4], [5, 6], [7, 8, 9, 10]]
    assert batch.vision_rows.tolist() == [row for rows in runs for row in rows * 2]
    again = collate(Batch.of(made))
    assert calls == [9, "video", "video"]
    assert torch.equal(again.vision.pixel_values, batch.vision.pixel_values)


def test_rows_of_one_prompt_id_each_have_their_own_picture(
    tiny: Any, sequences: Any, picture: Callable[..., bytes]
) -> None:
    """A supervised set may give one id to two questions; and a later set may give it to a third."""
    rows = [replace(sequences[0][0], vision_inputs=(VisionInput.of("image", picture(i)),)) for i in range(3)]
    collate = collator(tiny)

    def pixels(one: TokenSequence) -> torch.Tensor:
        return collator(tiny)(Batch.of([one])).vision.pixel_values

    both = collate(Batch.joined([Batch.of(rows[:1]), Batch.of([rows[1], rows[0]])]))
    assert both.vision_rows.tolist() == [0, 1, 0]
    assert torch.equal(both.vision.pixel_values, torch.cat([pixels(rows[0]), pixels(rows[1])]))
    assert torch.equal(collate(Batch.of(rows[2:])).vision.pixel_values, pixels(rows[2]))


def test_the_cache_forgets_the_oldest_beyond_its_limit(tiny: Any, picture: Callable[..., bytes]) -> None:
    processed = []
    inner = tiny.processor.image_processor

    class Counting:
        merge_size = inner.merge_size

        def __call__(self, **given: Any) -> Any:
            processed.append(len(given["images"]))
            return inner(**given)

    processor = SimpleNamespace(image_processor=Counting(), video_processor=None)
    one = inner(images=[np.zeros((32, 32, 3), np.uint8)], return_tensors="pt")["pixel_values"].nbytes
    cache = VisionCache(processor, tiny.family, 2 * one)
    a, b, c = ((VisionInput.of("image", picture(i)),) for i in range(3))
    cache.get([a])
    cache.get([b])
    cache.get([a])  # now b is the oldest
    cache.get([c])
    assert processed == [1, 1, 1]
    cache.get([a])
    assert processed == [1, 1, 1]
    found = cache.get([b, c])
    assert processed == [1, 1, 1, 1]
    direct = inner(images=[picture_array(b[0].read())], return_tensors="pt")["pixel_values"]
    assert torch.equal(found[0].pixel_values, direct)
    nothing = VisionCache(processor, tiny.family, 0)
    assert torch.equal(nothing.get([b])[0].pixel_values, direct)


def picture_array(encoded: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(encoded)))


def test_padding_and_places_by_hand(tiny: Any) -> None:
    """Two short texts: what stands where."""
    batch = Batch.of(
        [
            TokenSequence.of_response("a", "p", [5, 6], [7, 8]),
            TokenSequence.of_response("b", "q", [9], [10]),
        ]
    )
    pad = tiny.processor.tokenizer.pad_token_id
    padded = collator(tiny)(batch)
    assert padded.input_ids.tolist() == [[5, 6, 7, 8], [9, 10, pad, pad]]
    assert padded.position_ids[:, 1].tolist() == [[0, 1, 2, 3]] * 4
    assert padded.predictors.tolist() == [1, 2, 4]
    assert padded.targets.tolist() == [7, 8, 10]
    assert padded.matrix(torch.tensor([1.0, 2.0, 3.0])).tolist() == [[1, 2], [3, 0]]
    packed = collator(tiny, packed=True)(batch)
    assert packed.input_ids.tolist() == [[5, 6, 7, 8, 9, 10]]
    assert packed.position_ids[0].tolist() == [[0, 1, 2, 3, 0, 1]]
    assert packed.predictors.tolist() == [1, 2, 4]


def test_a_checkpoint_has_the_head_once(tiny: Any, policy: PolicyModel) -> None:
    """Under the model's own name: the module that computes log-probabilities saves nothing."""
    saved = policy.state_dict()
    assert set(saved) == {f"model.{name}" for name in tiny.model.state_dict()}
    policy.load_state_dict(saved)
    assert len(list(policy.parameters())) == len(list(tiny.model.parameters()))
