"""A reference that is a list or a mapping is shown as JSON, from a run's Parquet file and from a user's own."""

import json

import pyarrow.parquet as pq

from recipes.report.shown_prompt import ShownPrompt, ShownPrompts
from sampler.data.prompt_dataset import load_prompts, save_prompts


def test_it_is_shown_as_json(tmp_path):
    own = tmp_path / "own.jsonl"
    row = {"messages": "How many?", "verifier": "math", "reference": ["4", "four"], "prompt_id": "a"}
    own.write_text(json.dumps(row) + "\n")
    saved = save_prompts(tmp_path / "saved.parquet", load_prompts(own))
    of_file = ShownPrompt.of(pq.read_table(saved).to_pylist()[0])
    of_own = ShownPrompts((), (str(own),)).find(["a"])["a"]
    assert of_file.reference.text == of_own.reference.text == '["4", "four"]'
