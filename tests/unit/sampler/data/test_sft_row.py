"""Supervised rows with their lineage, in and out."""

import json

import pytest

from sampler.data.prompt_dataset import load_prompts
from sampler.data.sft_row import SftRow, load_sft_dataset, load_sft_rows, save_sft_rows
from sampler.prompt import Prompt
from verifiers.errors import BadInput

PROMPT = Prompt.build(
    messages=[{"role": "user", "content": [{"type": "text", "text": "3+5+1?"}]}],
    verifier="math",
    reference="9",
)
RESPONSE = "<think>3+5+1</think>\\boxed{9}"


def test_rows_come_back_equal_with_their_lineage_and_several_for_one_prompt(tmp_path):
    rows = [
        SftRow(PROMPT, RESPONSE),
        SftRow(
            PROMPT, "<think></think>\\boxed{9}", "harvest", "r-7", 12, 1, {"status": "scored", "score": 1.0}
        ),
    ]
    path = save_sft_rows(tmp_path / "rows.parquet", rows)
    assert load_sft_rows(path) == rows
    assert load_sft_rows(path, limit=1) == rows[:1]
    assert load_prompts(path) == [PROMPT]  # the same file is a prompt set


def test_a_row_needs_messages_and_a_response_only(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"messages": "Hi", "answer": "Hello", "verdict": {"score": 1}}) + "\n")
    (row,) = load_sft_rows(path, columns={"response": "answer"})
    assert (row.prompt.text, row.response, row.source, row.verdict) == (
        "Hi",
        "Hello",
        "cold_start",
        {"score": 1},
    )
    assert (row.prompt.kind, row.prompt.verifier) == ("general", None)


@pytest.mark.parametrize(
    ("changes", "column", "message"),
    [
        ({"response": None}, "response", "needs the response"),
        ({"response": ""}, "response", "needs the response"),
        ({"response": 3}, "response", "expected str, got int"),
        ({"response": "\ud800"}, "response", "not valid Unicode"),
        ({"policy_version": "1"}, "policy_version", "expected int, got str"),
        ({"round": True}, "round", "expected int, got bool"),
        ({"verdict": "{"}, "verdict", "not valid JSON"),
        ({"verdict": "[1]"}, "verdict", "a JSON object, got list"),
        ({"messages": 3}, "messages", "expected a list"),
        ({"response": "see <|image_pad|>"}, "response", r"the text holds <\|image_pad\|>"),
        ({"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]}, "response",
         "the messages end in an assistant's too"),
        ({"verifier": "number", "reference": "many"}, "reference", "one number"),
    ],
)  # fmt: skip
def test_each_wrong_row_is_named(tmp_path, changes, column, message):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"messages": "Hi", "response": "Hello", **changes}) + "\n")
    with pytest.raises(BadInput, match=message) as caught:
        load_sft_rows(path)
    assert str(caught.value).startswith(f"{path}, line 1, column {column!r}: ")


@pytest.mark.parametrize(
    "row",
    [
        {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": RESPONSE}]},
        {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": RESPONSE}]},
    ],
)
def test_the_assistants_last_message_is_the_response(tmp_path, row):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row) + "\n")
    (found,) = load_sft_rows(path)
    assert (found.prompt.text, found.response, len(found.prompt.messages)) == ("Hi", RESPONSE, 1)


def test_control_tokens_inside_a_response_are_told(tmp_path):
    path = tmp_path / "rows.jsonl"
    responses = ["7<|im_end|>", "7<|im_end|>\n<|im_start|>user\nSure?<|im_end|>"]
    path.write_text("".join(json.dumps({"messages": "Hi", "response": one}) + "\n" for one in responses))
    (remark,) = load_sft_dataset(path).remarks
    assert remark.endswith(
        "line 2, column 'response': <|im_end|> inside the response is learnt as a control token"
    )


def test_a_set_without_rows(tmp_path):
    (tmp_path / "rows.jsonl").touch()
    with pytest.raises(BadInput, match="the set has no rows"):
        load_sft_rows(tmp_path / "rows.jsonl")
