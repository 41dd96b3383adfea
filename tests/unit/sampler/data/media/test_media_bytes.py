"""Pictures by reference: read again from wherever a data set has them, and never what they were not."""

import base64
import io
import json
import os
import pickle
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from sampler.data.prompt_dataset import load_prompt_dataset, load_prompts, save_prompts
from sampler.data.prompt_schema import PROMPT_FIELDS, prompt_columns
from sampler.data.sft_row import SftRow, save_sft_rows
from sampler.prompt import Prompt
from sampler.rows.dataset_rows import dataset_parts
from sampler.rows.wrong_rows import BadRows
from verifiers.errors import BadInput


def picture(seed):
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (48, 32, 3), dtype=np.uint8)).save(
        buffer, "PNG"
    )
    return buffer.getvalue()


def ask(number, *images):
    parts = [{"type": "image"}] * len(images)
    return Prompt.build(
        messages=[{"role": "user", "content": [*parts, {"type": "text", "text": str(number)}]}],
        images=images,
        verifier="number",
        reference=str(number),
    )


PROMPTS = [ask(n, *(picture(10 * n + k) for k in range(n % 3))) for n in range(7)]


def parquet(tmp_path):
    table = pa.table(prompt_columns(PROMPTS), schema=pa.schema(list(PROMPT_FIELDS)))
    pq.write_table(table, tmp_path / "set.parquet", row_group_size=3)
    return tmp_path / "set.parquet"


def row_of(prompt, images):
    return {
        "messages": list(prompt.messages),
        "images": images,
        "verifier": "number",
        "reference": prompt.reference,
        "source": "",
    }


def json_lines(tmp_path, of_image):
    rows = [row_of(one, [of_image(f"{one.reference}-{k}.png", image.read()) for k, image in enumerate(one.images)])
            for one in PROMPTS]  # fmt: skip
    (tmp_path / "set.jsonl").write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows))
    return tmp_path / "set.jsonl"


def data_url(image):
    return f"data:image/png;base64,{base64.b64encode(image).decode()}"


def data_urls(tmp_path):
    return json_lines(tmp_path, lambda _, image: data_url(image))


def openai_parts(tmp_path):
    """Pictures inside the messages; in Parquet the messages have one type, with null where a part says nothing."""
    rows = []
    for one in PROMPTS:
        row = row_of(one, [])
        del row["images"]
        pictures = iter(one.images)
        (turn,) = one.messages
        content = [
            {"type": "text", "text": part["text"]}
            if part["type"] == "text"
            else {"type": "image_url", "image_url": {"url": data_url(next(pictures).read())}}
            for part in turn["content"]
        ]
        rows.append(row | {"messages": [{"role": "user", "content": content}]})
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "set.parquet")
    return tmp_path / "set.parquet"


def files(tmp_path):
    def file(name, image):
        (tmp_path / name).write_bytes(image)
        return name

    return json_lines(tmp_path, file)


@pytest.mark.parametrize("written", [parquet, data_urls, openai_parts, files])
def test_prompts_hold_no_bytes_and_read_them_again(written, tmp_path):
    """In any order, also in another process; ids are those of prompts made from the bytes."""
    loaded = load_prompts(written(tmp_path))
    assert loaded == PROMPTS
    assert [one.prompt_id for one in loaded] == [one.prompt_id for one in PROMPTS]
    for sent, made in zip(map(pickle.dumps, reversed(loaded)), reversed(PROMPTS), strict=True):
        assert len(sent) < 1000 < len(pickle.dumps(made)) or not made.images
        got = pickle.loads(sent)
        assert [image.read() for image in got.images] == [image.read() for image in made.images]
        assert [image.image_size() for image in got.images] == [(32, 48)] * len(made.images)


@pytest.mark.parametrize(
    ("written", "named"),
    [
        (parquet, r"set\.parquet, row 2, column 'images'"),
        (data_urls, r"set\.jsonl, byte \d+"),
        (files, r"1-0\.png"),
    ],
)
def test_a_picture_that_was_edited_meanwhile_is_an_error_that_names_it(written, named, tmp_path):
    path = written(tmp_path)
    (image,) = load_prompts(path)[1].images
    changed = files(tmp_path) if written is files else path
    if written is parquet:
        image.read()  # the file that lay there is cached
        save_prompts(path, [PROMPTS[0], ask(1, picture(99)), *PROMPTS[2:]])
    elif written is files:
        (tmp_path / "1-0.png").write_bytes(picture(99))
    else:
        old, new = (base64.b64encode(picture(seed)).decode() for seed in (10, 99))
        changed.write_text(path.read_text().replace(old, new))
    with pytest.raises(BadInput, match=named + r".*: the image has changed since the data was read"):
        image.read()


@pytest.mark.parametrize("written", [parquet, data_urls, files])
def test_a_set_that_is_gone_is_an_error_that_names_it(written, tmp_path):
    path = written(tmp_path)
    (image,) = load_prompts(path)[1].images
    for file in tmp_path.iterdir():
        file.unlink()
    with pytest.raises(BadInput, match=r"row 2: cannot be read|byte \d+: cannot|no such picture"):
        image.read()


def test_a_set_that_is_made_of_itself_is_read_anew(tmp_path):
    """A builder reads a set and writes another in its place."""
    path = save_prompts(tmp_path / "set.parquet", PROMPTS)
    turned = [ask(n, *reversed(one.images)) for n, one in enumerate(load_prompts(path))]
    save_prompts(path, turned)
    assert [[image.read() for image in one.images] for one in load_prompts(path)] == [
        [image.read() for image in reversed(one.images)] for one in PROMPTS
    ]


def test_a_hub_set_is_read_again_through_datasets(tmp_path, monkeypatch):
    import datasets

    table = datasets.Dataset(pa.table(prompt_columns(PROMPTS), schema=pa.schema(list(PROMPT_FIELDS))))
    monkeypatch.setattr(datasets, "load_dataset", lambda name, split: table)
    loaded = load_prompts("owner/pictures")
    assert [[image.read() for image in one.images] for one in loaded] == [
        [image.read() for image in one.images] for one in PROMPTS
    ]
    assert str(loaded[1].images[0].source) == "owner/pictures[train], row 2, column 'images'"


def test_pictures_in_a_renamed_column_and_inside_a_struct(tmp_path):
    shown = [{"bytes": picture(5), "path": None}]
    rows = [{"messages": "What?", "verifier": "number", "reference": "1", "seen": {"pictures": shown}}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "set.parquet")
    (prompt,) = load_prompts(tmp_path / "set.parquet", columns={"images": "seen.pictures"})
    assert prompt.images[0].read() == picture(5)


def test_saved_pictures_stand_in_small_row_groups(tmp_path, monkeypatch):
    """A picture is read by its row group: one group of a million rows could not be read from at random."""
    monkeypatch.setattr("sampler.data.prompt_schema.GROUP_BYTES", 20_000)
    path = save_prompts(tmp_path / "set.parquet", PROMPTS)
    assert pq.ParquetFile(path).num_row_groups > 1
    assert load_prompts(path) == PROMPTS


def test_saving_holds_a_row_group_at_a_time(tmp_path):
    """Prompts and supervised rows from a generator, whose pictures are eight row groups."""
    large = os.urandom(2**20)

    def drawn(held):
        for number in range(64):
            held.append((pa.total_allocated_bytes(), sum(file.stat().st_size for file in tmp_path.iterdir())))
            yield ask(number, large + bytes([number]))

    for save, made in ((save_prompts, lambda one: one), (save_sft_rows, lambda one: SftRow(one, "9"))):
        held = []
        path = save(tmp_path / "set.parquet", map(made, drawn(held)))
        assert (len(held), pq.read_metadata(path).num_rows) == (64, 64)
        (before, _), (_, written) = held[0], held[-1]
        assert max(bytes_held for bytes_held, _ in held) - before < 40 * 2**20 < written
        path.unlink()


def test_beyond_a_number_of_pictures_only_headers_are_read_and_counted(tmp_path):
    path = save_prompts(tmp_path / "set.parquet", PROMPTS)
    num_pictures = sum(len(one.images) for one in PROMPTS)
    assert load_prompt_dataset(path).num_not_decoded == 0
    assert load_prompt_dataset(path, max_decoded=2).num_not_decoded == num_pictures - 2


def test_a_large_set_is_read_in_parts_by_several_processes(tmp_path, monkeypatch):
    """As by one: rows in order, each fault by its row, a repeated prompt counted, each unread column once."""
    monkeypatch.setattr("sampler.rows.arrow_table._PART_ROWS", 3)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    path = parquet(tmp_path)
    assert len(dataset_parts(path)) == 3
    assert load_prompts(path) == PROMPTS
    rows = [one | {"note": "x"} for one in pq.read_table(path).to_pylist()]
    pq.write_table(pa.Table.from_pylist([*rows, rows[1]]), path, row_group_size=3)
    loaded = load_prompt_dataset(path, max_decoded=0)
    assert (list(loaded.prompts), loaded.num_duplicates, loaded.num_not_decoded) == (PROMPTS, 1, 7)
    assert [column.name for column in loaded.unread_columns] == ["note"]
    assert loaded.locations[PROMPTS[6].prompt_id] == f"{path}, row 7"
    assert load_prompts(path, limit=4) == PROMPTS[:4]
    rows[1]["images"][0]["bytes"], rows[5]["reference"] = b"no picture", ""
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=3)
    with pytest.raises(BadRows) as error:
        load_prompts(path)
    assert [re.search(r"row (\d), column '(\w+)'", line).groups() for line in error.value.named] == [
        ("2", "images"),
        ("6", "reference"),
    ]
