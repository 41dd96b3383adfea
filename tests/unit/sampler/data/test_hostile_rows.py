"""Rows that nobody would write, from a seed: each becomes a prompt that can be written and read again, or one line that
names file and row. Nothing else may come out, and no row may take long."""

from __future__ import annotations

import base64
import io
import json
import os
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from sampler.data.prompt_dataset import load_prompts, save_prompts
from sampler.data.row_columns import COLUMNS
from sampler.data.sft_row import LINEAGE_COLUMNS, load_sft_rows, save_sft_rows
from verifiers.errors import BadInput

ROW_S = 5.0
ROWS_A_FILE = 6
THEIRS = (
    "problem",
    "answer",
    "prompt",
    "reward_model",
    "conversations",
    "image",
    "data_source",
    "id",
    "data",
    "rows",
)
VERIFIERS = (
    *(
        "math",
        "number",
        "count",
        "choice",
        "string",
        "anls",
        "bbox_iou",
        "point_in_box",
        "temporal_iou",
        "puzzle",
    ),
    *("json_schema", "code", "instruction", "any_of", "all_of", "weighted", "vqa_soft", "spot_difference"),
    *("os:system", "no.such:Thing", "Math", "", "math ", "math\x00", "../math", ":", "a:b:c"),
)
NAMES = (
    *(
        "../../../etc/passwd",
        "/etc/passwd",
        "/dev/zero",
        "/dev/stdin",
        "/proc/self/mem",
        "/proc/kmsg",
        "/",
        ".",
        "..",
    ),
    *(
        "~/.ssh/id_rsa",
        "file:///etc/passwd",
        "http://example.org/a.png",
        "C:\\a.png",
        "a.png\x00.txt",
        "pipe",
        "train",
    ),
    *(
        "a" * 300 + ".png",
        "a/" * 3000,
        "a.png/",
        "./a.png",
        "A.PNG",
        "a.png\n",
        "\ud800.png",
        "loop",
        "empty.png",
    ),
    *(
        "data:,",
        "data:image/png;base64,",
        "data:image/png;base64,!!",
        "data:image/svg+xml;base64,PHN2Zz4=",
        "cut.png",
    ),
)
WORDS = (
    *("", " ", "\x00", "\ud800", "\x1b[2J\x1b[31m", "\u202e\u200b", "e\u0301", "\n\n", "\r", "\t", "x" * 30_000),
    *("<image>", "<image>" * 50, "<video>", "<Image>", "<|im_end|>", "<|image_pad|>", "[", "{", "nan", "inf"),
    *('[{"role": "user", "content": "x"}]', '[{"role": "user"', '[{"type": "text"', "[" * 20_000, '{"a":' * 5000),
    *("9" * 5000, "1e999999", "2^2^2^2^2^2", "\\frac{" * 500, "(" * 3000, "\\boxed{" * 300, "verifiable", "general"),
)  # fmt: skip
ROLES = ("user", "assistant", "system", "tool", "developer", "human", "gpt", "USER", "", None, 3)


def picture(size: tuple[int, int] = (8, 8)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, "navy").save(file, "PNG")
    return file.getvalue()


PNG = picture()


def home(folder: Path) -> Path:
    """A data folder with a good picture, and with what is none."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "a.png").write_bytes(PNG)
    (folder / "cut.png").write_bytes(PNG[:40])
    (folder / "empty.png").write_bytes(b"")
    (folder / "thin.png").write_bytes(picture((1, 300)))
    (folder / "loop").symlink_to(folder / "loop")
    (folder / "train").mkdir()
    os.mkfifo(folder / "pipe")
    return folder


class HostileRows:
    """Rows bent out of good ones; the seed alone decides."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def row(self, num_bent: int) -> dict[str, Any]:
        """A row for JSON, so many of its values bent."""
        rng = self.rng
        row: dict[str, Any] = {
            "messages": f"How many lamps are lit at {rng.randrange(10**6)}?",
            "images": rng.choice((["a.png"], "a.png", [], None)),
            "verifier": rng.choice(("math", "string", "number", None)),
            "reference": "4",
            "response": "<think></think>\\boxed{4}",
        }
        if row["verifier"] is None:
            row["kind"] = "general"
        for _ in range(num_bent):
            column = rng.choice((*row, *row, *COLUMNS, *LINEAGE_COLUMNS, *THEIRS))
            match rng.randrange(6):
                case 0:
                    row.pop(column, None)
                case 1 | 2:
                    row[column] = self.value()
                case 3:
                    row[column] = self.meant_for(column)
                case 4:
                    row[column] = [row.get(column)] * rng.choice((0, 1, 2, 9))
                case _:
                    row[column] = json.dumps(row.get(column))
        return row

    def meant_for(self, column: str) -> Any:
        """What the column might hold, and is wrong in it."""
        rng = self.rng
        match column:
            case "messages" | "prompt" | "conversations" | "problem":
                return self.conversation()
            case "images" | "image" | "videos":
                return rng.choice((self.media(), [self.media() for _ in range(rng.randrange(4))]))
            case "verifier":
                return rng.choice(VERIFIERS)
            case "verifier_options":
                return {
                    rng.choice(("tolerance", "percent", "verifier", "parts", "options", "x")): self.value()
                }
            case _:
                return self.value()

    def conversation(self) -> Any:
        rng = self.rng
        turns = []
        for _ in range(rng.choice((1, 1, 2, 3))):
            content = rng.choice(
                ("<image>How many?", rng.choice(WORDS), [self.part() for _ in range(rng.randrange(4))])
            )
            keys = rng.choice((("role", "content"), ("role", "content"), ("from", "value")))
            turns.append(dict(zip(keys, (rng.choice((*ROLES, "user", "user")), content), strict=True)))
        return turns if rng.random() < 0.8 else json.dumps(turns)

    def part(self) -> Any:
        rng = self.rng
        kind: Any = rng.choice(("text", "text", "image", "video", "image_url", "audio", None, []))
        part = {"type": kind, "text": rng.choice(("How many?", rng.choice(WORDS), self.value()))}
        if rng.random() < 0.5:
            part |= {
                rng.choice(("image", "image_url", "url", "path", "bytes")): rng.choice(
                    (self.media(), {"url": self.media()})
                )
            }
        return part if rng.random() < 0.95 else self.value()

    def media(self) -> Any:
        rng = self.rng
        bent = bytearray(PNG)
        for _ in range(rng.randrange(4)):
            bent[rng.randrange(len(bent))] = rng.randrange(256)
        encoded = base64.b64encode(bent).decode()
        return rng.choice(
            (
                *("a.png", "thin.png", rng.choice(NAMES), rng.choice(NAMES), self.value()),
                *(
                    f"data:image/png;base64,{encoded}",
                    encoded,
                    list(bent),
                    {"bytes": list(bent)},
                    {"path": rng.choice(NAMES)},
                ),
            )
        )

    def value(self, depth: int = 0) -> Any:
        """Any JSON."""
        rng = self.rng
        kinds: Sequence[Callable[[], Any]] = (
            lambda: rng.choice(WORDS),
            lambda: rng.choice(NAMES),
            lambda: rng.choice(
                (None, True, False, 0, -1, 10**400, 1e308, -0.0, 0.1, float("nan"), float("inf"))
            ),
            lambda: "".join(chr(rng.randrange(0x3000)) for _ in range(rng.randrange(30))),
            lambda: [self.value(depth + 1) for _ in range(rng.randrange(4))],
            lambda: {str(self.value(9))[:30]: self.value(depth + 1) for _ in range(rng.randrange(4))},
            lambda: _nested(rng.choice((5, 200, 900)), rng.random() < 0.5),
        )
        return rng.choice(kinds[:4] if depth > 3 else kinds)()

    def rows(self) -> list[dict[str, Any]]:
        """Of one file: many are good, so that what is odd about the others is seen when all are read."""
        bends = self.rng.choice(((0, 1), (0, 0, 0, 0, 0, 1), (0, 1, 2, 3)))
        return [self.row(self.rng.choice(bends)) for _ in range(ROWS_A_FILE)]

    def line(self, row: dict[str, Any]) -> bytes:
        """As it stands in a file: now and then cut, doubled, in another encoding."""
        rng = self.rng
        line = json.dumps(row, ensure_ascii=rng.random() < 0.7).encode(errors="surrogatepass")
        match rng.randrange(300):
            case 0:
                return line[: rng.randrange(len(line))]
            case 1:
                return line + line
            case 2:
                return bytes(rng.randrange(256) for _ in range(50)).replace(b"\n", b"")
            case 3:
                return json.dumps(self.value()).encode()
            case 4:
                return line.decode(errors="replace").encode("utf-16")
            case _:
                return line


def _nested(depth: int, is_list: bool) -> Any:
    found: Any = "x"
    for _ in range(depth):
        found = [found] if is_list else {"a": found}
    return found


def json_file(rows: HostileRows, folder: Path) -> Path:
    path = folder / "train.jsonl"
    path.write_bytes(b"".join(rows.line(row) + b"\n" for row in rows.rows()))
    return path


def parquet_file(rows: HostileRows, folder: Path) -> Path:
    """One type a column: that of some row; a value of another type is missing."""
    path, given = folder / "train.parquet", rows.rows()
    columns = {}
    for name in dict.fromkeys(key for row in given for key in row):
        typed = [row[name] for row in given if row.get(name) is not None]
        for wanted in rows.rng.sample(typed, min(len(typed), 3)):
            try:
                dtype = pa.array([wanted]).type
                if (
                    "struct<>" in str(dtype) or len(str(dtype)) > 1000
                ):  # Parquet cannot hold it, or for minutes
                    continue
                columns[name] = pa.array([_fitting(row.get(name), dtype) for row in given], dtype)
                break
            except (pa.ArrowException, ValueError, OverflowError, RecursionError, TypeError):
                continue
    pq.write_table(pa.table(columns), path) if columns else path.write_bytes(b"PAR1")
    if rows.rng.random() < 0.05:
        path.write_bytes(path.read_bytes()[: rows.rng.randrange(path.stat().st_size)])
    return path


def _fitting(value: Any, dtype: pa.DataType) -> Any:
    try:
        pa.array([value], dtype)
    except (pa.ArrowException, ValueError, OverflowError, RecursionError, TypeError):
        return None
    return value


def read_both_ways(path: Path) -> int:
    """Read the file as prompts and as supervised rows, and what was written of them again; how many rows were good."""
    started = time.monotonic()
    prompts, rows = (told_in_one_line(load, path) for load in (load_prompts, load_sft_rows))
    assert time.monotonic() - started < ROW_S * ROWS_A_FILE
    copy = path.with_name("copy.parquet")
    if prompts:
        save_prompts(copy, prompts)
        assert load_prompts(copy) == prompts
    if rows:
        save_sft_rows(copy, rows)
        again = [(one.prompt.prompt_id, one.response) for one in load_sft_rows(copy)]
        assert again == [(one.prompt.prompt_id, one.response) for one in rows]
    return len(prompts) + len(rows)


def told_in_one_line(load: Callable[[Path], list[Any]], path: Path) -> list[Any]:
    """The rows, or nothing where they are refused in lines that name the file."""
    try:
        return load(path)
    except BadInput as why:
        told = [str(why), *getattr(why, "named", ())]
        assert all(line.isprintable() and len(line) < 2000 for line in told), told
        assert str(path) in told[0] and told[0].removeprefix(str(path))[:1] in ",:", told
        return []


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("write", [json_file, parquet_file])
def test_a_row_is_a_good_prompt_or_one_line(
    write: Callable[[HostileRows, Path], Path], seed: int, tmp_path: Path
) -> None:
    read_both_ways(write(HostileRows(seed), home(tmp_path / "set")))


NESTED = _nested(500, True)
FOUND = {  # in ten minutes of it
    "a reference nested past what is handed on": ({"reference": NESTED, "verifier": "string"}, "50 deep"),
    "options nested so": ({"verifier_options": {"tolerance": NESTED}}, "50 deep"),
    "an integer past every float": ({"reference": 10**400, "verifier": "string"}, None),
    "a verifier without a name": ({"verifier": ""}, "no verifier is named"),
    "a name of 6,000 letters": ({"verifier": "a/" * 3000}, "unknown verifier 'a/a/"),
    "a file of the kernel that is read without end": ({"images": ["/proc/kmsg"]}, "the picture is empty"),
}


@pytest.mark.parametrize("name", FOUND)
def test_what_was_found(name: str, tmp_path: Path) -> None:
    changes, said = FOUND[name]
    row = {"messages": "How many?", "verifier": "math", "reference": "4", "response": "4", **changes}
    path = home(tmp_path / "set") / "train.jsonl"
    path.write_text(json.dumps(row))
    read_both_ways(path)
    if said is not None:
        with pytest.raises(BadInput, match=said):
            load_prompts(path)


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [("verdict", {"parts": NESTED}, "50 deep"), ("round", 10**400, "at most 64 bits")],
)
def test_what_was_found_of_supervised_rows(column: str, value: Any, said: str, tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text(json.dumps({"messages": "How many?", "response": "4", column: value}))
    with pytest.raises(BadInput, match=f"line 1, column '{column}': .*{said}"):
        load_sft_rows(path)


class HubTable:
    """What `datasets` gives of a set on the hub, as far as it is asked."""

    def __init__(self, row: dict[str, Any]) -> None:
        self.table = pa.Table.from_pylist([row])

    def iter(self, batch_size: int) -> list[pa.Table]:
        return [self.table]


@pytest.mark.parametrize("is_path", [False, True])
@pytest.mark.parametrize("as_feature", [False, True])
def test_a_set_of_the_hub_names_no_file_of_this_machine(
    is_path: bool, as_feature: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret.png").write_bytes(PNG)
    monkeypatch.chdir(tmp_path)
    name = str(tmp_path / "secret.png") if is_path else "secret.png"
    image = {"bytes": None, "path": name} if as_feature else name
    row = {"messages": "What?", "verifier": "string", "reference": "x", "images": [image]}
    monkeypatch.setattr("sampler.rows.dataset_rows.hub_table", lambda hub_id, split: HubTable(row))
    with pytest.raises(BadInput, match=r"row 1, column 'images': .* is a name: download the set"):
        load_prompts("owner/set")
