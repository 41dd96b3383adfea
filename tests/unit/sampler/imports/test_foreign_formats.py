"""Each format that people have, from a file to a prompt set: what is asked, shown and expected, who judges."""

from __future__ import annotations

import base64
import io
import json
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from sampler.data.prompt_dataset import load_prompts
from sampler.image import ImageLimits, decode_image
from sampler.imports.answer_options import with_options
from sampler.imports.prompt_import import ImportPlan, ImportReport, import_prompts
from verifiers.errors import BadInput

QUESTION = "How many lamps are lit?"
NUM_ROWS = 6


def png(number: int, size: tuple[int, int] = (40, 20)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, (number * 20, 90, 200)).save(file, "PNG")
    return file.getvalue()


def url(number: int) -> str:
    return "data:image/png;base64," + base64.b64encode(png(number)).decode()


def json_lines(folder: Path, rows: list[Any]) -> Path:
    path = folder / "set.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def saved(folder: Path, number: int) -> str:
    (folder / f"{number}.png").write_bytes(png(number))
    return f"{number}.png"


def openai(folder: Path) -> Path:
    """Data URLs and local paths, the answer as the assistant's turn."""

    def row(number: int) -> dict[str, Any]:
        shown = url(number) if number % 2 else saved(folder, number)
        parts = [{"type": "image_url", "image_url": {"url": shown}}, {"type": "text", "text": QUESTION}]
        answer = {"role": "assistant", "content": f"<think>I count</think>\\boxed{{{number}}}"}
        return {"messages": [{"role": "user", "content": parts}, answer]}

    return json_lines(folder, [row(number) for number in range(NUM_ROWS)])


def verl(folder: Path) -> Path:
    rows = [
        {
            "data_source": "lamps", "ability": "count", "images": [{"bytes": png(number)}],
            "prompt": [{"role": "user", "content": f"<image>{QUESTION}"}],
            "reward_model": {"style": "rule", "ground_truth": str(number)}, "extra_info": {"index": number},
        }
        for number in range(NUM_ROWS)
    ]  # fmt: skip
    path = folder / "set.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def trl(folder: Path) -> Path:
    prompt = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": QUESTION}]}]
    return json_lines(
        folder, [{"prompt": prompt, "image": url(n), "solution": f"${n}$"} for n in range(NUM_ROWS)]
    )


def trl_completion(folder: Path) -> Path:
    rows = [
        {
            "prompt": [{"role": "user", "content": f"<image>{QUESTION}"}],
            "images": [url(number)],
            "completion": [{"role": "assistant", "content": f"{number}"}],
        }
        for number in range(NUM_ROWS)
    ]
    return json_lines(folder, rows)


def talk(number: int, answer: str, asked: str = f"<image>\n{QUESTION}") -> list[dict[str, str]]:
    return [{"from": "human", "value": asked}, {"from": "gpt", "value": answer}]


def llava(folder: Path) -> Path:
    rows = [
        {"id": f"x{n}", "image": saved(folder, n), "conversations": talk(n, str(n))} for n in range(NUM_ROWS)
    ]
    path = folder / "set.json"
    path.write_text(json.dumps(rows))
    return path


def sharegpt(folder: Path) -> Path:
    rows = [
        {
            "conversations": [*talk(n, "Yes.", "<image>Is it dark?"), *talk(n, str(n), QUESTION)],
            "images": [url(n)],
        }
        for n in range(NUM_ROWS)
    ]
    return json_lines(folder, rows)


def easyr1(folder: Path) -> Path:
    return json_lines(
        folder, [{"problem": f"<image>{QUESTION}", "answer": n, "images": [url(n)]} for n in range(NUM_ROWS)]
    )


def qwen_boxes(folder: Path) -> Path:
    """In pixels of pictures of 40 x 20."""
    rows = [
        {
            "image": saved(folder, number),
            "conversations": talk(
                number, f'```json\n[{{"bbox_2d": [10, 5, {20 + number}, 20], "label": "lamp"}}]\n```'
            ),
        }
        for number in range(NUM_ROWS)
    ]
    return json_lines(folder, rows)


def csv_folder(folder: Path) -> Path:
    inside = folder / "lamps"
    inside.mkdir()
    lines = [f'{saved(inside, n)},"{QUESTION}",{n},count' for n in range(NUM_ROWS)]
    (inside / "metadata.csv").write_text("\n".join(["file_name,question,answer,category", *lines]) + "\n")
    return inside


def webdataset(folder: Path) -> Path:
    path = folder / "shard.tar"
    with tarfile.open(path, "w") as tar:
        for number in range(NUM_ROWS):
            about = {"question": QUESTION, "answer": str(number), "image": "elsewhere.png"}
            for suffix, content in (("png", png(number)), ("json", json.dumps(about).encode())):
                member = tarfile.TarInfo(f"lamps/{number:04d}.{suffix}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return path


def json_array(folder: Path) -> Path:
    path = folder / "set.json"
    rows = [{"question": QUESTION, "image": url(number), "answer": number} for number in range(NUM_ROWS)]
    path.write_text(json.dumps(rows))
    return path


@dataclass(frozen=True)
class Case:
    write: Callable[[Path], Path]
    says: str
    verifier: str = "number"
    reference: Any = None


BOXES = [[[249.8, 249.8, round((20 + number) * 999 / 40, 1), 999.0]] for number in range(NUM_ROWS)]
CASES = {
    "OpenAI": Case(openai, "OpenAI's messages with image_url parts"),
    "verl": Case(verl, "verl's columns (prompt as messages", "math"),
    "TRL": Case(trl, "TRL's columns (prompt as messages, image as images", "math", [f"${n}$" for n in range(6)]),
    "TRL completions": Case(trl_completion, "TRL's columns (prompt as messages, completion as reference)"),
    "LLaVA": Case(llava, "LLaVA's columns (conversations as messages, image as images)"),
    "ShareGPT": Case(sharegpt, "ShareGPT's columns"),
    "EasyR1": Case(easyr1, "EasyR1's columns (problem as messages, answer as reference)", "math"),
    "Qwen's boxes": Case(qwen_boxes, "LLaVA's columns", "bbox_iou", BOXES),
    "a folder with a CSV": Case(csv_folder, "a plain set's columns (question as messages, file_name as images"),
    "WebDataset": Case(webdataset, "a plain set's columns (question as messages"),
    "a JSON array": Case(json_array, "a plain set's columns (question as messages, image as images, answer"),
}  # fmt: skip


def imported(source: Path, out: Path | None, **plan: Any) -> ImportReport:
    return import_prompts(str(source), out, ImportPlan(**plan), on_part=lambda *_: None)


@pytest.mark.parametrize("name", CASES)
def test_each_format_is_recognised_and_imported(name: str, tmp_path: Path) -> None:
    case, out = CASES[name], tmp_path / "out" / "set.parquet"
    report = imported(case.write(tmp_path), out)
    assert [row.why for row in report.rejected] == []
    assert case.says in " ".join(report.survey.formats), report.survey.formats
    prompts = load_prompts(out)
    assert len(prompts) == NUM_ROWS == report.num_imported
    assert {one.verifier for one in prompts} == {case.verifier}
    assert [one.reference for one in prompts] == (case.reference or [str(n) for n in range(NUM_ROWS)])
    assert all(one.text.strip().endswith("?") for one in prompts)
    assert [one.images[0].read() for one in prompts] == [png(n) for n in range(NUM_ROWS)]
    assert prompts[0].messages[0]["content"][0] == {"type": "image"}
    assert [file.name for file in out.parent.iterdir()] == ["set.parquet"]


def test_what_a_source_is_becomes_source_and_tag(tmp_path: Path) -> None:
    imported(verl(tmp_path), tmp_path / "out.parquet")
    imported(csv_folder(tmp_path), tmp_path / "csv.parquet")
    (one, *_), (other, *_) = (load_prompts(tmp_path / name) for name in ("out.parquet", "csv.parquet"))
    assert (one.source, one.tags, other.source, other.tags) == ("lamps", ("count",), "lamps", ("count",))


def test_malformed_rows_are_listed_and_the_rest_imported(tmp_path: Path) -> None:
    rows: list[Any] = [{"messages": f"Add {n} and {n}.", "reference": str(2 * n)} for n in range(40)]
    parts = [
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
        {"type": "text", "text": "?"},
    ]
    rows[2] = {"messages": [{"role": "user", "content": parts}, {"role": "assistant", "content": "3"}]}
    rows[3], rows[6] = 3, {"messages": "Why?", "reference": "seven or so"}
    path = json_lines(tmp_path, [*rows, rows[0]])
    path.write_text(path.read_text() + '{"messages": \n')
    report = imported(path, tmp_path / "out.parquet")
    assert (report.num_imported, report.num_duplicates) == (37, 1)
    whys = {row.location.rpartition(" ")[2]: row.why for row in report.rejected}
    assert sorted(whys) == ["3", "4", "42", "7"]
    assert "not fetched over the network: download 'https://example.org/a.png' first" in whys["3"]
    assert "a row is a JSON object" in whys["4"] and "not valid JSON" in whys["42"]
    assert "number" in whys["7"]  # the reference by the verifier of its source


def test_each_source_has_its_own_judge(tmp_path: Path) -> None:
    references = {
        "charts": "3.5",
        "choices": "B",
        "prose": "It stands in the corner, beside the lamp, and it is lit by it.",
    }
    rows = [
        {"messages": f"What of {number}?", "source": source, "reference": reference}
        for number in range(10)
        for source, reference in references.items()
    ]
    report = imported(json_lines(tmp_path, rows), tmp_path / "out.parquet")
    judges = {(one.source, one.verifier, one.kind) for one in load_prompts(tmp_path / "out.parquet")}
    assert judges == {
        ("charts", "number", "verifiable"),
        ("choices", "choice", "verifiable"),
        ("prose", None, "general"),
    }
    assert report.proposals["choices"].why == "100% option letters" and not report.rejected


@pytest.mark.parametrize(("decodes_all", "num_decoded"), [(False, 4), (True, 8)])
def test_sources_share_what_is_decoded(
    decodes_all: bool, num_decoded: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first pictures of a set, however many sources it has and whether or not a row names one."""
    decoded: list[bytes] = []

    def told(encoded: bytes, limits: ImageLimits) -> Image.Image:
        decoded.append(encoded)
        return decode_image(encoded, limits)

    monkeypatch.setattr("sampler.imports.prompt_import.MAX_DECODED", 4)
    monkeypatch.setattr("sampler.data.prompt_reader.decode_image", told)
    sources = [
        {"source": "lamps"},
        {"source": "lamps"},
        {},
        {"source": "lamps"},
        {"source": "rooms"},
        {},
        {},
        {},
    ]
    rows = [
        {"question": f"{QUESTION} {n}", "image": url(n), "answer": str(n), **source}
        for n, source in enumerate(sources)
    ]
    report = import_prompts(
        str(json_lines(tmp_path, rows)), tmp_path / "out.parquet", ImportPlan(decodes_all=decodes_all),
        on_part=lambda *_: None,
    )  # fmt: skip
    assert report.num_imported == 8
    assert decoded == [png(n) for n in range(num_decoded)]


def test_what_is_asked_for_goes_before_what_is_found_out(tmp_path: Path) -> None:
    rows = [{"q": "Two and two?", "label": "4", "x": str(number)} for number in range(4)]
    columns = {"messages": "q", "reference": "label", "prompt_id": "x"}
    report = imported(
        json_lines(tmp_path, rows), tmp_path / "out.parquet", columns=columns, verifier="string", limit=3
    )
    prompts = load_prompts(tmp_path / "out.parquet")
    assert [one.prompt_id for one in prompts] == ["0", "1", "2"] and prompts[0].verifier == "string"
    assert report.proposals[""].why == "asked for"
    assert imported(tmp_path / "set.jsonl", None, columns=columns, kind="general").num_imported == 4


def test_boxes_in_thousandths_stay_and_those_outside_their_picture_are_refused(tmp_path: Path) -> None:
    path = qwen_boxes(tmp_path)
    imported(path, tmp_path / "kept.parquet", boxes="norm1000")
    assert "[10, 5, 20, 20]" in str(load_prompts(tmp_path / "kept.parquet")[0].reference)
    path.write_text(path.read_text().replace("[10, 5, 20, 20]", "[10, 5, 50, 20]"))
    report = imported(path, tmp_path / "turned.parquet", boxes="pixel")
    assert report.num_imported == NUM_ROWS - 1
    assert "lies outside the picture of 40 x 20 pixels" in report.rejected[0].why


def test_many_parts_are_one_set_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read by processes of their own; a limit takes the first."""
    monkeypatch.setattr("sampler.rows.dataset_rows.PART_BYTES", 1000)
    rows = [{"messages": f"Add {n} and {n}.", "reference": str(2 * n)} for n in range(200)]
    path = json_lines(tmp_path, [*rows, rows[0]])
    report = imported(path, tmp_path / "out.parquet")
    assert (report.num_imported, report.num_duplicates) == (200, 1)
    assert [one.reference for one in load_prompts(tmp_path / "out.parquet")] == [
        str(2 * n) for n in range(200)
    ]
    path.write_text(path.read_text().replace("Add 150 and 150.", ""))
    assert [row.location for row in imported(path, None).rejected] == [f"{path}, line 151"]
    assert imported(path, tmp_path / "few.parquet", limit=30).num_imported == 30
    assert len(load_prompts(tmp_path / "few.parquet")) == 30


def test_pictures_in_a_folder_of_their_own(tmp_path: Path) -> None:
    path = llava(tmp_path)
    elsewhere = tmp_path / "pictures"
    elsewhere.mkdir()
    for file in tmp_path.glob("*.png"):
        file.rename(elsewhere / file.name)
    assert imported(path, None).num_imported == 0
    assert imported(path, None, images=elsewhere).num_imported == NUM_ROWS


def test_hostile_files_are_rows_that_are_wrong(tmp_path: Path) -> None:
    """A decompression bomb, links in a tar, a name that leads out of it, cells too many."""
    path = tmp_path / "shard.tar"
    header = b"IHDR" + (60000).to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
    bomb = png(0)[:12] + header + zlib.crc32(header).to_bytes(4, "big") + png(0)[33:]
    with tarfile.open(path, "w") as tar:
        for name, content in (
            ("a.png", png(1)),
            ("b.png", bomb),
            ("../c.png", png(2)),
            ("d.png", png(3)[:40]),
        ):
            about = json.dumps({"question": f"{name}?", "answer": "3"}).encode()
            for member_name, held in ((name, content), (f"{name[:-4]}.json", about)):
                member = tarfile.TarInfo(member_name)
                member.size = len(held)
                tar.addfile(member, io.BytesIO(held))
        link = tarfile.TarInfo("e.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
        broken = tarfile.TarInfo("f.json")
        broken.size = 3
        tar.addfile(broken, io.BytesIO(b"{x}"))
    report = imported(path, tmp_path / "out.parquet", verifier="number")
    assert [one.text for one in load_prompts(tmp_path / "out.parquet")] == ["a.png?", "../c.png?"]
    assert not list(tmp_path.parent.glob("c.png"))
    whys = " | ".join(row.why for row in report.rejected)
    assert "3600000000 pixels" in whys and "f.json is not valid JSON" in whys and len(report.rejected) == 3
    table = tmp_path / "set.csv"
    table.write_text('question,answer\n"How many, and why?",3\n4,5,6\n=cmd(),7\n')
    report = imported(table, None, verifier="number")
    assert report.num_imported == 2 and report.rejected[0].location == f"{table}, line 3"


def test_what_is_no_tar_or_table(tmp_path: Path) -> None:
    for name, content in (("x.tar", b"\x1f\x8b no tar"), ("x.csv", b"a,b\n\xff\xfe,\n"), ("y.tar", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BadInput, match=r"not a? ?read(able|able as CSV)|unpack"):
            imported(tmp_path / name, None)


COLOURS = ["red", "blue", "pale green"]
BLUE = {"answer": "B", "options": COLOURS}


@pytest.mark.parametrize(
    ("columns", "reference"),
    [
        ({"choices": COLOURS, "answer": "blue"}, BLUE),
        ({"options": str(COLOURS), "answer": "(b)"}, BLUE),
        ({"options": json.dumps(COLOURS), "answer": "B."}, BLUE),
        ({"options": dict(zip("ABC", COLOURS, strict=True)), "answer": "Blue"}, BLUE),
        ({**dict(zip("ABC", COLOURS, strict=True)), "answer": "B"}, BLUE),
        (
            {"choices": COLOURS, "answer": 1},
            "the answer '1' may be B by index0, A by index1: say which with --answers",
        ),
        (
            {"choices": COLOURS, "answer": "grey"},
            "the answer 'grey' is none of the options, by text or letter",
        ),
        ({"choices": ["red"], "answer": "red"}, "options are a list of 2 to 26 texts"),
    ],
)
def test_options_in_columns_of_their_own(columns: dict[str, Any], reference: Any, tmp_path: Path) -> None:
    report = imported(
        json_lines(tmp_path, [{"question": "Which colour?", **columns}]), tmp_path / "out.parquet"
    )
    if isinstance(reference, str):
        assert reference in report.rejected[0].why
        return
    (prompt,) = load_prompts(tmp_path / "out.parquet")
    assert (prompt.text, prompt.verifier) == ("Which colour?\nA. red\nB. blue\nC. pale green", "choice")
    assert prompt.reference == reference and report.unread_columns == ()


@pytest.mark.parametrize(
    ("question", "options", "named"),
    [
        ("Is it red, blue or pale green?", COLOURS, True),
        ("Which one? (A) -1 (B) 1", ["-1", "1"], True),
        ("Which letter is hidden behind the cabin door?", ["a", "b", "c", "d"], False),
        ("Of 12 cups 3 are full. How many are not?", ["2", "3"], False),
        ("Is it blue and red?", COLOURS[:2], False),  # in another order
    ],
)
def test_options_that_a_question_names_itself_are_not_listed_again(
    question: str, options: list[str], named: bool
) -> None:
    assert (with_options(question, options) == question) is named


NUMBERS, LETTERS = ["3", "1", "0", "2"], ["D", "A", "C", "B"]
SHOW_INDEX0, SHOW_INDEX1 = (COLOURS, 0), (COLOURS, 3)


@pytest.mark.parametrize(
    ("others", "row", "asked", "letter"),
    [
        ([SHOW_INDEX0], (NUMBERS, 2), None, "C"),
        ([SHOW_INDEX1], (NUMBERS, 2), None, "B"),
        ([SHOW_INDEX0], (["2", "0", "1", "5"], 0), None, "A"),
        ([(["7", "8"], "8")], (NUMBERS, 2), None, "D"),
        ([(COLOURS, "blue")], (LETTERS, "A"), None, "B"),
        ([(COLOURS, "C")], (LETTERS, "A"), None, "A"),
        ([(COLOURS, -1), SHOW_INDEX0], (NUMBERS, 2), None, "C"),  # no reading at all: no evidence
        ([(COLOURS, 1)] * 120 + [SHOW_INDEX0, (COLOURS, "blue")], (NUMBERS, 2), None, "C"),  # one stray row
        ([(COLOURS, "blue"), (COLOURS, "C")], (["7", "8"], "8"), None, "B"),  # mixed, but this row is clear
        ([(COLOURS, "blue"), (COLOURS, "C")], (LETTERS, "A"), None, None),
        ([(COLOURS, "blue"), (COLOURS, "C")], (COLOURS, 0), None, None),
        ([], (NUMBERS, 2), None, None),
        ([], (NUMBERS, 2), "index0", "C"),
        ([], (NUMBERS, 2), "index1", "B"),
        ([], (LETTERS, "A"), "text", "B"),
        ([], (LETTERS, "A"), "letter", "A"),
        ([SHOW_INDEX0], (COLOURS, "blue"), "index0", None),
    ],
)
def test_how_answers_name_their_options_is_decided_by_all_rows(
    others: list[tuple[list[str], Any]],
    row: tuple[list[str], Any],
    asked: Any,
    letter: str | None,
    tmp_path: Path,
) -> None:
    """A wrong label is worse than a row that is refused."""
    rows = [
        {"question": f"Question {number}?", "choices": options, "answer": answer}
        for number, (options, answer) in enumerate([row, *others])
    ]
    imported(json_lines(tmp_path, rows), tmp_path / "out.parquet", answers=asked)
    prompts = load_prompts(tmp_path / "out.parquet") if (tmp_path / "out.parquet").exists() else []
    named = [one.reference["answer"] for one in prompts if one.text.startswith("Question 0?")]  # type: ignore[call-overload, index]
    assert named == ([letter] if letter else [])
