"""Data as people have them in, through the dry run and the doctor: read as meant, or named by row with the cure."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from recipes import cli
from recipes.settings.recipe_file import load_recipe
from rl.preflight.examine import examine
from sampler.data.prompt_dataset import load_prompts

QUESTION = "How many lamps are lit?"
ASKED = [["IMAGE", QUESTION]]
SAID = {"type": "text", "text": QUESTION}


def png() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (40, 32), "navy").save(file, "PNG")
    return file.getvalue()


def row(**changes: Any) -> dict[str, Any]:
    whole = {
        "messages": f"<image>{QUESTION}",
        "images": ["lamps.png"],
        "verifier": "number",
        "reference": "4",
    }
    return {key: value for key, value in {**whole, **changes}.items() if value is not ...}


def user(content: Any, **more: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": content, **more}]


Write = Callable[[Path], Path]


def lines(*rows: Any) -> Write:
    """JSON lines; a row that is text stands as it is."""

    def write(folder: Path) -> Path:
        path = folder / "train.jsonl"
        path.write_text("".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in rows))
        return path

    return write


def text(name: str, content: str) -> Write:
    def write(folder: Path) -> Path:
        (folder / name).write_text(content)
        return folder / name

    return write


def table(name: str = "train.parquet", **columns: Any) -> Write:
    """A Parquet file of rows whose columns may have Arrow types of their own."""

    def write(folder: Path) -> Path:
        num_rows = max((len(column) for column in columns.values()), default=1)
        plain = {key: [value] * num_rows for key, value in row().items() if key not in columns}
        if "messages" not in columns:
            plain["messages"] = [f"<image>{QUESTION}{' Really?' * number}" for number in range(num_rows)]
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({**plain, **columns}), path)
        return path

    return write


def hub_folder(folder: Path) -> Path:
    """As `push_to_hub` lays a set out: notes beside, shards of two splits in data/."""
    home = folder / "set"
    (home / "data").mkdir(parents=True)
    (home / "README.md").write_text("# lamps\n")
    (home / "dataset_infos.json").write_text('{"default": {"splits": {}}}')
    for split, reference in (("train", "4"), ("test", "9")):
        table(
            f"set/data/{split}-00000-of-00001.parquet",
            reference=[reference],
            images=[[]],
            messages=[QUESTION],
        )(folder)
    return home


@dataclass
class Case:
    write: Write
    says: str = ""  # a pattern of what is told; nothing where the row is simply read
    fails: bool = False
    contents: Sequence[Any] | None = None  # of the first prompt, a list a message
    references: Sequence[Any] | None = None


SHAREGPT = [{"from": "human", "value": f"<image>\n{QUESTION}"}, {"from": "gpt", "value": "Four."}]
CASES = {
    # messages
    "text": Case(lines(row()), contents=ASKED),
    "marks in the texts of parts": Case(
        lines(row(messages=user([{"type": "text", "text": f"Look: <image>{QUESTION}"}]))),
        contents=[["Look: ", "IMAGE", QUESTION]],
    ),
    "a mark as words beside a part": Case(
        lines(row(messages=user([{"type": "image"}, {"type": "text", "text": "What is <image> in SVG?"}]))),
        contents=[["IMAGE", "What is <image> in SVG?"]],
    ),
    "a mark as words without a picture": Case(
        lines(row(messages=user([{"type": "text", "text": "What is <image> in SVG?"}]), images=...)),
        says="line 1, column 'messages': <image> is kept as words: the row has no image",
        contents=[["What is <image> in SVG?"]],
    ),
    "a mark too many": Case(
        lines(row(messages="<image>What does <image> do in SVG?")),
        says="2 image marks in the messages, but 1 in column 'images'; to keep <image> as words, give the content",
        fails=True,
    ),
    "a video mark without a video": Case(
        lines(row(messages="What is the <video> tag?", images=...)),
        says="1 video mark in the messages, but 0 .*to keep <video> as words",
        fails=True,
    ),
    **{
        f"mark written {mark}": Case(
            lines(row(messages=f"{mark} {QUESTION}")),
            says=rf"line 1, column 'messages': '{re.escape(mark)}' is read as words: the mark of a picture is <image>",
        )
        for mark in ("<Image>", "<IMAGE>", "<image_1>", "<image 1>", "[image]", "<img>", "<|image|>", "</image>")
    },
    **{
        f"placeholder {token}": Case(
            lines(row(), row(messages=f"<image>What is {token}?")),
            says=rf"line 2, column 'messages': the text holds {re.escape(token)}.*'< {re.escape(token[1:])}' to keep",
            fails=True,
        )
        for token in ("<|image_pad|>", "<|video_pad|>", "<|vision_start|>")
    },
    "control tokens": Case(
        lines(row(messages=f"<image>{QUESTION}<|im_end|>\n<|im_start|>assistant\n4<|im_end|>")),
        says=r"the control token <\|im_end\|> is escaped for the policy: < \|im_end\|>",
    ),
    "messages as JSON text": Case(lines(row(messages=json.dumps(user(f"<image>{QUESTION}")))), contents=ASKED),
    "content as JSON text": Case(
        lines(row(messages=user(json.dumps([{"type": "image"}, {"type": "text", "text": QUESTION}])))),
        contents=ASKED,
    ),
    "messages as Python wrote them": Case(
        lines(row(messages=str(user(QUESTION)))), says="looks like a JSON list, but is not valid JSON", fails=True
    ),
    "a question about a list": Case(
        lines(row(messages='[{"role": 1}] has how many items?', images=...)),
        contents=[['[{"role": 1}] has how many items?']],
    ),
    "keys that say nothing": Case(
        lines(row(messages=user(f"<image>{QUESTION}", id="m-7", name="ann", weight=None))), contents=ASKED
    ),
    "keys that say something": Case(
        lines(row(messages=user(QUESTION, tool_calls=[{}]))), says="got also tool_calls", fails=True
    ),
    "a picture inside OpenAI's part": Case(
        lines(row(messages=user([{"type": "image_url", "image_url": {"url": "lamps.png"}}, SAID]), images=...)),
        contents=ASKED,
    ),
    "a picture inside Qwen's part": Case(
        lines(row(messages=user([{"type": "image", "image": "lamps.png"}, SAID]), images=...)), contents=ASKED
    ),
    "a picture inside a part and in the column": Case(
        lines(row(messages=user([{"type": "image", "image": "lamps.png"}]), images=["lamps.png"])),
        says="the parts of the messages hold images too: give each image once",
        fails=True,
    ),
    # other trainers
    "EasyR1": Case(
        lines({"problem": f"<image>{QUESTION}", "images": ["lamps.png"], "answer": 4}),
        says=r"EasyR1's columns \(problem as messages, answer as reference\)[\s\S]*none is named, so 'math' judges",
        contents=ASKED,
        references=["4"],
    ),
    "R1-V": Case(
        lines({"problem": QUESTION, "image": "lamps.png", "solution": "<answer> 4 </answer>"}),
        says=r"R1-V's columns \(problem as messages, image as images, solution as reference\)[\s\S]*so 'math' judges",
        contents=ASKED,
        references=["<answer> 4 </answer>"],
    ),
    "R1-V with a box": Case(
        lines({"problem": "Where is the lamp?", "image": "lamps.png", "solution": [4, 4, 30, 28]}),
        says="column 'solution': the reference is a list or a mapping: name the verifier, such as bbox_iou for a box",
        fails=True,
    ),
    "questions and answers of a benchmark": Case(
        lines({"question": QUESTION, "options": "['3', '4']", "image_1": "lamps.png", "image_2": None, "answer": "B"}),
        says="no such column; rename 'question' to 'messages', 'image_1' to 'images', 'answer' to 'reference' ",
        fails=True,
    ),
    "a picture is no slip of the messages": Case(
        lines({"image": "lamps.png", "caption": "Lamps.", "verifier": "string", "reference": "four"}),
        says=r"column 'messages': there is no such column \(columns: image, caption, verifier, reference\)",
        fails=True,
    ),
    "nobody to judge": Case(
        lines(row(verifier=...)),
        says="'verifier': there is no such column; name a rule, or set kind to 'general' where a reward model judges",
        fails=True,
    ),
    "verl": Case(
        lines({
            "data_source": "lamps", "prompt": user(f"<image>{QUESTION}"), "images": ["lamps.png"],
            "reward_model": {"style": "rule", "ground_truth": "4"},
        }),
        says=r"verl's columns \(prompt as messages, reward_model.ground_truth as reference",
        contents=ASKED,
        references=["4"],
    ),
    "ShareGPT": Case(
        lines({"conversations": SHAREGPT, "images": ["lamps.png"], "reference": "4", "verifier": "number"}),
        says=r"ShareGPT's columns[\s\S]*the assistant's last turn is left out",
        contents=[["IMAGE", f"\n{QUESTION}"]],
    ),
    "LLaVA": Case(
        lines({"id": 7, "image": "lamps.png", "conversations": SHAREGPT, "reference": "4", "verifier": "number"}),
        says="image as images",
        contents=[["IMAGE", f"\n{QUESTION}"]],
    ),
    "columns of nobody": Case(
        lines({"instruction": QUESTION, "images": ["lamps.png"]}),
        says="column 'messages': there is no such column; rename 'instruction' to 'messages'",
        fails=True,
    ),
    # references
    "a list": Case(lines(row(verifier="math", reference=["4", "four"])), references=[["4", "four"]]),
    "a mapping": Case(
        lines(row(verifier="choice", reference={"answer": "A", "options": ["four", "five"]})),
        references=[{"answer": "A", "options": ["four", "five"]}],
    ),
    "text that looks like a list": Case(lines(row(verifier="string", reference="[1, 2]")), references=["[1, 2]"]),
    "a list of texts as text": Case(
        lines(row(verifier="string", reference='["four", "4"]')),
        says="the list is one text: for a list of accepted answers give a list, or 'reference_json'",
        references=['["four", "4"]'],
    ),
    "reference_json": Case(
        table(reference=pa.array([None], pa.string()), reference_json=['["4", "four"]'], verifier=["math"]),
        references=[["4", "four"]],
    ),
    "float32": Case(table(reference=pa.array([0.1, 12.7], pa.float32())), references=["0.1", "12.7"]),
    "float32 in lists": Case(
        table(reference=pa.array([[0.1, 0.2, 0.3, 0.4]], pa.list_(pa.float32())), verifier=["bbox_iou"]),
        references=[[0.1, 0.2, 0.3, 0.4]],
    ),
    "whole numbers in a float column": Case(
        table(reference=pa.array([3.0, 2.5, 1e22], pa.float64())), references=["3", "2.5", "1e+22"]
    ),
    "a whole float in JSON": Case(lines(row(verifier="string", reference=3.0)), references=["3"]),
    "keys that a struct column fills": Case(
        table(
            verifier=["choice"] * 2,
            messages=["<image>One?", "<image>Two?"],
            reference=[{"answer": "A", "options": {"A": "x", "B": "y"}}, {"answer": "C", "options": {"C": "z"}}],
        ),
        references=[{"answer": "A", "options": {"A": "x", "B": "y"}}, {"answer": "C", "options": {"C": "z"}}],
    ),
    "NaN": Case(
        lines(row(reference=float("nan"))), says=r"column 'reference': the row has no value here \(NaN\)", fails=True
    ),
    "NaN in a float column": Case(
        table(reference=pa.array([1.0, float("nan")], pa.float64())), says=r"row 2, .*\(NaN\)", fails=True
    ),
    "NaN inside a list": Case(
        lines(row(verifier="math", reference=[float("nan")])), says="plain JSON: .*not JSON compliant", fails=True
    ),
    "nan as text": Case(
        lines(row(verifier="string", reference="nan")), says="the reference is the text 'nan': is there none"
    ),
    "infinity": Case(lines(row(reference=float("inf"))), says="a reference is a finite number, got inf", fails=True),
    # rows
    "one question with three answers": Case(
        lines(row(), row(reference="5"), row(reference="6")),
        says=r"line 2: asks the same as .*line 1 with another reference \('5' instead of '4'\)[\s\S]*line 3: asks",
    ),
    "one question and answer under two ids": Case(
        lines(row(prompt_id="a"), row(prompt_id="b")),
        says=r"line 2: asks the same as .*line 1 and expects the same, under another id",
    ),
    "one question under two rules": Case(lines(row(), row(verifier="string", reference="four"))),
    "a key twice": Case(
        lines('{"messages": "2+2?", "verifier": "number", "reference": "3", "reference": "4"}'),
        says="line 1: the key 'reference' stands twice, and the last one counts",
        references=["4"],
    ),
    "a key twice in a JSON list": Case(
        text("train.json", '[{"messages": "2+2?", "verifier": "number", "reference": "4", "messages": "3+1?"}]'),
        says="row 1: the key 'messages' stands twice",
    ),
    "a column of a CSV twice": Case(
        text("train.csv", "messages,verifier,reference,reference\n2+2?,number,3,4\n"),
        says="line 2: the column 'reference' stands twice, and the last one counts",
        references=["4"],
    ),
    # files
    "wrapped rows": Case(
        lines({"version": 1, "data": [row()]}),
        says="column 'messages': the rows lie in a list under 'data': write that list alone, or one row a line",
        fails=True,
    ),
    "wrapped rows over several lines": Case(
        text("train.json", json.dumps({"rows": [row()]}, indent=1)), says="lie in a list under 'rows'", fails=True
    ),
    "an object over several lines": Case(text("train.json", json.dumps(row(), indent=1)), contents=ASKED),
    "objects over several lines": Case(
        text("train.jsonl", "\n".join([json.dumps(row(), indent=1)] * 2)),
        says="line 1: not valid JSON: .*a row is one JSON object a line",
        fails=True,
    ),
    "a hub folder": Case(hub_folder, references=["4"]),
    "bytes as numbers": Case(table(images=pa.array([list(png())], pa.list_(pa.uint8()))), contents=ASKED),
    "several files as numbers": Case(
        table(images=pa.array([[list(png())] * 2], pa.list_(pa.list_(pa.uint8()))), messages=[QUESTION]),
        contents=[["IMAGE", "IMAGE", QUESTION]],
    ),
}  # fmt: skip


@pytest.fixture
def train(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Case, Path]:
    """A recipe own.yaml over the case's set."""
    monkeypatch.chdir(tmp_path)
    case = CASES[request.param]
    (tmp_path / "lamps.png").write_bytes(png())
    (tmp_path / "heldout.jsonl").write_text(json.dumps(row(messages="<image>And how many are off?")) + "\n")
    path = case.write(tmp_path)
    (tmp_path / "own.yaml").write_text(
        f"name: own\ndata: {{train_prompts: {path}, heldout_prompts: heldout.jsonl}}\n"
        "sampler: {max_model_len: 128}\nrl: {max_response_tokens: 40, prompts_per_step: 2, num_mini_batches: 1}\n"
    )
    return case, path


@pytest.mark.parametrize("train", list(CASES), indirect=True)
def test_each_case_is_read_as_meant_or_named(
    train: tuple[Case, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    case, path = train
    assert cli.main(["run", "own.yaml", "--dry-run"]) == int(case.fails)
    told = capsys.readouterr()
    assert re.search(case.says, told.out), told.out
    line = next(one for one in told.out.splitlines() if re.match(r"\S train prompts", one))
    assert line[0] == ("✗" if case.fails else "!" if case.says else "✓"), told.out
    assert told.err == ""
    doctor = {}
    for check in examine(load_recipe("own.yaml", []), path.parent / "scratch", path.parent, quick=True):
        if check.name.startswith("policy"):
            break  # from here on it takes a tokenizer
        doctor[check.name] = check.run()
    finding = doctor["train prompts"]
    assert finding.outcome == ("failed" if case.fails else "warning" if case.says else "ok")
    assert re.search(case.says, "\n".join([finding.summary, *finding.details]))
    if case.fails:
        return
    prompts = load_prompts(path)
    if case.references is not None:
        assert [prompt.reference for prompt in prompts] == case.references
    if case.contents is not None:
        found = [[part.get("text", "IMAGE") for part in one["content"]] for one in prompts[0].messages]
        assert found == case.contents
    assert all(one.read() == png() for prompt in prompts for one in prompt.images)
