"""Prompts found by their ids in the files of a run."""

from __future__ import annotations

from pathlib import Path

from recipes.report.shown_prompt import ShownPrompts
from sampler.data.prompt_dataset import save_prompts
from sampler.prompt import Prompt


def test_of_a_prompt_that_stands_twice_the_first_row_is_shown(tmp_path: Path) -> None:
    message = {"role": "user", "content": [{"type": "text", "text": "?"}]}
    twice = [
        Prompt.build(messages=[message], verifier="math", reference=text, prompt_id="p") for text in "12"
    ]
    file = save_prompts(tmp_path / "set.parquet", twice)
    assert ShownPrompts((file,), ()).find(["p"])["p"].reference.text == "1"
