"""References that no answer could match, or that the held-out set does not share, are told before the run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from rl.data.run_data import RunData
from rl.preflight.check import Finding
from rl.preflight.references import chance_variation, check_references, total_variation
from sampler.prompt import Prompt
from sampler.vision_input import VisionInput

IN_PIXELS = {"boxes": [[1, 2, 3000, 4000]], "space": "pixel", "image_size": [4000, 4000]}


def prompt(
    reference: Any, verifier: str = "number", *, tag: str = "count", size: Any = (640, 480), **options: Any
) -> Prompt:
    asked = f"{reference} {tag} {len(options)}"
    return Prompt.build(
        messages=[{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": asked}]}],
        images=[VisionInput.of("image", asked.encode(), size=size)],
        verifier=verifier, reference=reference, verifier_options=options, tags=(tag,),
    )  # fmt: skip


def found(name: str, train: Sequence[Prompt], heldout: Sequence[Prompt] = ()) -> Finding:
    data = RunData(train, heldout, (), locations={"train": {train[0].prompt_id: "train.jsonl, line 1"}})
    (check,) = [check for check, _ in check_references(data, ("train", "heldout")) if name in check.name]
    return check.run()


def boxes(*numbers: list[float], **more: Any) -> list[Prompt]:
    return [prompt([list(one)], "bbox_iou", **more) for one in numbers]


@pytest.mark.parametrize(
    ("train", "outcome", "words"),
    [
        ([prompt("3")], "ok", "no reference is a box"),
        (boxes([10, 20, 900, 950]), "ok", "1 reference with boxes"),
        (boxes([10, 20, 1200, 950]), "failed", "1 reference outside 0 to 999"),
        (boxes([-1, 20, 30, 40]), "failed", "outside"),
        ([prompt("<point>1200 3</point>", "point_distance")], "failed", "outside"),
        (boxes(*([i, i, 600 + i, 400 + i] for i in range(30))), "warning", "fit the pixels of their pictures"),
        (boxes(*([i, i, 600 + i, 400 + i] for i in range(30)), size=(1500, 1500)), "ok", "30 references"),
        (boxes([0.1, 0.2, 0.5, 0.6]), "warning", "from 0 to 1"),
        ([prompt(IN_PIXELS, "bbox_iou")], "ok", "no reference"),
        (boxes([10, 20, 1200, 950], answer_space="pixel"), "ok", "no reference"),
    ],
)  # fmt: skip
def test_regions(train: list[Prompt], outcome: str, words: str) -> None:
    finding = found("regions", train)
    assert finding.outcome == outcome and words in finding.summary
    if outcome == "failed":
        assert finding.details[0].startswith("train.jsonl, line 1: ")


def test_lists_that_are_texts() -> None:
    assert found("lists", [prompt(["a", "b"], "string"), prompt("c", "string")]).summary.startswith(
        "1 list or mapping"
    )
    finding = found("lists", [prompt("['a', 'b']", "string"), prompt("[1, 2)", "string")])
    assert finding.outcome == "warning" and "1 reference the text of a list" in finding.summary
    assert "train.jsonl, line 1" in finding.summary


def answers(counts: dict[str, int], tag: str = "count") -> list[Prompt]:
    return [prompt(answer, tag=tag) for answer, count in counts.items() for _ in range(count)]


@pytest.mark.parametrize(
    ("train", "heldout", "details"),
    [
        ({"1": 50, "2": 50}, {"1": 20, "2": 20}, []),
        ({"1": 55, "2": 45}, {"1": 18, "2": 22}, []),  # chance
        ({"2": 100}, {"1": 20, "2": 20}, ["count: 50% of the answers are others", "never in train: '1'"]),
        ({"1": 900, "2": 100}, {"1": 50, "2": 50}, ["count: 40% of the answers"]),
        (
            {str(n): 1 for n in range(200)},
            {str(n): 1 for n in range(500, 540)},
            [],
        ),  # each answer stands once
    ],
)
def test_answers_as_in_the_held_out_set(
    train: dict[str, int], heldout: dict[str, int], details: list[str]
) -> None:
    finding = found("answers", answers(train), answers(heldout))
    assert finding.outcome == ("warning" if details else "ok")
    assert all(words in "\n".join(finding.details) for words in details)


def test_each_question_type_is_looked_at_by_itself() -> None:
    train = [*answers({"1": 50}, "one"), *answers({"2": 50}, "two")]
    heldout = [*answers({"2": 25}, "one"), *answers({"1": 25}, "two"), *answers({"3": 5}, "three")]
    finding = found("answers", train, heldout)
    assert [line.partition(":")[0] for line in finding.details] == ["one", "three", "two"]


def test_total_variation_and_what_chance_makes_of_it() -> None:
    """Against the maximum over splits drawn by shuffling."""
    one, other = {"a": 30, "b": 10}, {"a": 5, "c": 5}
    assert total_variation(one, other) == pytest.approx((abs(0.75 - 0.5) + 0.25 + 0.5) / 2)
    labels = np.array([*"a" * 35, *"b" * 10, *"c" * 5])
    rng, drawn = np.random.default_rng(2), []
    for _ in range(2000):
        rng.shuffle(labels)
        first, second = labels[:40], labels[40:]
        drawn.append(sum(abs((first == name).mean() - (second == name).mean()) for name in "abc") / 2)
    assert np.quantile(drawn, 0.97) <= chance_variation(one, other) <= max(drawn) + 0.05
