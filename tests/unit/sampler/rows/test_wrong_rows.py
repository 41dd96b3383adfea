"""Rows that are wrong are named together, rows and columns with their place; columns that nothing reads are noted."""

import json

import pytest

from sampler.data.prompt_dataset import load_prompt_dataset, load_prompts
from sampler.data.sft_row import load_sft_dataset, load_sft_rows
from sampler.rows.wrong_rows import BadRows

GOOD = {"messages": "What is 4+5?", "verifier": "math", "reference": "9"}


def write_lines(path, *rows):
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def test_several_wrong_rows_are_named_at_once(tmp_path):
    rows = [GOOD, {**GOOD, "reference": " "}, {**GOOD, "verifier": "numbr"}, {**GOOD, "reference": ""}]
    with pytest.raises(BadRows) as caught:
        load_prompts(write_lines(tmp_path / "set.jsonl", *rows, "no JSON"))
    assert str(caught.value).endswith(
        "line 2, column 'reference': the reference is empty (3 more rows wrong)"
    )
    lines = [line.rpartition("set.jsonl, ")[2] for line in caught.value.named]
    assert lines[0] == "line 2, column 'reference': the reference is empty (and 1 more row alike)"
    assert lines[1].startswith("line 3, column 'verifier': unknown verifier 'numbr'")
    assert lines[2].startswith("line 5: not valid JSON")
    many = [{**GOOD, "verifier": f"unknown{number}"} for number in range(30)]
    with pytest.raises(BadRows) as caught:
        load_prompts(write_lines(tmp_path / "set.jsonl", *many))
    assert (len(caught.value.named), caught.value.named[-1]) == (11, "and 20 more rows")


def test_places_and_unread_columns(tmp_path):
    rows = [{**GOOD, "note": "mine"}, {**GOOD, "messages": "4+5", "image": "a.png", "source_url": "x"}]
    loaded = load_prompt_dataset(write_lines(tmp_path / "set.jsonl", *rows))
    assert [loaded.locations[one.prompt_id][-6:] for one in loaded.prompts] == ["line 1", "line 2"]
    found = {column.name: (column.meant, column.location[-6:]) for column in loaded.unread_columns}
    assert found == {"note": (None, "line 1"), "image": ("images", "line 2"), "source_url": (None, "line 2")}
    renamed = load_prompt_dataset(
        write_lines(tmp_path / "own.jsonl", {"q": "4+5", "verifier": "math", "truth": {"is": "9"}}),
        columns={"messages": "q", "reference": "truth.is"},
    )
    assert renamed.unread_columns == ()


def test_wrong_rows_and_unread_columns_are_told(tmp_path):
    good = {"messages": "4+5?", "response": "9"}
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in ({**good, "image": "a.png"}, {**good, "level": 3})))
    unread = load_sft_dataset(path).unread_columns
    assert [(column.name, column.meant) for column in unread] == [("image", "images"), ("level", None)]
    path.write_text("\n".join(json.dumps(row) for row in ({"messages": "x"}, good, {"response": "9"})))
    with pytest.raises(BadRows, match=r"line 1, column 'response'.*\(1 more row wrong\)"):
        load_sft_rows(path)
