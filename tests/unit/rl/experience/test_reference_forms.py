"""Every form of reference, through a prompt set in each kind of file, to the verdict of a worker process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rl.experience.judge import Judge
from rl.recipe.judging_config import JudgingConfig
from sampler.data.prompt_dataset import load_prompts, save_prompts
from sampler.prompt import Prompt
from sampler.rollout import Rollout, RolloutGroup
from tools.reference_forms import DOCUMENT, examples, with_table
from verifiers.registry import BUILT_IN

EXAMPLES = examples()


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with Judge(JudgingConfig(num_workers=1, timeout_s=60.0)) as running:
        yield running


def rows() -> list[dict[str, Any]]:
    return [
        {
            "messages": f"Question {number}?",
            "verifier": one["verifier"],
            "verifier_options": json.dumps(one.get("options", {})),
            "reference": one["reference"],
            "prompt_id": str(number),
        }
        for number, one in enumerate(EXAMPLES)
    ]


def as_json_lines(folder: Path) -> list[Prompt]:
    path = folder / "set.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows()))
    return load_prompts(path)


def as_saved(folder: Path) -> list[Prompt]:
    return load_prompts(save_prompts(folder / "saved.parquet", as_json_lines(folder)))


def as_typed_columns(folder: Path) -> list[Prompt]:
    """Each row in a Parquet file whose column has the reference's own type."""
    prompts = []
    for row in rows():
        path = folder / f"{row['prompt_id']}.parquet"
        pq.write_table(pa.Table.from_pylist([row]), path)
        prompts += load_prompts(path)
    return prompts


@pytest.mark.parametrize("load", [as_json_lines, as_saved, as_typed_columns])
def test_each_form_is_judged_as_the_document_says(
    judge: Judge, rollout: Callable[..., Rollout], tmp_path: Path, load: Callable[[Path], list[Prompt]]
) -> None:
    prompts = load(tmp_path)
    assert len(prompts) == len(EXAMPLES)
    groups = [
        RolloutGroup(
            prompt,
            tuple(
                rollout(prompt, index, text=f"<think></think>{one[side]}")
                for index, side in enumerate(("right", "wrong"))
            ),
        )
        for prompt, one in zip(prompts, EXAMPLES, strict=True)
    ]
    judged = judge.judge(groups).in_order_of(prompts)
    wrong = [
        (one.prompt.verifier, one.prompt.reference, one.answer.text, one.reward)
        for one in judged
        if one.reward.value is None or (one.reward.value == 1.0) != (one.rollout.index == 0)
    ]
    assert not wrong


def test_the_document_holds_the_table() -> None:
    text = DOCUMENT.read_text()
    assert with_table(text) == text, "run: python -m tools.reference_forms"


def test_every_verifier_has_a_form() -> None:
    assert {one["verifier"] for one in EXAMPLES} == set(BUILT_IN)
